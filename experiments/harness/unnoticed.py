"""The same fault where nobody watches: the site goes on, a log line says it, and nobody reads that.

fault ─► HAProxy's log: "Server web/server2 is DOWN" ─► … ─► healed by us, not by somebody who was told
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.faults import Fault
from experiments.harness.collected import prober_config
from experiments.harness.generators import observe_until, probing
from experiments.harness.model import Event
from experiments.harness.watch import watching
from loadtests.probes import Probe
from services.alertmanager import Alertmanager
from services.pager import Pager
from services.prometheus import Prometheus
from services.rsyslog import Rsyslog
from topologies.stage import Stage
from topologies.testbed import Testbed

#: Who could tell somebody, or could at least collect what is known.
WATCHERS = (Prometheus.name, Alertmanager.name, Pager.name, Rsyslog.name)
RATE_HZ = 20.0


@dataclass(frozen=True)
class Unnoticed:
    """`watched_s` is a censored observation: nobody was told for longer than that."""

    fault: str
    watched_s: float
    watchers: tuple[str, ...]  # "prometheus monitor1": must be none
    pages: int  # lines in any pager's log
    known: str  # what a log knew of it, and nobody read
    known_after_s: float | None
    sent: int
    good: int


def watchers(stage: Stage) -> tuple[str, ...]:
    return tuple(
        f"{service.name} on {host}"
        for host, services in stage.declared.items()
        for service in services
        if service.name in WATCHERS
    )


def go_unnoticed(testbed: Testbed, fault: Fault, watch_s: float, rng: random.Random) -> Unnoticed:
    """Break it for `watch_s` while requests go on, and look for anybody who is told. Raises TestbedError."""
    config = prober_config(testbed.stage, RATE_HZ, "unnoticed")
    with (
        watching(testbed) as watch,
        probing(testbed.hosts["client1"], config, testbed.results, "unnoticed") as prober,
    ):
        observe_until(time.monotonic() + rng.uniform(0, testbed.stage.settings.check_inter_s))
        inject_s = time.monotonic()
        with fault.injected(testbed):
            observe_until(inject_s + watch_s)
            rows, until_s = prober.probes(), time.monotonic()
        events = watch.events()
    pages = sum(len(log.read_text().splitlines()) for log in testbed.results.glob("hosts/*/pager.log"))
    return summary(fault, inject_s, until_s, rows, events, watchers(testbed.stage), pages)


def summary(
    fault: Fault, inject_s: float, until_s: float, rows: Sequence[Probe], events: Sequence[Event],
    watching_it: tuple[str, ...], pages: int,
) -> Unnoticed:  # fmt: skip
    """What it came to; events from before the fault, or after it was healed, do not count."""
    known = [e for e in events if e.kind == "detected" and inject_s < e.t_s <= until_s]
    during = [p for p in rows if inject_s <= p.due_s < until_s]
    return Unnoticed(
        f"{fault.name} of {fault.target}", until_s - inject_s, watching_it, pages,
        known=_briefly(known[0]) if known else "",
        known_after_s=known[0].t_s - inject_s if known else None,
        sent=len(during),
        good=sum(p.good for p in during),
    )  # fmt: skip


def _briefly(event: Event) -> str:
    """ "lb1/haproxy: Server web/server2 is DOWN": without HAProxy's severity, pid and reasons."""
    daemon, _, line = event.detail.partition(": ")
    return f"{event.host}/{daemon}: {line.rpartition(' : ')[2].partition(',')[0]}"
