"""Who answers on which port: a scanner of questions that never block, bounded in rate and in number.

    SYN ──► SYN-ACK   open         somebody listens, and nothing in between objects
        ──► RST       closed       the packet got there; nobody listens
        ──► nothing   silent       a filter drops it, or the host is gone
        ──► ICMP      unreachable  no way there, or a filter that says so

    datagram in the port's own protocol ──► an answer: open · ICMP: closed · nothing: silent

It scans from the network of the thread that calls it (topologies.netns.in_network).
"""

from __future__ import annotations

import errno
import math
import resource
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple

State = Literal["open", "closed", "silent", "unreachable"]

#: Descriptors that belong to the rest of the process.
KEPT_DESCRIPTORS = 200
_NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM)
#: Closing sends RST: an opening that was found is neither used nor left behind in TIME_WAIT.
_RESET = struct.pack("ii", 1, 0)


class Endpoint(NamedTuple):
    """Where to ask, and by UDP what. Without a `question` it is TCP: the connection itself is one."""

    address: str
    port: int
    question: bytes = b""


@dataclass(frozen=True)
class Pace:
    """How hard a scan may be: the load on what is scanned is bounded by it.

    `timeout_s` ends the wait for an answer. Below 1 s the kernel sends no SYN twice; above, it does, so that
    one lost packet is no verdict.
    """

    rate_hz: float = 10_000.0
    at_once: int = 5000
    timeout_s: float = 0.4


@dataclass
class _Asked:
    """A question on its way, and the moment it is given up."""

    endpoint: Endpoint
    asker: socket.socket
    until_s: float


def scan(endpoints: Sequence[Endpoint], pace: Pace) -> dict[Endpoint, State]:
    """The state of each, asked no faster than `pace`. By UDP only an answer says "open".

    Raises OSError when the process runs out of sockets.
    """
    states: dict[Endpoint, State] = {}
    waiting: dict[int, _Asked] = {}  # by descriptor; in the order of asking, which is that of deadlines
    to_ask = deque(endpoints)
    due_s = time.monotonic()
    with select.epoll() as poll:
        try:
            while to_ask or waiting:
                now_s = time.monotonic()
                due_s = max(due_s, now_s - 0.01)  # a delay is not made up for by a burst
                while to_ask and due_s <= now_s and len(waiting) < pace.at_once:
                    due_s += 1 / pace.rate_hz
                    endpoint = to_ask.popleft()
                    asker, refused = _ask(endpoint)
                    if refused == errno.EINPROGRESS:
                        waiting[asker.fileno()] = _Asked(endpoint, asker, now_s + pace.timeout_s)
                        poll.register(asker, select.EPOLLIN if endpoint.question else select.EPOLLOUT)
                    else:
                        states[endpoint] = _state(refused)
                        asker.close()
                next_s = min(due_s if to_ask else math.inf, _first_end_s(waiting))
                for number, _ in poll.poll(max(0.0005, next_s - now_s)) if waiting else ():
                    asked = waiting.pop(number)
                    states[asked.endpoint] = _answer(asked)
                    asked.asker.close()
                while _first_end_s(waiting) <= time.monotonic():
                    late = waiting.pop(next(iter(waiting)))
                    states[late.endpoint] = "silent"
                    late.asker.close()
        finally:
            for asked in waiting.values():
                asked.asker.close()
    return states


def _ask(endpoint: Endpoint) -> tuple[socket.socket, int]:
    """The socket, and EINPROGRESS or the error that is the answer already."""
    kind = socket.SOCK_DGRAM if endpoint.question else socket.SOCK_STREAM
    asker = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    try:
        refused = asker.connect_ex((endpoint.address, endpoint.port))
        if endpoint.question and not refused:
            asker.send(endpoint.question)
            refused = errno.EINPROGRESS
    except OSError as error:
        asker.close()
        if error.errno not in _NO_WAY:
            raise
        refused = error.errno
    return asker, refused


def _answer(asked: _Asked) -> State:
    if not asked.endpoint.question:
        refused = asked.asker.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not refused:
            asked.asker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        return _state(refused)
    try:
        asked.asker.recv(4096)
    except OSError as error:
        return _state(error.errno or errno.ECONNREFUSED)
    return "open"


def _state(number: int) -> State:
    if number == 0:
        return "open"
    if number in _NO_WAY:
        return "unreachable"
    return "silent" if number == errno.ETIMEDOUT else "closed"


def _first_end_s(waiting: Mapping[int, _Asked]) -> float:
    return next(iter(waiting.values())).until_s if waiting else math.inf


@contextmanager
def room_for(wanted: int) -> Iterator[int]:
    """How many sockets may be open at once during the block: `wanted`, if the machine allows that many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    allowed = wanted + KEPT_DESCRIPTORS if unlimited else min(hard, wanted + KEPT_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    try:
        yield max(1, min(wanted, max(soft, allowed) - KEPT_DESCRIPTORS))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
