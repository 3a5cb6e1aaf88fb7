"""One fault and the page it must cause: injected at a random phase, waited for, healed, calm again.

fault ─► first bad sample ─► pending ─► firing ─► told ─► healed ─► calm       (times on CLOCK_MONOTONIC)
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from experiments.faults import Fault, together
from experiments.harness import alerts
from experiments.harness.alerts import Condition, condition_of
from experiments.harness.generators import RunningProber, observe_until
from experiments.harness.model import Prediction, Verdict
from experiments.harness.monitor import Monitor, Page
from experiments.harness.predict import total
from experiments.harness.prometheus_api import Series
from experiments.harness.timing import Reach, Timing
from loadtests.probes import Probe
from topologies.testbed import Testbed
from topologies.waiting import TestbedError

#: Waited beyond the latest predicted page before it counts as "nobody was told".
GRACE_S = 2.0


@dataclass(frozen=True)
class Case:
    """A fault, and the alert that must tell of it: its labels, and whose scrape shows it first.

    `agent_timeout_s`: how long the agent waits for the broken daemon. `inter_s`: of the health check that has
    to see it first. `silenced`: the same fault elsewhere, whose alert Alertmanager must keep to itself.
    """

    name: str  # what --fault takes
    title: str
    faults: tuple[Fault, ...]
    labels: Mapping[str, str]
    scraped: tuple[str, str]  # job, host
    reach: Reach
    seen_by: str  # in words
    agent_timeout_s: float | None = None
    inter_s: float | None = None
    silenced: Mapping[str, str] | None = None

    @property
    def alert(self) -> str:
        return self.labels["alertname"]

    @property
    def slow_s(self) -> float:
        """How much longer answers take; 0 where they do not come at all."""
        return max(fault.delay_s for fault in self.faults)


@dataclass(frozen=True)
class AlertTrial:
    """What happened; a moment that never came is None. The fault began between `began` and `complete`."""

    case: Case
    prediction: Prediction
    began_s: float
    complete_s: float
    first_bad_s: float | None  # when the first scrape began that shows it
    pending_s: float | None
    firing_s: float | None
    told_s: float | None
    healed_s: float
    also_told: tuple[str, ...]
    sent: int  # probes while it lasted
    lost: int
    silent_fired: bool  # the silenced alert fired in Prometheus
    silent_told: bool  # and somebody was told nevertheless

    @property
    def delay_s(self) -> float | None:
        """From the first sign of the fault to the receipt."""
        return self.after(self.told_s)

    @property
    def judged(self) -> tuple[Verdict, str]:
        soonest_s = None if self.told_s is None else self.told_s - self.complete_s
        return alerts.judge(self.prediction, soonest_s, self.delay_s)

    def after(self, moment_s: float | None) -> float | None:
        """Seconds since the fault began."""
        return None if moment_s is None else moment_s - self.began_s


def predict(monitor: Monitor, case: Case) -> Prediction:
    """From what is in force in Prometheus and Alertmanager, before anything breaks. Raises TestbedError."""
    timers = monitor.timers(case.alert, *case.scraped)
    noticed: list[Timing] = []
    if case.inter_s is not None:
        noticed.append(alerts.checked(case.inter_s, case.slow_s))
    noticed.append(alerts.scraped(timers, case.reach, case.agent_timeout_s))
    return total(alerts.on_the_way(timers, *noticed))


@dataclass(frozen=True)
class AlertBench:
    """What all trials of a run share. `phase_s`: of the slowest timer; injection is uniform over it."""

    testbed: Testbed
    monitor: Monitor
    prober: RunningProber
    rng: random.Random
    phase_s: float

    def perform(self, case: Case) -> AlertTrial:
        """Raises TestbedError when a fault has no effect, or the stage or its alerts do not calm down."""
        monitor, prediction = self.monitor, predict(self.monitor, case)
        patience_s = (prediction.high_s or 0.0) + GRACE_S
        with contextlib.ExitStack() as stack:
            if case.silenced:
                stack.enter_context(
                    monitor.alertmanager.silence(case.silenced, 600.0 + patience_s, "a control")
                )
            observe_until(time.monotonic() + self.rng.uniform(0, self.phase_s))
            inject_s = time.monotonic()
            with together(self.testbed, case.faults):
                # A release is in force only now; a kill was at once.
                monitor.wait_to_be_told(case.labels, inject_s, time.monotonic() + patience_s)
                if case.silenced:
                    observe_until(inject_s + patience_s)
                rows, pages = self.prober.probes(), monitor.pages()
            healed_s = time.monotonic()
            monitor.wait_until_calm()
        return self._trial(case, prediction, inject_s, healed_s, rows, pages)

    def _trial(
        self, case: Case, prediction: Prediction, inject_s: float, healed_s: float,
        rows: Sequence[Probe], pages: Sequence[Page],
    ) -> AlertTrial:  # fmt: skip
        began_s, complete_s = onset(case, inject_s, rows)
        during = [p for p in rows if p.due_s >= inject_s]
        fresh = [p for p in pages if p.firing and p.t_s > inject_s]
        told = next((p for p in fresh if p.matches(case.labels)), None)
        condition = condition_of(self.monitor.prometheus.rules()[case.alert].query)
        about = {name: value for name, value in case.labels.items() if name != "alertname"}
        silenced = case.silenced or {}
        return AlertTrial(
            case, prediction, began_s, complete_s,
            first_bad_s=self._first(condition.selector(**about), began_s, healed_s, condition),
            pending_s=self._first_in(case.labels, "pending", began_s, healed_s),
            firing_s=self._first_in(case.labels, "firing", began_s, healed_s),
            told_s=told.t_s if told else None,
            healed_s=healed_s,
            also_told=tuple(dict.fromkeys(p.name for p in fresh if not p.matches(case.labels))),
            sent=len(during),
            lost=sum(not p.good for p in during),
            silent_fired=bool(silenced) and self._first_in(silenced, "firing", began_s, healed_s) is not None,
            silent_told=bool(silenced) and any(p.matches(silenced) for p in fresh),
        )  # fmt: skip

    def _first_in(
        self, labels: Mapping[str, str], state: str, since_s: float, until_s: float
    ) -> float | None:
        wanted = ", ".join(f'{name}="{value}"' for name, value in {**labels, "alertstate": state}.items())
        return self._first(f"ALERTS{{{wanted}}}", since_s, until_s)

    def _first(
        self, selector: str, since_s: float, until_s: float, condition: Condition | None = None
    ) -> float | None:
        monitor = self.monitor
        found = monitor.prometheus.raw(selector, monitor.wall(since_s), monitor.wall(until_s))
        moment_s = first_sample(found, condition)
        return None if moment_s is None else monitor.monotonic(moment_s)


def first_sample(series: Iterable[Series], condition: Condition | None = None) -> float | None:
    """The time of the first sample of any of them; with a condition, of the first bad one."""
    moments = [s.t_s for one in series for s in one.samples if condition is None or condition.bad(s.value)]
    return min(moments, default=None)


def onset(case: Case, inject_s: float, rows: Sequence[Probe]) -> tuple[float, float]:
    """When the fault began, and when it was complete.

    A kill is one moment. A release begins with the first slow answer, and is complete with the first one
    after the last fast one. Raises TestbedError when the prober saw no slow answer: there was no such fault.
    """
    if not case.slow_s:
        return inject_s, inject_s
    hosts = {fault.target.host for fault in case.faults}
    mine = [p for p in rows if p.sent_s >= inject_s and hosts & set(p.served_by.split(">"))]
    slow = [p.sent_s for p in mine if p.end_s - p.sent_s >= case.slow_s]
    fast = [p.sent_s for p in mine if p.end_s - p.sent_s < case.slow_s]
    if not slow:
        raise TestbedError(f"{case.title}: no answer of {', '.join(sorted(hosts))} was slow")
    return min(slow), min((t for t in slow if t > max(fast, default=0.0)), default=max(slow))
