"""Requests per second of the web tier, from four sources that count different things, over the same seconds.

    source       counts                                       so its rate is that of the clients plus
    nginx        every request, also those for its counters    checks/s + scrapes/s
    access log   every request but those for its counters      checks/s
    HAProxy      what it passed on                             nothing
    generator    its own answers                               nothing

A counter is read at scrapes: its rate is the difference of two samples over the time between them, and the
others are counted between the very same two moments. An edge costs a request at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from experiments.harness.prometheus_api import Sample
from topologies.waiting import TestbedError

#: Claim 2.3: "agree within 5% once probes and checks are counted".
TOLERANCE = 0.05


@dataclass(frozen=True)
class Window:
    """From one moment to another, both on the wall clock; a moment belongs to it if start < t ≤ end."""

    start_s: float
    end_s: float

    @property
    def lasts_s(self) -> float:
        return self.end_s - self.start_s

    def count(self, moments: Iterable[float]) -> int:
        return sum(self.start_s < t <= self.end_s for t in moments)


@dataclass(frozen=True)
class Expected:
    """Requests that no client sent, per second and web server, from the configuration."""

    checks_hz: float
    scrapes_hz: float


@dataclass(frozen=True)
class Count:
    """What one source counted at one server, and what the generator did in the same window."""

    source: str
    server: str
    window: Window
    counted: int
    of_which_others: float  # checks and scrapes that are expected among them
    clients: int  # the generator's own

    @property
    def raw_hz(self) -> float:
        return self.counted / self.window.lasts_s

    @property
    def corrected_hz(self) -> float:
        return (self.counted - self.of_which_others) / self.window.lasts_s

    @property
    def clients_hz(self) -> float:
        return self.clients / self.window.lasts_s


@dataclass(frozen=True)
class Rate:
    """One source over all servers: the sum of their rates."""

    source: str
    raw_hz: float
    corrected_hz: float
    clients_hz: float

    @property
    def raw_residual(self) -> float:
        return residual(self.raw_hz, self.clients_hz)

    @property
    def residual(self) -> float:
        return residual(self.corrected_hz, self.clients_hz)


def residual(rate_hz: float, clients_hz: float) -> float:
    """Relative difference; infinite where the generator did nothing."""
    return (rate_hz - clients_hz) / clients_hz if clients_hz else math.inf


def expected(balancers: int, inter_s: float, scrape_interval_s: float) -> Expected:
    """Every balancer checks every server once per `inter`; the exporter asks once per scrape."""
    return Expected(balancers / inter_s, 1 / scrape_interval_s)


def counter_window(samples: Sequence[Sample], start_s: float, end_s: float) -> tuple[Window, int]:
    """The longest stretch between two samples within the given time, and how far the counter went in it.

    Raises TestbedError with fewer than two samples, or when the counter was reset (its daemon restarted).
    """
    inside = [s for s in samples if start_s <= s.t_s <= end_s]
    if len(inside) < 2:
        raise TestbedError(f"{len(inside)} samples in {end_s - start_s:.1f} s: no difference to take")
    if any(b.value < a.value for a, b in pairwise(inside)):
        raise TestbedError("a counter was reset while requests were counted: its daemon restarted")
    return Window(inside[0].t_s, inside[-1].t_s), round(inside[-1].value - inside[0].value)


def rates(counts: Sequence[Count]) -> list[Rate]:
    """One row per source, in the order of their first counts."""
    found = []
    for source in dict.fromkeys(c.source for c in counts):
        mine = [c for c in counts if c.source == source]
        found.append(
            Rate(source, *(sum(v) for v in zip(*((c.raw_hz, c.corrected_hz, c.clients_hz) for c in mine),
                                               strict=True)))
        )  # fmt: skip
    return found


def worst(found: Iterable[Rate]) -> float:
    """The largest disagreement of a source with the generator, as a share."""
    return max((abs(rate.residual) for rate in found), default=math.inf)
