"""The hops of a request: from which daemon to which, over which socket, as whom in TLS.

client ─► HAProxy ─► nginx ─► gunicorn ─► MySQL         declared: who is configured to ask whom
     established sockets with a daemon at both ends     seen: who is connected to whom
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiments.harness.listening import Holder
from experiments.harness.sockets import Socket
from services import mysql
from services.gunicorn import CERTIFIED_NAME, Gunicorn
from services.haproxy import HAProxy
from services.keepalived import Keepalived
from services.nginx import Nginx
from services.service import EVERY_ADDRESS, Listener, Service
from topologies.flows import Flow
from topologies.stage import DOMAIN, Stage

CLIENT = ""  # the daemon of a host that only asks
_ORDER = (CLIENT, "haproxy", "nginx", "gunicorn")  # in which a request passes them


@dataclass(frozen=True)
class Link:
    """From one daemon to another over one kind of socket."""

    source: str
    source_daemon: str
    destination: str
    daemon: str
    socket: str  # "tcp 10.0.1.21:80" or "unix /run/…", as a Listener calls itself

    def __str__(self) -> str:
        asker = f"{self.source} {self.source_daemon}".rstrip()
        return f"{asker} → {self.destination} {self.daemon} over {self.socket}"


@dataclass(frozen=True)
class Hop:
    """A link that requests take. `certified` is the name that a certificate must carry; "" for plain text."""

    link: Link
    address: str  # where to connect; the path of a UNIX socket
    port: int | None
    certified: str

    @property
    def flow(self) -> tuple[str, str, int] | None:
        """(source, destination, port) of the flow that it needs; None on one and the same host."""
        if self.port is None or self.link.source == self.link.destination:
            return None
        return self.link.source, self.link.destination, self.port


def hops_of(stage: Stage) -> list[Hop]:
    """Every hop that a request from the first client may take, as the daemons are configured to ask."""
    client, port = stage.clients[0], 443 if stage.scheme == "https" else 80
    name = DOMAIN if stage.scheme == "https" else ""
    hops = [_to(stage, client, CLIENT, address, port, name) for address in stage.site_addresses]
    for host, services in stage.declared.items():
        for service in services:
            for address, to_port, certified in _asks(service):
                hops.append(_to(stage, host, service.name, address, to_port, certified))
    return sorted(hops, key=lambda hop: _ORDER.index(hop.link.source_daemon))


def _asks(service: Service) -> list[tuple[str, int | None, str]]:
    """(address, port, name to be certified) of whomever the daemon sends requests on to."""
    match service:
        case HAProxy():
            name = service.server_name if service.backend_tls else ""
            return [(address, port, name) for _, address, port in service.backends]
        case Nginx():
            name = CERTIFIED_NAME if service.upstream_tls else ""
            return [(*_split(upstream), name) for upstream in service.upstreams]
        case Gunicorn():
            databases = [d for d in (service.database, service.database_replica) if d]
            return [
                (d, None if d.startswith("/") else mysql.PORT, d if service.database_tls else "")
                for d in databases
            ]
    return []


def _split(upstream: str) -> tuple[str, int | None]:
    if upstream.startswith("unix:"):
        return upstream.removeprefix("unix:"), None
    address, _, port = upstream.rpartition(":")
    return address, int(port)


def _to(stage: Stage, source: str, daemon: str, address: str, port: int | None, certified: str) -> Hop:
    """The hop to whoever is declared to listen there. Raises ValueError where nobody is."""
    for host in _at(stage, address) or [source]:
        for service in stage.declared[host]:
            for one in service.listeners:
                if one.address in (address, EVERY_ADDRESS) and (one.port, one.protocol != "udp") == (
                    port,
                    True,
                ):
                    return Hop(Link(source, daemon, host, service.name, str(one)), address, port, certified)
    raise ValueError(f"{source}: nobody is declared to listen at {address} port {port}")


def _at(stage: Stage, address: str) -> list[str]:
    """The hosts that have the address: by declaration, or as the one that VRRP prefers."""
    own = [host for host, on in stage.addresses.items() if address in on.values()]
    preferred = [
        host
        for host, services in stage.declared.items()
        for service in services
        if isinstance(service, Keepalived)
        for vip in service.virtual_addresses
        if vip.address.partition("/")[0] == address and vip.state == "MASTER"
    ]
    return own or preferred


def forbidden(hops: Iterable[Hop], flows: Iterable[Flow]) -> list[Hop]:
    """The hops from host to host that are not among the declared flows."""
    allowed = {(f.source, f.destination, f.port) for f in flows if f.protocol == "tcp"}
    return [hop for hop in hops if hop.flow is not None and hop.flow not in allowed]


# -- what is seen ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Connection:
    """An established connection, named from both of its ends; the addresses are "" on a UNIX socket."""

    link: Link
    source_address: str
    address: str
    port: int | None


Snapshot = Mapping[str, Sequence[Socket]]  # host → its sockets, all of one moment


def connections(snapshot: Snapshot, holders: Mapping[int, Holder], stage: Stage) -> list[Connection]:
    """Every connection whose serving end is on a host of the stage.

    Who asks is CLIENT where it is no declared daemon, and a bare address where no host has it.
    """
    hosts = {address: host for host, on in stage.addresses.items() for address in on.values()}
    found = []
    for host, sockets in snapshot.items():
        waiting = [one for s in sockets if (one := s.listener) is not None]
        for end in (s for s in sockets if s.established):
            place = _accepted_at(end, waiting)
            if place is None:
                continue
            here = end.protocol == "unix" or end.peer.startswith("127.") or end.peer == end.address
            source = host if here else hosts.get(end.peer, end.peer)
            asker = _other_end(end, snapshot.get(source, ()))
            link = Link(source, _daemon(asker, holders), host, _daemon(end, holders), str(place))
            if end.protocol == "unix":
                found.append(Connection(link, "", "", None))
            else:
                found.append(Connection(link, end.peer, end.address, end.port))
    return found


def _accepted_at(end: Socket, waiting: Sequence[Listener]) -> Listener | None:
    """The listener that `end` was accepted from; None for the end that asked."""
    port = None if end.protocol == "unix" else end.port
    for one in waiting:
        if one.protocol == end.protocol and one.port == port and one.address in (end.address, EVERY_ADDRESS):
            return one
    return None


def _other_end(end: Socket, sockets: Sequence[Socket]) -> Socket | None:
    """`ss` names the inode of a UNIX socket's peer where it names the port of the others'."""
    mirrored = (end.protocol, end.peer_port, end.port)
    for one in (s for s in sockets if s.established and (s.protocol, s.port, s.peer_port) == mirrored):
        if end.protocol == "unix" or (one.address, one.peer) == (end.peer, end.address):
            return one
    return None


def _daemon(end: Socket | None, holders: Mapping[int, Holder]) -> str:
    pids = sorted(end.pids) if end is not None else []
    return ", ".join(dict.fromkeys(holders[pid].daemon for pid in pids if pid in holders))


def undeclared(found: Iterable[Connection], stage: Stage) -> list[Connection]:
    """Connections from host to host that no flow declares, or that take another network than the flow's."""
    ways: set[tuple[str, str, int | None, str, str]] = set()
    for flow in stage.flows:
        if flow.protocol == "tcp" and (way := stage.path(flow)) is not None:
            _, source, address = way
            places = (address, *stage.site_addresses) if way[0] == "public" else (address,)
            ways |= {(flow.source, flow.destination, flow.port, source, place) for place in places}
    return [
        c
        for c in found
        if c.port is not None
        and c.link.source != c.link.destination
        and (c.link.source, c.link.destination, c.port, c.source_address, c.address) not in ways
    ]
