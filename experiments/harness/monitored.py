"""What the monitor must have of each layer, derived from what a stage declares; and whether it has it.

every host of a layer    up{job="node"} and figures of its own
haproxy, nginx, mysql    up{job=…} of the daemon's exporter and its characteristic figures
every daemon             its log, line for line; the firewall's denials
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from services.nftables import Nftables
from services.ulogd import LOG as FIREWALL_LOG
from services.ulogd import Ulogd
from topologies.host import DAEMON_LOGS
from topologies.monitoring import AGENTS
from topologies.stage import Stage

Figure = tuple[str, str, str]  # series, job, host
Stream = tuple[str, str]  # host, tag

#: Daemon → the job that scrapes its figures. The others are seen by those who use them.
JOBS = {"haproxy": "haproxy", "nginx": "nginx", "mysql": "mysql", "prometheus": "prometheus",
        "alertmanager": "alertmanager"}  # fmt: skip
#: Job → what nobody would want to be without.
CHARACTERISTIC = {
    "node": ("node_network_receive_bytes_total", "node_netstat_Tcp_CurrEstab", "node_sockstat_TCP_inuse"),
    "haproxy": (
        "haproxy_backend_http_requests_total",
        "haproxy_server_status",
        "haproxy_server_check_duration_seconds",
    ),
    "nginx": ("nginx_up", "nginx_http_requests_total", "nginx_connections_active"),
    "mysql": ("mysql_up", "mysql_global_status_queries", "mysql_global_status_threads_connected"),
    "prometheus": ("prometheus_rule_evaluations_total",),
    "alertmanager": ("alertmanager_notifications_total",),
}


@dataclass(frozen=True)
class Compared:
    """What is expected and not there, and what is there and not expected; both named."""

    expected: int
    missing: tuple[str, ...]
    surplus: tuple[str, ...]

    @property
    def differences(self) -> int:
        return len(self.missing) + len(self.surplus)

    def __str__(self) -> str:
        parts = [f"missing {', '.join(self.missing)}"] if self.missing else []
        parts += [f"surplus {', '.join(self.surplus)}"] if self.surplus else []
        return "; ".join(parts) or f"all {self.expected}"


def compare(expected: Collection[tuple[str, ...]], seen: Collection[tuple[str, ...]]) -> Compared:
    """Names as they are said: "node lb1", "lb1/haproxy" is the caller's business."""
    wanted, there = set(expected), set(seen)
    return Compared(len(wanted), _named(wanted - there), _named(there - wanted))


def _named(items: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(" ".join(item) for item in sorted(items))


def targets(stage: Stage) -> set[tuple[str, str]]:
    """(job, host) of everything to be scraped: a node exporter on each host of a layer, and who exports."""
    watched = [host for hosts in stage.layers.values() for host in hosts]
    nodes = {("node", host) for host in watched}
    return nodes | {
        (JOBS[service.name], host)
        for host in (*watched, *stage.monitors)
        for service in stage.declared[host]
        if service.name in JOBS
    }


def figures(stage: Stage) -> set[Figure]:
    return {(name, job, host) for job, host in targets(stage) for name in CHARACTERISTIC[job]}


def streams(stage: Stage) -> dict[Stream, str]:
    """(host, tag) → the file on that host whose lines the store must have: of all daemons but the agents'."""
    found: dict[Stream, str] = {}
    for host in (*(h for hosts in stage.layers.values() for h in hosts), *stage.monitors):
        for service in stage.declared[host]:
            if service.name in (*AGENTS, Nftables.name):
                continue
            if service.name == Ulogd.name:
                found[host, "firewall"] = FIREWALL_LOG
                continue
            found[host, service.name] = f"{DAEMON_LOGS}/{service.name}.log"
            for path in service.log_files:
                found[host, f"{service.name}-{PurePath(path).stem}"] = path
    return found


def layer_of(stage: Stage, host: str) -> str:
    """ "monitoring" for the monitor itself."""
    return next((layer for layer, hosts in stage.layers.items() if host in hosts), "monitoring")


@dataclass(frozen=True)
class Shipped:
    """Lines of one file: written until the file was read; of these not in the store; in the store alone."""

    written: int
    lost: int
    surplus: int


def shipped(written: Iterable[str], written_later: Iterable[str], stored: Iterable[str]) -> Shipped:
    """Lines as multisets. `written_later`: the file again after the store; nothing else may be there."""
    first, later, there = Counter(written), Counter(written_later), Counter(stored)
    lost, surplus = first - there, there - later
    return Shipped(first.total(), lost.total(), surplus.total())


def tally(found: Mapping[Stream, Shipped]) -> Shipped:
    """All streams together."""
    rows = found.values()
    return Shipped(sum(s.written for s in rows), sum(s.lost for s in rows), sum(s.surplus for s in rows))
