"""Whether a sample comes from a distribution: the largest distance between the two cumulative curves.

sample ──► D = sup |F_n(x) − F(x)| ──► p = Q((√n + 0.12 + 0.11/√n) · D)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_TERMS = 100


def distance_from_uniform(values: Sequence[float], low: float, high: float) -> float:
    """The one-sample Kolmogorov–Smirnov statistic D against U(low, high) (Kolmogorov 1933).

    Values outside count as if they lay at the nearer end. Raises ValueError for no values or no interval.
    """
    if not values or not low < high:
        raise ValueError("a sample, and an interval that it may come from")
    n = len(values)
    below = [min(1.0, max(0.0, (value - low) / (high - low))) for value in sorted(values)]
    return max(max((k + 1) / n - f, f - k / n) for k, f in enumerate(below))


def p_value(distance: float, n: int) -> float:
    """The probability of a distance at least as large when the sample does come from the distribution.

    Kolmogorov's asymptotic series with Stephens' correction for finite n (J. R. Stat. Soc. B 32, 1970), good
    to a few percent of itself from n = 8 on. Raises ValueError for no sample.
    """
    if n < 1:
        raise ValueError("no sample, no probability")
    return survival((math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n)) * distance)


def survival(x: float) -> float:
    """Q(x) = 2 Σ (−1)^(j−1) exp(−2 j² x²), Kolmogorov's distribution: 0.05 at 1.358, 0.01 at 1.628."""
    if x < 0.2:  # the series converges slowly there, to what is 1 in twelve digits
        return 1.0
    total = sum((1 if j % 2 else -1) * math.exp(-2 * j * j * x * x) for j in range(1, _TERMS + 1))
    return min(1.0, max(0.0, 2 * total))


def critical_distance(n: int, level: float) -> float:
    """The distance that a true sample exceeds with probability `level`; found by bisection.

    Raises ValueError for no sample, and for a level that is no probability.
    """
    if not 0 < level < 1:
        raise ValueError(f"level {level}: between 0 and 1")
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if p_value(middle, n) > level else (low, middle)
    return high
