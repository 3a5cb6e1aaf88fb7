"""Runs find one another through a registry that believes no dead supervisor; what is left over is swept."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from topologies import capsule, cgroup
from topologies.capsule import Passport, RunningCapsule
from topologies.cgroup import Hierarchy, Tree
from topologies.waiting import NotReady, wait_until


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "registry"
    directory.mkdir()
    monkeypatch.setattr(capsule, "REGISTRY", directory)
    return directory


@pytest.fixture
def hierarchy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hierarchy:
    """A fake one, and the only one that this machine seems to have."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "memory").mkdir()
    made = Hierarchy(1, tmp_path / "cpu", tmp_path / "memory")
    monkeypatch.setattr(cgroup, "find_hierarchy", lambda _mounts: made)
    return made


@pytest.fixture
def family() -> Iterator[subprocess.Popen[bytes]]:
    """A process with exactly one child, as unshare --fork is."""
    parent = subprocess.Popen(["sh", "-c", "sleep 60; :"], start_new_session=True)
    wait_until(lambda: capsule.only_child(parent.pid) is not None, timeout_s=5, what="the child")
    yield parent
    os.killpg(parent.pid, 9)
    parent.wait()


def enrol(registry: Path, run_id: str, **facts: object) -> Path:
    """The entry of a run of this very process, but for `facts`."""
    me = os.getpid()
    entry = {
        "run_id": run_id, "label": "failover-stage3", "results": "/r", "supervisor": me,
        "supervisor_started": capsule.start_ticks(me), "unshare": me, **facts,
    }  # fmt: skip
    path = registry / f"{run_id}.json"
    path.write_text(json.dumps(entry))
    return path


def ended() -> int:
    """The pid of a process that has lived and is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_run_whose_supervisor_lives_is_found(registry: Path, family: subprocess.Popen[bytes]) -> None:
    enrol(registry, "20250101-2", unshare=family.pid)
    enrol(registry, "20250101-1", unshare=family.pid)
    init = capsule.only_child(family.pid)
    assert init is not None
    assert capsule.running() == [
        RunningCapsule(run_id, "failover-stage3", "/r", os.getpid(), init)
        for run_id in ("20250101-1", "20250101-2")
    ]


def test_entries_of_dead_supervisors_are_not_believed(
    registry: Path, family: subprocess.Popen[bytes]
) -> None:
    enrol(registry, "dead", unshare=family.pid, supervisor=ended())
    started = capsule.start_ticks(os.getpid())
    assert started is not None
    enrol(registry, "pid-used-again", unshare=family.pid, supervisor_started=started - 1)
    enrol(registry, "capsule-gone", unshare=ended())
    (registry / "half-written.json").write_text('{"run_id": "ha')
    (registry / ".being-written").write_text("{}")
    assert capsule.running() == []


def test_no_registry_means_no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capsule, "REGISTRY", tmp_path / "never-made")
    assert capsule.running() == []


def test_a_registered_run_says_when_its_supervisor_started(
    registry: Path, family: subprocess.Popen[bytes]
) -> None:
    capsule._register(Passport("r1", "/results/r1", "up 3"), family.pid)
    (found,) = capsule.running()
    assert (found.run_id, found.label, found.results) == ("r1", "up 3", "/results/r1")
    assert [p.name for p in registry.iterdir()] == ["r1.json"]


def test_start_ticks_tell_a_process_from_the_next_one(family: subprocess.Popen[bytes]) -> None:
    mine = capsule.start_ticks(os.getpid())
    assert mine is not None
    assert mine == capsule.start_ticks(os.getpid())
    theirs = capsule.start_ticks(family.pid)
    assert theirs is not None
    assert theirs >= mine
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - theirs / os.sysconf("SC_CLK_TCK")
    assert 0 <= age_s < 30, "field 22 of /proc/PID/stat counts clock ticks since boot"
    assert capsule.start_ticks(ended()) is None
    assert capsule.only_child(ended()) is None


def test_stopping_a_run_waits_until_nothing_of_it_is_left(registry: Path) -> None:
    supervisor = subprocess.Popen(["sleep", "60"])
    entry = enrol(registry, "r1", supervisor=supervisor.pid)

    def clean_up() -> None:
        supervisor.wait()
        entry.unlink()

    thread = threading.Thread(target=clean_up)
    thread.start()
    capsule.stop(RunningCapsule("r1", "up 3", "/r", supervisor.pid, 1), timeout_s=5)
    thread.join(5)
    assert supervisor.returncode == -15
    assert not entry.exists()


def test_a_run_that_does_not_end_is_named(registry: Path) -> None:
    enrol(registry, "r1")
    with pytest.raises(NotReady, match="run r1 to end"):
        capsule.stop(RunningCapsule("r1", "up 3", "/r", ended(), 1), timeout_s=0.05)


def test_a_sweep_removes_this_run_and_no_other(registry: Path, hierarchy: Hierarchy) -> None:
    for run_id in ("r1", "r2"):
        enrol(registry, run_id)
        Tree(hierarchy, run_id).create()
        Tree(hierarchy, run_id).group("lb1")
    capsule.sweep(hierarchy, "r1")
    assert [p.name for p in registry.iterdir()] == ["r2.json"]
    assert [p.name for p in hierarchy.cpu.iterdir()] == ["testbed-r2"]
    capsule.sweep(hierarchy, "r2")
    assert not registry.exists()
    capsule.sweep(hierarchy, "r2")  # a second time does no harm


def test_stale_runs_are_swept_but_neither_living_nor_young_ones(
    registry: Path, hierarchy: Hierarchy, family: subprocess.Popen[bytes]
) -> None:
    enrol(registry, "alive", unshare=family.pid)
    enrol(registry, "young", supervisor=ended())
    enrol(registry, "stale", supervisor=ended())
    for run_id in ("alive", "young", "stale"):
        Tree(hierarchy, run_id).create()
    an_hour_ago = (registry / "young.json").stat().st_mtime - 3600
    for old in ("alive", "stale"):
        os.utime(registry / f"{old}.json", (an_hour_ago, an_hour_ago))
    capsule.sweep_stale()
    assert {p.stem for p in registry.iterdir()} == {"alive", "young"}
    assert {p.name for p in hierarchy.memory.iterdir()} == {"testbed-alive", "testbed-young"}


def test_a_run_inside_reads_the_passport_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TESTBED_CAPSULE", raising=False)
    assert Passport.read() is None
    passport = {"run_id": "r1", "results": "/r", "label": "up 3", "sockets": {"site": 5}}
    monkeypatch.setenv("TESTBED_CAPSULE", json.dumps(passport))
    assert Passport.read() == Passport("r1", "/r", "up 3", {"site": 5})


def test_what_is_run_inside_another_capsule_enters_all_its_namespaces() -> None:
    line = capsule.inside(RunningCapsule("r1", "up 3", "/r", 1, 4711), ["ip", "link"])
    assert line[:3] == ["nsenter", "--target", "4711"]
    assert {"--net", "--mount", "--pid", "--uts"} <= set(line)
    assert line[-3:] == ["--", "ip", "link"]
