"""Who answers on which port: a scanner of connects that never block, bounded in rate and in number.

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
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

State = Literal["open", "closed", "silent", "unreachable"]
Endpoint = tuple[str, int]  # address, port

#: Descriptors that belong to the rest of the process.
KEPT_DESCRIPTORS = 200
_NO_WAY = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM)
#: Closing sends RST: an opening that was found is neither used nor left behind in TIME_WAIT.
_LINGER = struct.pack("ii", 1, 0)

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Pace:
    """How hard a scan may be: the load on what is scanned is bounded by it.

    `timeout_s` ends the wait for an answer. Below 1 s the kernel sends no SYN twice; above, it does, so that
    one lost packet is no verdict.
    """

    rate_hz: float = 8000.0
    at_once: int = 4000
    timeout_s: float = 0.4


def scan_tcp(endpoints: Sequence[Endpoint], pace: Pace) -> dict[Endpoint, State]:
    """The state of each (address, port). Raises OSError when the process runs out of descriptors."""

    def ask(endpoint: Endpoint) -> tuple[socket.socket, int]:
        asker = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        return asker, asker.connect_ex(endpoint)

    def answer(asker: socket.socket) -> State:
        refused = asker.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not refused:
            asker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        return _state(refused)

    return _scan(endpoints, ask, answer, select.EPOLLOUT, pace)


def scan_udp(questions: Mapping[Endpoint, bytes], pace: Pace) -> dict[Endpoint, State]:
    """Send each (address, port) its datagram. Only an answer says "open": nothing else can be told by UDP."""

    def ask(endpoint: Endpoint) -> tuple[socket.socket, int]:
        asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        refused = asker.connect_ex(endpoint)
        if not refused:
            asker.send(questions[endpoint])
            refused = errno.EINPROGRESS
        return asker, refused

    def answer(asker: socket.socket) -> State:
        try:
            asker.recv(4096)
        except OSError as error:
            return _state(error.errno or errno.ECONNREFUSED)
        return "open"

    return _scan(list(questions), ask, answer, select.EPOLLIN, pace)


def _state(number: int) -> State:
    if number == 0:
        return "open"
    if number in _NO_WAY:
        return "unreachable"
    return "silent" if number == errno.ETIMEDOUT else "closed"


@dataclass
class _Asked(Generic[Key]):
    """A question on its way, and the moment it is given up."""

    key: Key
    asker: socket.socket
    until_s: float


def _scan(
    keys: Sequence[Key],
    ask: Callable[[Key], tuple[socket.socket, int]],
    answer: Callable[[socket.socket], State],
    events: int,
    pace: Pace,
) -> dict[Key, State]:
    """Ask every key, never faster than `pace`, and take each answer until its own deadline."""
    states: dict[Key, State] = {}
    waiting: dict[int, _Asked[Key]] = {}  # by descriptor; in the order of asking, which is that of deadlines
    to_ask = deque(keys)
    due_s = time.monotonic()
    with _descriptors(pace.at_once) as at_once, select.epoll() as poll:
        try:
            while to_ask or waiting:
                now_s = time.monotonic()
                due_s = max(due_s, now_s - 0.01)  # a delay is not made up for by a burst
                while to_ask and due_s <= now_s and len(waiting) < at_once:
                    key = to_ask.popleft()
                    asker, refused = ask(key)
                    if refused == errno.EINPROGRESS:
                        waiting[asker.fileno()] = _Asked(key, asker, now_s + pace.timeout_s)
                        poll.register(asker.fileno(), events)
                    else:
                        states[key] = _state(refused)
                        asker.close()
                    due_s += 1 / pace.rate_hz
                next_s = min(due_s if to_ask else math.inf, _first_end_s(waiting))
                for number, _ in poll.poll(max(0.0005, next_s - now_s)) if waiting or to_ask else ():
                    asked = waiting.pop(number)
                    states[asked.key] = answer(asked.asker)
                    asked.asker.close()
                while _first_end_s(waiting) <= time.monotonic():
                    late = waiting.pop(next(iter(waiting)))
                    states[late.key] = "silent"
                    late.asker.close()
        finally:
            for asked in waiting.values():
                asked.asker.close()
    return states


def _first_end_s(waiting: Mapping[int, _Asked[Key]]) -> float:
    return next(iter(waiting.values())).until_s if waiting else math.inf


@contextmanager
def _descriptors(wanted: int) -> Iterator[int]:
    """How many sockets may be open at once during the block: `wanted`, if the machine allows that many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    allowed = wanted + KEPT_DESCRIPTORS if unlimited else min(hard, wanted + KEPT_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
    try:
        yield max(1, min(wanted, max(soft, allowed) - KEPT_DESCRIPTORS))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
