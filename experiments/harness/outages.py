"""From probes to outages. Pure arithmetic: nothing here reads a file or a clock.

due    ok ok ok bad bad bad bad ok bad ok ok ok ok ok ok
                └────── one episode ──────┘                  an island of fewer than 5 good ones is part of it
                ◄───────── lower ─────────►                  last bad due − first bad due
             ◄──────────────── upper ────────────►           first good after − last good before
The truth lies in [lower, upper]; the headline is upper − one period.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, pairwise, takewhile

from experiments.harness.bins import bin_probes, percentile
from experiments.harness.model import Outage, StreamResult
from loadtests.probes import Probe

MERGE_BELOW = 5
STEADY_BINS = 3


def episodes(
    probes: Sequence[Probe],
    period_s: float,
    merge_below: int = MERGE_BELOW,
    watched_until_s: float | None = None,
) -> list[Outage]:
    """Every outage in one stream, in order of time. `probes` are of one stream, sorted by due.

    An episode runs from a bad probe to the last bad probe before a run of at least `merge_below` good ones,
    or before the end. One isolated bad probe is an episode too: lower 0, upper about two periods.

    "Before" are the probes due before the first bad one, "after" those due after the last bad one; the good
    islands inside are neither. Answers arrive in another order than they were asked for, so the gap between
    good ones has two readings:

        by completion   earliest end of a good one after − latest end of a good one before
        by due          first due of a good one after − first bad due + one period

    and upper is the longer. By completion is right when answers are held back: a server frozen for 2 s, which
    then answers what had queued, loses only the probes that gave up (those due in its first 1.5 s), but for
    2 s nobody was served. By due is right when a straggler, asked before the outage, is answered during it:
    those who came after it were still turned away. So lower ≤ headline = upper − period always holds.

    A good answer that ended after `watched_until_s` is no recovery: what ended the outage may be what ended
    the watch (a fault healed). With no good one after, the outage is censored: `outage_s`, `upper_s` and
    `end_s` are None and `lower_s` is the time watched, from the first bad due until `watched_until_s` (None:
    the last due). With no good one before, watching began in the outage: what was not watched is not counted.

    No probes, no episodes. Raises ValueError if the probes are of several streams or not sorted by due.
    """
    if len({p.stream for p in probes}) > 1:
        raise ValueError("episodes are of one stream; these probes are of several")
    if any(a.due_s > b.due_s for a, b in pairwise(probes)):
        raise ValueError("the probes are not sorted by due")
    limit_s = math.inf if watched_until_s is None else watched_until_s
    # For each i: latest good end among probes[:i]; first good due and earliest good end among probes[i:].
    until_now = [p.end_s if p.good else -math.inf for p in probes]
    last_end_s = list(accumulate(until_now, max, initial=-math.inf))
    proofs = [p if p.good and p.end_s <= limit_s else None for p in reversed(probes)]
    next_due_s = list(accumulate((p.due_s if p else math.inf for p in proofs), min, initial=math.inf))[::-1]
    next_end_s = list(accumulate((p.end_s if p else math.inf for p in proofs), min, initial=math.inf))[::-1]

    found = []
    for first, last in _spans(probes, merge_below):
        bad = [p for p in probes[first : last + 1] if not p.good]
        errors = dict(Counter(p.outcome for p in bad))
        start_s, end_s = bad[0].due_s, next_end_s[last + 1]
        if end_s == math.inf:
            watched_s = (probes[-1].due_s if watched_until_s is None else watched_until_s) - start_s
            found.append(Outage(start_s, None, None, watched_s, None, len(bad), errors))
            continue
        by_due_s = next_due_s[last + 1] - start_s + period_s
        by_completion_s = end_s - (last_end_s[first] if last_end_s[first] > -math.inf else start_s)
        upper_s = max(by_due_s, by_completion_s)
        lower_s = bad[-1].due_s - start_s
        found.append(Outage(start_s, end_s, upper_s - period_s, lower_s, upper_s, len(bad), errors))
    return found


def stream_result(
    stream: str,
    probes: Sequence[Probe],
    period_s: float,
    from_s: float,
    to_s: float,
    merge_below: int = MERGE_BELOW,
) -> StreamResult:
    """What `stream` saw among its probes due in [from_s, to_s): the counts, and the longest episode.

    `probes` may reach beyond the window. The good ones just before it serve as "before" when the outage
    begins with its first probe; what was in flight at `from_s` and failed is not counted, because it was
    asked before. A censored episode counts with the time watched, until `to_s`. Raises ValueError if no
    probe was due in the window: a trial that nobody watched has no result.
    """
    ours = sorted((p for p in probes if p.stream == stream and p.due_s < to_s), key=_due_s)
    window = [p for p in ours if p.due_s >= from_s]
    if not window:
        raise ValueError(f"no probe of stream {stream!r} was due in [{from_s:.3f}, {to_s:.3f}) s")
    earlier = [p for p in ours if p.due_s < from_s and (p.good or p.end_s < from_s)]
    good_before = list(takewhile(lambda p: p.good, reversed(earlier)))[::-1]
    found = episodes([*good_before, *window], period_s, merge_below, watched_until_s=to_s)
    errors = Counter(p.outcome for p in window if not p.good)
    longest = max(found, key=lambda o: o.lower_s if o.outage_s is None else o.outage_s, default=None)
    return StreamResult(stream, len(window), errors.total(), longest, dict(errors))


def lateness_percentile_ms(probes: Sequence[Probe], q: float) -> float:
    """Nearest-rank percentile, 0 < q <= 1, of how late the prober itself was. Raises ValueError."""
    if not probes or not 0 < q <= 1:
        raise ValueError(f"percentile {q} of {len(probes)} probes: 0 < q <= 1, and at least one probe")
    return percentile([p.lateness_s for p in probes], q) * 1e3


def steady_again_s(
    probes: Sequence[Probe],
    *,
    fault_s: float,
    outage: Outage,
    before_s: float = 2.0,
    until_s: float | None = None,
    bin_s: float = 0.1,
    hold: int = STEADY_BINS,
) -> float | None:
    """Seconds from the end of an outage until latency is back in the p95 band it had before the fault.

    The band's top is the highest p95 of latency from due of any bin in the `before_s` before `fault_s`. Back
    is the first of `hold` bins in a row, counted from the outage's end, that lose no probe and whose p95 is
    not above that top. `probes` are of one stream. None: not back by `until_s` (None: the last due), never
    recovered, or fewer than five bins known before the fault, which make no band.
    """
    if outage.end_s is None or not probes:
        return None
    # Asked before the fault but answered after it, a probe shows the fault already.
    before = bin_probes((p for p in probes if p.end_s <= fault_s), fault_s - before_s, fault_s, width_s=bin_s)
    known = [p95_s for p95_s in before.p95_s if not math.isnan(p95_s)]
    if len(known) < 5:
        return None
    top_s = max(known)
    last_s = max(p.due_s for p in probes) if until_s is None else until_s
    after = bin_probes(probes, outage.end_s, last_s, width_s=bin_s)
    in_a_row = 0
    for i, (bad_share, p95_s) in enumerate(zip(after.bad_share, after.p95_s, strict=True)):
        in_a_row = (
            in_a_row + 1 if bad_share == 0 and p95_s <= top_s else 0
        )  # NaN, nothing known, is not steady
        if in_a_row == hold:
            return (i + 1 - hold) * bin_s
    return None


def _due_s(p: Probe) -> float:
    return p.due_s


def _spans(probes: Sequence[Probe], merge_below: int) -> list[tuple[int, int]]:
    """First and last index of each episode."""
    spans: list[tuple[int, int]] = []
    for i, p in enumerate(probes):
        if p.good:
            continue
        if spans and i - spans[-1][1] - 1 < merge_below:
            spans[-1] = (spans[-1][0], i)
        else:
            spans.append((i, i))
    return spans
