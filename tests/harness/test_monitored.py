"""What the monitor must have follows from the declaration; what is missing or too much is named."""

from __future__ import annotations

import pytest

from experiments.harness.monitored import (
    CHARACTERISTIC,
    compare,
    figures,
    layer_of,
    shipped,
    streams,
    tally,
    targets,
)
from services.prometheus import Prometheus
from services.rsyslog import Rsyslog
from topologies.stage import Settings, Stage
from topologies.stages import STAGES

WATCHED = ("2", "3")


def declared(stage: Stage) -> Prometheus:
    return next(s for s in stage.declared[stage.monitors[0]] if isinstance(s, Prometheus))


@pytest.mark.parametrize("number", WATCHED)
def test_prometheus_is_told_to_ask_exactly_whom_the_layers_need(number: str) -> None:
    stage = STAGES[number]()
    itself = {("prometheus", "monitor1"), ("alertmanager", "monitor1")}
    assert {(t.job, t.host) for t in declared(stage).targets} | itself == targets(stage)


@pytest.mark.parametrize("number", WATCHED)
def test_the_shippers_follow_exactly_the_logs_of_their_daemons(number: str) -> None:
    stage = STAGES[number]()
    followed = {
        (host, tag): path
        for host, services in stage.declared.items()
        for service in services
        if isinstance(service, Rsyslog)
        for tag, path in service.sources
    }
    assert streams(stage) == followed


def test_every_layer_has_an_agent_a_figure_of_its_daemon_and_a_log() -> None:
    stage = STAGES["2"]()
    assert {layer_of(stage, host) for _, host in targets(stage)} == {*stage.layers, "monitoring"}
    assert {layer_of(stage, host) for host, _ in streams(stage)} == {*stage.layers, "monitoring"}
    assert ("mysql_up", "mysql", "db1") in figures(stage)
    assert {job for job, _ in targets(stage)} == set(CHARACTERISTIC)


def test_a_firewall_that_is_off_writes_no_log() -> None:
    stage = STAGES["2"](Settings(firewalls_off=("database",)))
    assert ("db1", "firewall") not in streams(stage)
    assert ("lb1", "firewall") in streams(stage)


def test_where_nobody_watches_nothing_is_expected() -> None:
    stage = STAGES["1"]()
    assert (targets(stage), streams(stage)) == (set(), {})


def test_missing_and_surplus_are_named() -> None:
    compared = compare({("node", "lb1"), ("node", "db1")}, {("node", "lb1"), ("node", "spy1")})
    assert (compared.missing, compared.surplus, compared.differences) == (("node db1",), ("node spy1",), 2)
    assert str(compared) == "missing node db1; surplus node spy1"
    assert str(compare({("a", "b")}, {("a", "b")})) == "all 1"


def test_a_line_that_came_twice_is_surplus_and_one_that_did_not_come_is_lost() -> None:
    same, twice = ["GET /", "GET /"], ["GET /", "GET /", "GET /"]
    assert shipped(same, same, same).lost == shipped(same, same, same).surplus == 0
    assert (shipped(same, same, twice).lost, shipped(same, same, twice).surplus) == (0, 1)
    assert (shipped(twice, twice, same).lost, shipped(twice, twice, same).surplus) == (1, 0)


def test_a_line_that_was_written_while_the_store_was_read_is_no_surplus() -> None:
    assert shipped(["a"], ["a", "b"], ["a", "b"]) == shipped(["a"], ["a", "b"], ["a"])


def test_streams_add_up() -> None:
    total = tally(
        {("lb1", "haproxy"): shipped(["a"], ["a"], []), ("db1", "mysql"): shipped([], ["b"], ["c"])}
    )
    assert (total.written, total.lost, total.surplus) == (1, 1, 1)
