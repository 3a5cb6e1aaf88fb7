"""Dozens of flows become a few streams, and none is lost on the way."""

from __future__ import annotations

import pytest

from experiments.harness.stage_streams import named, networks_of, span, streams_of
from tests.variants import VARIANTS
from topologies.flows import parse_flow
from topologies.stage import Settings, Stage
from topologies.stage1_distributed import Stage1
from topologies.stage2_secured import Stage2
from topologies.stage3_scaleup import Stage3

EVERY = pytest.mark.parametrize("stage", VARIANTS.values(), ids=VARIANTS.keys())


@EVERY
def test_every_flow_is_in_a_stream_and_every_stream_is_made_of_flows(stage: Stage) -> None:
    streams = streams_of(stage)
    assert [s.number for s in streams] == list(range(1, len(streams) + 1))
    flows = {(f.source, f.destination, f.opening) for f in stage.flows}
    assert {(*pair, opening) for s in streams for pair in s.pairs for opening in s.openings} >= flows
    for stream in streams:
        for source, destination in stream.pairs:
            assert any((source, destination, opening) in flows for opening in stream.openings)


def said(stage: Stage) -> list[tuple[str, str, str, str]]:
    return [(s.kind, s.sources, s.destinations, s.ports) for s in streams_of(stage)]


def test_stage_3_is_eight_streams() -> None:
    layered = "lb1, lb2, web1, web2, app1, app2, db1"
    assert said(Stage3()) == [
        ("request", "everybody on public", "dns1", "53"),
        ("request", "everybody on public", "lb1, lb2", "443, 80"),
        ("request", "lb1, lb2", "each other", "VRRP"),
        ("request", "lb1, lb2", "web1, web2", "80"),
        ("request", "web1, web2", "app1, app2", "8000"),
        ("request", "app1, app2", "db1", "3306"),
        ("watch", "monitor1", layered, "9100, 8405, 9113, 9104"),
        ("watch", layered, "monitor1", "514"),
    ]


def test_the_two_ways_between_primary_and_replica_are_two_streams() -> None:
    assert said(Stage1())[3:] == [
        ("request", "server2", "server1", "3306"),
        ("request", "server1", "server2", "3306"),
    ]


def test_what_they_are_for_is_said_once() -> None:
    assert [s.purpose for s in streams_of(Stage2())] == [
        "names; long answers", "the site; redirect to https", "requests and health checks", "queries",
        "metrics: node, haproxy, nginx, mysql", "logs of every daemon",
    ]  # fmt: skip


def test_flows_of_the_settings_stay_apart_even_from_the_same_hosts() -> None:
    further = (parse_flow("lb1>server1:tcp/22"), parse_flow("monitor1>db1:tcp/3306"))
    *own, ssh, queries = streams_of(Stage2(Settings(flows=further)))
    assert {s.kind for s in own} == {"request", "watch"}
    assert (ssh.kind, ssh.pairs, ssh.openings) == ("further", (("lb1", "server1"),), ("tcp/22",))
    assert (queries.kind, queries.sources, queries.destinations) == ("further", "monitor1", "db1")


def test_tls_is_where_the_one_who_is_asked_speaks_it() -> None:
    def encrypted(stage: Stage) -> list[str]:
        return [f"{s.destinations} {opening}" for s in streams_of(stage) for opening in s.tls]

    assert encrypted(Stage1()) == []
    assert encrypted(Stage2()) == ["lb1 tcp/443"]
    assert encrypted(Stage2(Settings(tls=False))) == []
    assert encrypted(Stage3(Settings(reencrypt=True))) == [
        "lb1, lb2 tcp/443", "web1, web2 tcp/443", "app1, app2 tcp/8000", "db1 tcp/3306",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        (["db1"], "db1"),
        (["lb1", "lb2"], "lb1, lb2"),
        (["web1", "web2", "web3"], "web1–web3"),
        (["web1", "web3", "web4", "web5", "app1"], "web1, web3–web5, app1"),
        (["lb1", "lb1", "monitor"], "lb1, monitor"),
    ],
)
def test_hosts_in_a_row_are_named_by_the_first_and_the_last(hosts: list[str], text: str) -> None:
    assert named(hosts) == text


def test_addresses_in_a_row_are_a_span() -> None:
    assert span(("10.0.1.21",)) == "10.0.1.21"
    assert span(("10.0.1.21", "10.0.1.22", "10.0.1.23")) == "10.0.1.21–23"
    assert span(("10.0.1.21", "10.0.1.23")) == "10.0.1.21, 10.0.1.23"


def test_networks_go_from_the_outside_in() -> None:
    assert networks_of(Stage3()) == ["public", "app", "data", "monitoring"]
    assert networks_of(Stage1()) == ["public"]
