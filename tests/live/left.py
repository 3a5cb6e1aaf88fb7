"""What a run leaves on the machine, and what of the machine a run might change, as comparable values."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from topologies import capsule, cgroup
from topologies.capsule import RunningCapsule

_CHANGES_BY_ITSELF = ("valid_life_time", "preferred_life_time")


@dataclass(frozen=True)
class Traces:
    """How to recognise everything of one run, from whatever is left of it."""

    run_id: str
    results: str
    pid_namespace: str

    @classmethod
    def of(cls, run: RunningCapsule) -> Traces:
        return cls(run.run_id, run.results, str(Path(f"/proc/{run.init}/ns/pid").readlink()))

    def left(self) -> list[str]:
        """Processes, cgroup directories, registry entries and mounts of the run."""
        roots = cgroup.find_hierarchy(Path("/proc/mounts").read_text()).roots
        groups = [str(path) for root in roots for path in root.glob(f"testbed-{self.run_id}")]
        entries = [str(path) for path in capsule.REGISTRY.glob("*") if self.run_id in path.name]
        mounts = [line for line in mountinfo() if self.run_id in line]
        return [*groups, *entries, *mounts, *(f"process {pid}" for pid in self._processes())]

    def _processes(self) -> Iterator[int]:
        marks = (self.run_id.encode(), os.fsencode(Path(self.results).parents[1]))
        for pid in pids():
            with contextlib.suppress(OSError):  # it ended while we looked
                said = Path(f"/proc/{pid}/cmdline").read_bytes()
                namespace = str(Path(f"/proc/{pid}/ns/pid").readlink())
                mine = namespace == self.pid_namespace or any(mark in said for mark in marks)
                if mine and pid != os.getpid():
                    yield pid


def pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def mountinfo() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def machine() -> dict[str, Any]:
    """Network, firewall, forwarding, mounts and /etc of the machine: equal snapshots, untouched machine."""
    seen: dict[str, Any] = {
        " ".join(line): _said(line)
        for line in (
            ["ip", "-j", "link"],
            ["ip", "-j", "route", "show", "table", "all"],
            ["ip", "-j", "rule"],
            ["ip", "route", "get", "8.8.8.8"],
            ["nft", "list", "ruleset"],
            ["ip", "-j", "link", "show", "type", "bridge"],
        )
    }
    seen["addresses"] = _without(json.loads(_said(["ip", "-j", "addr"])[1] or "[]"), _CHANGES_BY_ITSELF)
    for key in ("ip_forward", "ip_nonlocal_bind"):
        seen[key] = Path(f"/proc/sys/net/ipv4/{key}").read_text()
    seen["mounts"] = sorted(mountinfo())
    seen["/etc"] = etc()
    return seen


def etc() -> dict[str, tuple[int, int]]:
    """Path → time of the last change in ns, size in bytes."""
    found = {}
    for path in Path("/etc").rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            stat = path.lstat()
            found[str(path)] = (stat.st_mtime_ns, stat.st_size)
    return found


def _said(line: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(line, capture_output=True, text=True, timeout=10, check=False)
    return done.returncode, done.stdout, done.stderr


def _without(value: Any, keys: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {k: _without(v, keys) for k, v in value.items() if k not in keys}
    return [_without(v, keys) for v in value] if isinstance(value, list) else value
