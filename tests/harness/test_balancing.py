"""What balance reads from rendered configurations, asks HAProxy, and refuses to begin with."""

from __future__ import annotations

import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from experiments import balance
from experiments.harness import balancing
from experiments.harness.spread import Layout
from services.credentials import Secrets
from topologies.host import EmulatedHost
from topologies.stage import Settings, Stage
from topologies.stage1_distributed import Stage1
from topologies.stage3_scaleup import Stage3
from topologies.testbed import Testbed
from topologies.waiting import CommandFailed


def rendered(stage: Stage) -> Testbed:
    """A testbed of which only the configurations exist."""
    secrets = Secrets()
    configs: dict[str, dict[str, str]] = {}
    for host, services in stage.declared.items():
        for service in services:
            for path, file in service.render(secrets).items():
                configs.setdefault(host, {})[path.rpartition("/")[2]] = file.text
    return cast("Testbed", SimpleNamespace(stage=stage, configs=configs))


def test_the_layout_of_stage_3_is_read_from_its_configurations() -> None:
    assert balancing.layout_of(rendered(Stage3(Settings(check_inter_s=1.5))), 40.0, 700) == Layout(
        webs=("web1", "web2"), apps=("app1", "app2"), balancers=2, check_inter_s=1.5, rate_hz=40.0,
        streams=2, slow_web="web2", slow_app="app2", delay_s=0.7,
    )  # fmt: skip


def test_on_stage_1_web_and_application_are_one_host_and_nginx_has_no_choice() -> None:
    layout = balancing.layout_of(rendered(Stage1()), 40.0, 700)
    assert (layout.webs, layout.apps, layout.balancers) == (("server1", "server2"), (), 1)
    assert (layout.slow_web, layout.slow_app) == ("server2", "server2")


@pytest.mark.parametrize(
    ("webs", "apps", "expected"),
    [
        (2, 2, ("web2", "app2")), (3, 2, ("web2", "app2")),
        (4, 3, ("web3", "app3")), (2, 4, ("web2", "app2")),
    ],
)  # fmt: skip
def test_the_slow_application_has_one_web_server_to_itself(
    webs: int, apps: int, expected: tuple[str, str]
) -> None:
    testbed = rendered(Stage3(Settings(web_servers=webs, app_servers=apps)))
    assert balancing.slow_pair(testbed) == expected
    assert list(balancing.pairs(testbed).values()).count(expected[1]) == 1


def host_that_says(answer: bytes, asked: list[bytes]) -> EmulatedHost:
    """HAProxy's admin socket: reads one line, answers and hangs up."""

    def connect_unix(_path: str, timeout_s: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(timeout_s)
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        kept.append((theirs, asked))
        return ours

    kept: list[tuple[socket.socket, list[bytes]]] = []

    def collect() -> None:
        for theirs, heard in kept:
            heard.append(theirs.recv(1000))
            theirs.close()

    return cast("EmulatedHost", SimpleNamespace(name="lb1", connect_unix=connect_unix, collect=collect))


def collected(host: EmulatedHost) -> None:
    cast("Callable[[], None]", host.collect)()


def test_haproxy_is_asked_one_line_and_heard_to_its_end() -> None:
    asked: list[bytes] = []
    host = host_that_says(b"Name: HAProxy\nPid: 4711\nUptime: 1\n\n", asked)
    assert balancing.worker_pid(host, other_than="4710") == "4711"
    collected(host)
    assert asked == [b"show info\n"]


def test_after_a_reload_the_old_worker_does_not_pass_for_the_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter(["Pid: 4711\n", "", "Pid: 4711\n", "Pid: 4800\n"])
    monkeypatch.setattr(balancing, "ask_haproxy", lambda _host, _command: next(answers))
    host = cast("EmulatedHost", SimpleNamespace(name="lb1"))
    assert balancing.worker_pid(host, other_than="4711") == "4800"


def test_a_weight_that_haproxy_refuses_is_no_control() -> None:
    testbed = cast(
        "Testbed",
        SimpleNamespace(
            stage=SimpleNamespace(hosts_of=lambda _daemon: ["lb1"]),
            hosts={"lb1": host_that_says(b"No such server.\n", [])},
        ),
    )
    with (
        pytest.raises(CommandFailed, match=r"lb1: `set server web/web9 weight 2`: No such server"),
        balancing.weighted(testbed, {"web9": 2}),
    ):
        pass


def test_the_hosts_of_an_answer_are_named_from_the_client_on() -> None:
    answer = (
        b"HTTP/1.1 200 OK\r\nX-Served-By: app1\r\nContent-Length: 3\r\nx-served-by: web2\r\n"
        b"X-Served-By: lb1\r\n\r\nX-Served-By: nobody\r\n"
    )
    assert balancing.served_by(answer) == ("lb1", "web2", "app1")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--stage", "0"), "stage 0 has no load balancer"),
        (("--web-servers", "1"), "nothing to choose from"),
        (("--app-servers", "1"), "nothing to choose from"),
        (("--watch", "1"), "must be 4 to 600"),
    ],
)
def test_without_a_choice_there_is_one_line_and_exit_status_2(
    options: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        balance.main(list(options))
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_the_first_server_weighs_twice_as_much_as_the_others() -> None:
    layout = balancing.layout_of(rendered(Stage3(Settings(web_servers=3))), 40.0, 700)
    assert balance.weights(layout) == {"web1": 2, "web2": 1, "web3": 1}


def test_every_address_of_the_site_has_a_stream_of_its_own() -> None:
    config = balance.prober_config(Stage3())
    assert [s.connect_to for s in config.streams] == ["8.8.8.8", "8.8.8.9"]
    assert not any(s.keep_alive for s in config.streams)
    assert config.rate_hz <= 100
