"""The top lane of the failover figure: the whole trial in a few bars.

vip up?    ━━━━━━━━▒█████████▒━━━━━━━━━   thin: all good, hatched: some bad, tall: none good
fault              ├─────────────────┤
phases             ├─detection─┼─┤
predicted                    ▨▨▨▨▨
measured           ━━━━━━━━━━━━━ out 3.11 s
"""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from experiments.harness import figure_style as style
from experiments.harness.bins import Bins
from experiments.harness.figure_lanes import DETECTION, RECOVERY, bar, predicted_span
from experiments.harness.figure_scene import Scene, merge_spans


def summary_streams(sc: Scene) -> list[str]:
    """All streams on a page; a projector has room for the headline only."""
    return [sc.trial.headline.stream] if sc.preset.projector else list(sc.streams)


def summary_rows(sc: Scene) -> list[str]:
    return [
        *(style.shorten(s, 12) + " up?" for s in summary_streams(sc)),
        "fault",
        "phases",
        "predicted",
        "measured",
    ]


def draw_summary(ax: Axes, sc: Scene, bins: dict[str, Bins]) -> None:
    rows = summary_rows(sc)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(axis="y", length=0)
    for y, stream in enumerate(summary_streams(sc)):
        _availability(ax, sc, y, bins[stream])
    y = len(summary_streams(sc))
    high = sc.window[1]
    heal = sc.rel(sc.trial.heal_s)
    if heal > 0:
        bar(ax, y, 0, min(heal, high), facecolor="#BBBBBB", edgecolor=style.GREY)
        _bar_text(ax, sc, y, 0, min(heal, high), style.shorten(style.fault_text(sc.trial), 48))
    looks = (("detection", sc.detection, DETECTION, ".."), ("recovery", sc.recovery, RECOVERY, "\\\\"))
    phases = [(name, span, colour, hatch) for name, span, colour, hatch in looks if span]
    for _, span, colour, hatch in phases:
        bar(ax, y + 1, *span, facecolor=colour, hatch=hatch, edgecolor=style.BLACK, lw=0.5)
    if phases:
        named = [f"{name} {style.seconds(s[1] - s[0])}" for name, s, _, _ in phases]
        text = "does not count" if sc.trial.fidelity else ", ".join(named)
        _side_text(ax, sc, y + 1, phases[0][1][0], phases[-1][1][1], text)
    _predicted_and_measured(ax, sc, y + 2, y + 3)


def _availability(ax: Axes, sc: Scene, y: int, b: Bins) -> None:
    """Per bin: all good, some bad, none good. Height and hatch say it as well as colour."""
    states: dict[str, list[tuple[float, float]]] = {"good": [], "some": [], "none": []}
    for t, share in zip(b.start_s, b.bad_share, strict=True):
        if not math.isnan(share):
            state = "good" if share == 0 else "none" if share == 1 else "some"
            states[state].append((sc.rel(t), sc.rel(t) + b.width_s))
    looks = {
        "good": (style.BLUE, None, 0.3),
        "some": (style.YELLOW, "//", 0.6),
        "none": (style.VERMILLION, "xx", 0.8),
    }
    for state, spans in states.items():
        colour, hatch, height = looks[state]
        for a, e in merge_spans(spans, 1e-6):
            bar(ax, y, a, e, height=height, facecolor=colour, hatch=hatch, edgecolor=style.BLACK, lw=0.3)


def _predicted_and_measured(ax: Axes, sc: Scene, y_predicted: int, y_measured: int) -> None:
    trial, (_, high) = sc.trial, sc.window
    a, b = predicted_span(sc)
    bar(ax, y_predicted, a, max(b, a + 1e-9), facecolor="white", edgecolor=style.GREEN, hatch="////", lw=1)
    text = style.predicted_text(trial.prediction)
    text = text if not trial.prediction.high_s else f"back {text} after injection"
    _side_text(ax, sc, y_predicted, a, b, text)
    outage = trial.headline.outage
    if outage is None:
        _side_text(ax, sc, y_measured, 0, 0, f"no bad probe of {trial.headline.sent:,}")
        return
    start = sc.rel(outage.start_s)
    end = high if outage.end_s is None else sc.rel(outage.end_s)
    if outage.recovered:
        bar(ax, y_measured, start, end, height=0.34, facecolor=style.BLACK)
    text = "does not count" if trial.fidelity else f"out {style.outage_text(outage)}"
    if not outage.recovered:
        arrow = {
            "arrowstyle": "-|>",
            "lw": 3,
            "color": style.BLACK,
            "shrinkA": 0,
            "shrinkB": 0,
            "mutation_scale": 22,
        }
        ax.annotate("", (high, y_measured), (start, y_measured), arrowprops=arrow, zorder=4)
        text += "" if trial.fidelity else ": not back within the trial"
    _side_text(ax, sc, y_measured, start, end, text)


def _bar_text(ax: Axes, sc: Scene, y: float, a: float, b: float, text: str) -> None:
    """Inside the bar where it fits, beside it where not."""
    if style.text_width(ax, text, sc.preset.font_pt * 0.9) < b - a:
        ax.text((a + b) / 2, y, text, ha="center", va="center_baseline", fontsize=sc.preset.font_pt * 0.9)
    else:
        _side_text(ax, sc, y, a, b, text)


def _side_text(ax: Axes, sc: Scene, y: float, a: float, b: float, text: str) -> None:
    """Right of the bar, or left of it where the axis ends too soon; over its end when neither has room."""
    size = sc.preset.font_pt * 0.9
    low, high = ax.get_xlim()
    pad, width = 0.006 * (high - low), style.text_width(ax, text, size)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
    if b + pad + width <= high:
        ax.text(b + pad, y, text, ha="left", va="center_baseline", fontsize=size, bbox=box)
    elif a - pad - width >= low:
        ax.text(a - pad, y, text, ha="right", va="center_baseline", fontsize=size, bbox=box)
    else:
        ax.text((a + b) / 2, y, text, ha="center", va="center_baseline", fontsize=size, bbox=box, zorder=6)
