"""Every layer is watched: each host has its agents, Prometheus knows them all, and each has its flow."""

from __future__ import annotations

import pytest

from services.haproxy import HAProxy
from services.mysql import MySQL
from services.nginx import Nginx
from services.prometheus import Prometheus
from services.rsyslog import Rsyslog
from services.ulogd import Ulogd
from tests.variants import VARIANTS, services_of
from topologies.listening import EVERY_ADDRESS, LOOPBACK, Listener, listeners
from topologies.monitoring import AGENTS, EXPORTED, SEGMENT
from topologies.stage import Settings, Stage
from topologies.stage3_scaleup import Stage3
from topologies.stages import STAGES

WATCHED = {name: stage for name, stage in VARIANTS.items() if stage.monitors}
EVERY = pytest.mark.parametrize("stage", WATCHED.values(), ids=WATCHED.keys())


def prometheus_of(stage: Stage) -> Prometheus:
    (found,) = (s for _, s in services_of(stage) if isinstance(s, Prometheus))
    return found


def offered(stage: Stage, host: str) -> set[Listener]:
    return {one for service in stage.declared[host] for one in listeners(service)}


def test_stages_with_layers_are_watched_and_the_others_are_not() -> None:
    assert {n for n, kind in STAGES.items() if kind().monitors} == {"2", "3"}


@EVERY
def test_prometheus_asks_every_host_of_every_layer_and_every_daemon_that_has_figures(stage: Stage) -> None:
    wanted = set()
    for layer, hosts in stage.layers.items():
        for host in hosts:
            wanted.add(("node", host, layer))
            wanted |= {(EXPORTED[s.name][0], host, layer) for s in stage.declared[host] if s.name in EXPORTED}
    targets = prometheus_of(stage).targets
    assert {(t.job, t.host, t.layer) for t in targets} == wanted
    assert len(targets) == len(wanted)
    assert all(stage.addresses[t.host][SEGMENT] == t.address for t in targets)


@EVERY
def test_where_prometheus_asks_somebody_answers_unless_the_agents_are_off(stage: Stage) -> None:
    for target in prometheus_of(stage).targets:
        there = offered(stage, target.host)
        answers = any(Listener("tcp", a, target.port) in there for a in (target.address, EVERY_ADDRESS))
        assert answers == stage.settings.agents, target


def store_port(stage: Stage) -> int:
    """syslog, or syslog over TLS (RFC 6587, RFC 5425)."""
    return 6514 if stage.settings.reencrypt else 514


@EVERY
def test_every_port_that_monitoring_uses_has_a_flow(stage: Stage) -> None:
    """With the agents off nobody answers there, and what nobody answers is not declared open."""
    (monitor,) = stage.monitors
    flows = {(f.source, f.destination, f.opening) for f in stage.flows}
    for target in prometheus_of(stage).targets:
        assert ((monitor, target.host, f"tcp/{target.port}") in flows) is stage.settings.agents
    for host in (h for hosts in stage.layers.values() for h in hosts):
        assert (host, monitor, f"tcp/{store_port(stage)}") in flows
        for service in stage.declared[host]:
            if service.name in AGENTS:
                for listener in listeners(service):
                    assert not listener.reachable or (monitor, host, listener.opening) in flows


@EVERY
def test_what_only_the_monitor_needs_listens_on_its_own_host_only(stage: Stage) -> None:
    (monitor,) = stage.monitors
    address = stage.addresses[monitor][SEGMENT]
    reachable = {one for one in offered(stage, monitor) if one.reachable}
    assert reachable == {Listener("tcp", address, store_port(stage))}
    assert {one.address for one in offered(stage, monitor)} == {address, LOOPBACK}


@EVERY
def test_every_log_of_a_layer_goes_to_the_store(stage: Stage) -> None:
    shippers = {h: s for h, s in services_of(stage) if isinstance(s, Rsyslog)}
    (monitor,) = stage.monitors
    assert shippers.pop(monitor).listen == stage.addresses[monitor][SEGMENT]
    layered = {host for hosts in stage.layers.values() for host in hosts}
    assert set(shippers) == (layered if stage.settings.agents else set())
    for host, rsyslog in shippers.items():
        assert rsyslog.forward_to == stage.addresses[monitor][SEGMENT]
        paths = [path for _, path in rsyslog.sources]
        watched = [s for s in stage.declared[host] if s.name not in AGENTS and not s.oneshot]
        for service in watched:
            if not isinstance(service, Ulogd):
                assert f"/var/log/daemons/{service.name}.log" in paths
            assert set(service.log_files) <= set(paths)
        tags = [tag for tag, _ in rsyslog.sources]
        assert len(set(tags)) == len(tags)
        assert len(set(paths)) == len(paths)
        assert not any("rsyslog" in path for path in paths), "it would follow its own tail"


@EVERY
def test_agents_that_are_off_are_gone_with_all_that_served_them(stage: Stage) -> None:
    on = stage.settings.agents
    names = {s.name for hosts in stage.layers.values() for h in hosts for s in stage.declared[h]}
    assert (set(AGENTS) <= names) if on else not (set(AGENTS) & names)
    for _, service in services_of(stage):
        if isinstance(service, HAProxy):
            assert (service.metrics_address is not None) == on
        if isinstance(service, Nginx):
            assert service.status == on
        if isinstance(service, MySQL):
            assert service.exporter == on


def test_intervals_reach_prometheus() -> None:
    prometheus = prometheus_of(Stage3(Settings(scrape_interval_s=3, evaluation_interval_s=5, alert_for_s=7)))
    assert (prometheus.scrape_interval_s, prometheus.evaluation_interval_s, prometheus.alert_for_s) == (
        3,
        5,
        7,
    )
