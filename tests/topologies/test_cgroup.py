"""A budget is what the kernel's own files say, for cgroup v1 and v2, on directories that look like theirs."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from topologies import cgroup
from topologies.cgroup import Group, Hierarchy, Tree, find_hierarchy, remove
from topologies.waiting import CannotEmulate, NotReady

V1 = """\
tmpfs /sys/fs/cgroup tmpfs ro,nosuid,nodev,noexec,mode=755 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,nosuid,nodev,noexec,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/cpuset cgroup rw,relatime,cpuset 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,nosuid,memory 0 0
"""
V1_ROOTS = Hierarchy(1, Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup/memory"))


def v2(root: Path, controllers: str) -> str:
    """The mount table of a machine with cgroup2 at `root`, where these controllers are."""
    root.mkdir(parents=True)
    (root / "cgroup.controllers").write_text(controllers)
    return f"proc /proc proc rw 0 0\ncgroup2 {root} cgroup2 rw,nosuid,nsdelegate,memory_recursiveprot 0 0\n"


# -- where groups are --------------------------------------------------------------------------------


def test_v1_is_found_by_its_controllers() -> None:
    assert find_hierarchy(V1) == V1_ROOTS
    assert V1_ROOTS.roots == (V1_ROOTS.cpu, V1_ROOTS.memory)


def test_v2_is_one_directory_for_both(tmp_path: Path) -> None:
    found = find_hierarchy(v2(tmp_path / "cgroup", "cpuset cpu io memory pids\n"))
    assert found == Hierarchy(2, tmp_path / "cgroup", tmp_path / "cgroup")
    assert found.roots == (tmp_path / "cgroup",)


def test_on_a_hybrid_machine_the_version_that_has_both_controllers_counts(tmp_path: Path) -> None:
    assert find_hierarchy(V1 + v2(tmp_path / "unified", "\n")) == V1_ROOTS
    little = "cgroup /sys/fs/cgroup/net_cls cgroup rw,net_cls,net_prio 0 0\n"
    assert find_hierarchy(little + v2(tmp_path / "whole", "cpu memory")).version == 2


@pytest.mark.parametrize(
    "mounts",
    ["", "proc /proc proc rw 0 0\n", "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\n"],
)
def test_a_machine_without_both_controllers_is_told_what_to_mount(mounts: str) -> None:
    with pytest.raises(CannotEmulate, match="mount cgroup2"):
        find_hierarchy(mounts)


def test_v2_without_the_cpu_controller_does_not_count(tmp_path: Path) -> None:
    with pytest.raises(CannotEmulate):
        find_hierarchy(v2(tmp_path / "cgroup", "memory pids cpuset"))


# -- limits ------------------------------------------------------------------------------------------


def group(version: int, top: Path) -> Group:
    made = Group(version, top / "cpu", top / ("memory" if version == 1 else "cpu"))
    for directory in made.directories:
        directory.mkdir()
    return made


def files(made: Group) -> dict[str, str]:
    return {p.name: p.read_text() for d in made.directories for p in d.iterdir()}


@pytest.mark.parametrize(
    ("cores", "quota", "period"),
    [(0.25, "2500", "10000"), (1.0, "10000", "10000"), (2.5, "25000", "10000"), (0.05, "1000", "20000")],
)
def test_a_cpu_limit_is_quota_over_a_short_period(
    cores: float, quota: str, period: str, tmp_path: Path
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    old, new = group(1, tmp_path / "1"), group(2, tmp_path / "2")
    old.limit_cpu(cores)
    new.limit_cpu(cores)
    assert files(old) == {"cpu.cfs_period_us": period, "cpu.cfs_quota_us": quota}
    assert files(new) == {"cpu.max": f"{quota} {period}"}
    assert old.cpu_limit() == new.cpu_limit() == cores


def test_no_limit_is_said_in_each_versions_own_way(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    old, new = group(1, tmp_path / "1"), group(2, tmp_path / "2")
    old.limit_cpu(None)
    new.limit_cpu(None)
    assert files(old)["cpu.cfs_quota_us"] == "-1"
    assert files(new) == {"cpu.max": "max 10000"}
    assert old.cpu_limit() is None
    assert new.cpu_limit() is None


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (1, {"memory.limit_in_bytes": "805306368", "cpu.shares": "10240"}),
        (2, {"memory.max": "805306368", "cpu.weight": "1000"}),
    ],
)
def test_memory_is_written_in_bytes_and_preference_as_a_weight(
    version: int, expected: dict[str, str], tmp_path: Path
) -> None:
    made = group(version, tmp_path)
    made.limit_memory(768)
    made.prefer()
    assert files(made) == expected
    assert made.entry_files == [str(d / "cgroup.procs") for d in made.directories]


@pytest.mark.parametrize(
    ("version", "stat"),
    [
        (1, "nr_periods 9\nnr_throttled 3\nthrottled_time 1500000000\n"),
        (2, "usage_usec 7\nnr_throttled 3\nthrottled_usec 1500000\n"),
    ],
)
def test_time_held_back_is_in_seconds_whatever_the_kernels_unit(
    version: int, stat: str, tmp_path: Path
) -> None:
    made = group(version, tmp_path)
    (made.cpu / "cpu.stat").write_text(stat)
    assert made.throttled_s() == 1.5


# -- the end of a group ------------------------------------------------------------------------------


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [subprocess.Popen(["sleep", "60"]) for _ in range(3)]
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("version", [1, 2])
def test_kill_goes_on_until_nothing_is_left_of_what_keeps_forking(
    version: int, tmp_path: Path, sleepers: list[subprocess.Popen[bytes]]
) -> None:
    made = group(version, tmp_path)
    procs = made.cpu / "cgroup.procs"
    procs.write_text(f"{sleepers[0].pid}\n")

    def as_the_kernel() -> None:
        for dying, born in zip(sleepers, [*sleepers[1:], None], strict=True):
            dying.wait()
            fresh = procs.with_name("fresh")
            fresh.write_text(f"{born.pid}\n" if born else "")
            fresh.rename(procs)

    kernel = threading.Thread(target=as_the_kernel)
    kernel.start()
    made.kill(timeout_s=5)
    kernel.join(5)
    assert [s.returncode for s in sleepers] == [-signal.SIGKILL] * 3


def test_what_survives_is_named_after_the_deadline(
    tmp_path: Path, sleepers: list[subprocess.Popen[bytes]]
) -> None:
    made = group(2, tmp_path)
    (made.cpu / "cgroup.procs").write_text(f"{sleepers[0].pid}\n")  # and it never goes away
    with pytest.raises(NotReady, match=rf"\[{sleepers[0].pid}\] survived SIGKILL"):
        made.kill(timeout_s=0.05)
    assert sleepers[0].wait(5) == -signal.SIGKILL
    assert sleepers[1].poll() is None


# -- the tree of a run -------------------------------------------------------------------------------


@pytest.fixture
def old_machine(tmp_path: Path) -> Hierarchy:
    for name in ("cpu", "memory"):
        (tmp_path / name / "somebody-elses").mkdir(parents=True)
    return Hierarchy(1, tmp_path / "cpu", tmp_path / "memory")


def below(hierarchy: Hierarchy) -> set[str]:
    return {str(p.relative_to(r)) for r in hierarchy.roots for p in r.rglob("*")}


def test_a_run_has_one_directory_per_hierarchy_and_leaves_none(old_machine: Hierarchy) -> None:
    tree = Tree(old_machine, "r1")
    tree.create()
    Tree(old_machine, "r2").create()
    assert tree.group("lb1").directories == tuple(r / "testbed-r1" / "lb1" for r in old_machine.roots)
    tree.group("lb2")
    assert below(old_machine) == {
        "somebody-elses",
        "testbed-r1",
        "testbed-r1/lb1",
        "testbed-r1/lb2",
        "testbed-r2",
    }
    remove(old_machine, "r1")
    assert below(old_machine) == {"somebody-elses", "testbed-r2"}
    remove(old_machine, "r1")  # a second time does no harm


def test_a_group_in_use_is_named_after_the_deadline(old_machine: Hierarchy) -> None:
    tree = Tree(old_machine, "r1")
    tree.create()
    (tree.group("lb1").cpu / "busy").touch()
    with pytest.raises(NotReady, match="testbed-r1/lb1 is still in use"):
        remove(old_machine, "r1", timeout_s=0.03)


def test_two_runs_cannot_share_a_directory(old_machine: Hierarchy) -> None:
    Tree(old_machine, "r1").create()
    with pytest.raises(CannotEmulate, match="cannot make cgroups"):
        Tree(old_machine, "r1").create()


def test_v2_hands_the_controllers_down_and_writes_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cgroup.subtree_control").write_text("memory pids")
    make = Path.mkdir

    def mkdir(self: Path, *args: object, **how: object) -> None:
        make(self, *args, **how)  # type: ignore[arg-type]  # whatever cgroup.py gives
        (self / "cgroup.subtree_control").write_text("cpu memory")  # as the kernel would, handed down already

    monkeypatch.setattr(Path, "mkdir", mkdir)
    Tree(Hierarchy(2, tmp_path, tmp_path), "r1").create()
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"
    assert (tmp_path / f"{cgroup.PREFIX}r1" / "cgroup.subtree_control").read_text() == "cpu memory"
