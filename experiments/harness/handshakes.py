"""What TLS costs: time added to a new connection, CPU time of a handshake, and how many fit in a budget.

    TCP   SYN ─ SYN-ACK ─ ACK │                                  one round trip
    TLS   SYN ─ SYN-ACK ─ ACK │ ClientHello ─ … Finished         one more (RFC 8446, section 2), and two ECDHE

Every handshake is a full one of TLS 1.3: nothing is resumed. Nor is anything verified: the client's own time
is not what is asked for.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

from experiments.harness.generators import observe_until
from topologies import process
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


def closed_loop(
    client: EmulatedHost, server: EmulatedHost, address: str, *, loops: int, windows: int, window_s: float
) -> list[Window]:
    """`loops` clients that shake hands one time after the other, watched for `windows` times `window_s`.

    `openssl s_time` is the client: it does nothing else. Connections are counted by the server's kernel. The
    first window, in which the loops start, is left out. Raises DaemonDied when one of them ends early.
    """
    group = server.group
    assert group is not None, f"{server.name} has no budget"
    at_most_s = (windows + 1) * window_s + 30  # it ends by itself, even if nobody ends it
    line = [
        "openssl",
        "s_time",
        "-connect",
        f"{address}:{PORT}",
        "-new",
        "-tls1_3",
        "-time",
        f"{at_most_s:.0f}",
    ]
    found = []
    with contextlib.ExitStack() as stack:
        running = []
        for _ in range(loops):
            # It prints a star for each connection, which nobody wants to keep.
            enter = client.enter(line, in_budget=True)
            one = process.start("s_time", client.name, enter, Path("/dev/null"), client.environment)
            stack.callback(one.kill)
            running.append(one)
        before = _now(server, group)
        for _ in range(windows + 1):
            observe_until(before[0] + window_s)
            after = _now(server, group)
            found.append(_between(before, after))
            before = after
        for one in running:
            one.assert_running()
    return found[1:]


Reading = tuple[float, int, float, float]


def _now(server: EmulatedHost, group: Group) -> Reading:
    connections = passive_opens(Path(f"/proc/{server.pid}/net/snmp").read_text())
    return time.monotonic(), connections, group.used_s(), group.throttled_s()


def _between(before: Reading, after: Reading) -> Window:
    return Window(after[0] - before[0], after[1] - before[1], after[2] - before[2], after[3] - before[3])


def passive_opens(said: str) -> int:
    """Connections that a network has accepted so far, from its /proc/net/snmp (RFC 4022, tcpPassiveOpens)."""
    names, values = (line.split() for line in said.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("PassiveOpens")])
