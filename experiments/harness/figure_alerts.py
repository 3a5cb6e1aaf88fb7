"""Each fault as a lane: its first bad sample, when the alert was pending, fired, and reached somebody.

agent killed   ├──●────────◆───────────■─▶
               0  sample   pending   firing told          ▒▒▒ predicted
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from experiments.harness import figure_style as style
from experiments.harness.alert_trials import AlertTrial

#: Moment → its marker, colour and name; the shapes differ as well as the colours.
MOMENTS = {
    "first_bad_s": ("o", style.SKY, "first scrape that shows it"),
    "pending_s": ("D", style.ORANGE, "pending: an evaluation sees it"),
    "firing_s": ("s", "none", "firing: it has lasted for `for`"),
    "told_s": ("*", style.VERMILLION, "told: received by the pager"),
}


def draw_alerts(trials: Sequence[AlertTrial], unwatched_s: float | None = None) -> Figure:
    """Seconds since each fault; `unwatched_s`: how long nobody noticed it where nobody watches."""
    preset = style.PAGE
    lanes = len(trials) + (unwatched_s is not None)
    with style.styled(preset):
        figure = style.new_figure(preset.width_in, 2.0 + 0.62 * lanes)
        height_in = figure.get_figheight()
        ax = figure.add_axes((0.2, 0.62 / height_in, 0.78, 1 - 1.5 / height_in))
        for row, trial in enumerate(trials):
            _lane(ax, row, trial)
        if unwatched_s is not None:
            _unwatched(ax, lanes - 1, unwatched_s)
        ends = [t.prediction.high_s or 0.0 for t in trials] + [t.delay_s or 0.0 for t in trials]
        ax.set_xlim(-0.15, 1.18 * max([*ends, unwatched_s or 0.0, 1.0]))
        ax.set_ylim(lanes - 0.45, -0.6)
        labels = [t.case.title for t in trials] + (
            ["stage 1: nginx killed"] if unwatched_s is not None else []
        )
        ax.set_yticks(range(lanes), labels)
        ax.set_xlabel("seconds since the fault (a release: since the first slow answer)")
        ax.grid(axis="x", color=style.PALE)
        ax.set_axisbelow(True)
        ax.axvline(0, color=style.BLACK, linewidth=preset.line_pt)
        figure.legend(
            handles=_legend(), loc="upper left", bbox_to_anchor=(0.19, 1 - 0.42 / height_in), ncols=5,
            frameon=False, handletextpad=0.4, columnspacing=1.2,
        )  # fmt: skip
        figure.text(
            0.01, 1 - 0.3 / height_in, "From the fault to somebody who knows", weight="bold",
            fontsize=preset.font_pt * 1.4,
        )  # fmt: skip
    return figure


def _lane(ax: Axes, row: int, trial: AlertTrial) -> None:
    p = trial.prediction
    width_s = (p.high_s or 0.0) - p.low_s
    ax.barh(
        row, width_s, left=p.low_s, height=0.62, zorder=1, facecolor=style.PALE, edgecolor=style.GREY,
        hatch="////", linewidth=0.8,
    )  # fmt: skip
    moments = {name: trial.after(getattr(trial, name)) for name in MOMENTS}
    end_s = max((m for m in moments.values() if m is not None), default=0.0)
    ax.plot([0, end_s], [row, row], color=style.GREY, linewidth=1.2, zorder=2)
    if trial.complete_s > trial.began_s:
        complete_s = trial.complete_s - trial.began_s
        ax.plot([0, complete_s], [row, row], color=style.BLACK, linewidth=5, solid_capstyle="butt", zorder=3)
    for name, moment_s in moments.items():
        if moment_s is not None:
            marker, colour, _ = MOMENTS[name]
            ax.plot(moment_s, row, marker, zorder=4, **_look(marker, colour))
    said = "nobody was told" if trial.delay_s is None else style.seconds(trial.delay_s)
    x = max(p.high_s or 0.0, end_s)
    ax.annotate(said, (x, row), xytext=(9, 0), textcoords="offset points", va="center", weight="bold")


def _look(marker: str, colour: str) -> dict[str, Any]:
    """The star fits into the open square: they are milliseconds apart."""
    size = {"s": 15, "*": 9}.get(marker, 8)
    return {"markerfacecolor": colour, "markeredgecolor": style.BLACK, "markersize": size}


def _unwatched(ax: Axes, row: int, watched_s: float) -> None:
    ax.annotate(
        "", (watched_s, row), xytext=(0, row),
        arrowprops={"arrowstyle": "->", "linestyle": "--", "color": style.BLACK, "linewidth": 1.4},
    )  # fmt: skip
    # Rounded down: it was watched no longer than that.
    said = f"nobody, > {math.floor(10 * watched_s) / 10:.1f} s"
    ax.annotate(said, (watched_s, row), xytext=(9, 0), textcoords="offset points", va="center", weight="bold")


def _legend() -> list[Line2D | Patch]:
    marks: list[Line2D | Patch] = [
        Line2D([], [], linestyle="", marker=marker, label=name, **_look(marker, colour))
        for marker, colour, name in MOMENTS.values()
    ]  # fmt: skip
    predicted = Patch(facecolor=style.PALE, edgecolor=style.GREY, hatch="////", label="predicted")
    return [*marks, predicted]
