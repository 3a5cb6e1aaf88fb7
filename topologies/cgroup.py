"""Every host has a budget: its "instance size". Written directly, for cgroup v1 and v2 alike.

    v1  /sys/fs/cgroup/cpu/testbed-RUN/lb1, /sys/fs/cgroup/memory/testbed-RUN/lb1 …   (cpuacct, where apart)
    v2  /sys/fs/cgroup/testbed-RUN/lb1

CPULimitedHost is not used: it needs cgroup-tools, v1 only, names groups after hosts (so that two runs
collide) and leaks directories. The period is 10 ms: with the kernel's default of 100 ms a request that meets
the quota waits up to 90 ms, and latency would show the throttle instead of the daemon.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from topologies.waiting import CannotEmulate, NotReady

PERIOD_US = 10_000
LEAST_QUOTA_US = 1_000
PREFIX = "testbed-"


@dataclass(frozen=True)
class Hierarchy:
    """Where this machine keeps its groups. v2: one directory for both; v1: one per controller.

    `accounting`: where v1 counts CPU time (cpuacct), if that is mounted apart from cpu.
    """

    version: int
    cpu: Path
    memory: Path
    accounting: Path | None = None

    @property
    def roots(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((self.cpu, self.memory, self.accounting or self.cpu)))


def find_hierarchy(mounts: str) -> Hierarchy:
    """Read /proc/mounts. Raises CannotEmulate when neither version offers cpu and memory."""
    v1: dict[str, Path] = {}
    v2: list[Path] = []
    for line in mounts.splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup":
            for controller in ("cpu", "memory", "cpuacct"):
                if controller in options.split(","):
                    v1.setdefault(controller, Path(where))
        elif kind == "cgroup2":
            v2.append(Path(where))
    if {"cpu", "memory"} <= v1.keys():
        accounting = v1.get("cpuacct")
        return Hierarchy(1, v1["cpu"], v1["memory"], None if accounting == v1["cpu"] else accounting)
    for root in v2:
        if {"cpu", "memory"} <= set((root / "cgroup.controllers").read_text().split()):
            return Hierarchy(2, root, root)
    raise CannotEmulate(
        "no cgroup hierarchy with cpu and memory is mounted; mount cgroup2 on /sys/fs/cgroup (systemd does)"
    )


@dataclass(frozen=True)
class Group:
    """One host's group in every hierarchy."""

    version: int
    cpu: Path
    memory: Path
    accounting: Path | None = None

    @property
    def directories(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys((self.cpu, self.memory, self.accounting or self.cpu)))

    @property
    def entry_files(self) -> list[str]:
        """Writing 0 to these moves the writer, and so what it executes, into the group."""
        return [str(d / "cgroup.procs") for d in self.directories]

    def limit_cpu(self, cores: float | None) -> None:
        """Give the group `cores` of CPU time (0.25 = a quarter of one core), or None for no limit."""
        # The kernel takes no quota below 1 ms, so less than a tenth of a core needs a longer period.
        period_us = PERIOD_US if cores is None else max(PERIOD_US, round(LEAST_QUOTA_US / cores))
        quota_us = None if cores is None else max(LEAST_QUOTA_US, round(cores * period_us))
        if self.version == 2:
            (self.cpu / "cpu.max").write_text(f"{'max' if quota_us is None else quota_us} {period_us}")
        else:
            (self.cpu / "cpu.cfs_period_us").write_text(str(period_us))
            (self.cpu / "cpu.cfs_quota_us").write_text(str(-1 if quota_us is None else quota_us))

    def cpu_limit(self) -> float | None:
        """The limit as the kernel has it, in cores; None when there is none."""
        if self.version == 2:
            quota, period = (self.cpu / "cpu.max").read_text().split()
            return None if quota == "max" else int(quota) / int(period)
        quota_us = int((self.cpu / "cpu.cfs_quota_us").read_text())
        return None if quota_us < 0 else quota_us / int((self.cpu / "cpu.cfs_period_us").read_text())

    def limit_memory(self, megabytes: int) -> None:
        name = "memory.max" if self.version == 2 else "memory.limit_in_bytes"
        (self.memory / name).write_text(str(megabytes << 20))

    def prefer(self) -> None:
        """Let this group's tasks run before others on a busy machine: an instrument must not wait."""
        if self.version == 2:
            (self.cpu / "cpu.weight").write_text("1000")
        else:
            (self.cpu / "cpu.shares").write_text("10240")

    def throttled_s(self) -> float:
        """Seconds its tasks were held back by the quota so far."""
        stat = dict(line.split() for line in (self.cpu / "cpu.stat").read_text().splitlines())
        return int(stat["throttled_usec"]) / 1e6 if self.version == 2 else int(stat["throttled_time"]) / 1e9

    def used_s(self) -> float:
        """Seconds of CPU time its tasks have used so far, all cores together."""
        if self.version == 2:
            stat = dict(line.split() for line in (self.cpu / "cpu.stat").read_text().splitlines())
            return int(stat["usage_usec"]) / 1e6
        return int(((self.accounting or self.cpu) / "cpuacct.usage").read_text()) / 1e9

    def pids(self) -> list[int]:
        """As this PID namespace counts. A process of another one reads as 0, and kill(0) would be suicide."""
        return [pid for text in (self.cpu / "cgroup.procs").read_text().split() if (pid := int(text))]

    def kill(self, timeout_s: float = 5.0) -> None:
        """SIGKILL everything in the group, again until nothing is left. Raises NotReady."""
        deadline = time.monotonic() + timeout_s
        while pids := self.pids():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if time.monotonic() > deadline:
                raise NotReady(f"processes {pids} survived SIGKILL for {timeout_s:g} s")
            time.sleep(0.002)


class Tree:
    """All groups of one run, under one directory named after it."""

    def __init__(self, hierarchy: Hierarchy, run_id: str) -> None:
        self._hierarchy = hierarchy
        self._name = PREFIX + run_id

    def create(self) -> None:
        """Raises CannotEmulate when the groups cannot be made."""
        try:
            for root in self._hierarchy.roots:
                self._delegate(root)
                (root / self._name).mkdir()
                self._delegate(root / self._name)
        except OSError as error:
            raise CannotEmulate(
                f"cannot make cgroups ({error}); run as root, outside an unprivileged container"
            ) from error

    def group(self, host: str) -> Group:
        group = Group(
            self._hierarchy.version,
            self._hierarchy.cpu / self._name / host,
            self._hierarchy.memory / self._name / host,
            self._hierarchy.accounting and self._hierarchy.accounting / self._name / host,
        )
        for directory in group.directories:
            directory.mkdir(exist_ok=True)
        return group

    def _delegate(self, directory: Path) -> None:
        """v2 only: children may have cpu and memory limits. Writes nothing that is so already."""
        if self._hierarchy.version == 2:
            control = directory / "cgroup.subtree_control"
            missing = {"cpu", "memory"} - set(control.read_text().split())
            if missing:
                control.write_text(" ".join(f"+{name}" for name in sorted(missing)))


def remove(hierarchy: Hierarchy, run_id: str, timeout_s: float = 5.0) -> None:
    """Remove the run's directories, waiting for its last processes to be reaped. Raises NotReady."""
    deadline = time.monotonic() + timeout_s
    for root in hierarchy.roots:
        for directory in _innermost_first(root / f"{PREFIX}{run_id}"):
            while True:
                try:
                    directory.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError as busy:  # a killed process not reaped yet keeps its group busy
                    if time.monotonic() > deadline:
                        raise NotReady(f"{directory} is still in use after {timeout_s:g} s") from busy
                    time.sleep(0.01)


def _innermost_first(top: Path) -> Iterator[Path]:
    if top.is_dir():
        for child in _directories(top):
            yield from _innermost_first(child)
        yield top


def _directories(top: Path) -> Iterable[Path]:
    return [child for child in top.iterdir() if child.is_dir()]
