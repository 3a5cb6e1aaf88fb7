"""Who stands in for whom: read from the configurations of all hosts, never from a list of roles.

the load balancers of one VIP    hosts whose keepalived.conf has it
the web servers                  servers of the haproxy.cfg in front
the application servers          servers of the upstreams in nginx.conf
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TypeAlias

from experiments.harness.blocks import ConfigError
from experiments.harness.configs import (
    HAProxy,
    Keepalived,
    NginxUpstream,
    VrrpInstance,
    parse_haproxy,
    parse_keepalived,
    parse_nginx_upstreams,
)  # fmt: skip
from experiments.harness.timing import advert_interval_s

Configs: TypeAlias = Mapping[str, Mapping[str, str]]  # host → file name or path → text

#: Which tier a daemon, or the file it reads, belongs to.
TIER_OF_DAEMON = {
    "haproxy": "lb", "keepalived": "lb", "nginx": "web", "gunicorn": "app",
    "mysql": "db", "mysqld": "db", "mariadb": "db", "mariadbd": "db",
}  # fmt: skip
TIER_OF_FILE = {
    "haproxy.cfg": "lb", "keepalived.conf": "lb", "nginx.conf": "web", "gunicorn.conf.py": "app",
    "my.cnf": "db",
}  # fmt: skip


def holder(configs: Configs, vip: str) -> str | None:
    """The host whose keepalived has the highest priority for `vip`. None: no keepalived has it.

    Raises ConfigError when two have the same priority (the higher address would win, RFC 3768 §6.4.3).
    """
    ranked = sorted(((standing_of(i), host) for host, i in cluster_of(configs, vip).items()), reverse=True)
    if len(ranked) > 1 and ranked[0][0] == ranked[1][0]:
        raise ConfigError(f"{ranked[0][1]} and {ranked[1][1]} have the same priority for {vip}")
    return ranked[0][1] if ranked else None


def cluster_of(configs: Configs, vip: str) -> dict[str, VrrpInstance]:
    """Hosts whose keepalived has `vip`. Raises ConfigError if their VRIDs differ: both would hold it."""
    found = {}
    for host in configs:
        text = file_of(configs[host], "keepalived.conf")
        instance = _keepalived(host, text).instance_of(vip) if text is not None else None
        if instance is not None:
            found[host] = instance
    routers = {instance.virtual_router_id for instance in found.values()}
    if len(routers) > 1:
        raise ConfigError(
            f"{', '.join(found)} have {vip} under different virtual_router_ids {sorted(routers)}"
        )
    return found


def standing_of(instance: VrrpInstance) -> int:
    """Priority while every script succeeds: a positive weight is added by success (keepalived.conf(5))."""
    return min(254, instance.priority + sum(s.weight for s in instance.tracked if s.weight > 0))


def advert_interval_of(master: VrrpInstance) -> float:
    """v3 backups follow the master's interval (RFC 5798 §6.1); v2 ones drop adverts of another."""
    return advert_interval_s(master.version, master.advert_int_s)


def haproxy_of(configs: Configs, vip: str) -> HAProxy | None:
    hosts = [host for host in configs if file_of(configs[host], "haproxy.cfg") is not None]
    if not hosts:
        return None
    host = holder(configs, vip) or hosts[0]
    text = file_of(configs[host], "haproxy.cfg")
    if text is None:
        raise ConfigError(f"{host} holds {vip} but has no haproxy.cfg")
    return parse_haproxy(text)


def upstreams_of(files: Mapping[str, str]) -> tuple[NginxUpstream, ...]:
    text = file_of(files, "nginx.conf")
    return parse_nginx_upstreams(text) if text is not None else ()


def tiers_of(files: Mapping[str, str], daemon: str | None) -> set[str]:
    if daemon is not None:
        return {TIER_OF_DAEMON[daemon]} if daemon in TIER_OF_DAEMON else set()
    return {tier for name, tier in TIER_OF_FILE.items() if file_of(files, name) is not None}


def file_of(files: Mapping[str, str], name: str) -> str | None:
    """By base name: rendered files may be listed with their paths."""
    return next((text for path, text in files.items() if PurePosixPath(path).name == name), None)


def _keepalived(host: str, text: str) -> Keepalived:
    try:
        return parse_keepalived(text)
    except ConfigError as error:
        raise ConfigError(f"{host}: {error}") from error
