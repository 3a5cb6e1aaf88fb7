"""Lag as a bracket, its prediction, and whether a replica has everything and nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from experiments.harness.replication import Quantile, compare, errant, positions, predict, quantile, within
from tests.harness.synthetic_replication import BASIS, token, tokens


def test_the_lag_lies_between_the_last_miss_and_the_first_hit() -> None:
    seen = token(10.0, lag_ms=1.2, missed_ms=0.8)
    assert [seen.least_s, seen.lag_s, seen.commit_s] == pytest.approx([0.0008, 0.0012, 0.0005])


def test_found_at_the_first_question_it_may_have_been_there_all_along() -> None:
    seen = token(10.0, lag_ms=0.3)
    assert seen.least_s == 0.0
    assert seen.lag_s == pytest.approx(0.0003)


def test_a_token_that_never_came_is_longer_than_the_time_it_was_looked_for() -> None:
    unseen = token(10.0, None, missed_ms=1999.5)
    assert unseen.least_s == pytest.approx(2.0)
    assert math.isinf(unseen.lag_s)


def test_percentiles_have_both_bounds() -> None:
    found = quantile(tokens(0.6, 100, slow=2, slow_ms=6.0), 0.5)
    assert [found.low_s, found.high_s] == pytest.approx([0.0004, 0.0006])
    assert found.words == "0.40–0.60 ms"
    assert quantile(tokens(0.6, 100, slow=2, slow_ms=6.0), 0.99).high_s == pytest.approx(0.006)
    with pytest.raises(ValueError, match="no tokens"):
        quantile([], 0.5)


def test_a_percentile_that_was_not_seen_is_no_number() -> None:
    found = quantile([token(10.0, 0.3), token(10.1, None, 1999.0), token(10.2, None, 1999.0)], 0.5)
    assert found.words == "> 2000.00 ms"
    assert within(found, 0.01, 0.001) is False


def test_the_prediction_is_the_sum_that_it_says() -> None:
    predicted = predict(BASIS)
    assert predicted.median_s == pytest.approx(0.00066)
    # 0.44 of a 10 ms period on either host, the rare commit, the round trip
    assert predicted.p99_s == pytest.approx(0.0088 + 0.003 + 0.00006)
    assert "0.66 ms" in predicted.because
    assert "11.86 ms" in predicted.because


def test_a_server_with_a_core_of_its_own_never_waits_for_a_slice() -> None:
    assert replace(BASIS, cores=(1.0, 2.0)).slices_s == 0.0


@pytest.mark.parametrize(
    ("low_ms", "high_ms", "expected"),
    [
        (0.0, 0.3, True), (0.4, 0.9, True), (0.4, 1.1, None), (0.7, 0.9, False), (0.9, 40.0, False),
    ],
)  # fmt: skip
def test_only_what_the_resolution_leaves_open_is_open(
    low_ms: float, high_ms: float, expected: bool | None
) -> None:
    assert within(Quantile(low_ms / 1e3, high_ms / 1e3), 0.00066, 0.0003) is expected


def test_lost_and_unexpected_orders_are_told_from_those_that_nobody_knows() -> None:
    compared = compare({"a", "b", "c", "unknown"}, {"a", "b", "c"}, {"a", "c", "unknown", "x"})
    assert (compared.acknowledged, compared.missing, compared.unexpected) == (3, ("b",), ("x",))


def test_positions_are_read_by_domain_and_server() -> None:
    assert positions("0-1-1234,0-2-7, 3-9-1") == {(0, 1): 1234, (0, 2): 7, (3, 9): 1}
    assert positions("") == {}
    with pytest.raises(ValueError, match="no MariaDB GTID"):
        positions("3E11FA47-71CA-11E1-9E33-C80AA9429562:1-5:7-9:11")


def test_what_only_the_replica_has_is_errant() -> None:
    assert errant("0-1-100", "0-1-120") == ()  # behind, not astray
    assert errant("0-1-100,0-2-101", "0-1-120") == ("0-2-101",)
    assert errant("0-1-121", "0-1-120") == ("0-1-121",)
    assert errant("0-2-50,0-1-60", "0-2-50,0-1-60") == ()  # a former primary's history, known to both
