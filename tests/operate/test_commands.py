"""The commands that need no running stage say what they know, and refuse with the right exit code."""

from __future__ import annotations

import importlib
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from experiments.__main__ import VERBS
from experiments.operate import down, exec, flows, logs, ps, up
from experiments.operate.attach import Refused
from topologies import capsule
from topologies.capsule import RunningCapsule
from topologies.stage3_scaleup import Stage3
from topologies.stages import STAGES

RUN = RunningCapsule("20261124-002053-6a91", "up-stage0", "/results/old", 10, 11)
OTHER = RunningCapsule("20261124-003011-e4d3", "failover-stage3", "/results/new", 20, 21)


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capsule, "running", list)
    monkeypatch.setattr("os.geteuid", lambda: 0)


@pytest.mark.parametrize("verb", [v for v, (module, _) in VERBS.items() if ".operate." in module])
def test_help_shows_examples(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        importlib.import_module(VERBS[verb][0]).main(["--help"])
    assert left.value.code == 0
    assert f"./testbed {verb}" in capsys.readouterr().out


@pytest.mark.parametrize("main", [up.main, flows.main])
def test_an_unknown_stage_is_a_usage_error(main: object) -> None:
    assert callable(main)
    with pytest.raises(SystemExit) as left:
        main(["9"])
    assert left.value.code == 2


def test_flows_are_those_the_stage_declares(capsys: pytest.CaptureFixture[str]) -> None:
    assert flows.main(["3", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["flows"] == [asdict(flow) for flow in Stage3().flows]


def test_a_larger_stage_has_more_flows(capsys: pytest.CaptureFixture[str]) -> None:
    assert flows.main(["3", "--json", "--app-servers", "5"]) == 0
    queries = [f for f in json.loads(capsys.readouterr().out)["flows"] if f["port"] == 3306]
    assert [f["source"] for f in queries] == ["app1", "app2", "app3", "app4", "app5"]
    assert {f["destination"] for f in queries} == {"db1"}


@pytest.mark.parametrize("number", STAGES)
def test_flows_of_every_stage_can_be_shown(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert flows.main([number]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"stage {number}, {STAGES[number].title}\n")
    assert len(out.splitlines()) >= len(STAGES[number]().flows) + 3


def test_a_further_flow_is_among_the_flows(capsys: pytest.CaptureFixture[str]) -> None:
    assert flows.main(["2", "--json", "--flow", "monitor1>db1:tcp/3306"]) == 0
    last = json.loads(capsys.readouterr().out)["flows"][-1]
    assert (last["source"], last["destination"], last["port"]) == ("monitor1", "db1", 3306)


def test_the_flow_table_is_whole_in_a_pipe_and_has_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    assert flows.main(["3"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    row = next(line for line in out.splitlines() if line.startswith("app1") and "3306" in line)
    assert row.split() == ["app1", "db1", "tcp/3306", "queries"]


def test_ps_with_nothing_running_is_3_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ps.main(["--json"]) == 3
    assert capsys.readouterr() == ("", "ps: nothing is running; start one with: sudo ./testbed up 3\n")


def test_exec_with_nothing_running_is_3() -> None:
    assert exec.main(["client1", "--", "true"]) == 3


@pytest.mark.parametrize("argv", [[], ["client1", "--"], ["client1", "dig", "x"], ["--", "true"]])
def test_exec_wants_a_host_and_a_command_after_two_dashes(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as left:
        exec.main(argv)
    assert left.value.code == 2


def test_exec_on_an_unknown_host_names_those_there_are() -> None:
    with pytest.raises(Refused, match=r"no host 'web9'; there is: web1, web2") as refused:
        exec.host_of({"hosts": {"web1": {}, "web2": {}}}, "web9")
    assert refused.value.status == 2


def test_exec_on_a_stage_that_is_still_being_built_says_so() -> None:
    with pytest.raises(Refused, match="coming up") as refused:
        exec.host_of(None, "web1")
    assert refused.value.status == 3


def test_down_with_nothing_running_has_nothing_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert down.main([]) == 0
    assert capsys.readouterr().out == "nothing is running\n"


def test_down_does_not_guess_which_of_several_to_end() -> None:
    with pytest.raises(Refused, match=r"6a91 \(up-stage0\), .*e4d3 \(failover-stage3\)") as refused:
        down.the_one([RUN, OTHER], None)
    assert refused.value.status == 2
    assert down.the_one([RUN, OTHER], "6a91") == RUN


def test_down_all_ends_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[RunningCapsule] = []
    monkeypatch.setattr(capsule, "running", lambda: [RUN, OTHER])
    monkeypatch.setattr(capsule, "stop", ended.append)
    assert down.main(["--all"]) == 0
    assert ended == [RUN, OTHER]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """results/ with one ended run, to which latest points."""
    host = tmp_path / "up-stage0" / "run1" / "hosts" / "lb1"
    host.mkdir(parents=True)
    (host / "haproxy.log").write_text("".join(f"request {n}\n" for n in range(50)))
    (host / "keepalived.log").write_text("Entering MASTER STATE\n")
    (tmp_path / "latest").symlink_to("up-stage0/run1")
    return tmp_path


def test_logs_of_a_daemon_are_its_last_lines(results: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert logs.main(["lb1/haproxy", "-n", "2", "--results", str(results)]) == 0
    assert capfd.readouterr().out == "request 48\nrequest 49\n"


def test_logs_of_a_host_are_those_of_all_its_daemons(
    results: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert logs.main(["lb1", "-n", "1", "--run", str(results / "latest")]) == 0
    out = capfd.readouterr().out
    assert "request 49\n" in out
    assert "Entering MASTER STATE\n" in out


@pytest.mark.parametrize(
    ("what", "there"), [("web7", "it has those of: lb1"), ("lb1/nginx", "lb1/haproxy, lb1/keepalived")]
)
def test_logs_that_are_not_there_are_a_usage_error_that_names_what_is(
    what: str, there: str, results: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert logs.main([what, "--results", str(results)]) == 2
    assert there in capfd.readouterr().err


def test_logs_without_any_run_say_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert logs.main(["lb1", "--results", str(tmp_path)]) == 2
    assert "nothing is running" in capfd.readouterr().err


def test_logs_of_a_running_stage_go_before_those_of_the_latest(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capsule, "running", lambda: [RUN])
    assert logs.source(None, results) == (Path(RUN.results), RUN)


def test_a_log_on_the_hosts_own_disk_is_named_after_its_directory(results: Path, tmp_path: Path) -> None:
    access = tmp_path / "var" / "log" / "nginx" / "access.log"
    access.parent.mkdir(parents=True)
    access.write_text("GET /\n")
    assert logs.logs_of(results / "latest", "lb1/nginx-access", [access]) == [access]
