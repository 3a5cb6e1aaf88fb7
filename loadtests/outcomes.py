"""What can become of a probe: one word each, and which word wins when several would do.

    the prober's own fault          in-flight-cap · local-error (no port, no descriptor, no time to look)
    the path failed, first come     dns · unreachable · refused · reset · closed-early · tls
    nothing came in time            queue-timeout (the pool was busy) · connect-timeout · read-timeout
    an answer came, first that fits wrong-body (not HTTP) · http-503 · wrong-body · slow · ok

A failure of the path wins over anything half an answer said: a 200 cut off in its body is closed-early.
A wrong status wins over its body, and both win over slow: late and wrong is wrong.
"""

from __future__ import annotations

import errno
import ssl
from typing import Final

from loadtests.probes import GOOD

# The stages of a request, in the order it passes them.
QUEUED: Final = -1  # waits for a connection of a bounded pool
RESOLVING: Final = 0
CONNECTING: Final = 1
HANDSHAKE: Final = 2
SENDING: Final = 3
WAITING: Final = 4
# The request is over; what is left is a connection.
IDLE: Final = 5  # kept alive, may be used again
LINGERING: Final = 6  # answered; the server closes first
CLOSED: Final = 7

IN_FLIGHT_CAP: Final = "in-flight-cap"
LOCAL_ERROR: Final = "local-error"
WRONG_BODY: Final = "wrong-body"

#: Not the fault of the system under test: a trial with one of these measures the prober.
OWN_FAULTS: Final = frozenset({IN_FLIGHT_CAP, LOCAL_ERROR})

_ANSWERS: Final = frozenset({GOOD, "slow", WRONG_BODY})
_TLS_ENDED: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
_TLS_EOF: Final = "UNEXPECTED_EOF_WHILE_READING"
_BY_ERRNO: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ECONNABORTED: "reset",
    errno.ENOTCONN: "reset",  # reset between connect and the first use of the socket
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ENETDOWN: "unreachable",
    errno.EACCES: "unreachable",  # a "prohibit" route
}  # ETIMEDOUT depends on the stage; everything else (no ports, no descriptors) is ours


def of_error(error: OSError, stage: int) -> str:
    """The class of a socket or TLS error that ended a request in `stage`.

    An SSLError is asked first: its errno is OpenSSL's, 1 there is not EPERM.
    """
    if isinstance(error, ssl.SSLError):
        # Python before 3.11.4 has no class for the end of the stream that OpenSSL 3 reports.
        ended = getattr(error, "reason", None) == _TLS_EOF
        return "closed-early" if ended or isinstance(error, _TLS_ENDED) else "tls"
    known = _BY_ERRNO.get(error.errno or 0)
    if error.errno == errno.ETIMEDOUT:
        known = of_timeout(stage)
    if stage == RESOLVING and known is not None:
        return "dns"  # e.g. refused: the name server's host says that nobody listens
    return known or LOCAL_ERROR


def of_timeout(stage: int) -> str:
    """The class of a request whose time ran out in `stage`; a silent TLS handshake is a read-timeout."""
    if stage == QUEUED:
        return "queue-timeout"
    if stage == RESOLVING:
        return "dns"
    return "connect-timeout" if stage == CONNECTING else "read-timeout"


def of_answer(
    status: int,
    body: bytes | bytearray,
    latency_s: float,
    *,
    expect_status: int | frozenset[int],
    expect_text: bytes,
    slo_s: float,
) -> str:
    """The class of a complete answer; `latency_s` counts from due."""
    right = status == expect_status if isinstance(expect_status, int) else status in expect_status
    if not right:
        return f"http-{status}"
    if expect_text not in body:
        return WRONG_BODY
    return "slow" if latency_s > slo_s else GOOD


def is_answer(outcome: str) -> bool:
    """Whether the request ended with a whole answer, right or wrong."""
    return outcome in _ANSWERS or outcome.startswith("http-")
