"""What the engine is asked (Stream), and what it keeps for it: a Lane per stream, a Connection per socket.

Stream ──► Lane: k, due, idle connections ──► Connection: socket, stage, the request it carries
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from loadtests.http1 import Answer
from loadtests.lookup import Question
from loadtests.outcomes import CLOSED, CONNECTING


@dataclass(frozen=True)
class Stream:
    """The same GET, `rate_hz` times a second, whatever becomes of the ones before.

    `connect_to` is an address; None asks the engine's name server for `host` before every connection.
    `tls` is the context that verifies `host`, None for plain HTTP. `keep_alive` False opens a connection per
    request; True takes an idle one, and opens another only when none is idle.
    """

    name: str
    host: str
    port: int
    request: bytes
    rate_hz: float
    expect_status: int = 200
    expect_text: bytes = b""
    keep_alive: bool = False
    connect_to: str | None = None
    tls: ssl.SSLContext | None = None


def verifying_context(ca_file: str) -> ssl.SSLContext:
    """Trusts that CA alone and checks the host name; offers http/1.1. Raises OSError (SSLError is one)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["http/1.1"])
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # Python sets it, and a truncation looks like an end
    return context


class Lane:
    """A stream under way: which request is next, and when. Request k is due at t0 + k/rate."""

    __slots__ = ("due_s", "idle", "k", "question", "stream", "t0_s")

    def __init__(self, stream: Stream, t0_s: float) -> None:
        self.stream = stream
        self.t0_s = t0_s
        self.k = 0
        self.due_s = t0_s
        self.idle: list[Connection] = []  # the last one used is used next, as browsers do
        self.question = Question(stream.host) if stream.connect_to is None else None

    def advance(self) -> None:
        self.k += 1
        self.due_s = self.t0_s + self.k / self.stream.rate_hz


class Connection:
    """One socket and the request it carries.

    `serial` numbers requests over all lanes: a timer that remembers another number is out of date, because
    the connection has gone on to its next request.
    """

    __slots__ = (
        "address", "answer", "connected_s", "deadline_s", "due_s", "fd", "first_byte_s", "k", "lane",
        "question_id", "ready_s", "sent_s", "serial", "sock", "stage", "unsent",
    )  # fmt: skip

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.sock: socket.socket | None = None
        self.stage = CONNECTING
        self.fd = -1
        self.address = ""
        self.question_id = 0
        self.ready_s = 0.0  # when epoll first said so, of what is still to be done; 0: nothing is
        self.serial = 0

    def begin(self, serial: int, k: int, due_s: float, sent_s: float, deadline_s: float) -> None:
        """Takes up a request."""
        self.serial = serial
        self.k = k
        self.due_s = due_s
        self.sent_s = sent_s
        self.deadline_s = deadline_s
        self.connected_s: float | None = None
        self.first_byte_s: float | None = None
        self.answer = Answer()
        self.unsent = self.lane.stream.request

    @property
    def open_socket(self) -> socket.socket:
        assert self.sock is not None, "the engine only steps connections that have a socket"
        return self.sock

    def still_open(self) -> bool:
        """Whether an idle connection can carry a request: the server neither closed it nor sent anything.

        Reading is the one test that covers FIN, reset, TLS close_notify and TLS session tickets alike.
        """
        try:
            self.open_socket.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            return False
        return False

    def forget(self) -> socket.socket | None:
        """Lets go of everything heavy: stale timers may still hold this object for one timeout."""
        sock, self.sock = self.sock, None
        self.stage = CLOSED
        self.unsent = b""
        del self.answer
        return sock
