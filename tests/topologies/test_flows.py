"""A flow that somebody types is the flow that is declared; a text that is none is refused in one line."""

from __future__ import annotations

import pytest

from tests.variants import VARIANTS
from topologies.flows import BadFlow, Flow, parse_flow
from topologies.stage import BadSettings, Settings, Stage
from topologies.stage2_secured import Stage2
from topologies.stages import STAGES

EVERY = pytest.mark.parametrize("stage", VARIANTS.values(), ids=VARIANTS.keys())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("client1>lb1:tcp/443", ("client1", "lb1", "tcp", 443)),
        ("monitor1>db1:udp/1", ("monitor1", "db1", "udp", 1)),
        ("  a-b_c>d:tcp/65535\n", ("a-b_c", "d", "tcp", 65535)),
    ],
)
def test_a_flow_is_read_as_it_is_written(text: str, expected: tuple[str, str, str, int]) -> None:
    flow = parse_flow(text)
    assert (flow.source, flow.destination, flow.protocol, flow.port) == expected
    assert str(flow) == text.strip()
    assert flow.purpose


@EVERY
def test_every_declared_flow_with_a_port_can_be_typed(stage: Stage) -> None:
    for flow in stage.flows:
        if flow.port is not None:
            typed = parse_flow(str(flow))
            assert (typed.source, typed.destination, typed.opening) == (
                flow.source,
                flow.destination,
                flow.opening,
            )


@pytest.mark.parametrize(
    "text",
    [
        "", "garbage", "client1", "client1>lb1", "client1>lb1:443", "client1>lb1:tcp", "client1>lb1:tcp/",
        "client1>lb1:tcp/https", "client1>lb1:TCP/443", "client1>lb1:icmp/1", "client1>lb1:vrrp",
        "client1->lb1:tcp/443", "client1>lb1:tcp/４４３",
        "client1 > lb1:tcp/443", ">lb1:tcp/443", "client1>:tcp/443",
        "client1>lb1>db1:tcp/1", "client1>lb1:tcp/-1", "client1>lb1:tcp/4.3", "client1>lb1:tcp/1000000",
        "client1>lb1:tcp/0", "client1>lb1:tcp/65536", "lb1>lb1:tcp/80", "client1>lb1:tcp/443\ndb1>lb1:tcp/1",
        "client1>8.8.8.8:tcp/443", "client1>lb1:tcp/443; reboot",
    ],
)  # fmt: skip
def test_a_text_that_is_no_flow_is_refused_in_one_line_that_shows_it(text: str) -> None:
    with pytest.raises(BadFlow) as refused:
        parse_flow(text)
    message = str(refused.value)
    assert "\n" not in message
    assert repr(text) in message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("client1>nowhere:tcp/80", "stage 2 has no nowhere; it has dns1, lb1"),
        ("nobody>lb1:tcp/80", "stage 2 has no nobody"),
        ("client1>db1:tcp/3306", "client1 and db1 share no network"),
        ("dns1>monitor1:udp/514", "dns1 and monitor1 share no network"),
    ],
)
def test_a_flow_that_the_stage_cannot_carry_is_refused_in_one_line(text: str, why: str) -> None:
    with pytest.raises(BadSettings) as refused:
        Stage2(Settings(flows=(parse_flow(text),)))
    message = str(refused.value)
    assert message.startswith(f"flow {text}: ")
    assert why in message
    assert "\n" not in message


def test_further_flows_come_after_those_of_the_stage_and_each_once() -> None:
    further = parse_flow("monitor1>db1:tcp/3306")
    plain, more = Stage2(), Stage2(Settings(flows=(further, parse_flow("monitor1>db1:tcp/3306"))))
    assert more.flows == [*plain.flows, further]


@EVERY
def test_a_flow_takes_the_monitoring_network_only_where_there_is_no_other(stage: Stage) -> None:
    for flow in stage.flows:
        way = stage.path(flow)
        assert way is not None
        segment, source, destination = way
        assert stage.addresses[flow.source][segment] == source
        assert stage.addresses[flow.destination][segment] == destination
        watcher = {stage.roles[flow.source], stage.roles[flow.destination]} & {"monitor"}
        assert (segment == "monitoring") == bool(watcher)


def test_the_way_between_two_hosts_is_their_outermost_network() -> None:
    stage = STAGES["3"]()

    def way(source: str, destination: str) -> str | None:
        found = stage.path(Flow(source, destination, "tcp", 80, "a question"))
        return found and found[0]

    assert way("lb1", "lb2") == "public"  # they are on app and monitoring, too
    assert way("lb1", "web1") == "app"
    assert way("app1", "app2") == "app"
    assert way("app1", "db1") == "data"
    assert way("web1", "db1") == "monitoring"
    assert way("client1", "db1") is None
