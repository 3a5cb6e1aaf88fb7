"""One trial: a rate is offered to a running stage for some seconds, and every server's CPU is watched.

generator in client1 ──rate──► stage        before and after: CPU used and time held back, host by host
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.load.mixes import MIXES
from loadtests import launch
from loadtests.generator_config import GeneratorConfig
from topologies.host import TRUST_STORE
from topologies.stage import DOMAIN, RESOLVER
from topologies.testbed import Testbed
from topologies.waiting import DaemonDied, wait_until

CONFIG = "generator.json"
LATENESS_LIMIT_MS = 5.0  # MEASUREMENT: Fidelity
RUN_QUEUE_LIMIT = 0.05
#: Above this share of a core answers wait in the generator itself, while it still sends in time.
GENERATOR_CPU_LIMIT = 0.7


@dataclass(frozen=True)
class Offer:
    """What is offered, but for the rate. `connections` bounds the kept-alive ones."""

    mix: str = "dynamic"
    seconds: float = 6.0
    warmup_s: float = 1.0
    keep_alive: bool = True
    connections: int = 64
    timeout_s: float = 2.0
    arrivals: str = "poisson"
    host: str = "client1"
    connect_to: tuple[str, ...] = ()  # none: every address that the name has


@dataclass(frozen=True)
class Usage:
    """What one server did with its budget during a trial."""

    cores: float  # its budget
    used_cores: float
    held_back_share: float  # of the wall time, by the quota; several CPUs can be held back at once

    @property
    def share(self) -> float:
        return self.used_cores / self.cores


@dataclass(frozen=True)
class Trial:
    """What came of one offered rate. `reasons` are why it does not count; none concerns the stage."""

    rate_hz: float  # asked for
    offered_hz: float  # sent in the window: Poisson arrivals differ from what was asked by chance
    achieved_hz: float
    good_hz: float
    sent: int
    good: int
    errors: dict[str, int]
    latency_ms: dict[str, float | None]  # p50, p90, p95, p99, max …, from the intended moment
    first_half_p95_ms: float | None
    second_half_p95_ms: float | None
    usage: dict[str, Usage]  # server → what it used
    reasons: tuple[str, ...]
    generator: dict[str, Any] = field(default_factory=dict)  # its whole summary

    @property
    def p95_ms(self) -> float | None:
        return self.latency_ms.get("p95")

    @property
    def error_share(self) -> float:
        return 1 - self.good / self.sent if self.sent else 1.0

    @property
    def demand_s(self) -> dict[str, float]:
        """Server → CPU seconds per good answer: its service demand (Denning & Buzen 1978)."""
        return {name: u.used_cores / self.good_hz for name, u in self.usage.items()} if self.good_hz else {}


def offer(testbed: Testbed, what: Offer, rate_hz: float, seed: int) -> Trial:
    """Offer `rate_hz` and return what came of it. Raises DaemonDied when the generator ends badly."""
    host, stage = testbed.hosts[what.host], testbed.stage
    config = GeneratorConfig(
        url=f"{stage.scheme}://{DOMAIN}", kinds=MIXES[what.mix][1], rate_hz=rate_hz,
        duration_s=what.seconds, warmup_s=what.warmup_s, arrivals=what.arrivals, seed=seed,
        connect_to=what.connect_to, nameserver=RESOLVER, ca_file=TRUST_STORE,
        keep_alive=what.keep_alive, connections=what.connections, timeout_s=what.timeout_s,
    )  # fmt: skip
    (testbed.results / CONFIG).write_text(config.to_json())
    process = host.spawn("generator", launch.generator(CONFIG), launch.ENVIRONMENT)
    try:
        # Measured while it measures: warm-up and the last answers are not in the budget's account.
        wait_until(
            lambda: _started(process.log.read_text()) or not process.running,
            timeout_s=15, what=f"the generator on {what.host} to start",
        )  # fmt: skip
        _pass(what.warmup_s)
        before, from_s = _accounts(testbed), time.monotonic()
        _pass(what.seconds)
        after, until_s = _accounts(testbed), time.monotonic()
        status = process.wait(what.timeout_s + 15)
    finally:
        process.kill()
    if status != 0:
        raise DaemonDied(f"the generator on {what.host} ended with {status}:\n{process.last_lines()}")
    summary = json.loads(process.log.read_text().splitlines()[-1])
    return trial_of(summary, _usage(testbed, before, after, until_s - from_s))


def trial_of(summary: Mapping[str, Any], usage: dict[str, Usage]) -> Trial:
    """The generator's summary as a trial. Pure."""
    first, second = summary["halves"]
    return Trial(
        rate_hz=summary["rate_hz"],
        offered_hz=summary["offered_hz"] or 0.0,
        achieved_hz=summary["achieved_hz"] or 0.0,
        good_hz=summary["good_hz"] or 0.0,
        sent=summary["offered"],
        good=summary["good"],
        errors=dict(summary["bad"]),
        latency_ms=dict(summary["latency_ms"]),
        first_half_p95_ms=first["latency_ms"]["p95"],
        second_half_p95_ms=second["latency_ms"]["p95"],
        usage=usage,
        reasons=fidelity(summary),
        generator=dict(summary),
    )


def fidelity(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """Why the trial does not count: the generator was late, starved or at its own limits."""
    reasons = []
    late_ms = summary["lateness_ms"]["p99"]
    if late_ms is not None and late_ms > LATENESS_LIMIT_MS:
        reasons.append(f"the generator was late: p99 {late_ms:.1f} ms > {LATENESS_LIMIT_MS:g} ms")
    waited = summary.get("run_queue_wait_share")
    if waited is not None and waited > RUN_QUEUE_LIMIT:
        reasons.append(f"the generator waited for a CPU {waited:.1%} of the time")
    cpu = summary.get("cpu_share")
    if cpu is not None and cpu > GENERATOR_CPU_LIMIT:
        reasons.append(f"the generator used {cpu:.0%} of a core")
    reasons += [
        f"{n} requests failed in the generator itself: {name}" for name, n in summary["own_faults"].items()
    ]
    if summary["stopped_early"]:
        reasons.append("the generator was stopped early")
    return tuple(reasons)


def _started(log: str) -> bool:
    return log.rstrip().rpartition("\n")[2].startswith('{"started_s"')


def _pass(seconds: float) -> None:
    from experiments.harness.generators import observe_until

    observe_until(time.monotonic() + seconds)


def _accounts(testbed: Testbed) -> dict[str, tuple[float, float]]:
    """Server → (CPU seconds used, seconds held back) so far."""
    groups = {name: testbed.hosts[name].group for name in testbed.stage.servers}
    return {name: (g.used_s(), g.throttled_s()) for name, g in groups.items() if g is not None}


def _usage(
    testbed: Testbed,
    before: Mapping[str, tuple[float, float]],
    after: Mapping[str, tuple[float, float]],
    wall_s: float,
) -> dict[str, Usage]:
    cores = os.cpu_count() or 1
    return {
        name: Usage(
            cores=testbed.stage.cores_of(name, cores),
            used_cores=(after[name][0] - before[name][0]) / wall_s,
            held_back_share=(after[name][1] - before[name][1]) / wall_s,
        )
        for name in before
    }
