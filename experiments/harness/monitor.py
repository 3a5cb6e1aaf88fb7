"""The monitor of a running stage: what Prometheus knows, what the store keeps, and what the pager was told.

Prometheus and the logs live on the wall clock, faults and pages on CLOCK_MONOTONIC.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from experiments.harness.alerts import Timers
from experiments.harness.log_lines import Stored, lines_of, stored
from experiments.harness.monitored import CHARACTERISTIC, Figure, Stream
from experiments.harness.prometheus_api import Alertmanager, Prometheus
from services.pager import Pager
from services.rsyslog import STORE
from topologies.testbed import Testbed
from topologies.waiting import NotReady, TestbedError, wait_until

#: Longest wait for calm after a fault was healed, beside the timers that a change takes.
CALM_S = 30.0


@dataclass(frozen=True)
class Page:
    """One alert as the pager received it."""

    t_s: float  # CLOCK_MONOTONIC
    firing: bool
    labels: Mapping[str, str]

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(self.labels.get(name) == value for name, value in labels.items())

    @property
    def name(self) -> str:
        """ "NginxDown server1"; HAProxy's alerts are about a server, not about the host that tells it."""
        return f"{self.labels.get('alertname', '?')} {self.labels.get('server', self.labels.get('host', ''))}"


def pages_of(text: str) -> list[Page]:
    """The pager's log. Raises ValueError for a line that is no page."""
    found = []
    for line in lines_of(text):
        told = json.loads(line)
        found.append(Page(float(told["t_s"]), told["status"] == "firing", told["labels"]))
    return found


def unresolved(pages: list[Page]) -> list[Page]:
    """The alerts of which the pager was told last that they fire."""
    last = {tuple(sorted(p.labels.items())): p for p in pages}
    return [p for p in last.values() if p.firing]


class Monitor:
    """Raises TestbedError where a stage has nobody who watches."""

    def __init__(self, testbed: Testbed) -> None:
        monitors = testbed.stage.monitors
        if not monitors:
            raise TestbedError(f"stage {testbed.stage.number} has nobody who watches")
        self.host = testbed.hosts[monitors[0]]
        self.prometheus, self.alertmanager = Prometheus(self.host), Alertmanager(self.host)
        self._pager = testbed.daemon(self.host.name, Pager.name)
        settings = testbed.stage.settings
        self._news_s = settings.scrape_interval_s + settings.evaluation_interval_s
        self._calm_s = CALM_S + 3 * self._news_s + settings.check_rise * settings.check_inter_s
        self._offset_s = time.time() - time.monotonic()

    # -- clocks ---------------------------------------------------------------------------------------

    def wall(self, monotonic_s: float) -> float:
        return monotonic_s + self._offset_s

    def monotonic(self, wall_s: float) -> float:
        return wall_s - self._offset_s

    def clock_moved_s(self) -> float:
        """How far somebody has set the wall clock since the beginning."""
        return time.time() - time.monotonic() - self._offset_s

    # -- figures --------------------------------------------------------------------------------------

    def timers(self, alert: str, job: str, host: str) -> Timers:
        """In force for this alert on this target. Raises TestbedError for what Prometheus does not know."""
        rule = self.prometheus.rules().get(alert)
        target = next((t for t in self.prometheus.targets() if (t.job, t.host) == (job, host)), None)
        if rule is None or target is None:
            raise TestbedError(
                f"Prometheus has no {'rule' if rule is None else 'target'} {alert} {job} {host}"
            )
        return Timers(
            target.interval_s, target.timeout_s, rule.evaluation_interval_s, rule.for_s,
            self.alertmanager.group_wait_s(),
        )  # fmt: skip

    def up(self) -> set[tuple[str, str]]:
        """(job, host) of every target that answers."""
        found = self.prometheus.instant("up == 1")
        return {(s.labels.get("job", "?"), s.labels.get("host", "?")) for s in found}

    def figures(self) -> set[Figure]:
        """Those of the characteristic series that it has."""
        names = "|".join(name for names in CHARACTERISTIC.values() for name in names)
        found = self.prometheus.instant(f'count by (__name__, job, host) ({{__name__=~"{names}"}})')
        return {(s.labels["__name__"], s.labels.get("job", "?"), s.labels.get("host", "?")) for s in found}

    # -- logs -----------------------------------------------------------------------------------------

    def store(self) -> dict[Stream, list[Stored]]:
        """(host, tag) → the lines of that file of the store."""
        root = self.host.path(STORE)
        return {
            (path.parent.name, path.stem): stored(path.read_text(errors="replace"))
            for path in sorted(root.glob("*/*.log"))
        }

    # -- alerts ---------------------------------------------------------------------------------------

    def pages(self) -> list[Page]:
        process = self._pager.process
        return [] if process is None else pages_of(process.log.read_text())

    def told(self, labels: Mapping[str, str], since_s: float) -> Page | None:
        """The first page of such an alert that came after `since_s`."""
        return next((p for p in self.pages() if p.firing and p.t_s > since_s and p.matches(labels)), None)

    def wait_to_be_told(self, labels: Mapping[str, str], since_s: float, until_s: float) -> Page | None:
        """None when nobody was told by then (CLOCK_MONOTONIC)."""
        left_s = max(0.0, until_s - time.monotonic())
        what = f"the pager to be told of {labels.get('alertname')}"
        try:
            wait_until(lambda: self.told(labels, since_s) is not None, timeout_s=left_s, what=what)
        except NotReady:
            return None
        return self.told(labels, since_s)

    def wait_until_calm(self) -> None:
        """Nothing pends, nothing fires, and whoever was told of a fault was told of its end.

        Raises NotReady with what still pends or fires.
        """
        left: list[str] = []

        def calm() -> bool:
            pending = self.prometheus.instant("ALERTS")
            left[:] = [f"{s.labels['alertname']} {s.labels.get('host', '')}" for s in pending]
            left.extend(p.name for p in unresolved(self.pages()))
            return not left

        try:
            wait_until(calm, timeout_s=self._calm_s, what="calm", interval_s=0.4)
        except NotReady:
            raise NotReady(
                f"waited {self._calm_s:g} s for alerts to end: {', '.join(sorted(set(left)))}"
            ) from None
