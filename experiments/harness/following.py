"""How long clients hold on to a name's old address: look-ups in, follow times out. Pure.

zone changed ──► in effect ─────── client's copy expires, it asks and is told the new one ──► follow time
                                    at a random moment of its TTL: U(0, TTL)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.harness.kolmogorov import critical_distance
from loadtests.stub_cache import Lookup

#: A look-up, the 20 ms between two questions whether the change is in effect, and a shared machine.
SLACK_S = 0.25
#: A run of clients that do what they should is called wrong once in a thousand.
LEVEL = 0.001
_Z = 3.2905  # of that level, two-sided

BUSY, IN_STEP, DEAF = "each at its own phase", "all in step", "TTL ignored"


@dataclass(frozen=True)
class Prediction:
    """What follows from the zone's TTL for `n` clients at random phases."""

    ttl_s: float
    n: int

    @property
    def median_s(self) -> tuple[float, float]:
        """Bounds of the sample's median: that of U(0, T) is T/2 with a deviation of about T/(2√n)."""
        reach_s = _Z * self.ttl_s / (2 * math.sqrt(self.n))
        return max(0.0, self.ttl_s / 2 - reach_s), min(self.ttl_s, self.ttl_s / 2 + reach_s)

    @property
    def distance(self) -> float:
        """What the distance from U(0, T) exceeds by chance with probability LEVEL."""
        return critical_distance(self.n, LEVEL)


@dataclass(frozen=True)
class Change:
    """One change of the zone on CLOCK_MONOTONIC: asked for, in force, watched until."""

    new: frozenset[str]
    asked_s: float
    in_force_s: float
    end_s: float


@dataclass(frozen=True)
class Followed:
    """One client: when it was first told the new address, after the change was in effect. None: never."""

    client: str
    group: str
    after_s: float | None


def in_effect_s(change: Change, lookups: Sequence[Lookup]) -> float:
    """The first moment at which anybody is known to have been told the new addresses."""
    told = [one.told_s for one in lookups if _new(one, change)]
    return min([change.in_force_s, *told])


def followed(change: Change, lookups: Sequence[Lookup]) -> list[Followed]:
    """Every client that asked before the change. Its group is what stands before the "/" of its name."""
    effect_s = in_effect_s(change, lookups)
    first: dict[str, float | None] = {}
    for one in lookups:
        if one.told_s < change.asked_s:
            first.setdefault(one.client, None)
        elif first.get(one.client, 0.0) is None and _new(one, change):
            first[one.client] = one.told_s - effect_s
    return [Followed(client, client.partition("/")[0], after_s) for client, after_s in first.items()]


def _new(one: Lookup, change: Change) -> bool:
    return bool(one.addresses) and set(one.addresses) <= change.new


def stale(change: Change, lookups: Sequence[Lookup]) -> int:
    """Answers with an old address although the new one was in force already: the server's fault."""
    late = [one for one in lookups if one.asked_s > change.in_force_s and one.addresses]
    return sum(not _new(one, change) for one in late)


def times_of(group: str, clients: Sequence[Followed]) -> list[float]:
    """Follow times of those of a group that followed at all."""
    return [one.after_s for one in clients if one.group == group and one.after_s is not None]


def never(group: str, clients: Sequence[Followed]) -> int:
    return sum(one.group == group and one.after_s is None for one in clients)


def lateness_ms(lookups: Sequence[Lookup]) -> float:
    """The 99th percentile of how late look-ups began, in ms; those in step wait for each other by design."""
    late = sorted(one.asked_s - one.due_s for one in lookups if not one.client.startswith(f"{IN_STEP}/"))
    return late[min(len(late) - 1, int(0.99 * len(late)))] * 1e3 if late else 0.0
