"""Whether counts agree with the shares they were predicted to have, and how far a share can be trusted.

    counts, shares ──► χ² = Σ (observed − expected)² / expected ──► p = Q(dof/2, χ²/2)
    successes of n ──► Wilson's interval

The test was made for independent choices. A load balancer that takes turns is more even than chance, so its
p is close to 1; what the test can show is only the other direction, that a split is *not* the predicted one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

SIGNIFICANT = 0.01  # below it, counts do not have the shares they were predicted to have
Z_95 = 1.959964
_TINY, _PRECISION, _MOST_TERMS = 1e-300, 1e-14, 10_000


def goodness_of_fit(counts: Sequence[int], shares: Sequence[float]) -> tuple[float, float]:
    """Pearson's (χ², p) of `counts` against `shares`, which must add up to 1 (Pearson 1900).

    Degrees of freedom: one less than there are counts. The p of counts where none was expected is 0.
    Raises ValueError for fewer than two counts, for no observation, and for shares that are none.
    """
    if len(counts) != len(shares) or len(counts) < 2:
        raise ValueError("as many shares as counts, and at least two of them")
    if min(counts) < 0 or min(shares) < 0 or not math.isclose(sum(shares), 1.0):
        raise ValueError("counts and shares are not negative, and shares add up to 1")
    n = sum(counts)
    if n == 0:
        raise ValueError("nothing was counted")
    if any(count and not share for count, share in zip(counts, shares, strict=True)):
        return math.inf, 0.0
    kept = [(count, n * share) for count, share in zip(counts, shares, strict=True) if share]
    statistic = sum((count - expected) ** 2 / expected for count, expected in kept)
    return statistic, survival(statistic, len(counts) - 1)


def survival(statistic: float, dof: int) -> float:
    """The probability that χ² with `dof` degrees of freedom exceeds `statistic`: Q(dof/2, statistic/2).

    Raises ValueError below zero, and for fewer than one degree of freedom.
    """
    if statistic < 0 or dof < 1:
        raise ValueError(f"no χ² of {statistic} with {dof} degrees of freedom")
    return regularized_gamma_q(dof / 2, statistic / 2)


def regularized_gamma_q(a: float, x: float) -> float:
    """Q(a, x) = Γ(a, x)/Γ(a) for a > 0 and x ≥ 0, to about 13 digits (Numerical Recipes §6.2).

    Where x < a + 1 the series for P = 1 − Q converges quickly, elsewhere the continued fraction for Q.
    """
    if x == 0:
        return 1.0
    factor = math.exp(a * math.log(x) - x - math.lgamma(a))
    return 1.0 - factor * _series(a, x) if x < a + 1 else factor * _continued_fraction(a, x)


def _series(a: float, x: float) -> float:
    """Σ xⁿ / (a (a+1) … (a+n)): DLMF 8.7.1 without its factor."""
    term = total = 1 / a
    for n in range(1, _MOST_TERMS):
        term *= x / (a + n)
        total += term
        if term < total * _PRECISION:
            return total
    raise ArithmeticError(f"the series for P({a}, {x}) does not converge")


def _continued_fraction(a: float, x: float) -> float:
    """1/(x+1−a − 1(1−a)/(x+3−a − 2(2−a)/(x+5−a − …))): DLMF 8.9.2 contracted, by Lentz's method."""
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for n in range(1, _MOST_TERMS):
        numerator = n * (a - n)
        b += 2
        d = 1 / (numerator * d + b or _TINY)
        c = b + numerator / c or _TINY
        fraction *= d * c
        if abs(d * c - 1) < _PRECISION:
            return fraction
    raise ArithmeticError(f"the continued fraction for Q({a}, {x}) does not converge")


def wilson(successes: int, n: int, z: float = Z_95) -> tuple[float, float]:
    """The score interval of a share, `successes` of `n` (Wilson 1927); `z` standard deviations.

    Raises ValueError for no observations.
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no share")
    share, scale = successes / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)
