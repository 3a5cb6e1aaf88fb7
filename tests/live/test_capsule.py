"""Kill any process of a run with -9: within seconds nothing of it is left, and the machine is as it was.

supervisor ─► unshare ─► tini ─► the run ─► daemons        each of them is a victim once
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.left import Traces, machine
from tests.live.test_operate import ROOT, TESTBED, command, up
from topologies import capsule
from topologies.capsule import RunningCapsule, only_child
from topologies.waiting import wait_until

pytestmark = pytest.mark.live


def run_of(process: subprocess.Popen[str]) -> RunningCapsule:
    (run,) = (run for run in capsule.running() if run.supervisor == process.pid)
    return run


def unshare_of(run: RunningCapsule) -> int:
    entry = json.loads((capsule.REGISTRY / f"{run.run_id}.json").read_text())
    return int(entry["unshare"])


def inner_of(run: RunningCapsule) -> int:
    """The run inside: the one child of the capsule's PID 1."""
    inner = only_child(run.init)
    assert inner is not None
    return inner


VICTIMS: dict[str, Callable[[RunningCapsule], int]] = {
    "supervisor": lambda run: run.supervisor,
    "unshare": unshare_of,
    "tini": lambda run: run.init,
    "python": inner_of,
}


@pytest.mark.parametrize("victim", VICTIMS)
def test_whoever_is_killed_nothing_of_the_run_is_left(victim: str, tmp_path: Path) -> None:
    before = machine()
    with up(tmp_path, "0", "--no-cli", "--quiet") as (process, _):
        run = run_of(process)
        traces, pid = Traces.of(run), VICTIMS[victim](run)
        said = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        assert {"supervisor": "experiments", "python": "experiments"}.get(victim, victim) in said
        assert len(traces.left()) > 5  # the detector sees a run while there is one
        during = machine()
        os.kill(pid, signal.SIGKILL)
        process.wait(5)
        wait_until(lambda: not traces.left(), timeout_s=5, what=f"the run to be gone after {victim}'s death")
    assert during == before
    assert machine() == before


@pytest.mark.parametrize(("daemon", "mark"), [("mysql", b"mariadbd"), ("gunicorn", b"gunicorn")])
def test_a_killed_daemon_leaves_no_process_and_down_ends_the_rest(
    daemon: str, mark: bytes, tmp_path: Path
) -> None:
    with up(tmp_path, "0", "--no-cli", "--quiet") as (process, found):
        run = run_of(process)
        traces = Traces.of(run)

        def alive() -> list[int]:
            return [
                pid
                for pid in map(int, (e.split()[1] for e in traces.left() if e.startswith("process")))
                if mark in Path(f"/proc/{pid}/cmdline").read_bytes()
            ]

        assert alive()
        os.kill(found["hosts"]["server1"]["daemons"][daemon]["pid"], signal.SIGKILL)
        wait_until(lambda: not alive(), timeout_s=5, what=f"{daemon} to be gone")
        assert process.poll() is None  # the stage lives on without it
        assert command("down", "--run", run.run_id).returncode == 0
        wait_until(lambda: not traces.left(), timeout_s=5, what="the run to be gone")


@pytest.mark.slow
def test_an_interrupted_failover_keeps_what_it_measured_and_leaves_nothing(tmp_path: Path) -> None:
    before = machine()
    said = tmp_path / "stderr"
    with said.open("w") as stderr:
        process = subprocess.Popen(
            [
                *TESTBED, "failover", "--repeat", "9", "--users", "0", "--rate", "20", "--advert-int", "0.1",
                "--results", str(tmp_path / "results"),
            ],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, text=True,
        )  # fmt: skip
    try:

        def first_trial_done() -> bool:
            assert process.poll() is None, said.read_text()
            return re.search(r"trial 1: .*→", said.read_text()) is not None  # its outcome

        wait_until(first_trial_done, timeout_s=60, what="the first trial to end", interval_s=0.1)
        traces = Traces.of(run_of(process))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait(5)
    wait_until(lambda: not traces.left(), timeout_s=5, what="the run to be gone")
    (kept,) = (tmp_path / "results").glob("failover-stage3/*/result.json")
    document = json.loads(kept.read_text())
    assert document["verdict"] == "inconclusive"
    assert len(document["trials"]) >= 1
    assert machine() == before
