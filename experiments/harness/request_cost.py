"""CPU time of a request, server by server, and what re-encryption adds to it.

    idle      ───────  checks, scrapes, the database's own chores: seconds per second
    batch     ▁▂▂▂▂▁   `requests`, one after another
    cost      (used − idle · lasted) / requests

A shared machine is now faster, now slower, for all of its processes alike. The client does the same work for
each request whatever happens behind the load balancer, so its own CPU time is the yardstick: what is compared
between two stages is the servers' time divided by the client's, batch by batch.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.harness.generators import observe_until
from experiments.harness.model import Interval
from experiments.harness.visit import visiting
from topologies.testbed import Testbed

#: Pages from rows, and JSON: what crosses every hop, in both directions.
PATHS = ("/", "/api/items/1", "/api/items?limit=20")


@dataclass(frozen=True)
class Batch:
    """CPU seconds that each server used, and the client itself, in `lasted_s`."""

    requests: int
    lasted_s: float
    used_s: Mapping[str, float]
    own_s: float


@dataclass(frozen=True)
class Cost:
    """What a request costs, batch by batch: seconds on each server, and all of them in the client's units."""

    by_server_s: Mapping[str, Sequence[float]]
    relative: Sequence[float]
    own_s: float  # the client's, in the median

    def pooled(self, other: Cost) -> Cost:
        """Both together, of the same stage at another time."""
        by_server = {host: [*some, *other.by_server_s[host]] for host, some in self.by_server_s.items()}
        return Cost(by_server, [*self.relative, *other.relative], (self.own_s + other.own_s) / 2)

    @property
    def total_s(self) -> list[float]:
        return [sum(some) for some in zip(*self.by_server_s.values(), strict=True)]


def idle(testbed: Testbed, seconds: float) -> Batch:
    """Nobody asks anything."""
    start_s, before = time.monotonic(), _used(testbed)
    observe_until(start_s + seconds)
    return Batch(0, time.monotonic() - start_s, _since(before, testbed), 0.0)


def batches(testbed: Testbed, client: str, count: int, requests: int, *, kept_alive: bool) -> list[Batch]:
    """`count` times `requests`, on one connection or each on a new one. Raises OSError for a bad answer."""
    found = []
    for number in range(count):
        address = testbed.stage.site_addresses[number % len(testbed.stage.site_addresses)]
        rounds, asked = (1, requests) if kept_alive else (requests, 1)
        start_s, before, own_s = time.monotonic(), _used(testbed), time.thread_time()
        for _ in range(rounds):
            with visiting(testbed.hosts[client], testbed.stage.scheme, address) as visitor:
                for one in range(asked):
                    answer = visitor.ask("GET", PATHS[one % len(PATHS)])
                    if answer.status != 200:
                        raise ConnectionError(f"{PATHS[one % len(PATHS)]} answered {answer.status}")
        own_s = time.thread_time() - own_s
        found.append(Batch(requests, time.monotonic() - start_s, _since(before, testbed), own_s))
    return found


def cost_of(busy: Sequence[Batch], quiet: Batch) -> Cost:
    """`busy` less what the servers use anyway. Raises ValueError for no batch."""
    if not busy:
        raise ValueError("no batches, no cost")
    by_server = {
        host: [(b.used_s[host] - quiet.used_s[host] / quiet.lasted_s * b.lasted_s) / b.requests for b in busy]
        for host in quiet.used_s
    }
    own = [b.own_s / b.requests for b in busy]
    totals = zip(*by_server.values(), strict=True)
    relative = [sum(some) / each for some, each in zip(totals, own, strict=True)]
    return Cost(by_server, relative, statistics.median(own))


def ratio(new: Sequence[float], old: Sequence[float], seed: int, resamples: int = 2000) -> Interval:
    """Median of `new` divided by that of `old`, with a percentile bootstrap interval (95%) over the batches.

    Source: Efron & Tibshirani 1993, ch. 13, both samples drawn anew each time.
    """
    draw = random.Random(seed)

    def once() -> float:
        a, b = (statistics.median(draw.choices(some, k=len(some))) for some in (new, old))
        return a / b

    drawn = sorted(once() for _ in range(resamples))
    low, high = drawn[math.floor(0.025 * resamples)], drawn[math.ceil(0.975 * resamples) - 1]
    return Interval(statistics.median(new) / statistics.median(old), low, high, len(new), "times")


def _used(testbed: Testbed) -> dict[str, float]:
    groups = {name: testbed.hosts[name].group for name in testbed.stage.servers}
    return {name: group.used_s() for name, group in groups.items() if group is not None}


def _since(before: Mapping[str, float], testbed: Testbed) -> dict[str, float]:
    return {name: used_s - before[name] for name, used_s in _used(testbed).items()}
