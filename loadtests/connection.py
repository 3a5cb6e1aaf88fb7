"""What the engine is asked, and what it keeps for it.

    Schedule: what is due, and when ──take()──► Request ──► Lane: connections to one Place ──► Connection

A Stream is the simplest of schedules: one Kind of request to one Place, at a fixed rate (Beat).
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from loadtests.http1 import Answer
from loadtests.lookup import Question
from loadtests.outcomes import CLOSED, QUEUED


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where requests go, and by which connections.

    `connect_to` is an address; None asks the engine's name server for `host` before every connection.
    `tls` is the context that verifies `host`, None for plain HTTP. `keep_alive` False opens a connection per
    request; True takes an idle one, and opens another only when none is idle: the one used last, as a browser
    does, or with `rotate` the one that has been idle longest, so that all of them carry their share. With
    `max_connections`, a request that finds so many busy waits for one, in order of arrival.
    """

    host: str
    port: int
    keep_alive: bool = False
    connect_to: str | None = None
    tls: ssl.SSLContext | None = None
    rotate: bool = False
    max_connections: int | None = None


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Requests that are counted together, and which answer to them is right."""

    name: str
    expect_status: int | frozenset[int] = 200
    expect_text: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Stream(Kind, Place):
    """The same GET, `rate_hz` times a second, whatever becomes of the ones before."""

    request: bytes
    rate_hz: float


def verifying_context(ca_file: str) -> ssl.SSLContext:
    """Trusts that CA alone and checks the host name; offers http/1.1. Raises OSError (SSLError is one)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["http/1.1"])
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # Python sets it, and a truncation looks like an end
    return context


class Lane:
    """The connections to one place, and the requests that wait for one of them."""

    __slots__ = ("idle", "open", "place", "question", "waiting")

    def __init__(self, place: Place) -> None:
        self.place = place
        self.open = 0  # connections, idle ones included
        self.idle: deque[Connection] = deque()
        self.waiting: deque[tuple[Request, float]] = deque()  # and when each was taken up
        self.question = Question(place.host) if place.connect_to is None else None

    @property
    def full(self) -> bool:
        """Whether no further connection may be opened."""
        limit = self.place.max_connections
        return limit is not None and self.open >= limit


class Request(NamedTuple):
    """One request of a schedule: the k-th of its kind, the bytes to send. `mark` is the schedule's own."""

    kind: Kind
    lane: Lane
    k: int
    due_s: float
    data: bytes
    mark: str = ""


class Schedule(Protocol):
    """When the next request is due, on CLOCK_MONOTONIC; infinite: there is none."""

    due_s: float

    def start(self, t0_s: float) -> None:
        """The first request is not due before t0."""

    def take(self) -> Request:
        """The request that is due at `due_s`; from then on `due_s` is that of the one after it."""


class Beat:
    """The schedule of a stream: request k is due at t0 + k/rate."""

    __slots__ = ("_k", "_lane", "_stream", "_t0_s", "due_s")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._lane = Lane(stream)
        self._k = 0
        self._t0_s = self.due_s = 0.0

    def start(self, t0_s: float) -> None:
        self._t0_s = self.due_s = t0_s

    def take(self) -> Request:
        request = Request(self._stream, self._lane, self._k, self.due_s, self._stream.request)
        self._k += 1
        self.due_s = self._t0_s + self._k / self._stream.rate_hz
        return request


class Connection:
    """One socket and the request it carries.

    `serial` numbers requests over all lanes: a timer that remembers another number is out of date, because
    the connection has gone on to its next request.
    """

    __slots__ = (
        "address", "answer", "connected_s", "deadline_s", "fd", "first_byte_s", "lane", "question_id",
        "ready_s", "request", "sent_s", "serial", "sock", "stage", "unsent", "waited_s",
    )  # fmt: skip

    def __init__(self, lane: Lane) -> None:
        lane.open += 1
        self.lane = lane
        self.sock: socket.socket | None = None
        self.stage = QUEUED
        self.fd = -1
        self.address = lane.place.connect_to or ""
        self.question_id = 0
        self.ready_s = 0.0  # when epoll first said so, of what is still to be done; 0: nothing is
        self.serial = 0

    def begin(
        self, request: Request, serial: int, sent_s: float, deadline_s: float, waited_s: float = 0.0
    ) -> None:
        """Takes up a request that was taken from its schedule at `sent_s` and has `waited_s` for this."""
        self.request = request
        self.serial = serial
        self.sent_s = sent_s
        self.deadline_s = deadline_s
        self.waited_s = waited_s
        self.connected_s: float | None = None
        self.first_byte_s: float | None = None
        self.answer = Answer()
        self.unsent = request.data

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
        self.lane.open -= 1
        self.unsent = b""
        del self.answer
        return sock
