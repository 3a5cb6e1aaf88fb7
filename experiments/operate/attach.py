"""From another terminal: which run is meant, and what is going on inside it now.

registry ──► run ──► /proc/INIT/root/run/state.json      what the testbed started
               └───► /proc/*/status, /proc/*/stat, ip     what the kernel says of it now
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from experiments.harness.model import EXIT_CANNOT, EXIT_INTERRUPTED, EXIT_USAGE
from topologies import capsule
from topologies.capsule import RunningCapsule
from topologies.waiting import TestbedError

Facts = dict[str, Any]


class Refused(Exception):
    """Raised when a command cannot do what was asked: the exit status, and one line that says why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def answering(verb: str, work: Callable[[], int]) -> int:
    """The exit status of `work`; what it refuses is one line on standard error."""
    try:
        status = work()
        sys.stdout.flush()
        return status
    except Refused as refused:
        print(f"{verb}: {refused}", file=sys.stderr)
        return refused.status
    except TestbedError as error:
        print(f"{verb}: {error}", file=sys.stderr)
        return EXIT_CANNOT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `ps | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def require_root(command: str) -> None:
    if os.geteuid() != 0:
        raise Refused(EXIT_CANNOT, f"needs root; run: sudo ./testbed {command}")


def choose(runs: list[RunningCapsule], run_id: str | None) -> RunningCapsule:
    """The newest of these runs, or the one whose id is, or ends in, `run_id`. Raises Refused."""
    if not runs:
        raise Refused(EXIT_CANNOT, "nothing is running; start one with: sudo ./testbed up 3")
    if run_id is None:
        return runs[-1]
    for run in runs:
        if run.run_id == run_id or run.run_id.endswith(f"-{run_id}"):
            return run
    raise Refused(
        EXIT_USAGE, f"no run {run_id!r} is alive; there is: {', '.join(run.run_id for run in runs)}"
    )


def state_of(run: RunningCapsule) -> Facts | None:
    """What the testbed wrote down inside; None while it is being built. Raises Refused when it is gone."""
    try:
        state: Facts = json.loads(Path(f"/proc/{run.init}/root{capsule.STATE}").read_text())
    except FileNotFoundError:
        if not Path(f"/proc/{run.init}").exists():
            raise Refused(EXIT_CANNOT, f"run {run.run_id} has just ended") from None
        return None
    return state


def facts(run: RunningCapsule) -> Facts:
    """What `ps --json` says of one run (the keys are stable). Pids are this machine's."""
    state = state_of(run)
    document: Facts = {
        "run": run.run_id, "label": run.label, "results_dir": run.results, "supervisor": run.supervisor,
        "state": "up" if state else "coming up", "stage": None, "title": None,
        "hosts": {}, "vips": {}, "urls": {},
    }  # fmt: skip
    if state is None:
        return document
    here = _pids_here(run.init)
    live = _addresses_now({name: here.get(host["pid"]) for name, host in state["hosts"].items()})
    for name, host in state["hosts"].items():
        document["hosts"][name] = {
            "role": host["role"], "addresses": host["addresses"], "live_addresses": live[name],
            "daemons": {
                daemon: {
                    "pid": here.get(told["pid"]), "pid_inside": told["pid"],
                    "state": daemon_state(told, _stat(here.get(told["pid"]))),
                }
                for daemon, told in host["daemons"].items()
            },
        }  # fmt: skip
    document |= {
        "stage": state["stage"], "title": state["title"], "urls": state["urls"],
        "vips": {
            address: [name for name, addresses in live.items() if address in addresses]
            for address in state["site_addresses"]
        },
    }  # fmt: skip
    return document


def daemon_state(told: Mapping[str, Any], stat: tuple[str, int] | None) -> str:
    """running, paused, stopped (somebody asked for it), dead (nobody did), or in force: it needs no process.

    `told` is what the testbed wrote down; `stat` is the process's state letter and start time now, as in
    proc_pid_stat(5).
    """
    if told["stopped"]:
        return "stopped"
    if told.get("oneshot"):
        return "in force"
    if stat is None or stat[1] != told["started"] or stat[0] in "ZX":
        return "dead"
    return "paused" if stat[0] in "Tt" else "running"


def _stat(pid: int | None) -> tuple[str, int] | None:
    if pid is None:
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[19])


def _pids_here(init: int) -> dict[int, int]:
    """Pid inside the capsule → pid as this process counts, for everything that lives in it."""
    inside = Path(f"/proc/{init}/ns/pid").readlink()
    found = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended while we looked
            if (process / "ns/pid").readlink() == inside:
                status = (process / "status").read_text()
                numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
                found[int(numbers[-1])] = int(process.name)
    return found


def _addresses_now(hosts: Mapping[str, int | None]) -> dict[str, list[str]]:
    """Host → its IPv4 addresses, without loopback. All are asked at once: each answer takes a process."""
    asked = {
        name: subprocess.Popen(
            ["nsenter", "--target", str(pid), "--net", "--", "ip", "-j", "-4", "address", "show"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        for name, pid in hosts.items()
        if pid is not None
    }  # fmt: skip
    found: dict[str, list[str]] = {name: [] for name in hosts}
    for name, process in asked.items():
        answer, _ = process.communicate(timeout=10)
        for link in json.loads(answer or "[]"):
            found[name] += [a["local"] for a in link.get("addr_info", ()) if link.get("ifname") != "lo"]
    return found
