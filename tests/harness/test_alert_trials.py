"""A fault is told of, or it is not; it is healed and calm afterwards in either case."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from experiments.harness import alert_trials
from experiments.harness.alert_trials import AlertBench, Case, first_sample, onset
from experiments.harness.alerts import Condition, Timers
from experiments.harness.generators import RunningProber
from experiments.harness.model import Prediction
from experiments.harness.monitor import Monitor, Page
from experiments.harness.prometheus_api import Rule, Sample, Series
from tests.harness.synthetic_alerts import KILLED, SILENCED, SLOW, probe, trial
from topologies.testbed import Testbed
from topologies.waiting import TestbedError

FAST, LATE = 0.02, 0.32

# -- when it began -----------------------------------------------------------------------------------


def test_a_kill_is_one_moment() -> None:
    assert onset(KILLED, 5.0, []) == (5.0, 5.0)


def test_a_release_begins_with_its_first_slow_answer_and_is_complete_after_the_last_fast_one() -> None:
    rows = [
        probe(9.0, LATE),  # from before: nothing of ours
        probe(10.0, FAST),
        probe(10.5, LATE, "lb1>web2>app2"),
        probe(11.0, FAST),
        probe(11.5, LATE),
        probe(12.0, LATE, "lb1>web1>app2"),
    ]
    assert onset(SLOW, 9.5, rows) == (10.5, 11.5)


def test_answers_of_other_servers_say_nothing_of_a_release() -> None:
    rows = [probe(10.0, FAST, "lb1>web1>app9"), probe(10.1, LATE), probe(10.2, FAST, "lb1>web1>app9")]
    assert onset(SLOW, 9.5, rows) == (10.1, 10.1)


def test_a_release_that_nobody_felt_is_no_fault() -> None:
    with pytest.raises(TestbedError, match="no answer of app1, app2 was slow"):
        onset(SLOW, 9.5, [probe(10.0, FAST)])


def test_the_first_bad_sample_of_any_series_counts() -> None:
    down = Condition("nginx_up", "", "==", 0)
    series = [Series({}, (Sample(1, 1), Sample(3, 0))), Series({}, (Sample(2, 0),))]
    assert first_sample(series, down) == 2
    assert first_sample(series) == 1
    assert first_sample([], down) is None


def test_a_trial_is_judged_by_both_ends_of_its_onset() -> None:
    assert trial(told_after_s=6.0).judged[0] == "held"
    assert trial(told_after_s=8.5).judged[0] == "deviated"
    # Complete one second later: the delay may have been 7.5 s.
    assert replace(trial(told_after_s=8.5), complete_s=101.0).judged[0] == "held"
    assert trial(told_after_s=None).judged[0] == "deviated"


# -- a whole trial, on a stage that is made of tape --------------------------------------------------


@dataclass
class Tape:
    """The stage and its monitor: what happens to them is written down."""

    tell: bool = True
    told: list[str] = field(default_factory=list)

    # the monitor
    prometheus: Any = None
    alertmanager: Any = None

    def timers(self, alert: str, job: str, host: str) -> Timers:
        return Timers(0.01, 0.01, 0.01, 0.0, 0.0)

    def wait_to_be_told(self, labels: Mapping[str, str], since_s: float, until_s: float) -> None:
        self.told.append(f"waited for {labels['alertname']}")

    def pages(self) -> list[Page]:
        return [Page(2e9, True, {"alertname": "NginxDown", "host": "web1"})] if self.tell else []

    def wait_until_calm(self) -> None:
        self.told.append("calm")

    def wall(self, moment_s: float) -> float:
        return moment_s

    monotonic = wall


@pytest.fixture
def tape(monkeypatch: pytest.MonkeyPatch) -> Tape:
    made = Tape()

    @contextmanager
    def silence(labels: Mapping[str, str], at_most_s: float, because: str) -> Iterator[None]:
        made.told.append("silenced")
        yield
        made.told.append("heard again")

    @contextmanager
    def together(testbed: object, faults: object) -> Iterator[None]:
        made.told.append("broken")
        try:
            yield
        finally:
            made.told.append("healed")

    fires = Series({}, (Sample(2e9, 0),))
    made.prometheus = SimpleNamespace(
        rules=lambda: {"NginxDown": Rule("NginxDown", "nginx_up == 0", 0, 1)}, raw=lambda *_: [fires]
    )
    made.alertmanager = SimpleNamespace(silence=silence)
    monkeypatch.setattr(alert_trials, "together", together)
    monkeypatch.setattr(alert_trials, "GRACE_S", 0.01)
    return made


def performed(tape: Tape, case: Case) -> alert_trials.AlertTrial:
    prober = cast(RunningProber, SimpleNamespace(probes=list))
    bench = AlertBench(cast(Testbed, None), cast(Monitor, tape), prober, random.Random(1), phase_s=0.01)
    return bench.perform(case)


def test_a_trial_is_over_when_all_is_healed_and_calm(tape: Tape) -> None:
    done = performed(tape, KILLED)
    assert tape.told == ["broken", "waited for NginxDown", "healed", "calm"]
    assert done.told_s == done.firing_s == 2e9
    assert done.prediction == Prediction(0.0, done.prediction.high_s, done.prediction.because)


def test_the_silence_outlasts_the_fault_and_its_calm(tape: Tape) -> None:
    done = performed(tape, SILENCED)
    assert tape.told == ["silenced", "broken", "waited for NginxDown", "healed", "calm", "heard again"]
    assert (done.silent_fired, done.silent_told) == (True, False)


def test_a_trial_of_which_nobody_was_told_deviates(tape: Tape) -> None:
    tape.tell = False
    done = performed(tape, KILLED)
    assert done.told_s is None
    assert done.judged[0] == "deviated"
    assert tape.told[-2:] == ["healed", "calm"]
