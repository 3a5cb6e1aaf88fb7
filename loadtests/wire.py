"""A request, step by step, on non-blocking sockets: each step goes as far as it can and waits for epoll.

    open ─► RESOLVING ─► CONNECTING ─► HANDSHAKE ─► SENDING ─► WAITING ─► ended(connection, outcome)
    resume an IDLE one ──────────────────────────────┘            └─► IDLE │ LINGERING │ CLOSED

Every new connection pays a full TLS handshake, as a new visitor does: no session is ever resumed. With
OpenSSL 3.0 that takes 0.7 to 1 ms of processor time: a core is full with 1,000 new TLS connections a second.
"""

from __future__ import annotations

import errno
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final

from loadtests.connection import Connection
from loadtests.histogram import Histogram
from loadtests.http1 import MalformedAnswer
from loadtests.lookup import NoAddress
from loadtests.outcomes import (
    CONNECTING,
    HANDSHAKE,
    IDLE,
    LINGERING,
    RESOLVING,
    SENDING,
    WAITING,
    WRONG_BODY,
    of_answer,
    of_error,
)  # fmt: skip

EVENTS_AT_ONCE: Final = 8192
READ_BYTES: Final = 65536  # more than a TLS record, so that one read leaves nothing behind inside OpenSSL

_READABLE: Final = select.EPOLLIN
_WRITABLE: Final = select.EPOLLOUT
_PEER_CLOSED: Final = select.EPOLLRDHUP
_STREAM_SOCKET: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_DATAGRAM_SOCKET: Final = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_clock = time.monotonic


class Wire:
    """All sockets of an engine. `ended(connection, outcome, end_s)` is called once per request begun.

    `slo_s` decides between ok and slow; `nameserver` is (address, port). `delay` is how long a ready socket
    waited for us: when this process is overloaded, requests still leave in time, but answers are seen late.
    """

    def __init__(
        self, ended: Callable[[Connection, str, float], None], *, slo_s: float, nameserver: tuple[str, int]
    ) -> None:
        self._ended = ended
        self._slo_s = slo_s
        self._nameserver = nameserver
        self.delay = Histogram()
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}  # by file descriptor
        self._to_close: list[socket.socket] = []
        self._steps = {
            RESOLVING: self._resolved, CONNECTING: self._connected, HANDSHAKE: self._handshake,
            SENDING: self._send, WAITING: self._read, IDLE: self._idle_event, LINGERING: self.drop,
        }  # fmt: skip

    # --- what the engine calls

    def ready(self, wait_s: float) -> list[int]:
        """Descriptors to step now, after at most wait_s: answers, then the rest, then one TLS handshake.

        A handshake costs as much as twenty answers. Answers that wait behind it would be timed late, and
        would keep their connections from the next requests, which then begin handshakes of their own. One
        under way goes before one to begin, and the newest of these first: after a stall those with time left
        succeed. Oldest first, every one would begin just in time to time out, and the stall would never end.
        """
        if wait_s > 0:  # epoll rounds its own timeout up to a millisecond; select keeps to microseconds
            select.select((self._epoll,), (), (), wait_s)
        answers: list[int] = []
        rest: list[int] = []
        under_way: list[int] = []
        to_begin: list[int] = []
        connections = self._connections
        events = self._epoll.poll(0, EVENTS_AT_ONCE)
        now_s = _clock()
        for fd, _ in events:
            connection = connections[fd]
            stage = connection.stage
            connection.ready_s = connection.ready_s or now_s
            if stage == WAITING:
                answers.append(fd)
            elif stage == HANDSHAKE:
                under_way.append(fd)
            elif stage == CONNECTING and connection.lane.place.tls is not None:
                to_begin.append(fd)
            else:
                rest.append(fd)
        return answers + rest + (under_way[:1] or to_begin[-1:])

    def step(self, fd: int) -> None:
        """Takes the request on a ready socket as far as it goes."""
        connection = self._connections.get(fd)
        if connection is not None:  # else an earlier step of this batch was its last
            self.delay.add(_clock() - connection.ready_s)
            connection.ready_s = 0.0
            self._steps[connection.stage](connection)

    def close_dropped(self) -> None:
        """After a batch only: within it a new socket could inherit the number, and with it an old event."""
        while self._to_close:
            self._to_close.pop().close()

    def open(self, connection: Connection) -> None:
        """Begins a request on a connection that is still to be made."""
        address = connection.lane.place.connect_to
        if address is None:
            self._ask(connection)
        else:
            self._connect(connection, address)

    def resume(self, connection: Connection) -> None:
        """Begins a request on an idle connection."""
        self._send(connection)

    def fail(self, connection: Connection, outcome: str) -> None:
        self._ended(connection, outcome, _clock())
        self.drop(connection)

    def drop(self, connection: Connection) -> None:
        sock = connection.forget()
        if sock is not None:
            self._connections.pop(connection.fd, None)
            self._to_close.append(sock)

    def close(self) -> None:
        for connection in list(self._connections.values()):
            self.drop(connection)
        self.close_dropped()
        self._epoll.close()

    # --- the steps

    def _ask(self, connection: Connection) -> None:
        connection.stage = RESOLVING
        question = connection.lane.question
        assert question is not None
        connection.question_id, datagram = question.ask()
        try:
            sock = socket.socket(socket.AF_INET, _DATAGRAM_SOCKET)
            self._watch(connection, sock, _READABLE)
            sock.connect(self._nameserver)
            sock.send(datagram)
        except OSError as error:
            self.fail(connection, of_error(error, RESOLVING))

    def _resolved(self, connection: Connection) -> None:
        question, sock = connection.lane.question, connection.open_socket
        assert question is not None
        try:
            address = question.first_address(sock.recv(READ_BYTES), connection.question_id)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(connection, of_error(error, RESOLVING))
            return
        except NoAddress:
            self.fail(connection, "dns")
            return
        if address is not None:
            self._connections.pop(connection.fd)
            self._to_close.append(sock)
            self._connect(connection, address)

    def _connect(self, connection: Connection, address: str) -> None:
        connection.stage, connection.address = CONNECTING, address
        connection.sock = None  # of the question, if there was one
        try:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = socket.socket(family, _STREAM_SOCKET)
            connection.sock = sock
            # Without it the request waits for the acknowledgement of the end of the TLS handshake.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            code = sock.connect_ex((address, connection.lane.place.port))
        except OSError as error:
            self.fail(connection, of_error(error, CONNECTING))
            return
        if code not in (0, errno.EINPROGRESS):
            self.fail(connection, of_error(OSError(code, ""), CONNECTING))
            return
        self._watch(connection, sock, _WRITABLE)  # at once if connected: one path for both

    def _connected(self, connection: Connection) -> None:
        sock = connection.open_socket
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.fail(connection, of_error(OSError(code, ""), CONNECTING))
            return
        connection.connected_s = _clock()
        place = connection.lane.place
        if place.tls is None:
            self._send(connection)
            return
        connection.stage = HANDSHAKE
        try:
            connection.sock = place.tls.wrap_socket(
                sock, server_hostname=place.host, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
        except OSError as error:
            self.fail(connection, of_error(error, HANDSHAKE))
            return
        self._handshake(connection)

    def _handshake(self, connection: Connection) -> None:
        sock = connection.open_socket
        assert isinstance(sock, ssl.SSLSocket)
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            self._epoll.modify(connection.fd, _READABLE)
        except ssl.SSLWantWriteError:
            self._epoll.modify(connection.fd, _WRITABLE)
        except OSError as error:
            self.fail(connection, of_error(error, HANDSHAKE))
        else:
            self._send(connection)

    def _send(self, connection: Connection) -> None:
        idle = connection.stage == IDLE
        connection.stage = SENDING
        sock = connection.open_socket
        try:
            sent = sock.send(connection.unsent)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            sent = 0
        except OSError as error:
            self.fail(connection, of_error(error, SENDING))
            return
        if sent < len(connection.unsent):
            connection.unsent = connection.unsent[sent:]
            self._epoll.modify(connection.fd, _WRITABLE)
            return
        connection.stage = WAITING
        if not idle:  # an idle connection is watched for reading already
            self._epoll.modify(connection.fd, _READABLE)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.open_socket.recv(READ_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError):
            return  # TLS: a session ticket, or part of a record
        except OSError as error:
            self.fail(connection, of_error(error, WAITING))
            return
        if connection.first_byte_s is None and data:
            connection.first_byte_s = _clock()
        answer = connection.answer
        try:
            complete = answer.feed(data) if data else answer.end_of_stream()
        except MalformedAnswer:
            self.fail(connection, WRONG_BODY)
            return
        if complete:
            self._complete(connection)
        elif not data:
            self.fail(connection, "closed-early")

    def _idle_event(self, connection: Connection) -> None:
        if not connection.still_open():
            connection.lane.idle.remove(connection)
            self.drop(connection)

    def _complete(self, connection: Connection) -> None:
        place, request, answer = connection.lane.place, connection.request, connection.answer
        end_s = _clock()
        assert answer.status is not None
        outcome = of_answer(
            answer.status, answer.body, end_s - request.due_s,
            expect_status=request.kind.expect_status, expect_text=request.kind.expect_text, slo_s=self._slo_s,
        )  # fmt: skip
        self._ended(connection, outcome, end_s)
        if place.keep_alive and answer.keep_alive:
            connection.stage = IDLE
            connection.lane.idle.append(connection)
        elif place.keep_alive:
            self.drop(connection)
        else:  # asked to close, the server does so first and keeps the TIME_WAIT
            connection.stage = LINGERING
            self._epoll.modify(connection.fd, _PEER_CLOSED)

    def _watch(self, connection: Connection, sock: socket.socket, events: int) -> None:
        connection.sock = sock
        connection.fd = fd = sock.fileno()
        self._connections[fd] = connection
        self._epoll.register(fd, events)
