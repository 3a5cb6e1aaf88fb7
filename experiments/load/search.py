"""The highest offered rate that meets the SLO: a geometric ramp until one fails, then bisection in between.

    rate │                  ✗
         │          ✓       │   ✗
         │      ✓   │       │ ✓   ✗ ✓ ✓        near the edge three trials, and the majority decides
         │  ✓   │   │       ├─┘
         └──────────────────┴──────────► trials

The answer is the bracket [highest rate that held, lowest that did not]. It is no number when the generator
was the limit before the stage was, or when the stage fails even almost idle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from experiments.load.slo import Measured, Slo


class Counted(Measured, Protocol):
    """A trial that knows why it does not count; `reasons` are the generator's and the machine's."""

    @property
    def rate_hz(self) -> float: ...
    @property
    def reasons(self) -> tuple[str, ...]: ...


T = TypeVar("T", bound=Counted)
RAMP = 1.5  # twice what the stage carries would bury the generator, too
NEAR = 1.3  # a bracket as narrow as this is the edge
MAJORITY_OF = 3


@dataclass(frozen=True)
class Search(Generic[T]):
    """`lower_hz` held and `upper_hz` did not; either is None where no such rate was found."""

    lower_hz: float | None
    upper_hz: float | None
    trials: tuple[T, ...]
    why: str  # what broke first at the upper end, or why there is no number

    @property
    def capacity_hz(self) -> float | None:
        """The geometric middle of the bracket; None where one end is missing."""
        if self.lower_hz is None or self.upper_hz is None:
            return None
        return math.sqrt(self.lower_hz * self.upper_hz)


class GeneratorIsTheLimit(Exception):
    """A trial did not count twice: what was measured there is the generator, or the machine."""


def search(
    offer: Callable[[float], T], slo: Slo, *, start_hz: float, ceiling_hz: float, resolution: float = 0.08
) -> Search[T]:
    """Offer rates until the bracket is narrower than `resolution` (a ratio minus one).

    `offer` performs one trial. Never offers above `ceiling_hz`, where the generator itself ends.
    """
    return _Searcher(offer, slo, resolution).run(start_hz, ceiling_hz)


class _Searcher(Generic[T]):
    def __init__(self, offer: Callable[[float], T], slo: Slo, resolution: float) -> None:
        self._offer, self._slo, self._resolution = offer, slo, resolution
        self._trials: list[T] = []
        self._why = ""

    def run(self, start_hz: float, ceiling_hz: float) -> Search[T]:
        lower: float | None = None
        upper: float | None = None
        rate = start_hz
        try:
            while upper is None:
                if self._holds(rate, votes=1):
                    if rate >= ceiling_hz:
                        return self._ended(
                            rate, None, f"holds at {rate:.0f}/s, the most the generator offers"
                        )
                    lower, rate = rate, min(rate * RAMP, ceiling_hz)
                else:
                    upper = rate
            while lower is None:
                # Not even the first rate: look for one below, or say that there is none.
                rate /= RAMP
                if rate < start_hz / 64:
                    return self._ended(
                        None, upper, f"the SLO is not met even at {rate * RAMP:.3g}/s: {self._why}"
                    )
                if self._holds(rate, votes=1):
                    lower = rate
                else:
                    upper = rate
            while upper / lower > 1 + self._resolution:
                rate = math.sqrt(lower * upper)
                votes = MAJORITY_OF if upper / lower < NEAR else 1
                if self._holds(rate, votes):
                    lower = rate
                else:
                    upper = rate
        except GeneratorIsTheLimit as limit:
            return self._ended(lower, None, str(limit))
        return self._ended(lower, upper, self._why)

    def _holds(self, rate_hz: float, votes: int) -> bool:
        """The majority of up to `votes` trials; it is decided as soon as nothing can change it."""
        needed = votes // 2 + 1
        good = bad = 0
        while max(good, bad) < needed:
            broken = self._slo.broken_by(self._counting_trial(rate_hz))
            if broken:
                bad, self._why = bad + 1, broken
            else:
                good += 1
        return good > bad

    def _counting_trial(self, rate_hz: float) -> T:
        for _ in range(2):
            trial = self._offer(rate_hz)
            self._trials.append(trial)
            if not trial.reasons:
                return trial
        raise GeneratorIsTheLimit(f"at {rate_hz:.0f}/s the run does not count: {'; '.join(trial.reasons)}")

    def _ended(self, lower: float | None, upper: float | None, why: str) -> Search[T]:
        return Search(lower, upper, tuple(self._trials), why)


def edge(searches: Sequence[Search[T]]) -> tuple[float, float] | None:
    """The widest bracket of several searches; None where one of them has no number."""
    brackets = [(s.lower_hz, s.upper_hz) for s in searches]
    lows = [low for low, high in brackets if low is not None and high is not None]
    highs = [high for low, high in brackets if low is not None and high is not None]
    if not brackets or len(lows) < len(brackets):
        return None
    return min(lows), max(highs)
