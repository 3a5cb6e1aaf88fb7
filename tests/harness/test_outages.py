"""Outage arithmetic on literals: every expected number can be checked by hand. The period is 10 ms."""

from __future__ import annotations

import pytest

from experiments.harness.outages import episodes, lateness_percentile_ms, steady_again_s, stream_result
from loadtests.probes import Probe

PERIOD_S = 0.010


def probe(
    k: int, outcome: str = "ok", *, latency_s: float = 0.001, late_s: float = 0.0, stream: str = "new"
) -> Probe:
    """Probe k of a stream that began at 0, ended `latency_s` after it was due."""
    due_s = k * PERIOD_S
    return Probe(stream, k, due_s, due_s + late_s, None, None, due_s + latency_s, outcome, None, "", "")


def pattern(text: str, latency_s: float = 0.001) -> list[Probe]:
    """One probe per letter: . is good, x is refused, t timed out after 500 ms."""
    names = {".": "ok", "x": "refused", "t": "read-timeout"}
    return [probe(k, names[c], latency_s=0.5 if c == "t" else latency_s) for k, c in enumerate(text)]


def test_a_stream_without_bad_probes_has_no_episode() -> None:
    assert episodes(pattern("." * 20), PERIOD_S) == []
    assert episodes([], PERIOD_S) == []


def test_a_refusal_is_bracketed_by_the_probes_around_it() -> None:
    (o,) = episodes(pattern("....xxxxxx......"), PERIOD_S)  # bad: due 0.04 … 0.09
    assert o.start_s == pytest.approx(0.04)
    assert (o.lost, o.errors) == (6, {"refused": 6})
    assert o.lower_s == pytest.approx(0.05)
    assert o.upper_s == pytest.approx(0.101 - 0.031)  # first good end after − last good end before
    assert o.outage_s == pytest.approx(0.07 - PERIOD_S)
    assert o.end_s == pytest.approx(0.101)


def test_one_isolated_bad_probe_is_an_episode_with_a_small_bracket() -> None:
    (o,) = episodes(pattern("......t......"), PERIOD_S)
    assert (o.lower_s, o.lost) == (0.0, 1)
    assert o.upper_s == pytest.approx(2 * PERIOD_S)
    assert o.outage_s == pytest.approx(PERIOD_S)


def test_fewer_than_five_good_probes_do_not_end_an_episode() -> None:
    (merged,) = episodes(pattern("......xx....xx......"), PERIOD_S)
    assert merged.lost == 4
    assert merged.outage_s == pytest.approx(
        0.08
    )  # from the good one due 0.05 to that due 0.14, less a period


def test_five_good_probes_end_an_episode() -> None:
    first, second = episodes(pattern("......xx.....xx......"), PERIOD_S)
    assert (first.lost, second.lost) == (2, 2)
    assert first.end_s == pytest.approx(0.081)
    assert second.start_s == pytest.approx(0.13)


def test_how_many_good_probes_end_an_episode_can_be_chosen() -> None:
    assert len(episodes(pattern("..x..x.."), PERIOD_S, merge_below=2)) == 2
    assert len(episodes(pattern("..x..x.."), PERIOD_S, merge_below=3)) == 1


def test_an_outage_that_never_ends_is_censored_with_the_time_watched() -> None:
    (o,) = episodes(pattern("....xxxxxx"), PERIOD_S, watched_until_s=0.25)
    assert (o.outage_s, o.upper_s, o.end_s, o.recovered) == (None, None, None, False)
    assert o.lower_s == pytest.approx(0.25 - 0.04)


def test_without_a_word_on_how_long_it_was_watched_the_last_due_is_the_end() -> None:
    (o,) = episodes(pattern("....xxxxxx"), PERIOD_S)
    assert o.lower_s == pytest.approx(0.05)


def test_an_answer_that_came_after_the_watch_is_no_recovery() -> None:
    """The fault is healed at 1.0 s, and only that lets the last probes be answered, within their 500 ms."""
    frozen = [probe(k, "read-timeout", latency_s=0.5) for k in range(10, 60)]
    held_back = [probe(k, latency_s=1.0 - k * PERIOD_S + 0.002) for k in range(60, 100)]
    watched = [*pattern("." * 10), *frozen, *held_back]
    (o,) = episodes(watched, PERIOD_S, watched_until_s=1.0)
    assert not o.recovered
    assert o.lower_s == pytest.approx(0.9)


def test_without_a_good_probe_before_nothing_is_counted_that_was_not_watched() -> None:
    (o,) = episodes(pattern("xxx...."), PERIOD_S)
    assert o.lower_s == pytest.approx(0.02)
    assert o.outage_s == pytest.approx(0.03)  # three periods, not the unknown time before


def test_a_constant_latency_does_not_make_the_outage_longer() -> None:
    """50 ms of latency: five probes are in flight at any moment, and answered although the door is closed."""
    (o,) = episodes(pattern("." * 10 + "x" * 20 + "." * 10, latency_s=0.05), PERIOD_S)
    assert o.outage_s == pytest.approx(0.20)


def test_answers_held_back_and_then_released_count_as_the_gap_nobody_was_served_in() -> None:
    """Frozen from 0.1 to 0.9 s: those due until 0.4 s gave up, the rest were answered at 0.9 s."""
    gave_up = [probe(k, "read-timeout", latency_s=0.5) for k in range(10, 40)]
    released = [probe(k, latency_s=0.9 - k * PERIOD_S) for k in range(40, 90)]
    after = [probe(k) for k in range(90, 100)]
    (o,) = episodes([*pattern("." * 10), *gave_up, *released, *after], PERIOD_S)
    assert o.lower_s == pytest.approx(0.29)
    assert o.upper_s == pytest.approx(0.9 - 0.091)
    assert o.outage_s == pytest.approx(0.799)


def test_a_straggler_answered_during_the_outage_does_not_shorten_it() -> None:
    probes = pattern("." * 10 + "x" * 30 + "." * 10)
    probes[8] = probe(
        8, latency_s=0.31
    )  # asked at 0.08, answered at 0.39, just before the first good one after
    (o,) = episodes(probes, PERIOD_S)
    assert o.lower_s == pytest.approx(0.29)
    assert o.outage_s == pytest.approx(0.30)
    assert o.upper_s == pytest.approx(0.31)


def test_answers_that_overtake_one_another_after_the_outage_count_from_the_earliest() -> None:
    probes = pattern("." * 10 + "x" * 10 + "." * 10)
    probes[20] = probe(20, latency_s=0.2)  # the first asked afterwards is answered last, at 0.4
    (o,) = episodes(probes, PERIOD_S)
    assert o.end_s == pytest.approx(0.211)
    assert o.outage_s == pytest.approx(0.211 - 0.091 - PERIOD_S)


@pytest.mark.parametrize(
    "text", ["..x..", "x....", "..xx.x..x.....xx..", "....tttt..", ".x.x.x.x.x......", "xt.....x.t."]
)
@pytest.mark.parametrize("latency_s", [0.001, 0.025, 0.3])
def test_the_headline_lies_in_its_bracket(text: str, latency_s: float) -> None:
    found = episodes(pattern(text, latency_s), PERIOD_S)
    assert sum(o.lost for o in found) == len(text) - text.count(".")
    for o in found:
        assert o.outage_s is not None
        assert o.upper_s is not None
        assert o.lower_s <= o.outage_s + 1e-9
        assert o.outage_s == pytest.approx(o.upper_s - PERIOD_S)
        assert sum(o.errors.values()) == o.lost


def test_probes_of_two_streams_are_not_one_story() -> None:
    with pytest.raises(ValueError, match="several"):
        episodes([probe(0), probe(1, stream="kept-alive")], PERIOD_S)


def test_probes_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="sorted"):
        episodes([probe(1), probe(0)], PERIOD_S)


def test_a_window_gives_its_longest_episode_and_all_its_counts() -> None:
    probes = pattern("....x.......xxxx.......tt......")
    r = stream_result("new", probes, PERIOD_S, 0.0, 0.31)
    assert (r.sent, r.lost, r.errors) == (31, 7, {"refused": 5, "read-timeout": 2})
    assert r.outage is not None
    assert r.outage.start_s == pytest.approx(0.12)


def test_a_window_counts_only_what_was_due_in_it() -> None:
    r = stream_result("new", pattern("xxxx.......xx......."), PERIOD_S, 0.05, 0.15)
    assert (r.sent, r.lost) == (10, 2)
    assert r.outage is not None
    assert r.outage.outage_s == pytest.approx(0.02)


def test_a_window_that_begins_with_the_fault_still_knows_the_last_good_answer() -> None:
    r = stream_result("new", pattern("." * 10 + "x" * 5 + "." * 10), PERIOD_S, 0.10, 0.25)
    assert r.outage is not None
    assert r.outage.upper_s == pytest.approx(0.151 - 0.091)


def test_a_probe_in_flight_when_the_window_begins_belongs_to_what_was_before() -> None:
    probes = pattern("." * 10 + "x" * 5 + "." * 10)
    probes[9] = probe(9, "read-timeout", latency_s=0.5)
    r = stream_result("new", probes, PERIOD_S, 0.10, 0.25)
    assert r.lost == 5
    assert r.outage is not None
    assert r.outage.upper_s == pytest.approx(0.151 - 0.081)


def test_an_outage_carried_into_a_window_begins_with_the_window() -> None:
    r = stream_result("new", pattern("....xxxxxxxx....."), PERIOD_S, 0.08, 0.17)
    assert r.outage is not None
    assert r.outage.start_s == pytest.approx(0.08)
    assert r.outage.outage_s == pytest.approx(0.04)


def test_recovery_after_the_window_leaves_the_outage_censored() -> None:
    r = stream_result("new", pattern("....xxxxxx......"), PERIOD_S, 0.0, 0.08)
    assert r.outage is not None
    assert r.outage.outage_s is None
    assert r.outage.lower_s == pytest.approx(0.04)


def test_a_window_without_bad_probes_has_no_outage() -> None:
    r = stream_result("new", pattern("." * 10), PERIOD_S, 0.0, 0.1)
    assert (r.sent, r.lost, r.outage, r.errors) == (10, 0, None, {})


def test_streams_are_told_apart() -> None:
    probes = [*pattern("..."), probe(1, "reset", stream="kept-alive")]
    assert stream_result("new", probes, PERIOD_S, 0.0, 0.1).lost == 0
    assert stream_result("kept-alive", probes, PERIOD_S, 0.0, 0.1).lost == 1


def test_a_window_nobody_watched_has_no_result() -> None:
    with pytest.raises(ValueError, match=r"no probe of stream 'new'"):
        stream_result("new", pattern("..."), PERIOD_S, 5.0, 6.0)


def test_lateness_is_the_probers_own_and_a_measured_value() -> None:
    probes = [probe(k, late_s=k / 1000) for k in range(1, 101)]
    assert lateness_percentile_ms(probes, 0.5) == pytest.approx(50)
    assert lateness_percentile_ms(probes, 0.99) == pytest.approx(99)
    assert lateness_percentile_ms(probes, 1.0) == pytest.approx(100)


def test_lateness_of_nothing_or_of_a_wrong_percentile_is_refused() -> None:
    with pytest.raises(ValueError, match="of 0 probes"):
        lateness_percentile_ms([], 0.99)
    with pytest.raises(ValueError, match="percentile 99"):
        lateness_percentile_ms([probe(0)], 99)


def outage_then_slow(slow: int) -> list[Probe]:
    """2 s of 1 to 5 ms, 0.5 s refused, `slow` probes of 80 ms, 1 s as before."""
    usual = [probe(k, latency_s=0.001 + k % 5 / 1000) for k in range(200)]
    refused = [probe(k, "refused") for k in range(200, 250)]
    recovering = [probe(k, latency_s=0.08) for k in range(250, 250 + slow)]
    again = [probe(k, latency_s=0.001 + k % 5 / 1000) for k in range(250 + slow, 350 + slow)]
    return [*usual, *refused, *recovering, *again]


def test_latency_is_steady_again_when_its_bins_are_back_in_the_band() -> None:
    probes = outage_then_slow(40)  # slow for those due 2.5 to 2.9 s; the first is answered at 2.58 s
    (o,) = episodes(probes, PERIOD_S)
    assert o.end_s == pytest.approx(2.58)
    assert steady_again_s(probes, fault_s=2.0, outage=o) == pytest.approx(0.4)  # bins begin at 2.58


def test_latency_is_steady_at_once_when_nothing_was_slow() -> None:
    probes = outage_then_slow(0)
    (o,) = episodes(probes, PERIOD_S)
    assert steady_again_s(probes, fault_s=2.0, outage=o) == pytest.approx(0.0)


def test_latency_that_stays_high_is_not_steady() -> None:
    probes = outage_then_slow(100)
    (o,) = episodes(probes, PERIOD_S)
    assert steady_again_s(probes, fault_s=2.0, outage=o, until_s=3.4) is None


def test_without_a_picture_of_before_there_is_no_band_to_be_back_in() -> None:
    probes = outage_then_slow(0)
    (o,) = episodes(probes, PERIOD_S)
    assert steady_again_s(probes, fault_s=0.3, outage=o) is None
