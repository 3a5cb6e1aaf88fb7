"""A search finds a capacity that is known, and gives no number where the run supports none."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from experiments.load.search import MAJORITY_OF, Search, edge, search
from experiments.load.slo import SMALL_MS, Slo


@dataclass(frozen=True)
class Trial:
    rate_hz: float
    achieved_hz: float
    error_share: float = 0.0
    p95_ms: float | None = 10.0
    first_half_p95_ms: float | None = 10.0
    second_half_p95_ms: float | None = 10.0
    reasons: tuple[str, ...] = ()

    @property
    def offered_hz(self) -> float:
        return self.rate_hz


def stage(capacity_hz: float) -> Callable[[float], Trial]:
    """Carries everything up to its capacity, and answers what is beyond it late."""
    return lambda rate: Trial(rate, rate, p95_ms=10.0 if rate <= capacity_hz else 900.0)


@pytest.mark.parametrize("capacity_hz", [3.0, 40.0, 137.0, 800.0, 4321.0])
def test_the_bracket_holds_the_known_capacity_and_is_as_narrow_as_asked(capacity_hz: float) -> None:
    found = search(stage(capacity_hz), Slo(), start_hz=50, ceiling_hz=10_000, resolution=0.05)
    assert found.lower_hz is not None
    assert found.upper_hz is not None
    assert found.lower_hz <= capacity_hz <= found.upper_hz
    assert found.upper_hz / found.lower_hz <= 1.05
    assert found.capacity_hz == pytest.approx(capacity_hz, rel=0.05)
    assert found.why == "p95 900 ms > 200 ms"
    assert len(found.trials) <= 30


def test_a_noisy_edge_is_decided_by_the_majority() -> None:
    """Near the edge one trial in six says the opposite; the answer stays within a tenth."""
    for seed in range(20):
        rng = random.Random(seed)

        def noisy(rate: float, rng: random.Random = rng) -> Trial:
            slow = rate > 400
            if abs(rate / 400 - 1) < 0.2 and rng.random() < 1 / 6:
                slow = not slow
            return Trial(rate, rate, p95_ms=900.0 if slow else 10.0)

        found = search(noisy, Slo(), start_hz=50, ceiling_hz=10_000)
        assert found.capacity_hz == pytest.approx(400, rel=0.25)
        near = [t.rate_hz for t in found.trials if abs(t.rate_hz / 400 - 1) < 0.1]
        assert max(near.count(rate) for rate in near) <= MAJORITY_OF


def test_a_rate_beyond_the_generators_ceiling_is_never_offered_and_gives_no_number() -> None:
    found = search(stage(1e9), Slo(), start_hz=50, ceiling_hz=1000)
    assert max(t.rate_hz for t in found.trials) == 1000
    assert (found.lower_hz, found.upper_hz, found.capacity_hz) == (1000, None, None)
    assert "the most the generator offers" in found.why


def test_a_trial_that_does_not_count_is_repeated_once_and_then_ends_the_search_without_a_number() -> None:
    def starved(rate: float) -> Trial:
        return Trial(rate, rate, reasons=("lateness p99 40 ms",) if rate >= 200 else ())

    found = search(starved, Slo(), start_hz=50, ceiling_hz=10_000)
    assert [round(t.rate_hz) for t in found.trials] == [50, 75, 112, 169, 253, 253]
    assert found.capacity_hz is None
    assert found.lower_hz == pytest.approx(168.75)
    assert found.why == "at 253/s the run does not count: lateness p99 40 ms"
    reasons = itertools.chain([("one hiccup",)], itertools.repeat(()))
    once = search(
        lambda rate: Trial(rate, rate, p95_ms=10.0 if rate <= 70 else 900.0, reasons=next(reasons)),
        Slo(), start_hz=50, ceiling_hz=1000,
    )  # fmt: skip
    assert once.capacity_hz == pytest.approx(70, rel=0.08)


def test_a_stage_that_never_meets_the_slo_has_no_capacity() -> None:
    found = search(lambda rate: Trial(rate, rate, p95_ms=5000.0), Slo(), start_hz=50, ceiling_hz=1000)
    assert found.capacity_hz is None
    assert found.lower_hz is None
    assert found.why.startswith("the SLO is not met even at 0.867/s: p95 5000 ms > 200 ms")


@pytest.mark.parametrize(
    ("trial", "why"),
    [
        (Trial(100, 100), ""),
        (Trial(100, 99), ""),
        (Trial(100, 97), "achieved 97.0% of the offered rate"),
        (Trial(100, 100, error_share=0.02), "errors 2.0% > 1.0%"),
        (Trial(100, 100, error_share=0.01), ""),
        (Trial(100, 100, p95_ms=201), "p95 201 ms > 200 ms"),
        (Trial(100, 0, p95_ms=None), "no good answer"),
        (
            Trial(100, 100, first_half_p95_ms=60, second_half_p95_ms=91),
            "p95 grows from half to half: 60 → 91 ms",
        ),
        (Trial(100, 100, first_half_p95_ms=60, second_half_p95_ms=90), ""),
        (Trial(100, 100, first_half_p95_ms=2, second_half_p95_ms=SMALL_MS), ""),
        (Trial(100, 100, first_half_p95_ms=None, second_half_p95_ms=90), ""),
    ],
)
def test_each_criterion_of_the_slo_decides_alone(trial: Trial, why: str) -> None:
    assert Slo().broken_by(trial) == why


@pytest.mark.parametrize(
    "limits",
    [{"p95_ms": 0}, {"errors": 1}, {"errors": -0.1}, {"achieved": 0}, {"achieved": 1.1}, {"growth": 0.9}],
)
def test_an_slo_that_nothing_or_everything_meets_is_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="SLO"):
        Slo(**limits)


def test_the_edge_of_several_searches_is_the_widest_bracket_or_none() -> None:
    found = [search(stage(c), Slo(), start_hz=50, ceiling_hz=1000) for c in (300, 340)]
    low, high = edge(found) or (0.0, 0.0)
    assert low == found[0].lower_hz
    assert high == found[1].upper_hz
    nothing: Search[Trial] = Search(None, None, (), "starved")
    assert edge([*found, nothing]) is None
    assert edge([]) is None
    assert math.isclose((found[0].capacity_hz or 0) ** 2, (found[0].lower_hz or 0) * (found[0].upper_hz or 0))
