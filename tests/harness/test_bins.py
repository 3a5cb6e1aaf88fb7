"""Bins say what was measured and leave gaps where nothing was."""

import math

import pytest

from experiments.harness.bins import bin_probes, percentile, period_of, waits_s, width_for
from loadtests.probes import Probe
from tests.harness.synthetic_trial import probes


def probe(due_s: float, took_s: float = 0.002, outcome: str = "ok") -> Probe:
    return Probe("vip", 0, due_s, due_s, None, None, due_s + took_s, outcome, None, "8.8.8.8", "lb1")


def test_a_steady_stream_is_offered_and_served_at_its_rate() -> None:
    bins = bin_probes(probes(10.0, 1.0, None), 10.0, 11.0, origin_s=10.5025)
    assert bins.offered_hz == (200.0,) * 9  # whole bins only, with an edge on the origin
    assert bins.start_s[0] == pytest.approx(10.0025)
    assert sum(bins.goodput_hz) / 9 == pytest.approx(200, abs=5)
    assert set(bins.bad_share) == {0.0}


def test_an_outage_is_zero_goodput_but_a_gap_in_latency() -> None:
    bins = bin_probes(probes(0.0, 3.0, (1.0, 2.0), how=("refused",)), 0.0, 3.0)
    assert bins.offered_hz[15] == 200
    assert bins.goodput_hz[15] == 0
    assert bins.bad_share[15] == 1
    assert math.isnan(bins.p50_s[15])


def test_where_no_probe_was_due_nothing_is_claimed() -> None:
    bins = bin_probes([probe(0.01), probe(0.31)], 0.0, 0.4)
    assert math.isnan(bins.goodput_hz[1])
    assert math.isnan(bins.offered_hz[2])
    assert bins.goodput_hz[3] == pytest.approx(10)


def test_latency_counts_from_due_and_a_late_answer_is_a_latency_not_a_loss() -> None:
    bins = bin_probes(
        [probe(0.01, 0.05), probe(0.02, 0.7, "slow"), probe(0.03, 0.5, "read-timeout")], 0.0, 0.1
    )
    assert bins.p50_s[0] == pytest.approx(0.05)
    assert bins.p99_s[0] == pytest.approx(0.7)


def test_a_percentile_is_always_a_value_that_was_measured() -> None:
    assert [percentile([3.0, 1.0, 2.0, 4.0], q) for q in (0.25, 0.5, 0.95)] == [1.0, 2.0, 4.0]
    assert math.isnan(percentile([], 0.5))


def test_a_visitor_who_comes_during_the_outage_waits_for_its_end() -> None:
    rows = [probe(0.0), probe(1.0, 0.5, "read-timeout"), probe(2.0, 0.001, "refused"), probe(3.0, 0.01)]
    assert [wait for _, wait in waits_s(rows)] == pytest.approx([0.002, 2.01, 1.01, 0.01])


def test_a_wait_that_never_ended_has_no_length() -> None:
    assert [math.isnan(wait) for _, wait in waits_s([probe(0.0), probe(1.0, 0.001, "refused")])] == [
        False,
        True,
    ]


def test_the_period_is_read_from_the_probes() -> None:
    assert period_of(probes(0.0, 1.0, None, period_s=0.02)) == pytest.approx(0.02)
    assert period_of([]) == 0.005


def test_bins_widen_for_slow_streams() -> None:
    assert width_for(0.005) == 0.1
    assert width_for(0.05) == 0.5
