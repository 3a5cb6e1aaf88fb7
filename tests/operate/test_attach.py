"""Which run is meant, and what a process is said to be doing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.operate import attach
from experiments.operate.attach import Refused, answering, choose, daemon_state
from topologies import capsule
from topologies.capsule import RunningCapsule
from topologies.waiting import NotReady, wait_until

OLD = RunningCapsule("20261124-002053-6a91", "up-stage0", "/results/old", 10, 11)
NEW = RunningCapsule("20261124-003011-e4d3", "up-stage3", "/results/new", 20, 21)


def test_the_newest_run_is_meant_when_nobody_says_which() -> None:
    assert choose([OLD, NEW], None) == NEW


@pytest.mark.parametrize("said", ["20261124-002053-6a91", "6a91"])
def test_a_run_is_named_by_its_id_or_the_last_part_of_it(said: str) -> None:
    assert choose([OLD, NEW], said) == OLD


def test_an_unknown_run_is_a_usage_error_that_names_those_alive() -> None:
    with pytest.raises(Refused, match=r"6a91.*e4d3") as refused:
        choose([OLD, NEW], "1")
    assert refused.value.status == 2


def test_with_nothing_running_the_answer_is_how_to_start_something() -> None:
    with pytest.raises(Refused, match=r"nothing is running; start one with: sudo \./testbed up 3") as refused:
        choose([], None)
    assert refused.value.status == 3


TOLD = {"pid": 7, "started": 1000, "stopped": False}


@pytest.mark.parametrize(
    ("told", "stat", "state"),
    [
        (TOLD, ("S", 1000), "running"),
        (TOLD, ("R", 1000), "running"),
        (TOLD, ("T", 1000), "paused"),
        (TOLD, ("Z", 1000), "dead"),
        (TOLD, None, "dead"),
        (TOLD, ("S", 2000), "dead"),  # the pid is somebody else's now
        ({**TOLD, "stopped": True}, None, "stopped"),
        ({"pid": None, "started": None, "stopped": True}, None, "stopped"),
    ],
)
def test_a_daemon_is_running_paused_stopped_or_dead(
    told: dict[str, object], stat: tuple[str, int] | None, state: str
) -> None:
    assert daemon_state(told, stat) == state


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_real_process_goes_from_running_to_paused_to_dead(sleeper: subprocess.Popen[bytes]) -> None:
    told = {"pid": sleeper.pid, "started": capsule.start_ticks(sleeper.pid), "stopped": False}

    def state() -> str:
        return daemon_state(told, attach._stat(sleeper.pid))

    assert state() == "running"
    sleeper.send_signal(signal.SIGSTOP)
    wait_until(lambda: state() == "paused", timeout_s=5, what="the process to stop")
    sleeper.send_signal(signal.SIGKILL)
    wait_until(lambda: state() == "dead", timeout_s=5, what="the process to die")


def test_what_is_refused_is_one_line_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> int:
        raise Refused(2, "no such host")

    assert answering("exec", refuse) == 2
    assert capsys.readouterr() == ("", "exec: no such host\n")


def test_a_wait_that_ran_out_is_one_line_not_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def wait() -> int:
        raise NotReady("waited 30 s for run 1 to end")

    assert answering("down", wait) == 3
    assert capsys.readouterr().err == "down: waited 30 s for run 1 to end\n"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    root = Path(__file__).resolve().parents[2]
    flows = f"{sys.executable} -P -m experiments flows 3; echo status=$? >&2"
    done = subprocess.run(
        ["sh", "-c", f"({flows}) | true"], cwd=root, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stderr == "status=0\n"


@pytest.mark.parametrize("verb", ["ps", "down", "exec"])
def test_without_root_the_remedy_is_the_same_command_with_sudo(
    verb: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    argv = ["client1", "--", "true"] if verb == "exec" else []
    assert importlib.import_module(f"experiments.operate.{verb}").main(argv) == 3
    assert f"needs root; run: sudo ./testbed {' '.join([verb, *argv])}" in capsys.readouterr().err
