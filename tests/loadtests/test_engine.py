"""The engine against small servers in threads of this process: what it sends, when, and what it calls it."""

from __future__ import annotations

import gc
import resource
import socket
import ssl
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from loadtests.connection import verifying_context
from loadtests.engine import Engine
from loadtests.probes import Probe
from tests.loadtests.known_truth import HOST, certificate, flaky_server
from tests.loadtests.small_servers import (
    GOOD,
    answering,
    closed_port,
    outcomes,
    run,
    silent,
    stream,
    tcp_server,
)  # fmt: skip


def test_probe_k_is_due_k_periods_after_the_first() -> None:
    with tcp_server(answering(GOOD)) as port:
        probes = run(stream(port, 100, name="a"), stream(port, 30, name="b"), for_s=0.3)
    for name, rate_hz, count in (("a", 100, 30), ("b", 30, 9)):
        mine = [p for p in probes if p.stream == name]
        assert [p.k for p in mine] == list(range(count))
        assert [p.due_s - mine[0].due_s for p in mine] == pytest.approx([k / rate_hz for k in range(count)])
    assert outcomes(probes) == {"ok"}
    assert all(p.sent_s >= p.due_s for p in probes)


@pytest.mark.parametrize(
    ("payload", "outcome", "status"),
    [
        (GOOD, "ok", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "ok", 200),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", "ok", 200),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "http-502", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\noops", "wrong-body", 200),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", "wrong-body", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhel", "closed-early", 200),
        (b"", "closed-early", None),
    ],
)
def test_an_answer_has_one_outcome(payload: bytes, outcome: str, status: int | None) -> None:
    with tcp_server(answering(payload)) as port:
        probes = run(stream(port), for_s=0.05)
    assert {(p.outcome, p.status) for p in probes} == {(outcome, status)}


@pytest.mark.parametrize(("says_goodbye", "outcome"), [(True, "ok"), (False, "closed-early")])
def test_over_tls_only_a_proper_goodbye_ends_an_answer_without_length(
    says_goodbye: bool, outcome: str, tmp_path: Path
) -> None:
    """Without close_notify nobody can tell an end from a truncation (RFC 8446 section 6.1)."""
    cert, key = certificate(tmp_path, "served", HOST)
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(cert, key)

    def handle(connection: socket.socket) -> None:
        with served.wrap_socket(connection, server_side=True) as secured:
            secured.recv(4096)
            secured.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
            if says_goodbye:
                secured.unwrap()

    with tcp_server(handle) as port:
        assert outcomes(run(stream(port, tls=verifying_context(str(cert))), for_s=0.03)) == {outcome}


@pytest.mark.parametrize(
    ("reply", "outcome"), [(b"", "closed-early"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", "tls")]
)
def test_a_handshake_cut_off_is_closed_early_and_one_gone_wrong_is_tls(
    reply: bytes, outcome: str, tmp_path: Path
) -> None:
    tls = verifying_context(str(certificate(tmp_path, "served", HOST)[0]))
    with tcp_server(answering(reply)) as port:
        assert outcomes(run(stream(port, tls=tls), for_s=0.03)) == {outcome}


def test_a_large_answer_arrives_whole() -> None:
    body = b"x" * 3_000_000 + b"hello"
    payload = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with tcp_server(answering(payload)) as port:
        assert outcomes(run(stream(port, 20), for_s=0.1, timeout_s=2)) == {"ok"}


def test_a_closed_port_is_refused_at_once() -> None:
    probes = run(stream(closed_port()), for_s=0.05)
    assert outcomes(probes) == {"refused"}
    assert max(p.latency_s for p in probes) < 0.1


def test_a_full_accept_queue_is_a_connect_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        # The queue holds one; from the second on, SYNs are dropped.
        with socket.create_connection(address), suppress(TimeoutError):
            socket.create_connection(address, timeout=0.1).close()
        probes = run(stream(address[1]), for_s=0.05, timeout_s=0.2)
    assert "connect-timeout" in outcomes(probes)
    for p in probes:
        if p.outcome == "connect-timeout":
            assert p.connected_s is None
            assert p.end_s - p.sent_s == pytest.approx(0.2, abs=0.02)


def test_a_server_that_says_nothing_is_a_read_timeout() -> None:
    with tcp_server(silent) as port:
        probes = run(stream(port), for_s=0.05, timeout_s=0.2)
    assert outcomes(probes) == {"read-timeout"}
    assert all(p.end_s - p.sent_s == pytest.approx(0.2, abs=0.02) for p in probes)


def test_an_answer_after_the_slo_is_slow() -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(4096)
        threading.Event().wait(0.6)
        connection.sendall(GOOD)

    with tcp_server(handle) as port:
        assert outcomes(run(stream(port), for_s=0.05, timeout_s=2)) == {"slow"}


# --- kept-alive connections


def test_a_kept_alive_connection_is_used_again() -> None:
    with tcp_server(answering(*[GOOD] * 100)) as port:
        probes = run(stream(port, keep_alive=True), for_s=0.3)
    assert outcomes(probes) == {"ok"}
    assert [p.connected_s is not None for p in probes] == [True] + [False] * 29


def test_a_connection_closed_while_idle_is_replaced_without_an_error() -> None:
    with tcp_server(answering(GOOD, GOOD)) as port:  # closes after two, without saying so
        probes = run(stream(port, keep_alive=True), for_s=0.2)
    assert outcomes(probes) == {"ok"}
    assert sum(p.connected_s is not None for p in probes) == 10


def test_a_connection_that_fails_in_a_request_is_an_error_and_never_retried() -> None:
    with tcp_server(answering(GOOD, b"")) as port:  # takes the second request and closes
        probes = run(stream(port, keep_alive=True), for_s=0.2)
    assert Counter(p.outcome for p in probes) == {"ok": 10, "closed-early": 10}


def test_another_connection_is_opened_when_none_is_idle() -> None:
    def handle(connection: socket.socket) -> None:
        while connection.recv(4096):
            threading.Event().wait(0.045)
            connection.sendall(GOOD)

    with tcp_server(handle) as port:
        probes = run(stream(port, keep_alive=True), for_s=0.3)
    assert outcomes(probes) == {"ok"}
    assert 5 <= sum(p.connected_s is not None for p in probes) <= 8


# --- the engine's own limits


def test_the_in_flight_cap_is_recorded_and_not_hidden() -> None:
    with tcp_server(silent) as port:
        probes = run(stream(port), for_s=0.1, timeout_s=0.3, max_in_flight=4)
    assert [p.outcome for p in probes] == ["read-timeout"] * 4 + ["in-flight-cap"] * 6


def test_no_descriptor_left_is_the_probers_own_fault() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with tcp_server(answering(GOOD)) as port:
        engine_probes: list[Probe] = []
        engine = Engine([stream(port)], engine_probes.append, timeout_s=0.5, slo_s=0.5)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            t0_s = time.monotonic()
            engine.run(t0_s, t0_s + 0.03)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert outcomes(engine_probes) == {"local-error"}


def test_a_connection_it_had_no_time_to_look_at_is_its_own_fault(tmp_path: Path) -> None:
    """800 connections stand within 40 ms, more than one processor can greet in the 50 ms they are given."""
    cert, _ = certificate(tmp_path, "served", HOST)
    probes: list[Probe] = []
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listener:
        busy = stream(listener.getsockname()[1], 20_000, tls=verifying_context(str(cert)))
        engine = Engine([busy], probes.append, timeout_s=0.05, slo_s=0.5)
        t0_s = time.monotonic()
        engine.run(t0_s, t0_s + 0.04)
    seen = Counter(p.outcome for p in probes)
    assert seen.total() == 800
    assert set(seen) <= {"local-error", "read-timeout"}  # greeted, the server said nothing
    assert seen["local-error"] > 100
    assert engine.handling_delay.max_s > 0.01


def test_stop_lets_those_in_flight_finish_and_sends_no_more() -> None:
    probes: list[Probe] = []

    def stop_at_five(p: Probe) -> None:
        probes.append(p)
        if len(probes) == 5:
            engine.stop()

    with tcp_server(answering(GOOD)) as port:
        engine = Engine([stream(port)], stop_at_five, timeout_s=0.5, slo_s=0.5)
        t0_s = time.monotonic()
        engine.run(t0_s, t0_s + 5)
    assert len(probes) == 5
    assert time.monotonic() - t0_s < 1


@pytest.mark.parametrize("keep_alive", [False, True])
@pytest.mark.parametrize("secured", [False, True])
def test_finished_probes_leave_nothing_for_the_garbage_collector(
    secured: bool, keep_alive: bool, tmp_path: Path
) -> None:
    """The prober switches the cyclic collector off for an hour, so nothing may need it."""
    cert, key = certificate(tmp_path, "served", HOST)
    tls = verifying_context(str(cert)) if secured else None
    with flaky_server("none", *(("--cert", str(cert), "--key", str(key)) if secured else ())) as server:
        served = stream(server.port, 200, keep_alive=keep_alive, tls=tls)
        refused = stream(closed_port(), 200, name="refused")
        seen: Counter[str] = Counter()
        engine = Engine([served, refused], lambda p: seen.update([p.outcome]), timeout_s=0.05, slo_s=0.5)
        gc.collect()
        gc.disable()
        try:
            t0_s = time.monotonic()
            engine.run(t0_s, t0_s + 0.5)
            unreachable = gc.collect()
        finally:
            gc.enable()
    assert seen["refused"] == 100
    assert seen["ok"] > 50
    assert unreachable < 20
