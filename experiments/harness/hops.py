"""Every hop of a request that crosses a wire, whether it is encrypted there, and what can be read on it.

    client ──► LB ──► web ──► app ──► database ──► replica          every host ──► log store

Which hops there are, and which are encrypted, is what the services declare: nobody lists it twice. A UNIX
socket, or a daemon on the same host, is no wire.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from experiments.harness.pcap import Direction
from experiments.harness.reachability import Addresses
from services.gunicorn import Gunicorn
from services.haproxy import HAProxy
from services.mysql import MySQL
from services.nginx import Nginx
from services.rsyslog import Rsyslog
from topologies.stage import Stage

PASSWORD, ORDER = "password", "order id"
MYSQL_PORT = 3306
REPLICATION, LOGS = "primary–replica", "logs"
#: Hop → what travels on it. An application checks the password itself; a log line has the path of a request.
SECRETS = {
    "client–LB": (PASSWORD, ORDER), "client–server": (PASSWORD, ORDER), "LB–web": (PASSWORD, ORDER),
    "web–app": (PASSWORD, ORDER), "app–database": (ORDER,), REPLICATION: (ORDER,), LOGS: (ORDER,),
}  # fmt: skip
OUTSIDE = ("client–LB", "client–server")


class Wire(NamedTuple):
    """`client` (a host; "" for anybody) speaks to `port` of the address `server`, in TLS or not."""

    hop: str
    client: str
    server: str
    port: int
    tls: bool


class Route(NamedTuple):
    """The same as addresses; `client` "" is anybody's."""

    client: str
    server: str
    port: int


@dataclass(frozen=True)
class Hop:
    """`sources`: the hosts whose work brings something onto the wire. `client_ports` empty: any."""

    name: str
    segment: str
    routes: frozenset[Route]
    encrypted: bool
    sources: tuple[str, ...]
    client_ports: frozenset[int] = frozenset()

    @property
    def secrets(self) -> tuple[str, ...]:
        return SECRETS[self.name]

    def carries(self, way: Direction) -> bool:
        """Whether this half of a connection, the client's or the server's, belongs to the hop."""
        back = Direction(way.destination, way.destination_port, way.source, way.source_port)
        return any(self._asked(one) for one in (way, back))

    def _asked(self, way: Direction) -> bool:
        if self.client_ports and way.source_port not in self.client_ports:
            return False
        ends = (way.destination, way.destination_port)
        return any((r.server, r.port) == ends and r.client in ("", way.source) for r in self.routes)


def wires(stage: Stage, addresses: Addresses) -> Iterator[Wire]:
    """What the services of the stage connect to, in the order of a request."""
    balanced = bool(stage.hosts_of("haproxy"))
    for host, services in stage.declared.items():
        for service in services:
            if isinstance(service, HAProxy) or (isinstance(service, Nginx) and not balanced):
                name, port = ("client–LB" if balanced else "client–server"), (443 if service.tls else 80)
                for address in addresses[host].get("public", ()):
                    yield Wire(name, "", address, port, service.tls)
            match service:
                case HAProxy():
                    for _, address, port in service.backends:
                        yield Wire("LB–web", host, address, port, service.backend_tls)
                case Nginx():
                    for address, _, port_text in (one.rpartition(":") for one in service.upstreams):
                        if address != "unix":
                            yield Wire("web–app", host, address, int(port_text), service.upstream_tls)
                case Gunicorn():
                    # Orders are written to the primary; what a replica is asked for is no secret.
                    if not service.database.startswith("/"):
                        yield Wire("app–database", host, service.database, MYSQL_PORT, service.database_tls)
                case MySQL():
                    if service.replica_of:
                        yield Wire(REPLICATION, host, service.replica_of, MYSQL_PORT, service.tls)
                case Rsyslog():
                    if service.forward_to:
                        yield Wire("logs", host, service.forward_to, service.port, service.tls)


def hops_of(stage: Stage, addresses: Addresses, replication_ports: Collection[int] = ()) -> list[Hop]:
    """The hops of the stage. `replication_ports`: those by which replicas are connected now."""
    where = {a: segment for nets in addresses.values() for segment, some in nets.items() for a in some}
    grouped: dict[str, list[Wire]] = {}
    for wire in wires(stage, addresses):
        own = {address for some in addresses.get(wire.client, {}).values() for address in some}
        if wire.server in where and wire.server not in own:  # else it stays within the host
            grouped.setdefault(wire.hop, []).append(wire)
    return [
        Hop(
            name=name,
            segment=where[grouped[name][0].server],
            routes=frozenset(_route(wire, addresses, where) for wire in grouped[name]),
            encrypted=all(wire.tls for wire in grouped[name]),
            sources=tuple(dict.fromkeys(wire.client for wire in grouped[name])),
            # 0 is nobody's port: a replica that is not connected brings nothing onto the wire.
            client_ports=frozenset(replication_ports or (0,)) if name == REPLICATION else frozenset(),
        )
        for name in SECRETS
        if name in grouped
    ]


def _route(wire: Wire, addresses: Addresses, where: Mapping[str, str]) -> Route:
    networks = addresses.get(wire.client, {})
    client = next(iter(networks.get(where[wire.server], ())), "")
    return Route(client, wire.server, wire.port)


def count(
    hops: Collection[Hop], found: Mapping[str, Mapping[Direction, bytes]], secrets: Mapping[str, str]
) -> dict[str, dict[str, int]]:
    """Hop → secret → how often it is there in plain text; "elsewhere" is what belongs to no hop.

    `found`: segment → direction → payload. `secrets`: their name → their text.
    """
    counted = {name: dict.fromkeys(secrets, 0) for name in [*(hop.name for hop in hops), "elsewhere"]}
    # A replica is connected the way that an application is: those that are known by their port go first.
    by_port = sorted(hops, key=lambda hop: not hop.client_ports)
    for segment, halves in found.items():
        for way, text in halves.items():
            hop = next(
                (hop.name for hop in by_port if hop.segment == segment and hop.carries(way)), "elsewhere"
            )
            for secret, plain in secrets.items():
                counted[hop][secret] += text.count(plain.encode())
    return counted
