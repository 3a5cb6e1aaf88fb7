"""What this machine can emulate: kernel, programs, sizes, and what else goes on at the moment.

    Check(name, ok | limited | missing | unchecked, what was found, one fix)

limited: the stages run, and `found` says what does not work.  missing: they do not run.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from experiments.harness import run as runs
from experiments.harness.run import VENV
from experiments.operate import kernel
from experiments.operate.kernel import AS_ROOT, SETUP, Check
from topologies import capsule, cgroup
from topologies.stage import GENERATOR_CORES
from topologies.stages import STAGES
from topologies.waiting import CannotEmulate


def examine(results: Path) -> Iterator[Check]:
    """Every check, in the order of what depends on what. Without root it says what it could not try."""
    root = os.geteuid() == 0
    yield (
        Check("root", "ok", "yes")
        if root
        else Check("root", "missing", "no: stages need it to make namespaces and cgroups", AS_ROOT)
    )
    namespaces = kernel.namespaces_work(root)
    yield namespaces
    for feature in kernel.FEATURES:
        yield kernel.try_feature(feature, root, namespaces.state == "ok")
    yield kernel.quotas_hold(root)
    yield from _programs()
    yield _python()
    yield _cores()
    yield _memory(Path("/proc/meminfo").read_text())
    yield _disk(results)
    yield _other_runs()
    yield _bridge_filter(Path("/proc/sys/net/bridge/bridge-nf-call-iptables"))
    yield _pressure(Path("/proc/pressure/cpu"))


# -- programs -------------------------------------------------------------------------------------------


def _programs() -> Iterator[Check]:
    tools = ("unshare", "setpriv", "nsenter", "tini", "mnexec", "brctl", "ip", "tc", "curl", "dig", "tcpdump")
    lacking = [tool for tool in tools if shutil.which(tool, path=f"{os.defpath}:/usr/sbin:/sbin") is None]
    yield (
        Check("tools", "missing", f"not installed: {', '.join(lacking)}", SETUP)
        if lacking
        else Check("tools", "ok", ", ".join(tools))
    )
    said = runs.versions()
    declared = [s for stage in STAGES.values() for there in stage().declared.values() for s in there]
    for name in sorted({service.name for service in declared if service.package}):
        found = re.search(r"\d+\.\d+[\w.+~-]*", said.get(name, ""))
        yield Check(name, "ok", found[0]) if found else Check(name, "missing", "not installed", SETUP)


def _python() -> Check:
    lacking = [
        name for name in ("mininet", "gunicorn", "flask", "locust") if importlib.util.find_spec(name) is None
    ]
    if lacking or not (VENV / "ready").exists():
        return Check("Python", "missing", f"{VENV} lacks {', '.join(lacking) or 'its stamp'}", SETUP)
    return Check("Python", "ok", f"{platform.python_version()} in {VENV}")


# -- sizes ----------------------------------------------------------------------------------------------


def _cores() -> Check:
    cores = os.cpu_count() or 1
    parts = []
    for number, declared in sorted(STAGES.items()):
        stage = declared()
        budgets = sorted(stage.cores_of(server, cores) for server in stage.servers)
        low, high = f"{budgets[0]:.2f}", f"{budgets[-1]:.2f}"
        parts.append(f"stage {number}: {low if low == high else f'{low} to {high}'} per server")
    found = f"{cores}; {GENERATOR_CORES:g} for the generator; {'; '.join(parts)}"
    if cores < 2:
        return Check(
            "cores", "limited", f"{found}: verdicts will often be inconclusive", "use two or more cores"
        )
    return Check("cores", "ok", found)


def _memory(meminfo: str) -> Check:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo, re.MULTILINE)
    if found is None:
        return Check("memory", "unchecked", "/proc/meminfo does not say", "look with: free -m")
    megabytes = int(found[1]) >> 10
    if megabytes < 1500:
        return Check(
            "memory", "limited", f"{megabytes} MB available; stage 3 may run out of it", "end other programs"
        )
    return Check("memory", "ok", f"{megabytes} MB available")


def _disk(results: Path) -> Check:
    there = next(path for path in (results, *results.parents) if path.exists())
    megabytes = shutil.disk_usage(there).free >> 20
    if megabytes < 100:
        return Check("disk", "missing", f"{megabytes} MB free in {there}", "free some, or use --results DIR")
    if megabytes < 1000:
        return Check(
            "disk", "limited", f"{megabytes} MB free in {there}; a long run may fill it", "use --results DIR"
        )
    return Check("disk", "ok", f"{megabytes >> 10} GB free in {there}")


# -- the moment -----------------------------------------------------------------------------------------


def _other_runs() -> Check:
    alive = capsule.running()
    ids = {run.run_id for run in alive}
    stale = {entry.stem for entry in capsule.REGISTRY.glob("*.json")} - ids
    try:
        roots = cgroup.find_hierarchy(Path("/proc/mounts").read_text()).roots
    except CannotEmulate:
        roots = ()
    groups = [
        path
        for top in roots
        for path in top.glob(f"{cgroup.PREFIX}*")
        if path.name.removeprefix(cgroup.PREFIX) not in ids
    ]
    if stale:
        return Check(
            "other runs", "limited", f"left behind: {', '.join(sorted(stale))}", "the next run removes it"
        )
    if groups:
        left = " ".join(map(str, groups))
        return Check("other runs", "limited", f"left behind: {left}", f"find {left} -depth -type d -delete")
    if alive:
        labels = ", ".join(f"{run.label} ({run.run_id})" for run in alive)
        return Check(
            "other runs", "limited", f"{labels}: measurements at the same time disturb each other",
            "sudo ./testbed down",
        )  # fmt: skip
    return Check("other runs", "ok", "none")


def _bridge_filter(setting: Path) -> Check:
    """Docker's bridge filter drops frames on the machine's own bridges; a capsule has tables of its own."""
    value = setting.read_text().strip() if setting.exists() else "absent"
    return Check("bridge-nf", "ok", f"bridge-nf-call-iptables {value}; does not reach into a capsule")


def _pressure(cpu: Path) -> Check:
    if not cpu.exists():
        return Check(
            "pressure", "limited", "the kernel does not say when processors are short", "boot with psi=1"
        )
    found = re.search(r"avg10=([\d.]+)", cpu.read_text())
    waiting = float(found[1]) if found else 0.0
    if waiting > 20:
        return Check(
            "pressure",
            "limited",
            f"tasks waited for a CPU {waiting:g}% of the last 10 s",
            "end other programs",
        )
    return Check("pressure", "ok", f"tasks waited for a CPU {waiting:g}% of the last 10 s")
