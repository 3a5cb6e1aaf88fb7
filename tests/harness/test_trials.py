"""A planted outage is found, judged and split into phases; what the instrument spoiled does not count."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from experiments.faults import Fault, Target
from experiments.faults.host_crash import HostCrash
from experiments.faults.none import NoFault
from experiments.harness import trials
from experiments.harness.model import Event, Prediction
from experiments.harness.trials import Moments, Plan, evaluate, holders_now, perform, watch_time_s
from experiments.harness.watch import Watch
from loadtests.probes import Probe
from tests.harness.synthetic_trial import FOREVER, NONE, PERIOD_S, VRRP, probes
from topologies.testbed import Testbed
from topologies.waiting import NotReady

VIP = "8.8.8.8"
M = Moments(start_s=1000.0, inject_s=1004.0, heal_s=1009.0, healed_s=1009.6, end_s=1012.0, unexpected=())
CRASH = HostCrash(Target("lb1"))
FIRST_S = 0.04  # the first answers after an outage are slow, and it lasts until one is there


def plan(
    prediction: Prediction = VRRP, fault: Fault = CRASH, events: Sequence[Event] = (), testbed: Any = None
) -> Plan:
    watch = Watch([VIP])
    for event in events:
        watch.add(event)
    return Plan(
        testbed=cast(Testbed, testbed), watch=watch, prober=cast(Any, None), fault=fault,
        prediction=prediction, vip=VIP, phase_s=1.0, watch_s=5.0,
        holders=frozenset({"lb1"}), rng=random.Random(1), say=lambda _: None,
    )  # fmt: skip


def crashed(outage_s: float = 3.1) -> list[Probe]:
    return probes(M.start_s, 12.0, (M.inject_s + 0.004, M.inject_s + 0.004 + outage_s))


@pytest.mark.parametrize("outage_s", [0.6, 2.7, 3.1, 3.5])
@pytest.mark.parametrize(
    ("prediction", "verdict"),
    [(VRRP, "held"), (Prediction(0.1, 0.4, "another theory"), "deviated"), (FOREVER, "deviated")],
)
def test_a_planted_outage_is_found_and_judged(outage_s: float, prediction: Prediction, verdict: str) -> None:
    trial = evaluate(plan(prediction), 1, M, crashed(outage_s))
    outage = trial.headline.outage
    assert outage is not None
    assert outage.outage_s == pytest.approx(outage_s, abs=FIRST_S)
    assert trial.headline.lost == pytest.approx(outage_s / PERIOD_S, abs=2)
    assert trial.fidelity == ()
    assert trial.verdict == ("deviated" if outage_s < 2.6 else verdict)


def test_an_outage_that_outlasts_the_watch_is_censored_and_not_a_number() -> None:
    rows = probes(M.start_s, 12.0, (M.inject_s, M.heal_s + 0.5))
    trial = evaluate(plan(FOREVER), 1, M, rows)
    outage = trial.headline.outage
    assert outage is not None
    assert (outage.outage_s, outage.upper_s, outage.recovered) == (None, None, False)
    assert outage.lower_s == pytest.approx(5.0, abs=2 * PERIOD_S)
    assert trial.verdict == "held"


def test_the_control_without_fault_shows_no_outage() -> None:
    trial = evaluate(plan(NONE, NoFault(Target("lb1"))), 1, M, probes(M.start_s, 12.0, None))
    assert trial.headline.outage is None
    assert (trial.headline.lost, trial.verdict, trial.phases) == (0, "held", {})


def test_an_outage_after_healing_is_failback_and_not_the_headline() -> None:
    rows = probes(M.start_s, 12.0, (M.healed_s, M.healed_s + 0.3))
    trial = evaluate(plan(NONE), 1, M, rows)
    assert trial.headline.outage is None
    assert trial.failback is not None
    assert trial.failback.outage is not None
    assert trial.failback.outage.outage_s == pytest.approx(0.3, abs=FIRST_S)


def test_other_streams_are_reported_apart_with_a_period_of_their_own() -> None:
    down = (M.inject_s, M.inject_s + 1.0)
    slow = probes(M.start_s, 12.0, down, stream="by-name", period_s=0.05)
    trial = evaluate(plan(), 1, M, sorted([*crashed(), *slow], key=lambda p: p.due_s))
    (by_name,) = trial.others
    assert by_name.outage is not None
    assert by_name.outage.outage_s == pytest.approx(1.0, abs=2 * 0.05)


def test_probes_of_other_trials_are_ignored() -> None:
    before, after = (
        probes(M.start_s - 10, 9.0, (M.start_s - 8, M.start_s - 2)),
        probes(M.end_s, 3.0, (0, 1e9)),
    )
    alone, among = (evaluate(plan(), 1, M, rows) for rows in (crashed(), [*before, *crashed(), *after]))
    assert alone == among


# -- fidelity ----------------------------------------------------------------------------------------


def late(rows: Sequence[Probe], share: float, by_s: float) -> list[Probe]:
    every = round(1 / share)
    return [replace(p, sent_s=p.due_s + by_s) if p.k % every == 0 else p for p in rows]


@pytest.mark.parametrize(
    ("share", "by_s", "counts"), [(0.02, 0.006, False), (0.02, 0.004, True), (0.005, 0.2, True)]
)
def test_a_late_prober_makes_a_trial_not_count(share: float, by_s: float, counts: bool) -> None:
    trial = evaluate(plan(), 1, M, late(crashed(), share, by_s))
    assert (trial.fidelity == ()) is counts
    assert trial.verdict == ("held" if counts else "inconclusive")
    assert counts or "probe lateness p99 6.0 ms > 5 ms" in trial.fidelity[0]


def test_bad_probes_before_the_injection_make_a_trial_not_count() -> None:
    rows = [replace(p, outcome="reset") if 100 <= p.k < 103 else p for p in crashed()]
    trial = evaluate(plan(), 1, M, rows)
    assert trial.fidelity == ("3 bad probes before anything was injected",)
    assert trial.verdict == "inconclusive"


def test_a_probe_under_way_at_the_injection_belongs_to_the_fault() -> None:
    rows = [
        replace(p, outcome="connect-timeout", end_s=p.due_s + 0.5) if 0 < M.inject_s - p.due_s < 0.01 else p
        for p in crashed()
    ]
    trial = evaluate(plan(), 1, M, rows)
    assert trial.fidelity == ()
    assert trial.headline.outage is not None
    assert trial.headline.outage.start_s < M.inject_s


def test_a_daemon_that_died_by_itself_makes_a_trial_not_count() -> None:
    trial = evaluate(plan(), 1, replace(M, unexpected=("mysql on db1",)), crashed())
    assert trial.fidelity == ("mysql on db1 was not running though nobody stopped it",)
    assert trial.verdict == "inconclusive"


# -- phases and holders ------------------------------------------------------------------------------


def test_phases_count_from_the_injection_and_take_the_survivors_word() -> None:
    said = [
        Event(M.inject_s - 1, "detected", "lb2", "before: not ours"),
        Event(M.inject_s + 0.1, "detected", "lb1", "the crashed host itself"),
        Event(M.inject_s + 2.9, "detected", "lb2", "(www_1) Receive advertisement timeout"),
        Event(M.inject_s + 3.0, "vip-up", "lb2", "8.8.8.9"),
        Event(M.inject_s + 3.05, "vip-up", "lb2", VIP),
        Event(M.heal_s + 1, "detected", "lb1", "after healing"),
    ]
    trial = evaluate(plan(events=said), 1, M, crashed())
    assert trial.phases["detect_s"] == 2.9
    assert trial.phases["switch_s"] == 3.05
    assert trial.phases["serve_s"] == pytest.approx(3.104, abs=FIRST_S)
    assert trial.phases["steady_s"] >= trial.phases["serve_s"]


def test_a_holder_is_who_took_the_address_last_and_did_not_lose_it() -> None:
    took, lost = ("vip-up", "vip-down")
    story = [Event(1, took, "lb1", VIP), Event(2, took, "lb2", "8.8.8.9"), Event(3, took, "lb2", VIP)]
    assert holders_now(story, VIP) == {"lb1", "lb2"}
    assert holders_now([*story, Event(4, lost, "lb1", VIP)], VIP) == {"lb2"}
    assert holders_now([*story, Event(4, lost, "lb1", "8.8.8.9")], VIP) == {"lb1", "lb2"}
    assert holders_now([], VIP) == frozenset()


def test_the_watch_outlasts_the_latest_predicted_recovery() -> None:
    assert VRRP.high_s is not None
    assert watch_time_s(VRRP) > VRRP.high_s + 1
    assert watch_time_s(NONE) >= 5
    assert watch_time_s(FOREVER) >= 10


# -- one trial on the stage --------------------------------------------------------------------------


class FakeCrash(HostCrash):
    """Breaks nothing; the fake testbed writes down what it was asked for."""

    def inject(self, testbed: Any) -> None:
        testbed.asked.append("inject")

    def took_effect(self, testbed: Any) -> bool:
        return True

    def heal(self, testbed: Any) -> None:
        testbed.asked.append("heal")


FAKE = FakeCrash(Target("lb1"))


def stage(**parts: Any) -> SimpleNamespace:
    nothing: dict[str, Any] = {"daemons": [], "write_state": lambda: None, "assert_healthy": lambda: None}
    return SimpleNamespace(asked=[], **{**nothing, **parts})


@pytest.fixture
def observed(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The moments that would have been waited for."""
    moments: list[float] = []
    monkeypatch.setattr(trials, "observe_until", moments.append)
    return moments


def test_a_trial_goes_from_steady_to_failback_and_every_moment_is_an_event(observed: list[float]) -> None:
    testbed = stage(write_state=lambda: p.watch.note("vip-up", "lb1", VIP))  # lb1 is back, and has it again
    p: Plan = plan(fault=FAKE, events=[Event(1.0, "vip-up", "lb1", VIP)], testbed=testbed)
    m = perform(p, 3)
    assert testbed.asked == ["inject", "heal"]
    assert [e.kind for e in p.watch.events()] == [
        "vip-up", "trial", "inject", "vip-down", "injected", "heal", "vip-up", "healed", "failed-back",
        "trial-end",
    ], "the crashed host loses its address at the injection"  # fmt: skip
    assert m.start_s < m.inject_s < m.heal_s < m.healed_s < m.end_s
    steady, watched, failback = observed
    assert trials.STEADY_S <= steady - m.start_s <= trials.STEADY_S + p.phase_s
    assert watched == pytest.approx(m.inject_s + p.watch_s)
    assert failback >= m.healed_s + trials.FAILBACK_S


def test_a_fault_is_healed_whatever_happens_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    testbed = stage()

    def observe_until(_moment_s: float) -> None:
        if testbed.asked == ["inject"]:
            raise KeyboardInterrupt

    monkeypatch.setattr(trials, "observe_until", observe_until)
    with pytest.raises(KeyboardInterrupt):
        perform(plan(fault=FAKE, testbed=testbed), 1)
    assert testbed.asked == ["inject", "heal"]


def test_a_daemon_elsewhere_that_stopped_running_is_noted(observed: list[float]) -> None:
    def daemon(host: str, running: bool) -> SimpleNamespace:
        host_ = SimpleNamespace(name=host)
        return SimpleNamespace(host=host_, name="mysql", alive=running, where=f"mysql on {host}")

    testbed = stage(daemons=[daemon("lb1", False), daemon("db1", False), daemon("db2", True)])
    nobody_holds = replace(plan(fault=FAKE, testbed=testbed), holders=frozenset())
    assert perform(nobody_holds, 1).unexpected == ("mysql on db1",)


def test_an_address_that_does_not_return_is_named(
    observed: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(_condition: object, *, timeout_s: float, what: str) -> float:
        raise NotReady(f"waited {timeout_s:g} s for {what}")

    monkeypatch.setattr(trials, "wait_until", at_once)
    with pytest.raises(NotReady, match=r"30 s for 8\.8\.8\.8 to return to lb1"):
        perform(plan(fault=FAKE, testbed=stage()), 1)
