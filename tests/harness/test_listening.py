"""What listens is compared with what was declared: nothing missing, nothing too much, nobody as another."""

from __future__ import annotations

from experiments.harness.listening import (
    Compared,
    Finding,
    Holder,
    Listening,
    compare,
    declared,
    seen,
    unanswered,
)
from experiments.harness.sockets import parse
from services.service import Listener
from topologies.flows import parse_flow
from topologies.stage import Settings
from topologies.stage2_secured import Stage2
from topologies.stages import STAGES

WEB = Listening("server1", Listener("tcp", "10.0.1.21", 80), "nginx", "www-data")
APP = Listening("server1", Listener("unix", "/run/gunicorn/gunicorn.sock"), "gunicorn", "www-data")


def finding(rows: list[Compared]) -> list[Finding]:
    return [row.finding for row in rows]


def test_what_is_there_as_declared_is_no_finding() -> None:
    rows = compare([WEB, APP], [APP, WEB])
    assert finding(rows) == ["as declared", "as declared"]
    assert {row.verdict for row in rows} == {"held"}


def test_a_daemon_that_does_not_listen_is_missing_and_a_stranger_is_surplus() -> None:
    stranger = Listening("server1", Listener("tcp", "0.0.0.0", 8888), "python3", "root")
    rows = compare([WEB, APP], [APP, stranger])
    assert finding(rows) == ["missing", "as declared", "surplus"]
    assert rows[0].place is WEB
    assert rows[2].place is stranger
    assert rows[0].verdict == rows[2].verdict == "deviated"


def test_the_same_port_on_another_host_or_address_is_not_the_one_declared() -> None:
    elsewhere = Listening("server2", WEB.listener, "nginx", "www-data")
    wide_open = Listening("server1", Listener("tcp", "0.0.0.0", 80), "nginx", "www-data")
    for other in (elsewhere, wide_open):
        assert finding(compare([WEB], [other])) == ["missing", "surplus"]


def test_another_daemon_or_another_user_at_the_right_place_is_told_apart() -> None:
    assert finding(compare([WEB], [Listening("server1", WEB.listener, "gunicorn", "www-data")])) == [
        "another daemon"
    ]
    assert finding(compare([WEB], [Listening("server1", WEB.listener, "nginx", "root")])) == ["another user"]


def test_a_master_that_hands_its_socket_to_workers_does_not_serve() -> None:
    sockets = parse(
        'tcp LISTEN 0 511 10.0.1.21:80 0.0.0.0:* users:(("nginx",pid=64,fd=4),("nginx",pid=61,fd=4))'
    )
    master, worker = Holder(61, 1, "root", "nginx", "nginx"), Holder(64, 61, "www-data", "nginx", "nginx")
    assert seen({"server1": sockets}, {61: master, 64: worker}) == [WEB]
    alone = seen({"server1": sockets}, {61: master})
    assert alone == [Listening("server1", WEB.listener, "nginx", "root")]


def test_a_process_of_no_daemon_goes_by_its_own_name_and_one_that_has_ended_by_none() -> None:
    sockets = parse('tcp LISTEN 0 5 0.0.0.0:8888 0.0.0.0:* users:(("python3",pid=7,fd=3))')
    assert seen({"h": sockets}, {7: Holder(7, 1, "root", "python3", "")})[0].daemon == "python3"
    assert seen({"h": sockets}, {})[0].daemon == "?"


def test_every_stage_declares_each_place_once_and_nobody_waits_there_as_nobody() -> None:
    for stage in (kind() for kind in STAGES.values()):
        places = [(one.host, one.listener) for one in declared(stage)]
        assert len(places) == len(set(places))
        assert all(one.user and one.daemon for one in declared(stage))
        assert not any(one.listener.tls or one.listener.operator for one in declared(stage))


def test_a_flow_is_unanswered_when_nobody_listens_at_its_end() -> None:
    flow, other = parse_flow("lb1>server1:tcp/80"), parse_flow("lb1>server1:udp/80")
    assert unanswered([flow], [WEB]) == []
    assert unanswered([flow, other], [WEB]) == [other]
    local = Listening("server1", Listener("tcp", "127.0.0.1", 80), "nginx", "www-data")
    assert unanswered([flow], [local]) == [flow], "the host itself is no way in"


def test_no_declared_flow_of_any_stage_ends_at_nobody() -> None:
    for stage in (kind() for kind in STAGES.values()):
        assert unanswered(stage.flows, declared(stage)) == []
    further = Stage2(Settings(flows=(parse_flow("client1>lb1:tcp/22"),)))
    assert [str(flow) for flow in unanswered(further.flows, declared(further))] == ["client1>lb1:tcp/22"]
