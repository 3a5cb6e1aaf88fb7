"""A phase is a window in which nothing changes, and the probes that were due in it.

    change ── settling ──► start ═══ measured ═══ end ── answers under way ──► judged

One that does not count, because the prober was late or probes failed, is measured again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.harness.findings import Findings
from experiments.harness.generators import RunningProber, observe_until
from experiments.harness.outages import lateness_percentile_ms
from experiments.harness.trials import LATENESS_LIMIT_MS
from loadtests.probes import Probe

SETTLING_S = 1.5  # old workers end, pools of connections fill again
RUN_QUEUE_WAIT_LIMIT = (
    0.05  # share of its time that a generator may wait for a processor (MEASUREMENT: Fidelity)
)
UNDER_WAY_S = 1.0  # longer than the slowest answer that is waited for


@dataclass(frozen=True)
class Phase:
    """`doubts`: why it does not count; none of them concerns how requests were spread."""

    name: str
    start_s: float  # CLOCK_MONOTONIC
    end_s: float
    probes: tuple[Probe, ...]
    doubts: tuple[str, ...] = ()


def measure(
    prober: RunningProber, name: str, seconds: float, say: Callable[[str], None], attempts: int = 3
) -> Phase:
    """Let the system settle, then watch it for `seconds`; again, up to `attempts` times, until that counts.

    Raises DaemonDied when the prober has ended.
    """
    for attempt in range(1, attempts + 1):
        start_s = time.monotonic() + SETTLING_S
        end_s = start_s + seconds
        observe_until(end_s + UNDER_WAY_S)
        phase = phase_of(name, start_s, end_s, prober.probes())
        if not phase.doubts:
            break
        if attempt < attempts:
            say(f"{name} does not count and is measured again: {'; '.join(phase.doubts)}")
    return phase


def phase_of(name: str, start_s: float, end_s: float, probes: Sequence[Probe]) -> Phase:
    """The probes due from `start_s` (inclusive) to `end_s`, and what speaks against them."""
    mine = tuple(sorted((p for p in probes if start_s <= p.due_s < end_s), key=lambda p: p.due_s))
    return Phase(name, start_s, end_s, mine, unfit(mine))


def unfit(probes: Sequence[Probe]) -> tuple[str, ...]:
    """Reasons why nothing can be concluded from these probes."""
    if not probes:
        return ("no probe was answered",)
    reasons = []
    failed = Counter(p.outcome for p in probes if not p.good)
    if failed:
        kinds = ", ".join(f"{n} {outcome}" for outcome, n in failed.most_common())
        reasons.append(f"{failed.total()} of {len(probes)} probes failed ({kinds})")
    late_ms = lateness_percentile_ms(probes, 0.99)
    if late_ms > LATENESS_LIMIT_MS:
        reasons.append(f"probe lateness p99 {late_ms:.1f} ms > {LATENESS_LIMIT_MS:g} ms")
    return tuple(reasons)


def check_prober(found: Findings, phases: Sequence[Phase], summary: Mapping[str, Any]) -> None:
    """Tell `found` whether the stopwatch can be believed."""
    probes = [probe for phase in phases for probe in phase.probes]
    if probes:
        found.check("probe_lateness_p99_ms", round(lateness_percentile_ms(probes, 0.99), 3))
    found.check("prober", dict(summary))
    waited = summary.get("run_queue_wait_share")
    if waited is not None and waited > RUN_QUEUE_WAIT_LIMIT:
        found.doubt(f"the prober waited for a CPU {waited:.1%} of the time")
