"""The hops of a request follow from what the services declare, and every stream is counted on its own hop."""

from __future__ import annotations

import pytest

from experiments.harness.hops import LOGS, ORDER, PASSWORD, REPLICATION, Hop, Route, count, hops_of
from experiments.harness.pcap import Direction
from tests.harness.test_reachability import addresses
from topologies.stage import Settings, Stage
from topologies.stage0_simple import Stage0
from topologies.stage1_distributed import Stage1
from topologies.stage2_secured import Stage2
from topologies.stage3_scaleup import Stage3


def hops(stage: Stage, *replication_ports: int) -> dict[str, Hop]:
    return {hop.name: hop for hop in hops_of(stage, addresses(stage), replication_ports)}


@pytest.mark.parametrize(
    ("stage", "plain", "encrypted"),
    [
        (Stage0(), [], ["client–server"]),
        (Stage0(Settings(tls=False)), ["client–server"], []),
        (Stage1(), ["client–LB", "LB–web", "app–database", REPLICATION], []),
        (Stage2(), ["LB–web", "app–database", LOGS], ["client–LB"]),
        (Stage2(Settings(agents=False)), ["LB–web", "app–database"], ["client–LB"]),
        (Stage2(Settings(tls=False)), ["client–LB", "LB–web", "app–database", LOGS], []),
        (Stage2(Settings(reencrypt=True)), [], ["client–LB", "LB–web", "app–database", LOGS]),
        (Stage3(), ["LB–web", "web–app", "app–database", LOGS], ["client–LB"]),
        (Stage3(Settings(reencrypt=True)), [], ["client–LB", "LB–web", "web–app", "app–database", LOGS]),
    ],
)
def test_a_hop_is_plain_or_encrypted_as_its_services_say(
    stage: Stage, plain: list[str], encrypted: list[str]
) -> None:
    found = hops(stage)
    assert [name for name, hop in found.items() if not hop.encrypted] == plain
    assert [name for name, hop in found.items() if hop.encrypted] == encrypted


def test_what_stays_within_a_host_is_no_hop() -> None:
    # The application on server1 reaches the primary, which is on server1, too, over loopback.
    assert hops(Stage1())["app–database"].routes == {Route("8.8.8.22", "8.8.8.21", 3306)}
    assert "web–app" not in hops(Stage2())  # a UNIX socket


def test_routes_are_the_addresses_on_the_network_of_the_hop() -> None:
    found = hops(Stage2(Settings(reencrypt=True)))
    assert found["client–LB"].routes == {Route("", "8.8.8.8", 443)}
    assert found["LB–web"].routes == {Route("10.0.1.11", f"10.0.1.{n}", 443) for n in (21, 22)}
    assert found["app–database"].segment == "data"
    assert found["app–database"].sources == ("server1", "server2")
    assert Route("10.0.9.41", "10.0.9.51", 6514) in found[LOGS].routes


def test_a_stream_is_counted_on_its_hop_in_both_directions() -> None:
    stage = Stage2()
    there = Direction("10.0.1.11", 50000, "10.0.1.21", 80)
    back = Direction("10.0.1.21", 80, "10.0.1.11", 50000)
    found = {"app": {there: b"s3cret s3cret", back: b"s3cret"}, "data": {there: b"s3cret"}}
    counted = count(hops_of(stage, addresses(stage)), found, {PASSWORD: "s3cret", ORDER: "7"})
    assert counted["LB–web"] == {PASSWORD: 3, ORDER: 0}
    assert counted["elsewhere"] == {PASSWORD: 1, ORDER: 0}  # on a network where no such hop is
    assert counted["app–database"] == {PASSWORD: 0, ORDER: 0}


def test_replication_and_application_share_a_way_and_are_told_apart_by_the_replicas_port() -> None:
    stage = Stage1()
    found = {
        "public": {
            Direction("8.8.8.21", 3306, "8.8.8.22", 57584): b"row 7",
            Direction("8.8.8.22", 41000, "8.8.8.21", 3306): b"INSERT 7 7",
        }
    }
    counted = count(hops_of(stage, addresses(stage), [57584]), found, {ORDER: "7"})
    assert (counted[REPLICATION][ORDER], counted["app–database"][ORDER]) == (1, 2)


def test_a_replica_that_is_not_connected_brings_nothing_onto_the_wire() -> None:
    stage = Stage1()
    found = {"public": {Direction("8.8.8.22", 41000, "8.8.8.21", 3306): b"INSERT 7"}}
    counted = count(hops_of(stage, addresses(stage)), found, {ORDER: "7"})
    assert (counted[REPLICATION][ORDER], counted["app–database"][ORDER]) == (0, 1)
