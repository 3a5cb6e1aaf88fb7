"""Every trial as a point with its bracket, the predicted interval as a band, the median and the maximum."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import figure_style as style
from experiments.harness.model import Prediction, Trial

LEGEND = (
    "outage with bracket",
    "no bad probe",
    "not recovered: longer than this",
    "does not count",
    "predicted",
    "median, 95% interval",
    "maximum",
)


def median_interval(
    values: Sequence[float], *, seed: int = 0, resamples: int = 2000
) -> tuple[float, float, float]:
    """(median, low, high): 95% percentile bootstrap over trials (Efron & Tibshirani 1993, ch. 13).

    Censored trials enter as infinity, so a median that falls among them is infinite, not a number.
    """
    rng = random.Random(seed)
    medians = sorted(_median(rng.choices(values, k=len(values))) for _ in range(resamples))
    return _median(values), medians[int(0.025 * resamples)], medians[int(0.975 * resamples) - 1]


def _median(values: Sequence[float]) -> float:
    ordered, n = sorted(values), len(values)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def outage_of(trial: Trial) -> float:
    """Seconds; 0 for no bad probe, infinity for a censored outage."""
    o = trial.headline.outage
    if o is None:
        return 0.0
    return math.inf if o.outage_s is None else o.outage_s


def draw_trials(trials: Sequence[Trial], *, projector: bool = False) -> Figure:
    """One column per trial, by fault and target. Trials that do not count are hollow and not summed up."""
    preset = style.PROJECTOR if projector else style.PAGE
    with style.styled(preset):
        figure = style.new_figure(preset.width_in, 9.0 if projector else 5.2)
        height_in = figure.get_figheight()
        banner_in = preset.font_pt * (2.2 if any(t.fidelity for t in trials) else 0) / 72
        foot_in, head_in = (
            preset.font_pt * (6 if len(trials) > 25 else 4) / 72,
            preset.font_pt * 5 / 72 + banner_in,
        )
        left = preset.font_pt * 0.075 / preset.width_in
        box = (left, foot_in / height_in, 0.985 - left, 1 - (foot_in + head_in) / height_in)
        ax = figure.add_axes(box)
        _draw(ax, sorted(trials, key=lambda t: (t.fault, t.target, t.number)), preset)
        counted = [t for t in trials if not t.fidelity]
        text = f"Outage of {len(counted)} trials, each with its bracket"
        if len(counted) < 2:
            text = "Outage of one trial" if counted else "No trial counts"
        figure.text(
            left / 4,
            1 - preset.font_pt * 2.0 / 72 / height_in,
            text,
            fontsize=preset.font_pt * 1.5,
            weight="bold",
        )
        if len(counted) < len(trials):
            reasons = tuple(dict.fromkeys(r for t in trials for r in t.fidelity))
            n = len(trials) - len(counted)
            note = (f"{n} of {len(trials)} trials (hollow): {reasons[0]}", *reasons[1:])
            style.banner(figure, note, preset, y_in=preset.font_pt * 4.1 / 72)
    return figure


def _draw(ax: Axes, trials: Sequence[Trial], preset: style.Preset) -> None:
    seen = [_extent(t) for t in trials] + [t.prediction.high_s or t.prediction.low_s for t in trials]
    top = max([*seen, 0.5]) * 1.25
    groups = [list(g) for _, g in groupby(trials, key=lambda t: (t.fault, t.target))]
    summed = [_counting(g) if len(_counting(g)) >= 3 else [] for g in groups]
    columns = len(trials) + sum(1 for s in summed if s)
    spare = max(0, 5 - columns) / 2
    ax.set_xlim(-0.6 - spare, columns - 0.4 + spare)
    ax.set_ylim(0, top)
    ax.set_ylabel("outage, seconds")
    ax.set_xlabel("trial")
    ax.grid(axis="y", color=style.PALE)
    ax.set_axisbelow(True)
    ticks: dict[int, str] = {}
    every = 1 + len(trials) // 25
    x = 0
    for group, counted in zip(groups, summed, strict=True):
        if x:
            ax.axvline(x - 0.5, color=style.GREY, lw=0.8)
        wide = len(group) + bool(counted)
        for i, t in enumerate(group):
            _band(ax, t.prediction, x + i, top)
            _point(ax, t, x + i, preset, top)
            if i % every == 0:
                ticks[x + i] = str(t.number)
        if counted:
            _band(ax, counted[0].prediction, x + len(group), top)
            _summary(ax, counted, x, x + len(group), preset)
            ticks[x + len(group)] = "median"
        _heading(ax, group, counted, x + (wide - 1) / 2, wide / (columns + 2 * spare), preset)
        x += wide
    ax.set_xticks(list(ticks), list(ticks.values()))
    for label in ax.get_xticklabels():
        label.set_rotation(90 if columns > 30 and label.get_text() == "median" else 0)
    handles, labels = ax.get_legend_handles_labels()
    by_label = dict(zip(labels, handles, strict=True))
    shown = [name for name in LEGEND if name in by_label]
    ax.legend(
        [by_label[name] for name in shown],
        shown,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=6,
        frameon=False,
    )


def _counting(trials: Sequence[Trial]) -> list[Trial]:
    return [t for t in trials if not t.fidelity]


def _extent(t: Trial) -> float:
    o = t.headline.outage
    return 0.0 if o is None else o.lower_s * 1.1 if o.upper_s is None else o.upper_s


def _heading(
    ax: Axes, group: Sequence[Trial], counted: Sequence[Trial], x: float, share: float, preset: style.Preset
) -> None:
    """The group's fault, and its median and maximum where there are any."""
    lines = [style.fault_text(group[0])]
    if counted:
        values = [outage_of(t) for t in counted]
        median, low, high = median_interval(values)
        if not math.isfinite(median):
            lines.append("median: not recovered")
        elif math.isfinite(high):
            lines.append(f"median {style.seconds(median)} ({low:.2f}–{high:.2f}), {_largest(values)}")
        else:
            lines.append(f"median {style.seconds(median)} (from {low:.2f}), {_largest(values)}")
    room = max(8, int(share * preset.width_in * 0.9 * 72 / (0.6 * preset.font_pt)))
    text = "\n".join(style.shorten(line, room) for line in lines)
    ax.text(
        x,
        ax.get_ylim()[1] * 0.99,
        text,
        ha="center",
        va="top",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
    )


def _largest(values: Sequence[float]) -> str:
    censored = sum(1 for v in values if math.isinf(v))
    return f"{censored} of {len(values)} not recovered" if censored else f"max {style.seconds(max(values))}"


def _band(ax: Axes, p: Prediction, x: float, top: float) -> None:
    high = top if p.high_s is None else p.high_s
    low = min(p.low_s, high)
    thick = max(high - low, 0.004 * top)  # a prediction of exactly nothing is still seen
    ax.bar(
        x,
        thick,
        bottom=low,
        width=1.0,
        facecolor="#DDF1EA",
        edgecolor=style.GREEN,
        hatch="//",
        lw=0,
        zorder=0,
        label="predicted",
    )


def _point(ax: Axes, t: Trial, x: float, preset: style.Preset, top: float) -> None:
    o = t.headline.outage
    counts = not t.fidelity
    size = preset.point_pt * 1.7
    if o is not None and (o.outage_s is None or o.upper_s is None):
        colour = style.VERMILLION if counts else style.GREY
        ax.annotate(
            "",
            (x, o.lower_s + 0.08 * top),
            (x, o.lower_s),
            arrowprops={"arrowstyle": "-|>", "lw": preset.line_pt, "color": colour},
        )
        ax.plot(
            [x],
            [o.lower_s],
            marker="^",
            ls="none",
            mec=colour,
            mfc=colour if counts else "white",
            ms=size,
            label="not recovered: longer than this" if counts else "does not count",
            zorder=4,
        )
        return
    colour = style.BLUE if counts else style.GREY
    fill = colour if counts else "white"
    if o is None or o.outage_s is None or o.upper_s is None:
        ax.plot(
            [x],
            [0],
            marker="D",
            ls="none",
            mec=colour,
            mfc=fill,
            ms=size,
            clip_on=False,
            zorder=4,
            label="no bad probe" if counts else "does not count",
        )
        return
    error = [[max(0.0, o.outage_s - o.lower_s)], [max(0.0, o.upper_s - o.outage_s)]]
    ax.errorbar(
        [x],
        [o.outage_s],
        yerr=error,
        fmt="o",
        color=colour,
        mfc=fill,
        ms=size,
        zorder=4,
        capsize=preset.point_pt,
        label="outage with bracket" if counts else "does not count",
    )


def _summary(ax: Axes, counted: Sequence[Trial], first: int, x: int, preset: style.Preset) -> None:
    """In a column of its own the median with its interval; across the group a line at the maximum."""
    values = [outage_of(t) for t in counted]
    median, low, high = median_interval(values)
    if math.isfinite(median):
        ceiling = high if math.isfinite(high) else ax.get_ylim()[1]
        ax.errorbar(
            [x],
            [median],
            yerr=[[median - low], [ceiling - median]],
            fmt="D",
            color=style.BLACK,
            ms=preset.point_pt * 2,
            lw=preset.line_pt * 1.5,
            capsize=preset.point_pt * 1.6,
            zorder=4,
            label="median, 95% interval",
        )
    if math.isfinite(max(values)) and max(values) > 0:
        ax.plot(
            [first - 0.5, x + 0.5],
            [max(values)] * 2,
            color=style.VERMILLION,
            ls="--",
            lw=preset.line_pt,
            zorder=2,
            label="maximum",
        )
