"""A verdict is the prediction and the measurement side by side; a planted wrong outage must deviate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from experiments.harness.model import Claim, Event, Interval, Outage, Prediction, StreamResult, Trial, Verdict
from experiments.harness.verdict import (
    TOLERANCE_S,
    bootstrap_median,
    holders,
    interval,
    judge_claim,
    judge_trial,
    overall,
    vip_gap_claim,
)  # fmt: skip

PERIOD_S = 0.005
SLACK_S = PERIOD_S + TOLERANCE_S  # 0.055
CRASH = Prediction(2.609, 3.609, "VRRP v2")
NEVER = Prediction(0.0, None, "nothing takes over")
NOTHING = Prediction(0.0, 0.0, "control")


def lasted(outage_s: float, spread_s: float = 0.01) -> Outage:
    return Outage(100.0, 100.0 + outage_s, outage_s, outage_s - spread_s, outage_s + spread_s, lost=1)


def censored(watched_s: float) -> Outage:
    return Outage(100.0, None, None, watched_s, None, lost=9)


def verdict_of(prediction: Prediction, outage: Outage | None, watched_s: float = 30.0) -> Verdict:
    return judge_trial(prediction, outage, PERIOD_S, watched_s)[0]


# --- one trial ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outage_s", "expected"),
    [
        (3.1, "held"),
        (2.609 - SLACK_S + 0.001, "held"),
        (2.609 - SLACK_S - 0.001, "deviated"),
        (3.609 + SLACK_S - 0.001, "held"),
        (3.609 + SLACK_S + 0.001, "deviated"),
        (0.3, "deviated"),
        (20.0, "deviated"),
    ],
)
def test_an_outage_holds_inside_the_prediction_and_its_tolerance(outage_s: float, expected: Verdict) -> None:
    assert verdict_of(CRASH, lasted(outage_s)) == expected


def test_a_reason_names_both_numbers() -> None:
    assert judge_trial(CRASH, lasted(3.1), PERIOD_S, 30)[1] == "3.100 s inside 2.609 s to 3.609 s"
    assert "20" in judge_trial(CRASH, lasted(20.0), PERIOD_S, 30)[1]


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [(NOTHING, "held"), (Prediction(0.0, 6.0, ""), "held"), (Prediction(0.05, 1.0, ""), "held"),
     (Prediction(0.06, 1.0, ""), "deviated"), (CRASH, "deviated"), (NEVER, "deviated")],
)  # fmt: skip
def test_no_bad_probe_holds_only_where_none_was_predicted(prediction: Prediction, expected: Verdict) -> None:
    assert verdict_of(prediction, None) == expected


def test_a_control_that_shows_an_outage_deviates() -> None:
    assert verdict_of(NOTHING, lasted(0.2)) == "deviated"
    assert verdict_of(NOTHING, lasted(0.01, spread_s=0.005)) == "held"  # one lost probe is within tolerance


@pytest.mark.parametrize(
    ("prediction", "watched_s", "expected"),
    [
        (NEVER, 30.0, "held"),
        (CRASH, 30.0, "deviated"),
        (CRASH, 3.609 + SLACK_S + 0.001, "deviated"),
        (CRASH, 3.0, "inconclusive"),  # it may still come back in time
        (CRASH, 2.5, "held"),  # it was not due yet
        (Prediction(60.0, 61.0, ""), 30.0, "held"),
    ],
)
def test_an_outage_that_outlasts_the_watch_is_judged_by_what_was_watched(
    prediction: Prediction, watched_s: float, expected: Verdict
) -> None:
    assert verdict_of(prediction, censored(watched_s), watched_s) == expected


def test_recovery_where_nothing_takes_over_deviates() -> None:
    assert verdict_of(NEVER, lasted(3.0)) == "deviated"


def test_a_bracket_that_misses_the_prediction_deviates_whatever_the_headline_says() -> None:
    assert verdict_of(CRASH, replace(lasted(3.1), lower_s=0.1, upper_s=0.2)) == "deviated"
    assert verdict_of(CRASH, replace(lasted(3.1), lower_s=8.0, upper_s=9.0)) == "deviated"


def test_a_bracket_upside_down_proves_nothing() -> None:
    assert verdict_of(CRASH, replace(lasted(3.1), lower_s=3.2, upper_s=3.0)) == "inconclusive"


# --- the median -----------------------------------------------------------------------------------------


def test_the_interval_of_a_median_is_reproducible_and_covers_it() -> None:
    values = [2.7, 2.8, 2.9, 3.0, 3.1, 3.2, 3.3, 3.4, 3.5, 3.6]
    low, high = bootstrap_median(values, seed=1)
    assert (low, high) == bootstrap_median(values, seed=1)
    assert 2.7 <= low < 3.15 < high <= 3.6
    wide_low, wide_high = bootstrap_median(values, seed=1, level=0.999)
    assert wide_low <= low
    assert high <= wide_high


def test_equal_values_leave_no_room() -> None:
    assert bootstrap_median([2.0] * 5, seed=3) == (2.0, 2.0)


def test_fewer_than_three_values_give_their_extremes() -> None:
    assert bootstrap_median([3.0], seed=0) == (3.0, 3.0)
    assert bootstrap_median([3.5, 3.0], seed=0) == (3.0, 3.5)
    with pytest.raises(ValueError, match="no values"):
        bootstrap_median([], seed=0)


def test_a_bound_that_rests_on_a_censored_outage_is_no_number() -> None:
    inf = float("inf")
    assert interval([1.0, inf], "s") == Interval(None, 1.0, None, 2, "s")
    assert interval([inf], "s") == Interval(None, None, None, 1, "s")
    assert interval([], "s") == Interval(None, None, None, 0, "s")
    mostly = interval([1.0, 1.1, inf], "s")
    assert (mostly.median, mostly.high) == (1.1, None)


# --- claims ---------------------------------------------------------------------------------------------


def trial(
    number: int, outage: Outage | None, verdict: Verdict = "held", fidelity: tuple[str, ...] = ()
) -> Trial:
    return Trial(
        number, "host-crash", "lb1", 0.0, 1.0, 2.0, 3.0, CRASH, StreamResult("fresh", 600, 1, outage, {}),
        fidelity=fidelity, verdict=verdict,
    )  # fmt: skip


def claim_of(trials: Sequence[Trial], predictions: Sequence[Prediction] = (CRASH,)) -> Claim:
    return judge_claim("3.1", "an LB cluster fails over", predictions, trials)


def test_a_claim_holds_when_every_trial_does() -> None:
    claim = claim_of([trial(1, lasted(2.8)), trial(2, lasted(3.0)), trial(3, lasted(3.2))])
    assert (claim.verdict, claim.reason) == ("held", "3 of 3 trials as predicted")
    assert (claim.predicted_low, claim.predicted_high) == (2.609, 3.609)
    assert claim.measured == Interval(3.0, 2.8, 3.2, 3, "s")


def test_a_planted_wrong_outage_makes_the_claim_deviate() -> None:
    verdict = verdict_of(CRASH, lasted(9.0))
    claim = claim_of([trial(1, lasted(2.8)), trial(2, lasted(9.0), verdict), trial(3, lasted(3.2))])
    assert claim.verdict == "deviated"
    assert claim.reason == "1 of 3 trials deviated: 2 (host-crash lb1)"


def test_one_inconclusive_trial_makes_the_claim_inconclusive() -> None:
    assert (
        claim_of([trial(1, lasted(2.8)), trial(2, censored(3.0), "inconclusive")]).verdict == "inconclusive"
    )


def test_a_trial_that_fails_fidelity_does_not_count() -> None:
    bad = trial(3, lasted(9.0), "deviated", ("probe lateness p99 12 ms",))
    claim = claim_of([trial(1, lasted(2.8)), trial(2, lasted(3.0)), bad])
    assert (claim.verdict, claim.measured.n, claim.measured.high) == ("held", 2, 3.0)
    assert claim_of([trial(1, lasted(2.8)), bad]).verdict == "held"  # half of them do count


def test_too_few_valid_trials_are_inconclusive_and_say_why() -> None:
    bad = trial(2, lasted(2.8), "held", ("probe lateness p99 12 ms",))
    claim = claim_of([trial(1, lasted(9.0), "deviated"), bad, bad])
    assert claim.verdict == "inconclusive"
    assert claim.reason == "only 1 of 3 trials count: probe lateness p99 12 ms"
    assert claim_of([]).verdict == "inconclusive"


def test_a_claim_spans_all_its_predictions() -> None:
    claim = claim_of([trial(1, None)], [CRASH, NOTHING])
    assert (claim.predicted_low, claim.predicted_high) == (0.0, 3.609)
    assert claim.measured.median == 0.0
    assert claim_of([trial(1, censored(30.0))], [CRASH, NEVER]).predicted_high is None


def test_the_worst_claim_decides_the_run() -> None:
    held = claim_of([trial(1, lasted(3.0))])
    open_, wrong = replace(held, verdict="inconclusive"), replace(held, verdict="deviated")
    assert overall([held, held]) == "held"
    assert overall([held, open_]) == "inconclusive"
    assert overall([open_, wrong, held]) == "deviated"
    assert overall([]) == "inconclusive"


# --- who holds the address ------------------------------------------------------------------------------

VIP = "8.8.8.8"


def event(t_s: float, kind: str, host: str, address: str = "8.8.8.8/24") -> Event:
    return Event(t_s, kind, host, address)


FAILOVER = [
    event(12.0, "vip-down", "lb1"),  # injection: configured still, but unreachable
    event(12.5, "inject", "lb1", "host-crash"),
    event(15.0, "vip-up", "lb2"),
    event(16.0, "vip-up", "lb2", "8.8.8.9"),
    event(20.0, "vip-up", "lb1"),
    event(20.1, "vip-down", "lb2"),
]


def test_holders_cuts_the_window_at_every_change() -> None:
    found = [(h.start_s, h.end_s, sorted(h.hosts)) for h in holders(FAILOVER, VIP, 10.0, 25.0, ["lb1"])]
    assert found == [
        (10.0, 12.0, ["lb1"]),
        (12.0, 15.0, []),
        (15.0, 20.0, ["lb2"]),
        (20.0, 20.1, ["lb1", "lb2"]),
        (20.1, 25.0, ["lb1"]),
    ]


def test_events_outside_the_window_or_of_another_address_change_nothing() -> None:
    assert [h.hosts for h in holders(FAILOVER, VIP, 21.0, 25.0, ["lb1"])] == [{"lb1"}]
    assert [h.hosts for h in holders(FAILOVER, "8.8.8.80", 10.0, 25.0, [])] == [frozenset()]
    again = [event(11.0, "vip-up", "lb1")]
    assert len(holders(again, VIP, 10.0, 12.0, ["lb1"])) == 1


def test_a_gap_within_the_prediction_holds() -> None:
    claim = vip_gap_claim(FAILOVER, {VIP: ["lb1"]}, 10.0, 25.0, [CRASH])
    assert (claim.id, claim.verdict, claim.measured.n) == ("3.4", "held", 1)
    assert claim.measured.high == pytest.approx(3.0)
    assert "two holders for 0.100 s" in claim.reason


def test_a_planted_long_gap_deviates() -> None:
    late = [event(12.0, "vip-down", "lb1"), event(15.7, "vip-up", "lb2")]
    assert vip_gap_claim(late, {VIP: ["lb1"]}, 10.0, 25.0, [CRASH]).verdict == "deviated"
    on_time = [event(12.0, "vip-down", "lb1"), event(15.65, "vip-up", "lb2")]
    assert vip_gap_claim(on_time, {VIP: ["lb1"]}, 10.0, 25.0, [CRASH]).verdict == "held"
    assert vip_gap_claim(late[:1], {VIP: ["lb1"]}, 10.0, 25.0, [NEVER]).verdict == "held"


def test_every_address_is_watched() -> None:
    events = [event(11.0, "vip-down", "lb2", "8.8.8.9/24")]
    claim = vip_gap_claim(events, {VIP: ["lb1"], "8.8.8.9": ["lb2"]}, 10.0, 25.0, [CRASH])
    assert (claim.verdict, claim.measured.high) == ("deviated", 14.0)


def test_no_gap_is_a_gap_of_zero_and_no_prediction_no_verdict() -> None:
    calm = vip_gap_claim([], {VIP: ["lb1"]}, 10.0, 25.0, [NOTHING])
    assert (calm.verdict, calm.measured) == ("held", Interval(0.0, 0.0, 0.0, 0, "s"))
    assert vip_gap_claim([], {VIP: ["lb1"]}, 10.0, 25.0, []).verdict == "inconclusive"
