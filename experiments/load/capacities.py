"""The capacity of a running stage: what it should be, what it is, and the claims that follow.

two easy rates ─► CPU per request ─► ceiling of the tightest budget (predicted)
ramp, bisection ─► [highest rate that met the SLO, lowest that did not] (measured)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.harness.findings import Findings
from experiments.harness.model import Interval
from experiments.harness.progress import Progress
from experiments.harness.verdict import interval
from experiments.load.offered import Offer, Trial, offer
from experiments.load.saturation import Bottleneck, bottleneck, saturated
from experiments.load.search import Search, search
from experiments.load.slo import Slo
from topologies.testbed import Testbed
from topologies.waiting import TestbedError

EASY_HZ = (50.0, 200.0)
BUSY = 0.7  # of the rough ceiling: still easy, and no longer idle
#: Of the ceiling: below, waiting alone already breaks a p95 (it grows as 1/(1−ρ)); above, the cost of a
#: request at easy rates was taken too high, because under load more is done per wake-up.
LOW, HIGH = 0.75, 1.25


@dataclass(frozen=True)
class Measurement:
    """One search on one stage, with what was predicted before it."""

    stage: str
    tightest: Bottleneck | None
    found: Search[Trial]

    @property
    def at_the_edge(self) -> Trial | None:
        """The last trial at the lowest rate that did not hold."""
        broken = [t for t in self.found.trials if t.rate_hz == self.found.upper_hz and not t.reasons]
        return broken[-1] if broken else None


def measure(
    testbed: Testbed, what: Offer, slo: Slo, ceiling_hz: float, seed: int, progress: Progress
) -> Measurement:
    """Predict, then search. Raises TestbedError when the stage does not answer even easy rates."""
    number = 0

    def trial(rate_hz: float) -> Trial:
        nonlocal number
        number += 1
        progress.now(f"stage {testbed.stage.number}: offering {rate_hz:.0f}/s")
        done = offer(testbed, what, rate_hz, seed * 1000 + number)
        verdict = (
            "does not count: " + "; ".join(done.reasons) if done.reasons else slo.broken_by(done) or "held"
        )
        p95 = "–" if done.p95_ms is None else f"{done.p95_ms:.0f} ms"
        progress.say(
            f"stage {testbed.stage.number}: {rate_hz:.0f}/s offered, {done.achieved_hz:.0f}/s answered, "
            f"p95 {p95}: {verdict}"
        )
        return done

    with progress.waiting(f"searching the capacity of stage {testbed.stage.number}"):
        low, high = (trial(rate_hz) for rate_hz in EASY_HZ)
        rough = bottleneck(low, high)
        if rough is None:
            raise TestbedError(f"stage {testbed.stage.number} answers nothing at {EASY_HZ[0]:g}/s")
        # A busy server does more per wake-up, so a request costs less: the demand is taken where it is busy.
        tightest = bottleneck(low, trial(min(ceiling_hz, BUSY * rough.ceiling_hz))) or rough
        progress.say(f"predicted: {tightest}")
        start_hz = min(ceiling_hz, BUSY * tightest.ceiling_hz)
        found = search(trial, slo, start_hz=start_hz, ceiling_hz=ceiling_hz)
    return Measurement(testbed.stage.number, tightest, found)


def report(found: Findings, measured: Sequence[Measurement], slo: Slo, seed: int) -> None:
    """Claims, tables and figure of all searches."""
    for stage in dict.fromkeys(m.stage for m in measured):
        _claim(found, stage, [m for m in measured if m.stage == stage], slo, seed)


def _claim(found: Findings, stage: str, mine: Sequence[Measurement], slo: Slo, seed: int) -> None:
    known = [m.found.capacity_hz for m in mine]
    ceilings = [m.tightest.ceiling_hz for m in mine if m.tightest is not None]
    low, high = LOW * min(ceilings), HIGH * max(ceilings)
    sentence = f"stage {stage} carries what its tightest budget allows ({slo})"
    if any(value is None for value in known):
        why = "; ".join(dict.fromkeys(m.found.why for m in mine if m.found.capacity_hz is None))
        found.claim("0.3", sentence, held=None, reason=why, predicted=(low, high), unit="/s")
        return
    rates = [value for value in known if value is not None]
    measured = _bracketed(mine, interval(rates, "/s", seed))
    inside = low <= (measured.median or 0.0) <= high
    edges = [m.at_the_edge for m in mine]
    full = [text for t in edges if t is not None and (text := saturated(t.usage))]
    limit = full[-1] if full else "no server"
    reason = f"{mine[-1].found.why}; saturated: {limit}; {mine[-1].tightest}"
    found.claim(
        "0.3", sentence, held=inside, reason=reason, predicted=(low, high), measured=measured, unit="/s"
    )


def _bracketed(mine: Sequence[Measurement], over_runs: Interval) -> Interval:
    """With fewer than three searches the interval is their brackets', not that of a resampling."""
    if len(mine) >= 3:
        return over_runs
    lows = [m.found.lower_hz for m in mine if m.found.lower_hz is not None]
    highs = [m.found.upper_hz for m in mine if m.found.upper_hz is not None]
    return Interval(over_runs.median, min(lows), max(highs), over_runs.n, over_runs.unit)
