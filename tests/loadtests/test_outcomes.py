"""Each failure has one name, and when several would do the one that says most wins."""

from __future__ import annotations

import errno
import ssl

import pytest

from loadtests.outcomes import (
    CONNECTING,
    HANDSHAKE,
    RESOLVING,
    SENDING,
    WAITING,
    of_answer,
    of_error,
    of_timeout,
)  # fmt: skip


@pytest.mark.parametrize(
    ("error", "stage", "outcome"),
    [
        (OSError(errno.ECONNREFUSED, ""), CONNECTING, "refused"),
        (OSError(errno.ECONNRESET, ""), WAITING, "reset"),
        (OSError(errno.EPIPE, ""), SENDING, "reset"),
        (OSError(errno.ENOTCONN, ""), HANDSHAKE, "reset"),
        (OSError(errno.EHOSTUNREACH, ""), CONNECTING, "unreachable"),
        (OSError(errno.ENETUNREACH, ""), CONNECTING, "unreachable"),
        (OSError(errno.ETIMEDOUT, ""), CONNECTING, "connect-timeout"),
        (OSError(errno.ETIMEDOUT, ""), WAITING, "read-timeout"),
        (OSError(errno.ECONNREFUSED, ""), RESOLVING, "dns"),
        (OSError(errno.ENETUNREACH, ""), RESOLVING, "dns"),
        (OSError(errno.EADDRNOTAVAIL, ""), CONNECTING, "local-error"),
        (OSError(errno.EMFILE, ""), RESOLVING, "local-error"),
        (ssl.SSLCertVerificationError(1, "unknown CA"), HANDSHAKE, "tls"),  # its errno 1 is not EPERM
        (ssl.SSLError(1, "no protocols available"), HANDSHAKE, "tls"),
        (ssl.SSLEOFError(8, "EOF in violation of protocol"), HANDSHAKE, "closed-early"),
        (ssl.SSLZeroReturnError(6, "closed"), WAITING, "closed-early"),
        (ConnectionResetError(errno.ECONNRESET, ""), HANDSHAKE, "reset"),
    ],
)
def test_an_error_has_one_name(error: OSError, stage: int, outcome: str) -> None:
    assert of_error(error, stage) == outcome


def test_time_runs_out_in_a_stage() -> None:
    names = [of_timeout(stage) for stage in (RESOLVING, CONNECTING, HANDSHAKE, SENDING, WAITING)]
    assert names == ["dns", "connect-timeout", "read-timeout", "read-timeout", "read-timeout"]


@pytest.mark.parametrize(
    ("status", "body", "latency_s", "outcome"),
    [
        (503, b"sorry", 9.0, "http-503"),  # wrong in every way: the status says most
        (200, b"sorry", 9.0, "wrong-body"),  # late and wrong is wrong
        (200, b"well, hello", 9.0, "slow"),
        (200, b"well, hello", 0.5, "ok"),
    ],
)
def test_the_status_wins_over_the_body_and_the_body_over_the_delay(
    status: int, body: bytes, latency_s: float, outcome: str
) -> None:
    assert of_answer(status, body, latency_s, expect_status=200, expect_text=b"hello", slo_s=0.5) == outcome
