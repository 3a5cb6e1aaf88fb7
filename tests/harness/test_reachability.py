"""Declared beside seen: what is missing, what is surplus, what was let through, and how it is named."""

from __future__ import annotations

import pytest

from experiments.harness.reachability import (
    OTHERS,
    Door,
    Kind,
    by_destination,
    compare,
    declared_doors,
    kind_of,
    matrix,
    named,
    pairs,
    predicted_doors,
)
from experiments.harness.scan import State
from topologies.flows import parse_flow
from topologies.stage import Settings, Stage
from topologies.stage0_simple import Stage0
from topologies.stage1_distributed import Stage1
from topologies.stage2_secured import Stage2
from topologies.stage3_scaleup import Stage3

DB = Door("server1", "db1", "data", "10.0.2.41", "tcp", 3306)
LISTENING = {"db1": {("tcp", "0.0.0.0", 3306)}}


def addresses(stage: Stage) -> dict[str, dict[str, tuple[str, ...]]]:
    """As declared: what the kernels of a running stage would say, without virtual addresses."""
    return {host: {segment: (a,) for segment, a in on.items()} for host, on in stage.addresses.items()}


# -- what one door is --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "state", "served", "kind"),
    [
        (True, "open", True, "as declared"),
        (True, "silent", True, "missing"),
        (True, "closed", True, "missing"),  # somebody listens, and a firewall refuses in his name
        (True, "closed", False, "unserved"),
        (True, "silent", False, "missing"),
        (True, "unreachable", True, "missing"),
        (False, "open", True, "surplus"),
        (False, "closed", False, "leaking"),
        (False, "silent", True, "kept out"),
        (False, "unreachable", True, "kept out"),
    ],
)
def test_a_door_behind_a_firewall_is(declared: bool, state: State, served: bool, kind: Kind) -> None:
    meant = {DB} if declared else set()
    assert kind_of(DB, state, meant, LISTENING if served else {}, ["db1"]) == kind


def test_where_there_is_no_firewall_a_refusal_is_no_leak() -> None:
    assert kind_of(DB, "closed", set(), {}, []) == "kept out"
    udp = DB._replace(protocol="udp")
    assert kind_of(udp, "closed", set(), {}, ["db1"]) == "kept out"  # ICMP is rationed


def test_somebody_who_listens_at_another_address_does_not_serve_this_one() -> None:
    elsewhere = {"db1": {("tcp", "10.0.9.41", 3306)}}
    assert kind_of(DB, "closed", {DB}, elsewhere, ["db1"]) == "unserved"


def test_a_comparison_is_exact_only_without_missing_surplus_and_leaks() -> None:
    other = DB._replace(port=22)
    good = compare({DB: "open", other: "silent"}, {DB}, LISTENING, ["db1"])
    assert good.exact
    assert (good.as_declared, good.kept_out) == ((DB,), 1)
    assert not compare({DB: "open", other: "open"}, {DB}, LISTENING, ["db1"]).exact
    assert not compare({DB: "open", other: "closed"}, {DB}, LISTENING, ["db1"]).exact
    assert not compare({DB: "silent", other: "silent"}, {DB}, LISTENING, ["db1"]).exact
    assert compare({other: "silent"}, {DB}, LISTENING, ["db1"]).missing == (DB,)  # nobody tried it


# -- from the declaration ----------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [Stage0(), Stage2(), Stage3(), Stage3(Settings(reencrypt=True))])
def test_what_must_be_open_is_exactly_what_is_declared(stage: Stage) -> None:
    where = addresses(stage)
    assert predicted_doors(stage, where) == declared_doors(stage, where)


def test_without_firewalls_everybody_reaches_whoever_listens() -> None:
    stage = Stage1()
    surplus = predicted_doors(stage, addresses(stage)) - declared_doors(stage, addresses(stage))
    mysql = {door.source for door in surplus if door.destination == "server1" and door.port == 3306}
    assert mysql == {"client1", "client2", "dns1", "lb1"}  # server2 has a flow


def test_a_firewall_that_is_off_opens_what_listens_behind_it() -> None:
    stage = Stage2(Settings(firewalls_off=("database",)))
    surplus = predicted_doors(stage, addresses(stage)) - declared_doors(stage, addresses(stage))
    assert {door.destination for door in surplus} == {"db1"}
    assert Door("lb1", "db1", "monitoring", "10.0.9.41", "tcp", 3306) in surplus


def test_a_flow_to_a_host_is_meant_for_its_virtual_addresses_too() -> None:
    stage = Stage3()
    where = addresses(stage)
    where["lb1"]["public"] = ("8.8.8.11", "8.8.8.8")
    asked = {
        d.address for d in declared_doors(stage, where) if d.source == "client1" and d.destination == "lb1"
    }
    assert asked == {"8.8.8.11", "8.8.8.8"}


def test_a_flow_is_meant_for_one_network_only() -> None:
    stage = Stage2(Settings(flows=(parse_flow("monitor1>db1:tcp/3306"),)))
    mysql = {(d.source, d.segment) for d in declared_doors(stage, addresses(stage)) if d.port == 3306}
    assert mysql == {("server1", "data"), ("server2", "data"), ("monitor1", "monitoring")}


def test_vrrp_has_no_door() -> None:
    assert not [d for d in declared_doors(Stage3(), addresses(Stage3())) if d.protocol not in ("tcp", "udp")]


def test_pairs_say_where_there_is_no_common_network() -> None:
    where = addresses(Stage2())
    assert ("client1", "db1", "", "10.0.2.41") in pairs(where)
    assert ("lb1", "db1", "monitoring", "10.0.9.41") in pairs(where)
    assert ("lb1", "db1", "", "10.0.2.41") in pairs(where)
    assert not [p for p in pairs(where) if p[0] == p[1]]


# -- how it is shown ---------------------------------------------------------------------------------


def test_doors_are_named_by_port_with_all_who_get_there() -> None:
    doors = [DB, DB._replace(source="lb1", segment="monitoring", address="10.0.9.41"), DB._replace(port=22)]
    assert named(doors) == "db1 tcp/22 from server1; db1 tcp/3306 from lb1, server1"
    assert named(doors, most=1) == "db1 tcp/22 from server1; 1 more"
    assert named([]) == ""
    assert by_destination(doors[:2]) == [
        ("db1", "data", "tcp/3306", ("server1",)),
        ("db1", "monitoring", "tcp/3306", ("lb1",)),
    ]
    assert str(DB) == "server1 → db1 10.0.2.41 tcp/3306"


def test_a_cell_shows_the_worst_of_its_doors() -> None:
    again = DB._replace(segment="monitoring", address="10.0.9.41")
    back = Door("db1", "server1", "data", "10.0.2.21", "tcp", 3306)
    seen: dict[Door, State] = {
        DB: "open", again: "open", DB._replace(port=22): "silent", DB._replace(port=23): "closed",
        back: "silent",
    }  # fmt: skip
    shown = matrix(seen, {DB}, LISTENING, ["db1", "server1"])
    assert shown.sources == ("server1", "db1")
    assert shown.columns == (("server1", OTHERS), ("db1", "tcp/3306"), ("db1", OTHERS))
    assert shown.shown("server1", ("db1", "tcp/3306")) == "surplus"  # open on the other network, too
    assert shown.shown("server1", ("db1", OTHERS)) == "leaking"
    assert shown.shown("db1", ("server1", OTHERS)) == "kept out"
    assert shown.shown("db1", ("db1", OTHERS)) == "itself"


def test_hosts_without_a_common_network_have_no_cell() -> None:
    door = Door("client1", "db1", "", "10.0.2.41", "tcp", 3306)
    shown = matrix(
        {door: "unreachable", DB._replace(source="db1", destination="client1"): "closed"}, {DB}, {}, []
    )
    assert shown.shown("client1", ("db1", "tcp/3306")) == "no network"
    through = matrix({door: "open"}, set(), {}, [])
    assert through.cells == {("client1", "db1", "tcp/3306"): "surplus"}
