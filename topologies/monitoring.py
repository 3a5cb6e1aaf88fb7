"""Every layer gets its monitoring client, and one host watches them all.

host of a layer                                        monitor1
node exporter :9100 ──────────────┐
the daemon's own exporter ────────┴── scraped by ────► Prometheus ─► Alertmanager ─► pager
rsyslog: every daemon's log ──────── ships to ───────► rsyslog: /var/log/remote/HOST/DAEMON.log
"""

from __future__ import annotations

from pathlib import PurePath

from services.alertmanager import Alertmanager
from services.haproxy import METRICS_PORT
from services.mysqld_exporter import PORT as MYSQL_PORT
from services.mysqld_exporter import MysqldExporter
from services.nginx_exporter import PORT as NGINX_PORT
from services.nginx_exporter import NginxExporter
from services.node_exporter import PORT as NODE_PORT
from services.node_exporter import NodeExporter
from services.pager import Pager
from services.prometheus import Prometheus, Target
from services.rsyslog import Rsyslog
from services.service import Service
from services.ulogd import Ulogd
from topologies.host import DAEMON_LOGS
from topologies.stage import Stage

SEGMENT = "monitoring"
#: Daemon → (job, port of its metrics). HAProxy speaks to Prometheus itself.
EXPORTED = {
    "haproxy": ("haproxy", METRICS_PORT),
    "nginx": ("nginx", NGINX_PORT),
    "mysql": ("mysql", MYSQL_PORT),
}

#: What _agents puts on a host: it serves nobody but the monitor.
AGENTS = (NodeExporter.name, NginxExporter.name, MysqldExporter.name, Rsyslog.name)


def watch_over(stage: Stage, monitor: str, address: str) -> None:
    """Declare `monitor`, and on every host of every layer its agents, with the flows they need.

    With agents off Prometheus still asks, and no firewall lets it in: what it says is that nobody answers.
    """
    targets: list[Target] = []
    for layer, hosts in stage.layers.items():
        for host in hosts:
            daemons = [service.name for service in stage.declared[host]]
            jobs = {"node": NODE_PORT, **dict(EXPORTED[name] for name in daemons if name in EXPORTED)}
            targets += [
                Target(job, host, stage.addresses[host][SEGMENT], port, layer) for job, port in jobs.items()
            ]
    store = Rsyslog(
        host_name=monitor,
        sources=_logs(("prometheus", "alertmanager", "pager")),
        forward_to=None,
        listen=address,
        tls=stage.settings.reencrypt,
    )
    stage.monitor(
        monitor,
        {SEGMENT: address},
        services=(
            Prometheus(
                host_name=monitor,
                targets=tuple(targets),
                scrape_interval_s=stage.settings.scrape_interval_s,
                evaluation_interval_s=stage.settings.evaluation_interval_s,
                alert_for_s=stage.settings.alert_for_s,
            ),
            Alertmanager(host_name=monitor),
            Pager(host_name=monitor),
            store,
        ),
    )
    if stage.settings.agents:
        for target in targets:
            stage.flow(monitor, target.host, "tcp", target.port, f"metrics: {target.job}")
    for hosts in stage.layers.values():
        for host in hosts:
            stage.flow(host, monitor, "tcp", store.port, "logs of every daemon")
            if stage.settings.agents:
                stage.add(host, *_agents(stage.declared[host], host, store))


def _agents(watched: tuple[Service, ...], host: str, store: Rsyslog) -> tuple[Service, ...]:
    """The monitoring client of one host: exporters for what runs there, and the shipper of its logs."""
    daemons = tuple(service.name for service in watched)
    exporters: list[Service] = [NodeExporter(host_name=host)]
    if "nginx" in daemons:
        exporters.append(NginxExporter(host_name=host))
    if "mysql" in daemons:
        exporters.append(MysqldExporter(host_name=host))
    kept = tuple((f"{s.name}-{PurePath(path).stem}", path) for s in watched for path in s.log_files)
    # What the firewall denies comes once it is raised; until then there is no such file.
    logs = (*_logs(daemons), *kept, ("firewall", Ulogd.log_files[0]))
    shipper = Rsyslog(host_name=host, sources=logs, forward_to=store.listen, listen=None, tls=store.tls)
    return (*exporters, shipper)


def _logs(daemons: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """(tag, path) of what each daemon writes to its standard output."""
    return tuple((name, f"{DAEMON_LOGS}/{name}.log") for name in daemons)
