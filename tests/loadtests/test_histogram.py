"""Percentiles are right within 1%, never flatter, and halves add up to the whole."""

from __future__ import annotations

import json
import math
import random

import pytest

from loadtests.histogram import PERCENTILES, RELATIVE_ERROR, Histogram, bucket_of, merged, upper_edge_s


def of(durations_s: list[float]) -> Histogram:
    histogram = Histogram()
    for duration_s in durations_s:
        histogram.add(duration_s)
    return histogram


def sample(count: int, seed: int) -> list[float]:
    rng = random.Random(seed)
    return [rng.lognormvariate(math.log(5e-3), 1.5) for _ in range(count)]


@pytest.mark.parametrize("q", [*PERCENTILES.values(), 1.0])
@pytest.mark.parametrize("count", [1, 19, 20, 1000])
def test_a_percentile_is_that_of_the_sorted_values_rounded_up_by_less_than_1_percent(
    q: float, count: int
) -> None:
    durations_s = sample(count, seed=count)
    true_ms = sorted(durations_s)[math.ceil(q * count - 1e-9) - 1] * 1e3
    shown_ms = of(durations_s).percentile_ms(q)
    assert shown_ms is not None
    assert true_ms - 1e-4 <= shown_ms <= true_ms * (1 + RELATIVE_ERROR) + 1e-4
    assert RELATIVE_ERROR < 0.01


@pytest.mark.parametrize("duration_s", [1e-6, 1.5e-6, 64e-6, 0.001, 0.49999, 0.5, 1.0, 59.9, 4000.0])
def test_a_bucket_ends_above_what_it_holds_and_where_the_next_begins(duration_s: float) -> None:
    bucket = bucket_of(duration_s)
    assert duration_s < upper_edge_s(bucket) <= duration_s * (1 + RELATIVE_ERROR)
    assert bucket_of(upper_edge_s(bucket)) == bucket + 1
    assert bucket_of(math.nextafter(upper_edge_s(bucket), 0)) == bucket


def test_nothing_has_no_percentile_and_no_time_is_the_smallest() -> None:
    assert Histogram().percentile_ms(0.5) is None
    assert of([0.0, -1.0]).percentile_ms(0.5) == 0.001


def test_merged_parts_are_the_histogram_of_the_whole() -> None:
    first, second = sample(500, 1), sample(300, 2)
    whole = merged([of(first), of(second), Histogram()])
    assert whole.to_document() == of(first + second).to_document()
    assert whole.total == 800
    assert whole.max_s == max(first + second)


def test_a_histogram_survives_json_and_is_small() -> None:
    histogram = of(sample(100_000, 3))
    text = json.dumps(histogram.to_document())
    again = Histogram.from_document(json.loads(text))
    assert again.percentiles_ms() == histogram.percentiles_ms()
    assert again.total == 100_000
    assert len(text) < 25_000
