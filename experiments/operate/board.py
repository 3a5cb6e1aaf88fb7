"""stage.json: what stands behind the load, rewritten every second for the web UI's tab and for programs.

    testbed ── hosts, daemons' states, who holds which address ──┐
    tally ──── who served, how fast ─────────────────────────────┼──► stage.json ──► /stage.json, the tab
    breaking ─ what is broken since when, what was asked for ────┘

Everything is read from /proc: no process is started, so that looking does not disturb what is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.faults import FAULTS
from experiments.operate.attach import daemon_state
from experiments.operate.breaking import Breaking
from experiments.operate.swarm import Plan
from experiments.operate.tally import Recent, Tally
from topologies.stage import Stage
from topologies.testbed import Daemon, Testbed


def layers_of(stage: Stage) -> tuple[str, ...]:
    """What the hops of X-Served-By are, client side first."""
    balancers = ("load balancer",) if stage.hosts_of("haproxy") else ()
    return (*balancers, "web server", "application")


class Board:
    """Knows what does not change, and puts the document together."""

    def __init__(self, testbed: Testbed, plan: Plan, tally: Tally, breaking: Breaking, results: str) -> None:
        self._testbed, self._plan, self._tally, self._breaking = testbed, plan, tally, breaking
        self._results = results
        self._begin_s = time.monotonic()
        stage = testbed.stage
        self._choices = {
            "faults": [{"name": name, "shows": fault.shows} for name, fault in FAULTS.items()],
            "targets": targets(stage),
            "target": stage.default_target,
        }

    def document(self, users: int) -> dict[str, Any]:
        """Now. Times named _s are seconds since the board was made; CLOCK_MONOTONIC is `clock_s`."""
        now_s = time.monotonic()
        stage, recent = self._testbed.stage, self._tally.recent(now_s)
        held = {name: addresses_in(host.pid) for name, host in self._testbed.hosts.items()}
        total = self._tally.total
        return {
            "schema": 1, "stage": stage.number, "title": stage.title, "clock_s": round(now_s, 3),
            "running_s": round(now_s - self._begin_s, 1), "results": self._results,
            "scenario": self._plan.scenario, "shape": self._plan.shape,
            "load": {
                "users": users, "requests": total.requests, "failures": total.failures.total(),
                "rps": round(recent.rps, 1), "failures_per_s": round(recent.failures_per_s, 1),
                "p50_ms": recent.p50_ms, "p95_ms": recent.p95_ms, "p99_ms": recent.p99_ms,
            },
            "hosts": [self._host(name, held[name], recent) for name in stage.roles],
            "addresses": [
                {"address": address, "held_by": [name for name, those in held.items() if address in those]}
                for address in stage.site_addresses
            ],
            **self._faults(now_s), "choices": self._choices,
        }  # fmt: skip

    def _host(self, name: str, holds: Collection[str], recent: Recent) -> dict[str, Any]:
        stage = self._testbed.stage
        hop, share = share_of(name, recent)
        layers = layers_of(stage)
        return {
            "name": name, "role": stage.roles[name], "addresses": list(stage.addresses[name].values()),
            "daemons": [
                {"name": daemon.name, "state": state_of(daemon)}
                for daemon in self._testbed.daemons
                if daemon.host.name == name
            ],
            "holds": [address for address in stage.site_addresses if address in holds],
            "answers": self._tally.answers_of(name),
            "layer": layers[hop] if hop is not None and hop < len(layers) else None,
            "share": share,
        }  # fmt: skip

    def _faults(self, now_s: float) -> dict[str, Any]:
        return {
            "faults": [
                {
                    "fault": broken.fault.name, "target": str(broken.fault.target), "host": host,
                    "since_s": round(broken.since_s - self._begin_s, 1),
                    "for_s": round(now_s - broken.since_s, 1),
                }
                for host, broken in self._breaking.broken().items()
            ],
            "orders": [
                {
                    "id": order.id, "at_s": round(order.at_s - self._begin_s, 1),
                    "action": order.action, "fault": order.fault, "target": order.target, "said": order.said,
                }
                for order in self._breaking.orders()
            ],
        }  # fmt: skip


def share_of(host: str, recent: Recent) -> tuple[int | None, float | None]:
    """The hop at which `host` served in the last seconds, and its share there; None, None if at none."""
    mine = {hop: count for (hop, name), count in recent.served.items() if name == host}
    if not mine:
        return None, None
    hop = max(mine, key=lambda each: mine[each])
    everybody = sum(count for (each, _), count in recent.served.items() if each == hop)
    return hop, round(mine[hop] / everybody, 4)


def targets(stage: Stage) -> list[str]:
    """What can be broken: hosts, and daemons on them."""
    found = []
    for host, role in stage.roles.items():
        if role != "client":
            found += [host, *(f"{host}/{s.name}" for s in stage.declared[host] if not s.oneshot)]
    return found


def state_of(daemon: Daemon) -> str:
    """As `ps` says it: running, paused, stopped, dead, in force."""
    told: Mapping[str, Any] = daemon.facts()
    return daemon_state(told, _stat(told["pid"]))


def _stat(pid: int | None) -> tuple[str, int] | None:
    """State letter and start time, as in proc_pid_stat(5)."""
    if pid is None:
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[19])


def addresses_in(pid: int) -> set[str]:
    """The IPv4 addresses of the network of process `pid`, without loopback, from its routing trie."""
    try:
        lines = Path(f"/proc/{pid}/net/fib_trie").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return local_addresses(lines)


def local_addresses(lines: Sequence[str]) -> set[str]:
    """Of fib_trie: an address's leaf says so in the line that follows it."""
    found = set()
    leaf = ""
    for line in lines:
        words = line.split()
        if words[:1] == ["|--"]:
            leaf = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"] and not leaf.startswith("127."):
            found.add(leaf)
    return found
