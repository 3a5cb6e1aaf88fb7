"""One trial of a fault: steady, injected at a random moment, watched, healed, failed back.

start ── steady ──► inject ── watched ──► heal ── failback ──► end          (times on CLOCK_MONOTONIC)
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from experiments.faults import Fault
from experiments.harness import outages, predict
from experiments.harness.generators import RunningProber, observe_until
from experiments.harness.model import Event, Prediction, StreamResult, Trial
from experiments.harness.verdict import judge_trial
from experiments.harness.watch import Watch
from loadtests.probes import Probe
from topologies.stage import interface
from topologies.testbed import Testbed
from topologies.waiting import wait_until

STEADY_S = 2.0
AFTER_RECOVERY_S = 3.0  # watched beyond the latest predicted recovery
WATCH_IF_NEVER_S = 10.0
FAILBACK_S = 2.0
CONTEXT_PERIODS = 20
LATENESS_LIMIT_MS = 5.0  # MEASUREMENT: Fidelity

#: Interpreter, Flask and the site. At a reload gunicorn ends its workers as it starts new ones: until these
#: have loaded the site, requests wait in the listen queue.
LOADS_SITE_CPU_S = 0.6

HEADLINE = "vip"
#: Outcomes that say nothing of the system under test.
OWN_FAULTS = {
    "local-error": "no port or descriptor left, or no time to look at an answer that was there",
    "in-flight-cap": "too many under way",
}


@dataclass(frozen=True)
class Plan:
    """What every trial of a run shares."""

    testbed: Testbed
    watch: Watch
    prober: RunningProber
    fault: Fault
    prediction: Prediction
    vip: str
    phase_s: float  # the slowest timer in play: injection is uniform over it
    watch_s: float
    holders: frozenset[str]  # who holds the address while nothing is broken
    rng: random.Random
    say: Callable[[str], None]


def holders_now(events: Sequence[Event], vip: str) -> frozenset[str]:
    """Who holds `vip` after all these events."""
    held: set[str] = set()
    for event in events:
        if event.detail == vip and event.kind == "vip-up":
            held.add(event.host)
        elif event.detail == vip and event.kind == "vip-down":
            held.discard(event.host)
    return frozenset(held)


def watch_time_s(prediction: Prediction) -> float:
    return WATCH_IF_NEVER_S if prediction.high_s is None else max(5.0, prediction.high_s + AFTER_RECOVERY_S)


@dataclass(frozen=True)
class Moments:
    """When the parts of a trial happened, and the daemons that died without being asked to."""

    start_s: float
    inject_s: float
    heal_s: float
    healed_s: float
    end_s: float
    unexpected: tuple[str, ...]


def perform(plan: Plan, number: int) -> Moments:
    """Go through one trial on the real stage. Raises TestbedError when the stage does not heal."""
    testbed, watch, fault = plan.testbed, plan.watch, plan.fault
    start_s = watch.note("trial", "", f"{number}")
    plan.say(f"trial {number}: steady")
    # A random phase against the timers, or every trial would meet the same one.
    observe_until(start_s + STEADY_S + plan.rng.uniform(0, plan.phase_s))
    plan.say(f"trial {number}: {fault.name} of {fault.target}; watching {plan.watch_s:.0f} s")
    inject_s = watch.note("inject", fault.target.host, f"{fault.name} {fault.target}")
    with fault.injected(testbed):
        watch.note("injected", fault.target.host, f"{fault.name} {fault.target}")
        if fault.name == "host-crash":
            _no_longer_holds(watch, fault.target.host, inject_s)
        observe_until(inject_s + plan.watch_s)
        unexpected = tuple(d.where for d in testbed.daemons if not d.alive and not fault.meant(d))
        heal_s = watch.note("heal", fault.target.host, f"{fault.name} {fault.target}")
        plan.say(f"trial {number}: healing")
    healed_s = watch.note("healed", fault.target.host, f"{fault.name} {fault.target}")
    plan.say(f"trial {number}: failback")
    wait_until(
        lambda: holders_now(watch.events(), plan.vip) == plan.holders,
        timeout_s=30, what=f"{plan.vip} to return to {', '.join(sorted(plan.holders)) or 'nobody'}",
    )  # fmt: skip
    observe_until(watch.note("failed-back", fault.target.host, plan.vip) + FAILBACK_S)
    end_s = watch.note("trial-end", "", f"{number}")
    return Moments(start_s, inject_s, heal_s, healed_s, end_s, unexpected)


def _no_longer_holds(watch: Watch, host: str, inject_s: float) -> None:
    """A crashed host's addresses are gone for everybody, though its kernel cannot say so any more."""
    held = {e.detail for e in watch.events() if e.host == host and e.kind == "vip-up"}
    for address in sorted(held):
        last = [
            e for e in watch.events() if e.host == host and e.detail == address and e.kind.startswith("vip-")
        ][-1]
        if last.kind == "vip-up":
            watch.add(Event(inject_s, "vip-down", host, address))


def evaluate(plan: Plan, number: int, moments: Moments, probes: Sequence[Probe]) -> Trial:
    """Turn what the prober saw during the trial into its result and verdict."""
    m, fault = moments, plan.fault
    mine = [p for p in probes if m.start_s <= p.due_s < m.end_s]
    streams = {name: [p for p in mine if p.stream == name] for name in dict.fromkeys(p.stream for p in mine)}
    periods = {name: _period_s(rows) for name, rows in streams.items()}

    def result(name: str, from_s: float, to_s: float) -> StreamResult:
        return outages.stream_result(name, streams[name], periods[name], from_s, to_s)

    # A few good probes before the injection are part of the picture: the outage is the gap between good ones.
    shortly_before_s = m.inject_s - CONTEXT_PERIODS * periods[HEADLINE]
    headline = result(HEADLINE, shortly_before_s, m.heal_s)
    others = tuple(result(name, shortly_before_s, m.heal_s) for name in streams if name != HEADLINE)
    verdict, _ = judge_trial(plan.prediction, headline.outage, periods[HEADLINE], m.heal_s - m.inject_s)
    trial = Trial(
        number=number, fault=fault.name, target=str(fault.target), start_s=m.start_s, inject_s=m.inject_s,
        heal_s=m.heal_s, end_s=m.end_s, prediction=plan.prediction, headline=headline, others=others,
        failback=result(HEADLINE, m.heal_s, m.end_s), phases=_phases(plan, m, headline, streams[HEADLINE]),
        fidelity=_fidelity(m, streams),
    )  # fmt: skip
    return replace(trial, verdict="inconclusive" if trial.fidelity else verdict)


def _period_s(rows: Sequence[Probe]) -> float:
    """The stream's own period, from the due times of its first and last probe."""
    return (rows[-1].due_s - rows[0].due_s) / max(1, rows[-1].k - rows[0].k) if len(rows) > 1 else 1.0


def _fidelity(m: Moments, streams: dict[str, list[Probe]]) -> tuple[str, ...]:
    """Reasons why this trial does not count; none of them concerns the system under test."""
    reasons = [f"{where} was not running though nobody stopped it" for where in m.unexpected]
    late_ms = outages.lateness_percentile_ms(streams[HEADLINE], 0.99)
    if late_ms > LATENESS_LIMIT_MS:
        reasons.append(
            f"probe lateness p99 {late_ms:.1f} ms > {LATENESS_LIMIT_MS:g} ms: the prober itself was starved"
        )
    # One that was under way at the injection belongs to the fault.
    before = sum(not p.good and p.end_s < m.inject_s for p in streams[HEADLINE])
    if before:
        reasons.append(f"{before} bad probes before anything was injected")
    for outcome, why in OWN_FAULTS.items():
        own = sum(p.outcome == outcome for rows in streams.values() for p in rows)
        if own:
            reasons.append(f"{own} probes failed in the prober itself: {why}")
    return tuple(reasons)


def _phases(plan: Plan, m: Moments, headline: StreamResult, rows: Sequence[Probe]) -> dict[str, float]:
    """Seconds from injection to detection, to the switch of the address, to service, to the usual latency."""
    phases: dict[str, float] = {}
    during = [e for e in plan.watch.events() if m.inject_s < e.t_s <= m.heal_s]
    mute = plan.fault.target.host if plan.fault.silences else None
    detected = [e for e in during if e.kind == "detected" and e.host != mute]
    switched = [
        e for e in during if e.kind == "vip-up" and e.detail == plan.vip and e.host != plan.fault.target.host
    ]
    if detected:
        phases["detect_s"] = detected[0].t_s - m.inject_s
    if switched:
        phases["switch_s"] = switched[0].t_s - m.inject_s
    outage = headline.outage
    if outage is not None and outage.end_s is not None:
        phases["serve_s"] = outage.end_s - m.inject_s
        again_s = outages.steady_again_s(rows, fault_s=m.inject_s, outage=outage, until_s=m.heal_s)
        if again_s is not None:
            phases["steady_s"] = outage.end_s + again_s - m.inject_s
    return {name: round(value, 4) for name, value in phases.items()}


def predict_outage(fault: Fault, testbed: Testbed, vip: str, offered_hz: float) -> Prediction:
    """What the rendered configurations say, before anything is broken. `offered_hz`: of all clients."""
    cut = interface(fault.target.host, fault.segment) if fault.segment else None
    return predict.predict(
        fault.name, fault.target.host, fault.daemon, testbed.configs, vip, rate_hz=offered_hz, interface=cut,
        delay_s=fault.delay_s, loads_s=loads_s(testbed, fault.target.host) if fault.delay_s else 0.0,
    )  # fmt: skip


def loads_s(testbed: Testbed, host: str) -> float:
    """How long a worker of gunicorn takes to load the site, with the budget of its host."""
    return LOADS_SITE_CPU_S / testbed.stage.cores_of(host, os.cpu_count() or 1)


def plan_trials(
    testbed: Testbed, watch: Watch, prober: RunningProber, fault: Fault, prediction: Prediction,
    watch_s: float | None, seed: int, say: Callable[[str], None],
) -> Plan:  # fmt: skip
    """The plan of a run, its durations derived from the prediction unless `watch_s` says otherwise."""
    vip = testbed.stage.site_addresses[0]
    return Plan(
        testbed, watch, prober, fault, prediction, vip,
        phase_s=max(1.0, testbed.stage.settings.advert_int_s),
        watch_s=watch_s or watch_time_s(prediction),
        holders=holders_now(watch.events(), vip), rng=random.Random(seed), say=say,
    )  # fmt: skip
