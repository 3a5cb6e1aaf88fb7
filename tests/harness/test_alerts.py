"""The time to a page is the sum of its timers, and no phase of them leads out of the predicted interval."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import pytest

from experiments.harness.alerts import (
    LATE_S,
    Condition,
    Timers,
    checked,
    condition_of,
    judge,
    on_the_way,
    rounded_up_s,
    scraped,
)
from experiments.harness.blocks import ConfigError
from experiments.harness.model import Prediction
from experiments.harness.predict import total
from experiments.harness.timing import Timing
from services.credentials import Secrets
from services.prometheus import RULES, Prometheus

DEFAULT = Timers(scrape_interval_s=2, scrape_timeout_s=1, evaluation_interval_s=2, for_s=4, group_wait_s=0)
ALERTS = Prometheus(host_name="monitor1", targets=()).render(Secrets())[RULES].text


def predicted(*noticed: Timing, timers: Timers = DEFAULT) -> tuple[float, float]:
    p = total(on_the_way(timers, *noticed))
    assert p.high_s is not None
    return p.low_s, p.high_s


@pytest.mark.parametrize(
    ("noticed", "low_s", "high_s"),
    [
        ((scraped(DEFAULT, "refused"),), 4.0, 8.0),
        ((scraped(DEFAULT, "black-hole"),), 5.0, 9.0),  # scrape_timeout
        ((scraped(DEFAULT, "silent", 0.5),), 4.5, 8.5),  # the exporter gives up first
        ((scraped(DEFAULT, "silent", 3.0),), 5.0, 9.0),  # Prometheus gives up first
        ((scraped(DEFAULT, "refused", 0.5),), 4.0, 8.0),  # the exporter is refused at once
        ((checked(2.0, 0.3), scraped(DEFAULT, "refused")), 4.3, 10.3),
    ],
)
def test_the_steps_add_up(noticed: tuple[Timing, ...], low_s: float, high_s: float) -> None:
    assert predicted(*noticed) == pytest.approx((low_s, high_s + LATE_S))


def test_group_wait_delays_every_page() -> None:
    patient = Timers(2, 1, 2, 4, group_wait_s=30)
    assert predicted(scraped(patient, "refused"), timers=patient) == (34, 38 + LATE_S)


@pytest.mark.parametrize(
    ("for_s", "every_s", "held_s"), [(4, 2, 4), (5, 2, 6), (0, 2, 0), (1, 15, 15), (0.3, 0.1, 0.3)]
)
def test_an_alert_can_only_fire_at_an_evaluation(for_s: float, every_s: float, held_s: float) -> None:
    assert rounded_up_s(for_s, every_s) == pytest.approx(held_s)


def fires_after_s(t: Timers, scrape_phase_s: float, evaluation_phase_s: float) -> float:
    """A fault at 0 that is refused at once; scrapes and evaluations at their phases, one after the other."""
    seen_at: int | None = None
    for number in itertools.count():
        moment_s = evaluation_phase_s + number * t.evaluation_interval_s
        if moment_s >= scrape_phase_s:
            seen_at = number if seen_at is None else seen_at
            if (number - seen_at) * t.evaluation_interval_s >= t.for_s:
                return moment_s
    raise AssertionError("evaluations never end")


@pytest.mark.parametrize("timers", [DEFAULT, Timers(5, 1, 2, 3, 0), Timers(1, 1, 4, 0, 0)])
def test_no_phase_of_the_timers_leads_out_of_the_interval_and_both_ends_are_reached(timers: Timers) -> None:
    rng = random.Random(1)
    low_s, high_s = predicted(scraped(timers, "refused"), timers=timers)
    seen = [
        fires_after_s(
            timers, rng.uniform(0, timers.scrape_interval_s), rng.uniform(0, timers.evaluation_interval_s)
        )
        for _ in range(20000)
    ]
    assert low_s <= min(seen) < low_s + 0.1
    assert high_s - LATE_S - 0.1 < max(seen) <= high_s - LATE_S


@pytest.mark.parametrize(
    ("soonest_s", "latest_s", "verdict"),
    [
        (6.0, 6.0, "held"),
        (3.9, 4.1, "held"),  # the fault began somewhere in between
        (3.0, 3.9, "deviated"),
        (8.4, 9.0, "deviated"),
        (None, None, "deviated"),
    ],
)
def test_a_delay_is_judged_by_its_bracket(
    soonest_s: float | None, latest_s: float | None, verdict: str
) -> None:
    reached, reason = judge(Prediction(4.0, 8.25, ""), soonest_s, latest_s)
    assert reached == verdict
    assert "4.00–8.25 s" in reason
    assert ("nobody was told" in reason) == (latest_s is None)


def test_the_rules_that_are_waited_for_can_be_taken_apart() -> None:
    rules = dict(re.findall(r"alert: (\w+)\n\s+expr: (.+)\n", ALERTS))
    for alert in ("AgentDown", "NginxDown", "SlowAnswers", "BackendDown"):
        assert condition_of(rules[alert])
    slow = condition_of(rules["SlowAnswers"])
    assert (slow.bad(0.3), slow.bad(0.01)) == (True, False)
    assert slow.selector(server="web1").endswith('{proxy="web", server="web1"}')
    with pytest.raises(ConfigError, match="one series compared"):
        condition_of(rules["ReplicationStopped"])


def test_a_condition_compares_as_its_rule_says() -> None:
    assert Condition("up", "", "==", 0).bad(0)
    assert not Condition("up", "", "==", 0).bad(1)
    assert Condition("free", "", "<", 5).bad(4)
    assert Condition("up", "", "==", 0).selector() == "up{}"


def test_the_threshold_lies_below_what_a_bad_release_adds() -> None:
    from experiments.faults import Target
    from experiments.faults.slow_answers import SlowAnswers

    bound_s = condition_of(dict(re.findall(r"alert: (\w+)\n\s+expr: (.+)\n", ALERTS))["SlowAnswers"]).bound
    assert SlowAnswers(Target("app1", "gunicorn")).delay_s > bound_s
    assert Path(RULES).name == "alerts.yml"
