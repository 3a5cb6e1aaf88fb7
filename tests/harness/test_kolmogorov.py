"""A sample is told from a distribution that it does not come from, and from no other."""

from __future__ import annotations

import random

import pytest

from experiments.harness.kolmogorov import critical_distance, distance_from_uniform, p_value, survival


@pytest.mark.parametrize(("x", "q"), [(1.2238, 0.10), (1.3581, 0.05), (1.6276, 0.01), (1.9495, 0.001)])
def test_kolmogorovs_distribution_is_that_of_the_tables(x: float, q: float) -> None:
    assert survival(x) == pytest.approx(q, rel=1e-3)


def test_its_ends_are_certain() -> None:
    assert survival(0.0) == 1.0
    assert survival(0.2) == pytest.approx(1.0)
    assert survival(5.0) < 1e-20


@pytest.mark.parametrize(
    ("values", "distance"),
    [
        ([0.5], 0.5),
        ([0.25, 0.5, 0.75], 0.25),
        ([0.1, 0.2, 0.3], 0.7),  # 1 − 0.3, above
        ([0.9], 0.9),  # 0.9 − 0, below
        ([0.3, 0.3, 0.3], 0.7),
    ],
)
def test_the_distance_is_the_largest_gap_on_either_side(values: list[float], distance: float) -> None:
    assert distance_from_uniform(values, 0, 1) == pytest.approx(distance)
    assert distance_from_uniform([10 * v + 5 for v in reversed(values)], 5, 15) == pytest.approx(distance)


def test_values_outside_count_at_the_nearer_end() -> None:
    assert distance_from_uniform([-1.0, 2.0], 0, 1) == pytest.approx(0.5)


@pytest.mark.parametrize(("n", "critical"), [(20, 0.294), (10, 0.409)])
def test_critical_distances_are_those_of_the_exact_tables(n: int, critical: float) -> None:
    """Massey, J. Am. Stat. Assoc. 46 (1951), at 5%."""
    assert critical_distance(n, 0.05) == pytest.approx(critical, abs=0.002)


def test_even_samples_are_believed_and_others_are_not() -> None:
    draw = random.Random(4)
    even = [draw.random() for _ in range(300)]
    assert p_value(distance_from_uniform(even, 0, 1), 300) > 0.01
    assert p_value(distance_from_uniform([v**2 for v in even], 0, 1), 300) < 1e-6
    assert p_value(distance_from_uniform([0.5 + v / 2 for v in even], 0, 1), 300) < 1e-6


def test_one_true_sample_in_twenty_is_refused_at_five_percent() -> None:
    draw, refused = random.Random(11), 0
    for _ in range(1000):
        sample = [draw.random() for _ in range(30)]
        refused += distance_from_uniform(sample, 0, 1) > critical_distance(30, 0.05)
    assert 30 <= refused <= 75


def test_nothing_is_said_of_nothing() -> None:
    with pytest.raises(ValueError, match="sample"):
        distance_from_uniform([], 0, 1)
    with pytest.raises(ValueError, match="interval"):
        distance_from_uniform([1.0], 1, 1)
    with pytest.raises(ValueError, match="no sample"):
        p_value(0.5, 0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        critical_distance(5, 1.0)
