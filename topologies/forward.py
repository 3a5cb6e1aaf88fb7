"""A browser on this machine reaches into the capsule through sockets that were opened before entering it.

outside   listens on 127.0.0.1:8443 ──┐ the descriptor enters with the run (a socket keeps the network
inside                                │ in which it was made, network_namespaces(7))
                                      └─► socat in the network of client1 ──► 8.8.8.8:443
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services import alertmanager, prometheus
from services.haproxy import STATS_PORT
from topologies import relay
from topologies.host import SHARED, EmulatedHost
from topologies.process import Process
from topologies.stage import Stage
from topologies.waiting import CannotEmulate, wait_until

PYTHON = f"{SHARED}/venv/bin/python"
RELAY = f"{SHARED}/code/topologies/relay.py"
_DASHBOARDS = {"prometheus": prometheus.PORT, "alertmanager": alertmanager.PORT}
_SITE = {"https": (443, 8443), "http": (80, 8080)}  # scheme → port inside, port outside


@dataclass(frozen=True)
class Forward:
    """A user interface inside the capsule, and the port of this machine where it is wanted."""

    name: str
    scheme: str
    preferred_port: int  # the next free one where it is taken
    host: str  # in whose network the connection goes on
    address: str
    port: int


def interfaces_of(stage: Stage) -> tuple[Forward, ...]:
    """The site as client1 sees it, the statistics page of every HAProxy, the dashboards of the monitor."""
    inside, outside = _SITE[stage.scheme]
    site = Forward("site", stage.scheme, outside, stage.clients[0], stage.site_addresses[0], inside)
    statistics = (
        Forward(f"haproxy on {balancer}", "http", STATS_PORT, balancer, "127.0.0.1", STATS_PORT)
        for balancer in stage.hosts_of("haproxy")
    )
    dashboards = (
        Forward(daemon, "http", port, monitor, "127.0.0.1", port)
        for daemon, port in _DASHBOARDS.items()
        for monitor in stage.hosts_of(daemon)
    )
    return (site, *statistics, *dashboards)


@contextlib.contextmanager
def listening(forwards: Sequence[Forward]) -> Iterator[dict[str, int]]:
    """Outside: a listening socket on 127.0.0.1 for each; yields name → descriptor. Raises CannotEmulate."""
    with contextlib.ExitStack() as stack:
        yield {f.name: stack.enter_context(_listen(f.preferred_port)).fileno() for f in forwards}


def _listen(preferred_port: int) -> socket.socket:
    """On the first free port from `preferred_port` on."""
    for port in range(preferred_port, min(preferred_port + 100, 65536)):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        # Connections of an earlier run that linger in TIME_WAIT do not take the port away.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(64)
        except OSError:
            listener.close()
            continue
        return listener
    raise CannotEmulate(f"127.0.0.1 has no free port from {preferred_port} on")


@contextlib.contextmanager
def serving(
    forwards: Sequence[Forward], descriptors: Mapping[str, int], hosts: Mapping[str, EmulatedHost]
) -> Iterator[dict[str, str]]:
    """Inside: serve each descriptor during the block; yields name → URL. Raises NotReady or DaemonDied."""
    with contextlib.ExitStack() as stack:
        urls = {}
        for number, f in enumerate(forwards):
            descriptor = descriptors[f.name]
            process = hosts[f.host].spawn(
                f"relay-{number}",
                [PYTHON, "-I", RELAY, str(descriptor), f.address, str(f.port)],
                descriptors=[descriptor],
            )
            stack.callback(process.stop)
            wait_until(
                lambda p=process: _relays(p),  # type: ignore[misc]
                timeout_s=10,
                what=f"the relay to {f.name} to start",
            )
            urls[f.name] = f"{f.scheme}://127.0.0.1:{port_of(descriptor)}/"
        yield urls


def _relays(process: Process) -> bool:
    process.assert_running()
    return relay.READY in process.log.read_text()


def port_of(descriptor: int) -> int:
    """The port a listening socket has on this machine."""
    with socket.socket(fileno=os.dup(descriptor)) as listener:
        port: int = listener.getsockname()[1]
    return port


def keep_private(descriptors: Mapping[str, int]) -> None:
    """No process of the run inherits the sockets but the one that serves them."""
    for descriptor in descriptors.values():
        os.set_inheritable(descriptor, False)
