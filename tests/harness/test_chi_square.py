"""χ² against the printed tables, and intervals against worked examples."""

from __future__ import annotations

import math

import pytest

from experiments.harness.chi_square import goodness_of_fit, regularized_gamma_q, survival, wilson

#: (dof, χ², upper tail) as every textbook prints them (NIST/SEMATECH e-Handbook, 1.3.6.7.4).
TABLE = [
    (1, 0.00393, 0.95), (1, 2.706, 0.10), (1, 3.841, 0.05), (1, 6.635, 0.01), (1, 10.828, 0.001),
    (2, 0.103, 0.95), (2, 5.991, 0.05), (2, 9.210, 0.01), (5, 11.070, 0.05), (5, 15.086, 0.01),
    (10, 3.940, 0.95), (10, 18.307, 0.05), (10, 23.209, 0.01), (30, 43.773, 0.05), (100, 124.342, 0.05),
]  # fmt: skip


@pytest.mark.parametrize(("dof", "statistic", "tail"), TABLE)
def test_the_tail_is_that_of_the_printed_table(dof: int, statistic: float, tail: float) -> None:
    assert survival(statistic, dof) == pytest.approx(tail, rel=2e-3)


@pytest.mark.parametrize("x", [1e-6, 0.1, 0.9, 1.9, 2.1, 7.0, 40.0, 300.0])
def test_two_degrees_of_freedom_are_an_exponential(x: float) -> None:
    assert survival(2 * x, 2) == pytest.approx(math.exp(-x), rel=1e-11, abs=0)


@pytest.mark.parametrize("x", [0.01, 0.5, 1.4, 1.6, 3.0, 12.0])
def test_one_degree_of_freedom_is_the_square_of_a_normal(x: float) -> None:
    assert survival(2 * x, 1) == pytest.approx(math.erfc(math.sqrt(x)), rel=1e-11, abs=0)


@pytest.mark.parametrize("a", [0.5, 1.0, 3.5, 20.0])
def test_series_and_continued_fraction_meet_where_one_takes_over(a: float) -> None:
    below, above = regularized_gamma_q(a, (a + 1) * (1 - 1e-12)), regularized_gamma_q(a, a + 1)
    assert below == pytest.approx(above, rel=1e-9)


def test_nothing_exceeds_zero_less_than_always() -> None:
    assert survival(0.0, 3) == 1.0


def test_counts_as_predicted_have_no_distance() -> None:
    assert goodness_of_fit([50, 50], [0.5, 0.5]) == (0.0, 1.0)


def test_a_split_of_two_to_one_is_not_taken_for_an_even_one() -> None:
    statistic, p = goodness_of_fit([100, 50], [0.5, 0.5])
    assert statistic == pytest.approx(50 / 3)
    assert p == pytest.approx(4.46e-5, rel=0.01)
    assert goodness_of_fit([100, 50], [2 / 3, 1 / 3])[1] == 1.0


def test_mendels_peas() -> None:
    """315 : 108 : 101 : 32 against 9 : 3 : 3 : 1, Mendel 1866: χ² = 0.470, p = 0.925 (three degrees)."""
    statistic, p = goodness_of_fit([315, 108, 101, 32], [9 / 16, 3 / 16, 3 / 16, 1 / 16])
    assert statistic == pytest.approx(0.470, abs=5e-4)
    assert p == pytest.approx(0.9254, abs=5e-4)


def test_one_request_where_none_was_predicted_refutes_the_prediction() -> None:
    assert goodness_of_fit([99, 1], [1.0, 0.0])[1] == 0.0
    assert goodness_of_fit([100, 0], [1.0, 0.0])[1] == 1.0


@pytest.mark.parametrize(
    ("counts", "shares"),
    [([5], [1.0]), ([1, 2], [0.5]), ([0, 0], [0.5, 0.5]), ([1, -1], [0.5, 0.5]), ([1, 1], [0.5, 0.6])],
)
def test_what_is_no_split_is_refused(counts: list[int], shares: list[float]) -> None:
    with pytest.raises(ValueError, match=r"share|count"):
        goodness_of_fit(counts, shares)


def test_wilsons_interval_is_that_of_the_worked_example() -> None:
    """81 of 263 (Newcombe 1998, table I): 0.2553 to 0.3662."""
    assert list(wilson(81, 263)) == pytest.approx([0.2553, 0.3662], abs=1e-4)


def test_wilsons_interval_stays_within_zero_and_one() -> None:
    low, high = wilson(0, 20)
    assert low == 0.0
    assert high == pytest.approx(0.1611, abs=1e-4)  # Newcombe 1998: 0 of 20
    assert wilson(20, 20)[1] == 1.0
    with pytest.raises(ValueError, match="no share"):
        wilson(0, 0)
