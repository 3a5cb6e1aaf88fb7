"""What a generator has seen: a request belongs to the moment it was due, an answer to the moment it came.

t0 ── warm-up ──► from ──── first half ──── middle ──── second half ──── until ──► the last answers
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from loadtests.connection import Connection
from loadtests.histogram import RELATIVE_ERROR, Histogram, bucket_of, merged
from loadtests.http1 import served_by
from loadtests.outcomes import OWN_FAULTS, QUEUED, is_answer
from loadtests.probes import GOOD

SECOND_S = 1.0
_ALMOST_S = 1e-6  # k/rate may fall this far short of the second it means


class Part:
    """Requests of one kind that were due in one half. `latency` has the good ones, from due."""

    __slots__ = ("latency", "outcomes")

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.latency = Histogram()


class Second:
    """Due within it: `offered`, `good` and their `latency`. Answered within it, right or not: `answered`."""

    __slots__ = ("answered", "good", "latency", "offered")

    def __init__(self) -> None:
        self.offered = self.good = self.answered = 0
        self.latency = Histogram()


class Tally:
    """Counts requests as they end. Times are on CLOCK_MONOTONIC; `until_s` moves when it is told to stop."""

    def __init__(self, kinds: Sequence[str], t0_s: float, from_s: float, until_s: float) -> None:
        self.from_s, self.until_s = from_s, until_s
        self._t0_s, self._middle_s = t0_s, (from_s + until_s) / 2
        self._parts = {name: (Part(), Part()) for name in kinds}
        self._seconds = [Second() for _ in range(math.ceil((until_s - t0_s) / SECOND_S - _ALMOST_S))]
        self._sent = self._opened = self._answered = self._good = 0
        self._served_by: Counter[tuple[bytes, ...]] = Counter()
        self._addresses: Counter[str] = Counter()
        self._own_faults: Counter[str] = Counter()
        self._lateness, self._pool_wait = Histogram(), Histogram()

    def ended(self, c: Connection, outcome: str, end_s: float) -> None:
        due_s, good, seconds = c.request.due_s, outcome == GOOD, self._seconds
        answered = good or is_answer(outcome)
        due = seconds[min(int((due_s - self._t0_s + _ALMOST_S) / SECOND_S), len(seconds) - 1)]
        due.offered += 1
        bucket, latency_s = 0, end_s - due_s
        if good:
            bucket = bucket_of(latency_s)
            due.good += 1
            due.latency.add_at(bucket, latency_s)
        if answered and (second := int((end_s - self._t0_s) / SECOND_S)) < len(seconds):
            seconds[second].answered += 1
            if self.from_s <= end_s < self.until_s:
                self._answered += 1
                self._good += good
        if outcome in OWN_FAULTS:
            self._own_faults[outcome] += 1
        if due_s < self.from_s - _ALMOST_S:
            return
        part = self._parts[c.request.kind.name][due_s >= self._middle_s - _ALMOST_S]
        part.outcomes[outcome] += 1
        self._addresses[c.address] += 1
        self._sent += c.stage != QUEUED
        self._opened += c.connected_s is not None
        self._lateness.add(c.sent_s - due_s)
        if c.waited_s:
            self._pool_wait.add(c.waited_s)
        if good:
            part.latency.add_at(bucket, latency_s)
            self._served_by[c.answer.served_by_lines] += 1

    def summary(self) -> dict[str, Any]:
        """As loadtests/README.md lists it; what the process says of itself is not in it."""
        everything = [part for halves in self._parts.values() for part in halves]
        whole = _described(everything)
        measured_s = max(0.0, self.until_s - self.from_s)
        seconds = self._seconds[: math.ceil((self.until_s - self._t0_s) / SECOND_S - _ALMOST_S)]

        def rate_hz(count: int) -> float | None:
            return round(count / measured_s, 3) if measured_s else None

        return {
            "window_s": [self.from_s, self.until_s],
            "offered": whole["offered"],
            "sent": self._sent,
            "completed": sum(
                n for part in everything for name, n in part.outcomes.items() if is_answer(name)
            ),
            "good": whole["good"],
            "bad": whole["bad"],
            "offered_hz": rate_hz(whole["offered"]),
            "achieved_hz": rate_hz(self._answered),
            "good_hz": rate_hz(self._good),
            "latency_ms": whole["latency_ms"],
            "relative_error": RELATIVE_ERROR,
            "halves": [
                _described([parts[i] for parts in self._parts.values()], buckets=True) for i in (0, 1)
            ],
            "kinds": {name: _described(parts, buckets=True) for name, parts in self._parts.items()},
            "served_by": {served_by(lines): n for lines, n in self._served_by.most_common()},
            "addresses": dict(sorted(self._addresses.items())),
            "connections_opened": self._opened,
            "pool_wait_ms": {"waited": self._pool_wait.total, **self._pool_wait.summary_ms()},
            "lateness_ms": self._lateness.summary_ms(),
            "own_faults": dict(sorted(self._own_faults.items())),
            "series": {
                "start_s": self._t0_s,
                "period_s": SECOND_S,
                "offered": [s.offered for s in seconds],
                "good": [s.good for s in seconds],
                "answered": [s.answered for s in seconds],
                "p95_ms": [s.latency.percentile_ms(0.95) for s in seconds],
            },
        }


def _described(parts: Iterable[Part], *, buckets: bool = False) -> dict[str, Any]:
    parts = list(parts)
    outcomes = sum((part.outcomes for part in parts), Counter[str]())
    latency = merged(part.latency for part in parts)
    return {
        "offered": outcomes.total(),
        "good": outcomes[GOOD],
        "bad": {name: n for name, n in sorted(outcomes.items()) if name != GOOD},
        "latency_ms": latency.percentiles_ms(),
        **({"histogram": latency.to_document()} if buckets else {}),
    }
