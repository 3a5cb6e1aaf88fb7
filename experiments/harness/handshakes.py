"""What TLS costs: the time it adds to a new connection, the CPU time of a handshake, and how many fit in a budget.

    TCP   SYN ─ SYN-ACK ─ ACK │                                  one round trip
    TLS   SYN ─ SYN-ACK ─ ACK │ ClientHello ─ … Finished         one more (RFC 8446, section 2), and two ECDHE

Every handshake is a full one of TLS 1.3: nothing is resumed, nothing is verified by the client, whose own time is
not what is asked for.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from experiments.harness.generators import observe_until
from topologies.cgroup import Group
from topologies.host import EmulatedHost
from topologies.netns import in_network
from topologies.stage import DOMAIN

PORT = 443
TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Opened:
    """How long one pair of new connections took, in seconds: TCP alone, and TCP with TLS."""

    tcp_s: float
    tls_s: float


@dataclass(frozen=True)
class Window:
    """A stretch of a closed loop: connections completed, CPU used and time held back by the quota."""

    lasted_s: float
    connections: int
    used_s: float
    throttled_s: float

    @property
    def rate_hz(self) -> float:
        return self.connections / self.lasted_s

    @property
    def used_each_s(self) -> float:
        return self.used_s / self.connections

    def share(self, cores: float) -> float:
        """Of a budget of `cores`, how much was used: 1.0 is all of it."""
        return self.used_s / (cores * self.lasted_s)


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def interleaved(client: EmulatedHost, address: str, pairs: int) -> list[Opened]:
    """New connections in turn, without and with TLS, one at a time. Raises OSError."""
    context = unverified()

    def open_them() -> list[Opened]:
        return [Opened(_open(address, None), _open(address, context)) for _ in range(pairs)]

    return in_network(client.pid, open_them)


def _open(address: str, context: ssl.SSLContext | None) -> float:
    """Open and close one connection; returns the seconds until it could carry a request."""
    start_s = time.monotonic()
    with socket.create_connection((address, PORT), TIMEOUT_S) as plain:
        stream = plain
        if context is not None:
            stream = context.wrap_socket(plain, server_hostname=DOMAIN)
        took_s = time.monotonic() - start_s
        # The server has done its part once it hangs up, too.
        stream.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ssl.SSLError), stream:
            while stream.recv(4096):
                pass
    return took_s


@contextlib.contextmanager
def _loops(client: EmulatedHost, work: Callable[[], object], loops: int) -> Iterator[list[int]]:
    """`loops` threads in the client's network that repeat `work` during the block; counts what each has done.

    Raises what `work` raised, at the end.
    """
    done, enough, failed = [0] * loops, threading.Event(), list[OSError]()

    def repeat(number: int) -> None:
        try:
            while not enough.is_set():
                work()
                done[number] += 1
        except OSError as error:
            failed.append(error)

    threads = [
        threading.Thread(target=in_network, args=(client.pid, lambda n=n: repeat(n)), name=f"loop-{n}")
        for n in range(loops)
    ]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    if failed:
        raise failed[0]


def closed_loop(
    client: EmulatedHost, address: str, server: Group, *, tls: bool, loops: int, windows: int, window_s: float
) -> list[Window]:
    """`loops` connections at a time, each followed by the next, for `windows` times `window_s`.

    The first window, in which the loops start, is left out. Raises OSError.
    """
    context = unverified() if tls else None
    found = []
    with _loops(client, lambda: _open(address, context), loops) as done:
        before = _now(done, server)
        for _ in range(windows + 1):
            observe_until(before[0] + window_s)
            after = _now(done, server)
            found.append(Window(*(b - a for a, b in zip(before, after, strict=True))))  # type: ignore[arg-type]
            before = after
    return found[1:]


def _now(done: Sequence[int], server: Group) -> tuple[float, int, float, float]:
    return time.monotonic(), sum(done), server.used_s(), server.throttled_s()
