"""Durations in buckets that grow with them: any percentile within 1%, in the memory of some hundred counts.

    … ½ s │ 128 steps of 3.9 ms │ 1 s │ 128 steps of 7.8 ms │ 2 s │ 128 steps of 15.6 ms │ 4 s …

Log-linear, as HdrHistogram has them (http://hdrhistogram.org). A value is told by the upper edge of its
bucket, so a percentile never flatters, and exceeds the true one by at most 1/128. Buckets add up: halves of a
trial, or several trials, merge into what one histogram of all of them would have been.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

STEPS: Final = 128  # per doubling
RELATIVE_ERROR: Final = 1 / STEPS
SMALLEST_S: Final = 1e-6  # all that is shorter counts as this
PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}


class Histogram:
    """Durations in seconds; `max_s` is exact."""

    __slots__ = ("_counts", "max_s")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.max_s = 0.0

    def add(self, duration_s: float) -> None:
        self.add_at(bucket_of(duration_s), duration_s)

    def add_at(self, bucket: int, duration_s: float) -> None:
        """`bucket` is bucket_of(duration_s): found once for several histograms."""
        counts = self._counts
        counts[bucket] = counts.get(bucket, 0) + 1
        if duration_s > self.max_s:
            self.max_s = duration_s

    @property
    def total(self) -> int:
        return sum(self._counts.values())

    def percentile_ms(self, q: float) -> float | None:
        """Nearest-rank percentile, 0 < q <= 1; None of nothing."""
        rank = math.ceil(q * self.total - 1e-9)  # 0.95 * 20 is a little above 19
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return round(min(upper_edge_s(bucket), max(self.max_s, SMALLEST_S)) * 1e3, 4)
        return None

    def summary_ms(self) -> dict[str, float | None]:
        """p50, p99 and max in milliseconds."""
        return {"p50": self.percentile_ms(0.5), "p99": self.percentile_ms(0.99), "max": self.max_ms}

    def percentiles_ms(self) -> dict[str, float | None]:
        """p50, p90, p95, p99, p99.9 and max in milliseconds."""
        return {name: self.percentile_ms(q) for name, q in PERCENTILES.items()} | {"max": self.max_ms}

    @property
    def max_ms(self) -> float:
        return round(self.max_s * 1e3, 3)

    def to_document(self) -> dict[str, Any]:
        """For JSON: the exact maximum, and bucket, count, bucket, count, … in rising order."""
        flat = [number for bucket in sorted(self._counts) for number in (bucket, self._counts[bucket])]
        return {"max_s": self.max_s, "buckets": flat}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Histogram:
        histogram = cls()
        flat = document["buckets"]
        histogram._counts = dict(zip(flat[::2], flat[1::2], strict=True))
        histogram.max_s = document["max_s"]
        return histogram


def bucket_of(duration_s: float) -> int:
    """Which bucket holds a duration; the next longer bucket has the next number."""
    fraction, exponent = math.frexp(duration_s if duration_s > SMALLEST_S else SMALLEST_S)
    return exponent * STEPS + int(fraction * (2 * STEPS))  # the fraction lies in [1/2, 1)


def upper_edge_s(bucket: int) -> float:
    """The end of a bucket, which belongs to the next one."""
    exponent, step = divmod(bucket - STEPS, STEPS)
    return math.ldexp(STEPS + step + 1, exponent) / (2 * STEPS)


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram of everything that was added to any of them."""
    whole = Histogram()
    for histogram in histograms:
        for bucket, count in histogram._counts.items():
            whole._counts[bucket] = whole._counts.get(bucket, 0) + count
        whole.max_s = max(whole.max_s, histogram.max_s)
    return whole
