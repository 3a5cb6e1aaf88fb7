"""The hops of a request follow from the services, and connections are named from both of their ends."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from experiments.harness.links import Connection, Link, connections, forbidden, hops_of, undeclared
from experiments.harness.listening import Holder
from experiments.harness.sockets import parse
from topologies.flows import Flow
from topologies.stage import Settings, Stage
from topologies.stage0_simple import Stage0
from topologies.stage1_distributed import Stage1
from topologies.stage2_secured import Stage2
from topologies.stage3_scaleup import Stage3
from topologies.stages import STAGES


def told(stage: Stage) -> list[str]:
    return [str(hop.link) for hop in hops_of(stage)]


def test_stage_0_is_wired_by_unix_sockets_or_by_tcp() -> None:
    assert told(Stage0()) == [
        "client1 → server1 nginx over tcp 8.8.8.8:443",
        "server1 nginx → server1 gunicorn over unix /run/gunicorn/gunicorn.sock",
        "server1 gunicorn → server1 mysql over unix /run/mysqld/mysqld.sock",
    ]
    assert told(Stage0(Settings(wiring="tcp")))[1:] == [
        "server1 nginx → server1 gunicorn over tcp 127.0.0.1:8000",
        "server1 gunicorn → server1 mysql over tcp 127.0.0.1:3306",
    ]


def test_stage_1_reads_from_the_replica_and_writes_to_the_primary() -> None:
    databases = {h.link.destination for h in hops_of(Stage1()) if h.link.source_daemon == "gunicorn"}
    assert databases == {"server1", "server2"}


def test_each_virtual_address_leads_to_the_balancer_that_prefers_it() -> None:
    assert told(Stage3())[:2] == [
        "client1 → lb1 haproxy over tcp 8.8.8.8:443",
        "client1 → lb2 haproxy over tcp 8.8.8.9:443",
    ]


def test_tls_ends_at_the_balancer_unless_every_hop_has_its_own() -> None:
    assert [hop.certified for hop in hops_of(Stage2())] == ["www.foobar.com"] + [""] * 6
    encrypted = {h.link.source_daemon: h.certified for h in hops_of(Stage3(Settings(reencrypt=True)))}
    assert encrypted == {
        "": "www.foobar.com", "haproxy": "www.foobar.com", "nginx": "app.foobar.com", "gunicorn": "10.0.2.41"
    }  # fmt: skip
    assert not any(hop.certified for hop in hops_of(Stage2(Settings(tls=False))))


@pytest.mark.parametrize("number", STAGES)
def test_every_hop_from_host_to_host_is_a_declared_flow(number: str) -> None:
    stage = STAGES[number]()
    hops = hops_of(stage)
    assert forbidden(hops, stage.flows) == []
    crossing = [hop for hop in hops if hop.flow is not None]
    assert forbidden(hops, []) == crossing
    assert crossing


# -- what is seen ----------------------------------------------------------------------------------------

LB1 = """\
tcp LISTEN 0 9 8.8.8.8:443 0.0.0.0:* users:(("haproxy",pid=92,fd=7))
tcp ESTAB 0 0 8.8.8.8:443 8.8.8.101:4711 users:(("haproxy",pid=92,fd=9))
tcp ESTAB 0 0 10.0.1.11:5000 10.0.1.21:80 users:(("haproxy",pid=92,fd=14))
tcp TIME-WAIT 0 0 8.8.8.8:443 8.8.8.101:4710
"""
SERVER1 = """\
tcp LISTEN 0 9 10.0.1.21:80 0.0.0.0:* users:(("nginx",pid=64,fd=4))
tcp ESTAB 0 0 10.0.1.21:80 10.0.1.11:5000 users:(("nginx",pid=64,fd=11))
tcp LISTEN 0 9 127.0.0.1:8080 0.0.0.0:* users:(("nginx",pid=64,fd=5))
tcp ESTAB 0 0 127.0.0.1:8080 127.0.0.1:6000 users:(("nginx",pid=64,fd=6))
tcp ESTAB 0 0 127.0.0.1:6000 127.0.0.1:8080 users:(("exporter",pid=69,fd=3))
u_str LISTEN 0 9 /run/gunicorn/gunicorn.sock 55 * 0 users:(("python",pid=44,fd=3))
u_str ESTAB 0 0 /run/gunicorn/gunicorn.sock 19 * 3 users:(("python",pid=44,fd=10))
u_str ESTAB 0 0 * 3 * 19 users:(("nginx",pid=64,fd=10))
u_str ESTAB 0 0 * 17 * 16 users:(("nginx",pid=64,fd=7))
"""
HOLDERS = {
    pid: Holder(pid, 1, "nobody", "x", daemon)
    for pid, daemon in ((92, "haproxy"), (64, "nginx"), (44, "gunicorn"), (69, "nginx-exporter"))
}


def met(texts: Mapping[str, str]) -> list[Connection]:
    return connections({host: parse(text) for host, text in texts.items()}, HOLDERS, Stage2())


def test_a_request_on_its_way_shows_who_speaks_to_whom_over_what() -> None:
    assert {c.link for c in met({"lb1": LB1, "server1": SERVER1, "client1": ""})} == {
        Link("client1", "", "lb1", "haproxy", "tcp 8.8.8.8:443"),
        Link("lb1", "haproxy", "server1", "nginx", "tcp 10.0.1.21:80"),
        Link("server1", "nginx-exporter", "server1", "nginx", "tcp 127.0.0.1:8080"),
        Link("server1", "nginx", "server1", "gunicorn", "unix /run/gunicorn/gunicorn.sock"),
    }


def test_two_connections_of_the_same_ports_are_told_apart_by_their_addresses() -> None:
    other = 'tcp ESTAB 0 0 10.0.1.11:5000 10.0.1.22:80 users:(("curl",pid=7,fd=3))\n'
    links = {c.link for c in met({"lb1": other + LB1, "server1": SERVER1})}
    assert Link("lb1", "haproxy", "server1", "nginx", "tcp 10.0.1.21:80") in links


def test_whoever_comes_from_an_address_of_no_host_keeps_it() -> None:
    stranger = LB1.replace("8.8.8.101", "8.8.8.200")
    assert met({"lb1": stranger})[0].link.source == "8.8.8.200"


def test_declared_connections_are_none_too_many_and_a_stranger_is() -> None:
    stage = Stage2()
    assert undeclared(met({"lb1": LB1, "server1": SERVER1}), stage) == []
    (found,) = undeclared(met({"lb1": LB1.replace("8.8.8.101", "8.8.8.200")}), stage)
    assert found.link.source == "8.8.8.200"


def test_the_right_hosts_over_the_wrong_network_are_undeclared() -> None:
    way_around = SERVER1.replace("10.0.1.21:80 10.0.1.11:5000", "10.0.9.21:80 10.0.9.11:5000")
    wide_open = way_around.replace("10.0.1.21:80 0.0.0.0:*", "0.0.0.0:80 0.0.0.0:*")
    (found,) = undeclared(met({"server1": wide_open}), Stage2())
    assert (found.source_address, found.address) == ("10.0.9.11", "10.0.9.21")


def test_a_flow_to_the_public_allows_its_virtual_addresses() -> None:
    stage = Stage3()
    assert Flow("client1", "lb1", "tcp", 443, "the site") in stage.flows
    link = Link("client1", "", "lb1", "haproxy", "tcp 8.8.8.9:443")
    assert undeclared([Connection(link, "8.8.8.101", "8.8.8.9", 443)], stage) == []
    assert undeclared([Connection(link, "8.8.8.101", "8.8.8.77", 443)], stage) != []
