"""`testbed load`: what may be asked for, what follows from it, and how the end is told."""

from __future__ import annotations

from argparse import Namespace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from experiments.operate import load, load_summary
from experiments.operate.swarm import Strain
from loadtests import launch
from loadtests.shapes import SHAPES
from topologies import process
from topologies.waiting import wait_until

DOCUMENT: dict[str, Any] = {
    "stage": "3", "scenario": "mixed", "shape": None, "interrupted": False, "results_dir": "results/load",
    "requests": 3, "failures": 1, "duration_s": 2.0, "rps": 1.5, "p50_ms": 4.0, "p95_ms": 9.0, "p99_ms": 9.0,
    "max_ms": 9.0, "failed": {"http-503": 1},
    "names": [{"name": "GET /", "requests": 3, "failures": 1, "rps": 1.5, "p50_ms": 4.0, "p95_ms": 9.0,
               "p99_ms": 9.0, "max_ms": 9.0, "failed": {"http-503": 1}}],
    "served": [{"layer": "web server", "host": "web1", "answers": 3, "share": 1.0, "kinds": {"pages": 3}}],
    "doubts": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["9"], "invalid choice: '9'"),
        (["0", "--scenario", "dance"], "invalid choice: 'dance'"),
        (["0", "--shape", "zigzag"], "invalid choice: 'zigzag'"),
        (["0", "--users", "0"], "must be 1 to 500"),
        (["0", "--users", "501"], "must be 1 to 500"),
        (["0", "--users", "many"], "is not a number"),
        (["0", "--duration", "0"], "must be 1 to 3600"),
        (["0", "--duration", "3601"], "must be 1 to 3600"),
        (["0", "--workers", "-1"], "must be 0 to 8"),
        (["0", "--web", "--json"], "--json"),
        (["0", "--mode", "sideways"], "invalid choice"),
        (["0", "--firewall-off", "web"], "stage 0 has no firewall"),
        ([], "required: STAGE"),
        (["0", "--nonsense"], "--nonsense"),
    ],
)
def test_what_cannot_be_asked_for_is_a_usage_error_of_one_line(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        load.main(argv)
    assert left.value.code == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize(
    ("options", "users", "seconds"),
    [
        ({}, 20, 30),
        ({"users": 5, "duration": 7}, 5, 7),
        ({"shape": "spike"}, None, None),
        ({"shape": "spike", "users": 5, "duration": 7}, 5, 7),
        ({"web": True}, 20, None),
        ({"web": True, "duration": 7}, 20, 7),
    ],
)
def test_what_nobody_chose_has_a_default_where_the_shape_or_the_web_ui_do_not_say(
    options: dict[str, Any], users: int | None, seconds: int | None
) -> None:
    given = {"scenario": "mixed", "users": None, "duration": None, "shape": None, "web": False, "workers": 0}
    plan = load.plan_of(Namespace(**(given | options)))
    assert (plan.users, plan.seconds) == (users, seconds)


@pytest.mark.parametrize("users", [None, 1, 20, 500])
@pytest.mark.parametrize("shape", [None, *SHAPES])
def test_every_command_line_of_locust_is_bounded(users: int | None, shape: str | None) -> None:
    line = launch.swarm("mixed", host_url="https://x", users=users, seconds=9, shape=shape, record="locust")
    value = dict(pairwise(line))
    assert (value["--most-users"], value["--most-seconds"], value["--run-time"]) == ("500", "3600", "9s")
    assert value.get("--users") == (None if users is None else str(users))
    assert value.get("--shape") == shape
    if users is not None:
        assert 1 <= float(value["--spawn-rate"]) <= 100


def test_the_scenarios_that_can_be_asked_for_are_files() -> None:
    directory = Path(launch.__file__).parent
    assert {name for name in launch.SCENARIOS if (directory / f"{name}.py").exists()} == set(launch.SCENARIOS)


def test_a_token_is_in_no_command_line() -> None:
    assert "token" not in " ".join(launch.web("stage.json", "/run/stage-door"))


def test_the_end_is_told_in_tables(capsys: pytest.CaptureFixture[str]) -> None:
    load_summary.show(DOCUMENT)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert " ".join(lines[0]) == "mixed on stage 3: 3 requests in 2.0 s, 1 failed, p95 9.0 ms"
    assert ["GET", "/", "3", "1", "1.5", "4.00", "9.00", "9.00", "9.00"] in lines
    assert ["all", "3", "1", "1.5", "4.00", "9.00", "9.00", "9.00"] in lines
    assert ["web", "server", "web1", "3", "100.0%", "3"] in lines
    assert ["http-503", "1", "GET", "/"] in lines
    assert lines[-1] == ["results/load"]


def test_doubts_and_an_early_end_are_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {"requests": 0, "failures": 0, "names": [], "served": [], "failed": {}, "interrupted": True}
    load_summary.show({**DOCUMENT, **nothing, "doubts": ["locust used 90% of a core"]})
    out = capsys.readouterr().out
    assert "no request (cut short)" in out
    assert "doubtful: locust used 90% of a core" in out
    assert "p95 ms" not in out


def test_a_locust_that_works_too_hard_is_a_doubt(tmp_path: Path) -> None:
    busy = process.start(
        "locust", "client2", ["sh", "-c", "while :; do :; done"], tmp_path / "log", {"PATH": "/bin:/usr/bin"}
    )
    try:
        strain = Strain(busy, now_s=0.0)
        assert (strain.cpu, strain.waiting, strain.doubt()) == (0.0, 0.0, None)

        def works_hard() -> bool:
            strain.look(now_s=0.01)  # a hundredth of a second has passed, it is told
            return strain.doubt() is not None

        wait_until(works_hard, timeout_s=10, what="the process to work")
    finally:
        busy.kill()
    before = strain.cpu
    strain.look(now_s=0.01)
    assert strain.cpu == before, "what is gone keeps what was seen of it"


def test_an_idle_locust_is_no_doubt(tmp_path: Path) -> None:
    idle = process.start("locust", "client2", ["sleep", "5"], tmp_path / "log", {"PATH": "/bin:/usr/bin"})
    try:
        strain = Strain(idle, now_s=0.0)
        strain.look(now_s=100.0)
        assert strain.doubt() is None
    finally:
        idle.kill()
