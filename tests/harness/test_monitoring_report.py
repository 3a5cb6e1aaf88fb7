"""A claim holds for as long as what was found supports it, and a control only if it shows what it must."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from experiments.faults import Target
from experiments.faults.process_kill import ProcessKill
from experiments.harness import alert_report
from experiments.harness import monitoring_report as report
from experiments.harness.collected import Load, Logs, Tally
from experiments.harness.findings import Findings
from experiments.harness.model import Event, Prediction
from experiments.harness.monitored import Compared, Shipped
from experiments.harness.request_rates import Count, Expected, Window
from experiments.harness.unnoticed import Unnoticed, summary, watchers
from tests.harness.synthetic_alerts import SILENCED, SLOW, probe, trial
from topologies.stages import STAGES

ALL = Compared(3, (), ())
LOGS = Logs(
    {("lb1", "haproxy"): Shipped(100, 0, 0)}, ALL, ("web1/nginx",), tuple(n / 100 for n in range(100))
)
WINDOW = Window(0.0, 10.0)
BESIDE = Expected(0.5, 0.5)
GOOD = Load(WINDOW, tuple(probe(n / 10, 0.01) for n in range(100)), 0.0)


class Recorder:
    """What is said of a run, by its kind."""

    def __init__(self) -> None:
        self.claims: list[tuple[str, bool | None, str, dict[str, Any]]] = []
        self.controls: list[tuple[str, bool, str]] = []
        self.tables: list[tuple[str, list[Any]]] = []
        self.kept: dict[str, Any] = {}
        self.checks: dict[str, Any] = {}
        self.failures: list[str] = []

    def claim(self, id: str, sentence: str, *, held: bool | None, reason: str, **rest: Any) -> None:
        self.claims.append((id, held, reason, {"sentence": sentence, **rest}))

    def control(self, name: str, expected: str, deviated: bool, reason: str) -> None:
        self.controls.append((name, deviated, reason))

    def table(self, title: str, caption: str, columns: Any, rows: Any, marks: Any = ()) -> None:
        assert all(len(row) == len(columns) for row in rows)
        self.tables.append((title, list(rows)))

    def keep(self, key: str, value: Any) -> None:
        self.kept[key] = value

    def check(self, key: str, value: Any) -> None:
        self.checks[key] = value

    def fail(self, reason: str) -> None:
        self.failures.append(reason)


@pytest.fixture
def said() -> Recorder:
    return Recorder()


def to(said: Recorder) -> Findings:
    return cast(Findings, said)


def verdicts(said: Recorder) -> list[bool | None]:
    return [held for _, held, _, _ in said.claims]


# -- metrics and logs --------------------------------------------------------------------------------


def test_a_missing_agent_and_a_surplus_one_are_named(said: Recorder) -> None:
    report.say_series(to(said), Compared(10, ("node db1",), ()), Compared(26, (), ("x y z",)))
    assert verdicts(said) == [False, False]
    assert "missing node db1" in said.claims[0][2]
    assert "surplus x y z" in said.claims[1][2]


def test_logs_that_are_all_there_and_in_time_hold(said: Recorder) -> None:
    report.say_logs(to(said), LOGS, polling_s=1.0)
    assert verdicts(said) == [True, True, True]
    assert "nothing written yet: web1/nginx" in said.claims[0][2]
    assert said.claims[2][3]["measured"] == pytest.approx(0.98)  # p99


@pytest.mark.parametrize("shipped", [Shipped(100, 1, 0), Shipped(100, 0, 1)])
def test_one_line_lost_or_too_many_deviates_and_its_stream_is_named(said: Recorder, shipped: Shipped) -> None:
    report.say_logs(to(said), replace(LOGS, streams={("lb1", "haproxy"): shipped}), 1.0)
    assert verdicts(said)[1] is False
    assert "(lb1/haproxy)" in said.claims[1][2]


def test_lines_that_come_late_deviate_and_no_line_tells_nothing(said: Recorder) -> None:
    report.say_logs(to(said), replace(LOGS, delays_s=(0.2, 3.0)), 1.0)
    report.say_logs(to(said), replace(LOGS, delays_s=()), 1.0)
    assert (verdicts(said)[2], verdicts(said)[5]) == (False, None)


def tally(counted: int = 110, checks: int = 5) -> Tally:
    nginx = Count("nginx's counter", "web1", WINDOW, counted, 10.0, 100)
    return Tally((nginx, Count("HAProxy's counter", "lb1", WINDOW, 100, 0.0, 100)), checks, 5.0, 1)


@pytest.mark.parametrize(
    ("counts", "load", "held"),
    [
        (tally(), GOOD, True),
        (tally(counted=117), GOOD, False),  # 7% more than clients, checks and scrapes together
        (tally(checks=8), GOOD, False),  # more checks than configured: the correction is wrong
        (tally(), replace(GOOD, rows=(replace(probe(1, 0.1), outcome="refused"),)), None),
    ],
)
def test_sources_agree_only_for_the_right_reason(
    said: Recorder, counts: Tally, load: Load, held: bool | None
) -> None:
    report.say_rates(to(said), counts, load, BESIDE)
    assert verdicts(said) == [held]


def test_without_the_correction_the_sources_must_differ(said: Recorder) -> None:
    report.control_rates(to(said), tally())
    report.control_rates(to(said), tally(counted=101))
    assert [deviated for _, deviated, _ in said.controls] == [True, False]


def test_a_stopped_shipper_must_leave_lines_missing(said: Recorder) -> None:
    report.control_shipper(to(said), "web1", 54, LOGS)
    report.control_shipper(to(said), "web1", 0, LOGS)
    assert [deviated for _, deviated, _ in said.controls] == [True, False]
    assert "54 lines missing" in said.controls[0][2]


def test_every_layer_has_its_row(said: Recorder) -> None:
    stage = STAGES["2"]()
    report.table_layers(to(said), stage, replace(ALL, missing=("mysql db1",)), LOGS)
    ((_, rows),) = said.tables
    assert [row[0] for row in rows] == ["lb", "web", "database", "monitoring"]
    assert rows[2][2] == "mysql db1"


def test_a_clock_that_was_set_spoils_the_run(said: Recorder) -> None:
    report.check_clock(to(said), 0.001)
    assert not said.failures
    report.check_clock(to(said), -3.0)
    assert "3000 ms" in said.failures[0]


# -- alerts ------------------------------------------------------------------------------------------


def test_one_page_out_of_time_deviates_its_fault_and_no_other(said: Recorder) -> None:
    trials = [trial(), trial(told_after_s=9.5), trial(SLOW, told_after_s=7.0)]
    alert_report.say_alerts(to(said), trials, seed=1)
    assert verdicts(said) == [False, True]
    assert "9.50 s" in said.claims[0][2]
    assert said.claims[0][3]["measured"].n == 2
    assert said.claims[1][3]["measured"] == pytest.approx(7.0)
    assert [len(rows) for _, rows in said.tables] == [3, 2]
    assert said.kept["alerts"][0]["after_s"]["told_s"] == pytest.approx(6.0)


def test_nobody_told_is_never_a_number(said: Recorder) -> None:
    alert_report.say_alerts(to(said), [trial(told_after_s=None)], seed=1)
    assert verdicts(said) == [False]
    assert said.claims[0][3]["measured"].n == 0
    assert "never" in said.tables[0][1][0]


def test_without_trials_nothing_is_said(said: Recorder) -> None:
    alert_report.say_alerts(to(said), [], seed=1)
    assert not said.claims
    assert not said.controls


@pytest.mark.parametrize(
    ("fired", "told", "shows"), [(True, False, True), (True, True, False), (False, False, False)]
)
def test_a_silence_shows_something_only_if_the_alert_fired_and_nobody_was_told(
    said: Recorder, fired: bool, told: bool, shows: bool
) -> None:
    alert_report.say_alerts(
        to(said), [replace(trial(SILENCED), silent_fired=fired, silent_told=told)], seed=1
    )
    assert [deviated for _, deviated, _ in said.controls] == [shows]


def test_events_of_a_trial_are_in_their_order() -> None:
    events = alert_report.events_of([trial(), trial(told_after_s=None, began_s=300.0)])
    assert [e.t_s for e in events] == sorted(e.t_s for e in events)
    assert [e.kind for e in events[:6]] == ["inject", *["detected"] * 4, "healed"]


# -- where nobody watches ----------------------------------------------------------------------------

FAULT = ProcessKill(Target("server2", "nginx"))
NEVER = Unnoticed("process-kill of server2/nginx", 10.0, (), 0, "lb1/haproxy: DOWN", 5.7, 200, 200)


@pytest.mark.parametrize(
    ("seen", "held"),
    [
        (NEVER, True),
        (replace(NEVER, watched_s=5.0), None),  # stage 2 might not have told of it by then either
        (replace(NEVER, pages=1), False),
        (replace(NEVER, watchers=("prometheus on monitor1",)), False),
    ],
)
def test_unnoticed_is_a_censored_observation(said: Recorder, seen: Unnoticed, held: bool | None) -> None:
    alert_report.say_unnoticed(to(said), seen, Prediction(4.0, 8.25, ""))
    ((id, found, reason, rest),) = said.claims
    assert (id, found) == ("1.6", held)
    assert (rest["measured"].median, rest["measured"].low) == (None, seen.watched_s)
    assert "200 of 200 requests" in reason


def test_only_what_happened_during_the_fault_counts() -> None:
    rows = [probe(n / 10, 0.01) for n in range(200)]
    events = [
        Event(4.0, "detected", "lb1", "haproxy: before"),
        Event(8.0, "detected", "lb1", "haproxy: [WARNING]  (7) : Server web/server2 is DOWN, reason: x"),
    ]
    seen = summary(FAULT, 5.0, 15.0, rows, events, (), 0)
    assert (seen.sent, seen.good, seen.watched_s) == (100, 100, 10.0)
    assert (seen.known, seen.known_after_s) == ("lb1/haproxy: Server web/server2 is DOWN", 3.0)
    assert summary(FAULT, 5.0, 15.0, rows, events[:1], (), 0).known_after_s is None


def test_a_monitored_stage_has_somebody_who_watches() -> None:
    assert watchers(STAGES["1"]()) == ()
    assert "prometheus on monitor1" in watchers(STAGES["2"]())


# -- the figure --------------------------------------------------------------------------------------


def test_the_figure_has_a_lane_for_each_trial_and_one_for_who_is_never_told(tmp_path: Path) -> None:
    from experiments.harness.charts import save
    from experiments.harness.figure_alerts import MOMENTS, draw_alerts

    released = replace(trial(SLOW), complete_s=101.5)
    save(draw_alerts([trial(), released, trial(told_after_s=None)], unwatched_s=10.25), tmp_path / "alerts")
    svg = (tmp_path / "alerts.svg").read_text()
    for words in (
        "nginx killed on web1",
        "slow answers on app1, app2",
        "stage 1",
        "nobody, &gt; 10.2 s",
        "6.00 s",
    ):
        assert words in svg, words
    assert "nobody was told" in svg
    assert all(name in svg for _, _, name in MOMENTS.values())
    save(draw_alerts([], unwatched_s=10.25), tmp_path / "alone")
