"""What listens where: the sockets a stage opens, as its declaration says it before anything runs.

listeners(haproxy of lb1)  ──►  tcp 8.8.8.8:443 (TLS), 8.8.8.8:80, 127.0.0.1:8404, 10.0.9.11:8405
exposed(stage 1)           ──►  everybody on public reaches tcp/80 and tcp/3306 of server1 and server2
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from services.nftables import Nftables
from services.service import EVERY_ADDRESS, Listener, Service
from topologies.stage import NETWORKS, Stage

__all__ = ["EVERY_ADDRESS", "LOOPBACK", "Exposure", "Listener", "exposed", "listeners"]

LOOPBACK = "127.0.0.1"


def listeners(service: Service) -> tuple[Listener, ...]:
    """The sockets of one daemon, those for its own host included.

    Left out are the UNIX sockets that some open for an operator beside what they are there for. Raises
    NotImplementedError for a daemon that does not say where it listens.
    """
    return tuple(one for one in service.listeners if not one.operator)


@dataclass(frozen=True)
class Exposure:
    """Openings that no flow declares and no firewall closes, to whoever is on `segment`."""

    segment: str
    hosts: tuple[str, ...]
    openings: tuple[str, ...]  # "tcp/3306"


def exposed(stage: Stage) -> tuple[Exposure, ...]:
    """What hosts without a firewall offer beyond the declared flows, hosts that offer the same together."""
    together: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for host in stage.addresses:
        if not any(isinstance(service, Nftables) for service in stage.declared[host]):
            for segment in stage.addresses[host]:
                if openings := tuple(_undeclared(stage, host, segment)):
                    together.setdefault((segment, openings), []).append(host)
    return tuple(Exposure(segment, tuple(hosts), open_) for (segment, open_), hosts in together.items())


def _answers_on(address: str, segment: str) -> bool:
    return address == EVERY_ADDRESS or ip_address(address) in ip_network(NETWORKS[segment])


def _undeclared(stage: Stage, host: str, segment: str) -> list[str]:
    """The openings of `host` on `segment` that somebody there has no flow for."""
    others = {name for name, on in stage.addresses.items() if segment in on and name != host}
    found = []
    for listener in (one for service in stage.declared[host] for one in listeners(service)):
        if listener.protocol in ("tcp", "udp") and _answers_on(listener.address, segment):
            known = {f.source for f in stage.flows if (f.destination, f.opening) == (host, listener.opening)}
            if not others <= known:
                found.append(listener.opening)
    return list(dict.fromkeys(found))
