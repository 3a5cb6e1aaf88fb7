"""The classroom picture: the same outage as Locust shows it, and as it was.

Locust's users wait for their answers; while nothing answers they ask nothing, so the slow seconds are hardly
counted (coordinated omission). The prober asks on schedule and counts from the moment it meant to.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import figure_lanes as lanes
from experiments.harness import figure_style as style
from experiments.harness.bins import bin_probes, percentile, period_of, waits_s, width_for
from experiments.harness.figure_scene import Scene, scene
from experiments.harness.model import LoadSample, Trial
from loadtests.probes import Probe


def draw_classroom(
    trial: Trial, probes: Iterable[Probe], load: Iterable[LoadSample], *, projector: bool = True
) -> Figure:
    """Above: Locust's own p95 and requests/s. Below: p95 of the wait from due, and good answers/s."""
    preset = replace(style.PROJECTOR, font_pt=17.0) if projector else style.PAGE
    probes = list(probes)
    period_s = period_of([p for p in probes if p.stream == trial.headline.stream])
    sc = scene(trial, probes, (), load, period_s, 0.0, preset)
    with style.styled(preset):
        figure = style.new_figure(preset.width_in, preset.width_in * 9 / 16)
        left, wide = 0.105, 0.88
        boxes = ((0.715, 0.2), (0.565, 0.115), (0.255, 0.2), (0.105, 0.115))
        axes = [
            figure.add_axes((left, bottom - (0.015 if trial.fidelity else 0), wide, high))
            for bottom, high in boxes
        ]
        for ax in axes:
            ax.set_xlim(*sc.window)
            ax.axvspan(0, sc.rel(trial.heal_s), color=style.PALE, lw=0, zorder=-4)
            ax.axvline(0, color=style.BLACK, lw=preset.line_pt * 0.7, zorder=-2)
            ax.tick_params(labelbottom=ax is axes[-1])
        _locust(axes[0], axes[1], sc)
        _truth(axes[2], axes[3], sc)
        axes[0].sharey(axes[2])  # one scale, or the comparison would cheat
        axes[2].autoscale(axis="y")
        lanes.log_scale(axes[2])
        axes[3].set_xlabel("seconds from injection (grey: the fault)")
        if trial.fidelity:
            style.banner(figure, trial.fidelity, preset, y_in=preset.font_pt * 1.4 / 72)
    return figure


def _frame(latency: Axes, rate: Axes, sentence: str, sc: Scene) -> None:
    latency.set_title(sentence, fontsize=sc.preset.font_pt * 1.2)
    latency.set_ylabel("p95 wait, ms\n(log scale)")
    rate.set_ylabel("answers/s")
    latency.figure.align_ylabels([latency, rate])


def _locust(latency: Axes, rate: Axes, sc: Scene) -> None:
    t = [sc.rel(s.t_s) for s in sc.load]
    p95 = [math.nan if s.p95_ms is None else s.p95_ms for s in sc.load]
    _frame(latency, rate, locust_sentence(sc), sc)
    if not t:
        latency.text(0.5, 0.5, "no sample of Locust in this trial", transform=latency.transAxes, ha="center")
        return
    width = sc.preset.line_pt
    latency.plot(
        t, p95, color=style.ORANGE, marker="s", mec=style.BLACK, lw=width * 1.3, ms=sc.preset.point_pt * 1.2
    )
    rate.plot(
        t,
        [s.rps for s in sc.load],
        color=style.ORANGE,
        marker="s",
        mec=style.BLACK,
        lw=width * 1.3,
        ms=sc.preset.point_pt,
    )
    rate.set_ylim(0, max(1.0, *(s.rps for s in sc.load)) * 1.2)


def _truth(latency: Axes, rate: Axes, sc: Scene) -> None:
    b = bin_probes(
        sc.probes,
        sc.trial.start_s,
        sc.trial.end_s,
        origin_s=sc.trial.inject_s,
        width_s=width_for(sc.period_s),
    )
    _frame(latency, rate, truth_sentence(sc), sc)
    if not b.start_s:
        return
    waits: list[list[float]] = [[] for _ in b.start_s]
    unfinished: list[list[float]] = [[] for _ in b.start_s]
    for due_s, wait_s in waits_s(sc.probes):
        i = math.floor((due_s - b.start_s[0]) / b.width_s)
        if 0 <= i < len(waits) and math.isnan(wait_s):
            unfinished[i].append(sc.trial.end_s - due_s)
        elif 0 <= i < len(waits):
            waits[i].append(wait_s)
    x = [sc.rel(t) + b.width_s / 2 for t in b.start_s]
    latency.plot(x, [percentile(w, 0.95) * 1e3 for w in waits], color=style.BLUE, lw=sc.preset.line_pt * 1.3)
    if any(unfinished):
        bound = [percentile(w, 0.95) * 1e3 for w in unfinished]
        latency.plot(x, bound, color=style.VERMILLION, ls="none", marker="^", ms=sc.preset.point_pt * 0.8)
        middle = statistics.median(x[i] for i, w in enumerate(unfinished) if w)
        latency.text(middle, 30, "still waiting at the end:\nat least this long", ha="center", va="center")
    edges = [sc.rel(t) for t in (*b.start_s, b.start_s[-1] + b.width_s)]
    rate.stairs(b.goodput_hz, edges, fill=True, color=style.SKY)
    rate.stairs(b.goodput_hz, edges, color=style.BLUE, lw=sc.preset.line_pt, baseline=None)
    rate.set_ylim(bottom=0)


def locust_sentence(sc: Scene) -> str:
    """What Locust's own numbers say of the time in which nobody was served (without outage: of the fault)."""
    outage, trial = sc.trial.headline.outage, sc.trial
    if trial.fidelity or not sc.load:
        return "What Locust shows."
    begin_s = outage.start_s if outage else trial.inject_s
    end_s = trial.heal_s if outage is None else trial.end_s if outage.end_s is None else outage.end_s
    within = [s for s in sc.load if begin_s <= s.t_s <= end_s]
    if not within:
        return "What Locust shows: one report a second, and none falls into the outage."
    when = "while nobody was served" if outage else "during the fault"
    rate = f"at least {min(s.rps for s in within):,.0f} answers/s"
    p95 = [s.p95_ms for s in within if s.p95_ms is not None]
    return f"What Locust shows {when}: {f'p95 of at most {max(p95):,.0f} ms, ' if p95 else ''}{rate}."


def truth_sentence(sc: Scene) -> str:
    """What the prober saw, as one sentence; no number when the trial does not count."""
    outage = sc.trial.headline.outage
    if sc.trial.fidelity:
        return "What visitors met."
    if outage is None:
        return f"What visitors met: no bad answer in {sc.trial.headline.sent:,} probes."
    if not outage.recovered:
        return f"What visitors met: no service for {style.outage_text(outage)}, and none at the end."
    return f"What visitors met: {style.outage_text(outage)} without service, {outage.lost:,} probes lost."
