"""Probes whose way through an imaginary stage 3 is known."""

from __future__ import annotations

from collections.abc import Iterable

from experiments.harness.phases import Phase, phase_of
from experiments.harness.spread import Layout
from loadtests.probes import Probe

LAYOUT = Layout(
    webs=("web1", "web2"), apps=("app1", "app2"), balancers=2, check_inter_s=2.0, rate_hz=40.0, streams=2,
    slow_web="web2", slow_app="app2", delay_s=0.7,
)  # fmt: skip
SECONDS = 8.0


def probe(
    k: int, served_by: str, *, took_s: float = 0.005, outcome: str = "ok", late_s: float = 0.0
) -> Probe:
    """The k-th of a stream of 40 a second, from second 100 on."""
    due_s = 100 + k / 40
    sent_s = due_s + late_s
    return Probe(
        "to-8.8.8.8", k, due_s, sent_s, sent_s, sent_s + took_s, sent_s + took_s, outcome,
        200 if outcome == "ok" else None, "8.8.8.8", served_by,
    )  # fmt: skip


def phase(name: str, ways: Iterable[str], took_s: dict[str, float] | None = None) -> Phase:
    """A phase whose probes went these ways, in order; `took_s` by web server."""
    times = took_s or {}
    rows = [
        probe(k, way, took_s=next((s for web, s in times.items() if web in way), 0.005))
        for k, way in enumerate(ways)
    ]
    return phase_of(name, 100.0, 100.0 + SECONDS, rows)


def turns(n: int = 320) -> list[str]:
    """Both balancers, both web servers and both applications in turn."""
    return [f"lb{1 + k % 2}>web{1 + k // 2 % 2}>app{1 + k // 4 % 2}" for k in range(n)]
