"""Probes in 100 ms bins: offered and good per second, latency from the intended moment; gaps stay gaps.

due    | | | | | | | | |           | | | |        20 per bin at 200/s
bins   [ 200/s ][ 200/s ][  NaN   ][ 200/s ]      no probe due: nothing is known, so nothing is drawn
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from loadtests.probes import Probe

NAN = math.nan


@dataclass(frozen=True, slots=True)
class Bins:
    """Equal bins over a window; one value per bin, NaN where the run knows nothing.

    `offered_hz` and `bad_share` count probes by the moment they were due, `goodput_hz` counts good answers by
    the moment they arrived (so a queue that drains shows as a burst). The percentiles are of probes that
    were answered rightly, late or not; a bin without such an answer is a gap, not a zero.
    """

    width_s: float
    start_s: tuple[float, ...]  # left edge of each bin, CLOCK_MONOTONIC
    offered_hz: tuple[float, ...]
    goodput_hz: tuple[float, ...]
    bad_share: tuple[float, ...]
    p50_s: tuple[float, ...]
    p95_s: tuple[float, ...]
    p99_s: tuple[float, ...]


def width_for(period_s: float) -> float:
    """100 ms, or wider so that a bin holds at least ten probes."""
    return max(0.1, 10 * period_s)


def period_of(probes: Iterable[Probe]) -> float:
    """The median distance of due times; 5 ms where there are too few to tell."""
    due = sorted(p.due_s for p in probes)
    return percentile([b - a for a, b in pairwise(due)], 0.5) if len(due) > 1 else 0.005


def answered(p: Probe) -> bool:
    """Answered rightly, though perhaps beyond the SLO: its latency is a latency, not a timeout."""
    return p.good or p.outcome == "slow"


def percentile(values: Sequence[float], q: float) -> float:
    """Nearest-rank percentile, 0 < q <= 1: always a value that was measured. NaN of nothing."""
    if not values:
        return NAN
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]


def bin_probes(
    probes: Iterable[Probe],
    start_s: float,
    end_s: float,
    *,
    origin_s: float | None = None,
    width_s: float = 0.1,
) -> Bins:
    """Whole bins within [start_s, end_s]; one edge lies on `origin_s`, so no bin spans it."""
    origin_s = start_s if origin_s is None else origin_s
    tiny = 1e-6  # an edge that floating point put a microsecond outside is still an edge
    first = math.ceil((start_s - origin_s) / width_s - tiny)
    count = max(0, math.floor((end_s - origin_s) / width_s + tiny) - first)
    due = [0] * count
    bad = [0] * count
    served = [0] * count
    latencies: list[list[float]] = [[] for _ in range(count)]

    def index(t_s: float) -> int:
        return math.floor((t_s - origin_s) / width_s + tiny) - first

    for p in probes:
        i = index(p.due_s)
        if 0 <= i < count:
            due[i] += 1
            bad[i] += not p.good
            if answered(p):
                latencies[i].append(p.latency_s)
        j = index(p.end_s)
        if p.good and 0 <= j < count:
            served[j] += 1
    return Bins(
        width_s=width_s,
        start_s=tuple(origin_s + (first + i) * width_s for i in range(count)),
        offered_hz=tuple(n / width_s if n else NAN for n in due),
        goodput_hz=tuple(s / width_s if n else NAN for s, n in zip(served, due, strict=True)),
        bad_share=tuple(b / n if n else NAN for b, n in zip(bad, due, strict=True)),
        p50_s=tuple(percentile(x, 0.50) for x in latencies),
        p95_s=tuple(percentile(x, 0.95) for x in latencies),
        p99_s=tuple(percentile(x, 0.99) for x in latencies),
    )


def waits_s(probes: Iterable[Probe]) -> list[tuple[float, float]]:
    """(due, wait): how long a visitor who came at that moment, and kept trying, waited for a good answer.

    An answered probe waited its own latency; a lost one until the next good answer to a probe due no
    earlier. NaN when none came any more. Ordered by due.
    """
    waits: list[tuple[float, float]] = []
    next_good_end_s = math.inf
    for p in sorted(probes, key=lambda p: p.due_s, reverse=True):
        if p.good:
            next_good_end_s = min(next_good_end_s, p.end_s)
        wait_s = p.latency_s if answered(p) else next_good_end_s - p.due_s
        waits.append((p.due_s, wait_s if math.isfinite(wait_s) else NAN))
    return waits[::-1]
