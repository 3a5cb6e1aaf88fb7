"""Predicted, measured, therefore: held, deviated or inconclusive, each with its reason in one line.

         low                high
    ──────┤▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒├──────►  outage
       ◄──┘                  └──►      widened on both sides by one probe period and TOLERANCE_S

A measurement that cannot contradict the prediction does not confirm it either: it is inconclusive.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from experiments.harness.model import Claim, Event, Interval, Outage, Prediction, Trial, Verdict

#: Scheduling, one gratuitous ARP and the daemons' own timer granularity, on a shared two-core machine.
TOLERANCE_S = 0.05


def judge_trial(
    prediction: Prediction, outage: Outage | None, period_s: float, watched_s: float
) -> tuple[Verdict, str]:
    """One outage against its prediction. `outage` None: no bad probe in the `watched_s` after injection."""
    slack_s = period_s + TOLERANCE_S
    low_s = prediction.low_s - slack_s
    high_s = math.inf if prediction.high_s is None else prediction.high_s + slack_s
    predicted = _span(prediction)
    if outage is None:
        if not prediction.recovers:
            return "deviated", f"no bad probe in {watched_s:.1f} s, although nothing takes over"
        if low_s > 0:
            return "deviated", f"no bad probe; predicted {predicted}"
        return "held", f"no bad probe; predicted {predicted}"
    if outage.outage_s is None:
        return _censored(prediction, outage.lower_s, low_s, high_s)
    measured = f"{outage.outage_s:.3f} s"
    if not prediction.recovers:
        return "deviated", f"back after {measured}, although nothing takes over"
    upper_s = math.inf if outage.upper_s is None else outage.upper_s
    if outage.lower_s > upper_s:
        return "inconclusive", f"bracket upside down: {outage.lower_s:.3f}–{upper_s:.3f} s"
    if upper_s < low_s or outage.lower_s > high_s:
        return "deviated", f"bracket {outage.lower_s:.3f}–{upper_s:.3f} s misses {predicted}"
    if not low_s <= outage.outage_s <= high_s:
        return "deviated", f"{measured} outside {predicted} ± {slack_s:.3f} s"
    return "held", f"{measured} inside {predicted}"


def _censored(prediction: Prediction, seen_s: float, low_s: float, high_s: float) -> tuple[Verdict, str]:
    """Still down when the watch ended: the outage is longer than `seen_s`, and no more is known."""
    predicted, seen = _span(prediction), f"> {seen_s:.1f} s"
    if not prediction.recovers:
        return "held", f"{seen}, as nothing takes over"
    if seen_s > high_s:
        return "deviated", f"{seen}; predicted {predicted}"
    if seen_s < low_s:
        return "held", f"{seen}, not due back before {prediction.low_s:.3f} s"
    return "inconclusive", f"{seen}, within {predicted}: not watched long enough"


def _span(prediction: Prediction) -> str:
    high = "never" if prediction.high_s is None else f"{prediction.high_s:.3f} s"
    return f"{prediction.low_s:.3f} s to {high}"


def bootstrap_median(
    values: Sequence[float], seed: int, level: float = 0.95, resamples: int = 2000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the median over trials (Efron & Tibshirani 1993, ch. 13).

    With fewer than three values there is nothing to resample: (minimum, maximum). Infinite values
    (censored outages) are allowed. Raises ValueError for no values.
    """
    if not values:
        raise ValueError("no values, no median")
    if len(values) < 3:
        return min(values), max(values)
    draw = random.Random(seed)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(resamples))
    tail = (1 - level) / 2
    return medians[math.floor(tail * resamples)], medians[math.ceil((1 - tail) * resamples) - 1]


def judge_claim(
    id: str, sentence: str, predictions: Sequence[Prediction], trials: Sequence[Trial], unit: str = "s",
    seed: int = 0,
) -> Claim:  # fmt: skip
    """A claim over trials that have their verdicts. One that fails fidelity neither helps nor harms it."""
    valid = [trial for trial in trials if not trial.fidelity]
    verdict, reason = _of_trials(trials, valid)
    highs = [p.high_s for p in predictions]
    known = [high for high in highs if high is not None]
    return Claim(
        id=id,
        sentence=sentence,
        predicted_low=min((p.low_s for p in predictions), default=None),
        predicted_high=max(known, default=None) if len(known) == len(highs) else None,
        measured=interval([_outage_s(trial) for trial in valid], unit, seed),
        verdict=verdict,
        reason=reason,
    )


def _of_trials(trials: Sequence[Trial], valid: Sequence[Trial]) -> tuple[Verdict, str]:
    if not trials:
        return "inconclusive", "no trials"
    if 2 * len(valid) < len(trials):
        why = sorted({reason for trial in trials for reason in trial.fidelity})
        return "inconclusive", f"only {len(valid)} of {len(trials)} trials count: {'; '.join(why)}"
    for verdict in ("deviated", "inconclusive"):
        found = [f"{t.number} ({t.fault} {t.target})" for t in valid if t.verdict == verdict]
        if found:
            return verdict, f"{len(found)} of {len(valid)} trials {verdict}: {', '.join(found)}"
    return "held", f"{len(valid)} of {len(valid)} trials as predicted"


def _outage_s(trial: Trial) -> float:
    outage = trial.headline.outage
    if outage is None:
        return 0.0
    return math.inf if outage.outage_s is None else outage.outage_s


def interval(values: Sequence[float], unit: str, seed: int = 0) -> Interval:
    """Median with its bootstrap interval. A bound that rests on a censored outage is None, not a number."""
    if not values:
        return Interval(None, None, None, 0, unit)
    low, high = bootstrap_median(values, seed)
    median = statistics.median(values)
    return Interval(_finite(median), _finite(low), _finite(high), len(values), unit)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def overall(claims: Sequence[Claim]) -> Verdict:
    """The worst of them; no claim proves nothing."""
    verdicts = {claim.verdict for claim in claims}
    if "deviated" in verdicts:
        return "deviated"
    return "held" if verdicts == {"held"} else "inconclusive"


# --- claim 3.4: who holds the address, when -------------------------------------------------------------


@dataclass(frozen=True)
class Holding:
    """From `start_s` to `end_s` (CLOCK_MONOTONIC) exactly these hosts held the address, reachably."""

    start_s: float
    end_s: float
    hosts: frozenset[str]

    @property
    def lasted_s(self) -> float:
        return self.end_s - self.start_s


def holders(
    events: Sequence[Event], vip: str, start_s: float, end_s: float, initial: Collection[str]
) -> list[Holding]:
    """The window cut at every change. `initial` held `vip` at `start_s`; vip-up and vip-down name the rest.

    A crashed host keeps its address configured and is nevertheless no holder: injection writes vip-down.
    """
    hosts, cuts = set(initial), [(start_s, frozenset(initial))]
    for event in sorted(events, key=lambda e: e.t_s):
        if not start_s < event.t_s <= end_s or event.detail.partition("/")[0].strip() != vip:
            continue
        if event.kind == "vip-up":
            hosts.add(event.host)
        elif event.kind == "vip-down":
            hosts.discard(event.host)
        if frozenset(hosts) != cuts[-1][1]:
            cuts.append((event.t_s, frozenset(hosts)))
    cuts.append((end_s, frozenset()))
    return [Holding(a, b, held) for (a, held), (b, _) in pairwise(cuts) if b > a]


def vip_gap_claim(
    events: Sequence[Event], initial: Mapping[str, Collection[str]], start_s: float, end_s: float,
    predictions: Sequence[Prediction], id: str = "3.4",
    sentence: str = "a virtual address is never without a holder for longer than predicted",
) -> Claim:  # fmt: skip
    """Every VIP in `initial` (VIP → its holders at `start_s`) over one window.

    Measured: the gaps without a holder (median, minimum, maximum). The reason also names the time with
    two holders, which is no failure of the claim: it is what stale addresses and failback look like.
    """
    spans = [h for vip, hosts in initial.items() for h in holders(events, vip, start_s, end_s, hosts)]
    gaps = [h.lasted_s for h in spans if not h.hosts]
    shared_s = sum(h.lasted_s for h in spans if len(h.hosts) > 1)
    highs = [math.inf if p.high_s is None else p.high_s for p in predictions]
    limit_s, worst_s = max(highs, default=0.0), max(gaps, default=0.0)
    verdict: Verdict = "held" if worst_s <= limit_s + TOLERANCE_S else "deviated"
    if not predictions or not spans:
        verdict = "inconclusive"
    return Claim(
        id=id,
        sentence=sentence,
        predicted_low=0.0 if predictions else None,
        predicted_high=_finite(limit_s) if predictions else None,
        measured=Interval(
            statistics.median(gaps) if gaps else 0.0, min(gaps, default=0.0), worst_s, len(gaps), "s"
        ),
        verdict=verdict,
        reason=(
            f"{len(gaps)} gaps, the longest {worst_s:.3f} s of {limit_s:.3f} s allowed; "
            f"two holders for {shared_s:.3f} s"
        ),
    )
