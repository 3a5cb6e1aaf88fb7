"""One trial as its figures need it: its window's probes, who held what when, time counted from injection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from experiments.harness.figure_style import Preset
from experiments.harness.model import Event, LoadSample, Trial
from loadtests.probes import Probe

Spans = list[tuple[float, float]]


@dataclass(frozen=True)
class Scene:
    trial: Trial
    streams: dict[str, list[Probe]]  # by due time; the headline stream first
    events: tuple[Event, ...]  # all of the run: a VIP is held since before the trial
    load: tuple[LoadSample, ...]  # of the trial's window
    period_s: float
    slo_s: float
    preset: Preset

    @property
    def probes(self) -> list[Probe]:
        """The headline stream."""
        return self.streams[self.trial.headline.stream]

    def rel(self, t_s: float) -> float:
        """Seconds since injection."""
        return t_s - self.trial.inject_s

    @property
    def window(self) -> tuple[float, float]:
        return self.rel(self.trial.start_s), self.rel(self.trial.end_s)

    @property
    def detection(self) -> tuple[float, float] | None:
        """From injection until somebody noticed."""
        end = self.trial.phases.get("detect_s", self.trial.phases.get("switch_s"))
        return None if end is None else (0.0, end)

    @property
    def recovery(self) -> tuple[float, float] | None:
        """From detection until requests were served again; unknown where either is."""
        outage = self.trial.headline.outage
        end = self.trial.phases.get("serve_s")
        if end is None and outage is not None and outage.end_s is not None:
            end = self.rel(outage.end_s)
        if self.detection is None or end is None or end <= self.detection[1]:
            return None
        return self.detection[1], end


def scene(
    trial: Trial,
    probes: Iterable[Probe],
    events: Iterable[Event],
    load: Iterable[LoadSample],
    period_s: float,
    slo_s: float,
    preset: Preset,
) -> Scene:
    """Keeps what lies within [start_s, end_s] and sorts it."""
    headline = trial.headline.stream
    streams: dict[str, list[Probe]] = {headline: []}
    for p in sorted(probes, key=lambda p: p.due_s):
        if trial.start_s <= p.due_s <= trial.end_s:
            streams.setdefault(p.stream, []).append(p)
    return Scene(
        trial=trial,
        streams=streams,
        events=tuple(sorted(events, key=lambda e: e.t_s)),
        load=tuple(s for s in load if trial.start_s <= s.t_s <= trial.end_s),
        period_s=period_s,
        slo_s=slo_s,
        preset=preset,
    )


def merge_spans(spans: Iterable[tuple[float, float]], gap: float) -> Spans:
    """Joins ordered spans that lie closer than `gap` to one another."""
    merged: Spans = []
    for a, b in spans:
        if merged and a - merged[-1][1] <= gap:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return merged


def served_spans(sc: Scene, gap_s: float = 0.1) -> dict[str, Spans]:
    """When each balancer (the first host of served_by) answered headline probes."""
    by_host: dict[str, Spans] = {}
    for p in sc.probes:
        host = p.served_by.split(">")[0]
        if host and p.good:
            by_host.setdefault(host, []).append((sc.rel(p.due_s), sc.rel(p.end_s)))
    gap = max(gap_s, 3 * sc.period_s)
    return {host: merge_spans(spans, gap) for host, spans in sorted(by_host.items())}


def vip_spans(sc: Scene) -> dict[tuple[str, str], Spans]:
    """When each (address, host) held the VIP, from vip-up and vip-down; open ends reach the window's edge."""
    low, high = sc.window
    since: dict[tuple[str, str], float] = {}
    held: dict[tuple[str, str], Spans] = {}
    for e in sc.events:
        key, t = (e.detail, e.host), sc.rel(e.t_s)
        if e.kind == "vip-up" and t < high:
            since.setdefault(key, max(t, low))
        elif e.kind == "vip-down" and key in since:
            held.setdefault(key, []).append((since.pop(key), min(t, high)))
    for key, t in since.items():
        held.setdefault(key, []).append((t, high))
    visible = {key: [(a, b) for a, b in spans if b > low] for key, spans in held.items()}
    return {key: spans for key, spans in sorted(visible.items()) if spans}


def shown_events(sc: Scene, most: int) -> tuple[list[Event], int]:
    """The events of the window worth a label, and how many were left out.

    VIP moves have their own lane; "injected" right after "inject" says nothing new; log lines give way first.
    """
    low, high = sc.window
    near = 0.02 * (high - low)
    inside = [e for e in sc.events if low <= sc.rel(e.t_s) <= high]
    begun = {e.kind: e.t_s for e in inside if e.kind in ("inject", "heal")}

    def says_something(e: Event) -> bool:
        if e.kind in ("trial", "trial-end", "vip-up", "vip-down"):
            return False
        start = begun.get({"injected": "inject", "healed": "heal"}.get(e.kind, ""))
        return start is None or e.t_s - start > near

    candidates: Sequence[Event] = [e for e in inside if says_something(e)]
    kept = sorted(candidates, key=lambda e: (e.kind == "log", e.t_s))[:most]
    return sorted(kept, key=lambda e: e.t_s), len(candidates) - len(kept)
