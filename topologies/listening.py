"""What listens where: the sockets a stage opens, as its declaration says it before anything runs.

listeners(haproxy of lb1)  ──►  tcp 8.8.8.8:443 (TLS), 8.8.8.8:80, 127.0.0.1:8404, 10.0.9.11:8405
exposed(stage 1)           ──►  everybody on public reaches tcp/80 and tcp/3306 of server1 and server2
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Literal

from services import haproxy, mysql, nginx, rsyslog
from services.alertmanager import PORT as ALERTMANAGER_PORT
from services.alertmanager import Alertmanager
from services.gunicorn import Gunicorn
from services.keepalived import Keepalived
from services.mysqld_exporter import PORT as MYSQLD_EXPORTER_PORT
from services.mysqld_exporter import MysqldExporter
from services.named import Named
from services.nftables import Nftables
from services.nginx_exporter import PORT as NGINX_EXPORTER_PORT
from services.nginx_exporter import NginxExporter
from services.node_exporter import PORT as NODE_EXPORTER_PORT
from services.node_exporter import NodeExporter
from services.pager import PORT as PAGER_PORT
from services.pager import Pager
from services.prometheus import PORT as PROMETHEUS_PORT
from services.prometheus import Prometheus
from services.service import Service
from services.ulogd import Ulogd
from topologies.stage import NETWORKS, Stage

EVERY_ADDRESS = "0.0.0.0"
LOOPBACK = "127.0.0.1"
VRRP_GROUP = "224.0.0.18"  # RFC 5798 §5.1.1.2
MYSQL_PORT = 3306


@dataclass(frozen=True)
class Listener:
    """A socket that takes what others send. `address` is a path where `protocol` is "unix"."""

    protocol: Literal["tcp", "udp", "unix", "vrrp"]
    address: str
    port: int | None = None
    tls: bool = False

    @property
    def opening(self) -> str:
        """ "tcp/443" or "vrrp", as flows say it; "UNIX socket"."""
        if self.protocol == "unix":
            return "UNIX socket"
        return self.protocol if self.port is None else f"{self.protocol}/{self.port}"

    @property
    def reachable(self) -> bool:
        """Whether another host can get there at all, if no firewall stands in between."""
        return self.protocol != "unix" and self.address != LOOPBACK


def listeners(service: Service) -> tuple[Listener, ...]:
    """The sockets of one daemon, those for its own host included.

    Left out are the UNIX sockets that HAProxy and MySQL open for an operator beside their TCP ports. Raises
    TypeError for a daemon of which nobody has said here what it does.
    """
    match service:
        case haproxy.HAProxy():
            return _haproxy(service)
        case nginx.Nginx():
            return _nginx(service)
        case Gunicorn():
            if service.bind.startswith("unix:"):
                return (Listener("unix", service.bind.removeprefix("unix:")),)
            address, _, port = service.bind.rpartition(":")
            return (Listener("tcp", address, int(port), service.tls),)
        case mysql.MySQL():
            if service.listen is None:
                return (Listener("unix", mysql.SOCKET),)
            return (Listener("tcp", service.listen, MYSQL_PORT, service.tls),)
        case Named():
            on = (service.listen, LOOPBACK)
            return tuple(Listener("udp", a, 53) for a in on) + tuple(Listener("tcp", a, 53) for a in on)
        case Keepalived():
            return (Listener("vrrp", VRRP_GROUP),)
        case rsyslog.Rsyslog():
            if service.listen:
                return (Listener("tcp", service.listen, rsyslog.PORT),)
            return (Listener("unix", rsyslog.SOCKET),)
        case NodeExporter():
            return (Listener("tcp", EVERY_ADDRESS, NODE_EXPORTER_PORT),)
        case NginxExporter():
            return (Listener("tcp", EVERY_ADDRESS, NGINX_EXPORTER_PORT),)
        case MysqldExporter():
            return (Listener("tcp", EVERY_ADDRESS, MYSQLD_EXPORTER_PORT),)
        case Prometheus():
            return (Listener("tcp", LOOPBACK, PROMETHEUS_PORT),)
        case Alertmanager():
            return (Listener("tcp", LOOPBACK, ALERTMANAGER_PORT),)
        case Pager():
            return (Listener("tcp", LOOPBACK, PAGER_PORT),)
        case Nftables() | Ulogd():
            return ()
    raise TypeError(f"topologies/listening.py does not say where {service.name} listens")


def _haproxy(service: haproxy.HAProxy) -> tuple[Listener, ...]:
    ports = ((443, True), (80, False)) if service.tls else ((80, False),)
    site = tuple(Listener("tcp", address, port, tls) for address in service.addresses for port, tls in ports)
    statistics = Listener("tcp", LOOPBACK, haproxy.STATS_PORT)
    if service.metrics_address is None:
        return (*site, statistics)
    return (*site, statistics, Listener("tcp", service.metrics_address, haproxy.METRICS_PORT))


def _nginx(service: nginx.Nginx) -> tuple[Listener, ...]:
    found = [Listener("tcp", service.listen, 443 if service.tls else 80, service.tls)]
    if service.tls and service.redirect:
        found.append(Listener("tcp", service.listen, 80))
    if service.status:
        found.append(Listener("tcp", LOOPBACK, nginx.STATUS_PORT))
    return tuple(found)


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
