"""Both edges of the outage, probe by probe: the bracket between which the truth lies.

last good end ─┐  ┌─ first bad due            last bad due ─┐  ┌─ first good end
●── answered   │  ▲─────── timed out          ▲────────     │  │  ●── answered
               ├──┼──────────── upper ──────────────────────┼──┤
                  └──────────── lower ──────────────────────┘
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from experiments.harness import figure_style as style
from experiments.harness.figure_lanes import shade, shade_predicted
from experiments.harness.figure_scene import Scene
from experiments.harness.model import Outage

#: probe periods shown on each side of an edge
AROUND = 14


def draw_zooms(begin: Axes, end: Axes, sc: Scene) -> None:
    """Edges of the outage; without an outage, injection and healing."""
    outage = sc.trial.headline.outage
    if outage is None:
        _edge(begin, sc, [0.0], "Zoom: around injection, no bad probe")
        _edge(end, sc, [sc.rel(sc.trial.heal_s)], "Zoom: around healing, no bad probe")
        return
    first_bad_due = sc.rel(outage.start_s)
    last_bad_due = first_bad_due + outage.lower_s
    if outage.end_s is None or outage.upper_s is None:
        _edge(begin, sc, [first_bad_due], "Zoom: the outage begins")
        _mark(begin, sc, first_bad_due, "first bad due")
        _not_recovered(end, sc, outage)
        return
    first_good_end = sc.rel(outage.end_s)
    last_good_end = first_good_end - outage.upper_s
    _edge(begin, sc, [last_good_end, first_bad_due], "Zoom: the outage begins")
    _edge(end, sc, [last_bad_due, first_good_end], "Zoom: it ends")
    _mark(begin, sc, last_good_end, "last good end")
    _mark(begin, sc, first_bad_due, "first bad due")
    _mark(end, sc, last_bad_due, "last bad due")
    _mark(end, sc, first_good_end, "first good end")
    _bracket(begin, end, sc, outage, (last_good_end, first_bad_due, last_bad_due, first_good_end))


def _edge(ax: Axes, sc: Scene, moments: Sequence[float], title: str) -> None:
    """Each probe is a line from due to end, one row per probe; the top is kept for the bracket."""
    ax.set_title(title)
    low = min(moments) - AROUND * sc.period_s
    high = max(moments) + AROUND * sc.period_s
    ax.set_xlim(low, high)
    shade(ax, sc)
    shade_predicted(ax, sc, alpha=0.35)
    near = [
        p for p in sc.probes if sc.rel(p.due_s) <= high and sc.rel(p.end_s) >= low and sc.rel(p.due_s) >= low
    ]
    for y, p in enumerate(near):
        colour, marker = style.style_of(p.outcome)
        ax.plot(
            [sc.rel(p.due_s), min(sc.rel(p.end_s), high)], [y, y], color=colour, lw=sc.preset.line_pt * 0.8
        )
        ax.plot([sc.rel(p.due_s)], [y], color=colour, marker="o" if p.good else marker, ms=sc.preset.point_pt,
                mec=colour if marker in style.STROKES else style.BLACK, mew=0.8)  # fmt: skip
        if sc.rel(p.end_s) <= high:
            ax.plot([sc.rel(p.end_s)], [y], color=colour, marker="|", ms=sc.preset.point_pt * 1.3)
    ax.set_ylim(-1.5, max(len(near), 8) * 1.75)
    ax.set_yticks([])
    ax.set_ylabel("one line per probe,\ndue → end")
    ax.xaxis.set_major_locator(MaxNLocator(5))


def _mark(ax: Axes, sc: Scene, x: float, text: str) -> None:
    """A dashed line at one of the four moments; "first" is written to its right, "last" to its left."""
    top = ax.get_ylim()[1]
    ax.axvline(x, color=style.BLACK, ls=(0, (3, 2)), lw=sc.preset.line_pt * 0.7)
    ha = "left" if text.startswith("first") else "right"
    pad = 0.012 * (ax.get_xlim()[1] - ax.get_xlim()[0]) * (1 if ha == "left" else -1)
    ax.text(x + pad, top * 0.62, text, ha=ha, va="center", fontsize=sc.preset.font_pt * 0.85,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85})  # fmt: skip


def _bracket(
    begin: Axes, end: Axes, sc: Scene, o: Outage, moments: tuple[float, float, float, float]
) -> None:
    """Lower and upper bound as bars running out of one panel into the other; the headline between them."""
    last_good_end, first_bad_due, last_bad_due, first_good_end = moments
    counts = not sc.trial.fidelity
    upper_s = o.upper_s if o.upper_s is not None else o.lower_s
    rows = (
        ("upper", last_good_end, first_good_end, upper_s, 0.93),
        ("lower", first_bad_due, last_bad_due, o.lower_s, 0.74),
    )
    for name, a, b, value_s, height in rows:
        for ax, x, x_out in ((begin, a, begin.get_xlim()[1]), (end, b, end.get_xlim()[0])):
            y = ax.get_ylim()[1] * height
            ax.plot([x, x_out], [y, y], color=style.BLACK, lw=sc.preset.line_pt * 1.4)
            ax.plot(
                [x], [y], color=style.BLACK, marker="|", ms=sc.preset.point_pt * 2.4, mew=sc.preset.line_pt
            )
            text = f"{name} {style.seconds(value_s)}" if counts else name
            ax.text((x + x_out) / 2, y, text, ha="center", va="center", fontsize=sc.preset.font_pt * 0.85,
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.2})  # fmt: skip
    if o.outage_s is not None:
        text = f"headline {style.seconds(o.outage_s)}" if counts else "does not count"
        end.set_title(f"Zoom: it ends, {text}")


def _not_recovered(ax: Axes, sc: Scene, outage: Outage) -> None:
    ax.set_title("No second edge: the outage is censored")
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    ax.set_axis_off()
    text = "does not count" if sc.trial.fidelity else style.outage_text(outage)
    ax.annotate(
        "", (0.95, 0.5), (0.05, 0.5), arrowprops={"arrowstyle": "-|>", "lw": 4, "color": style.VERMILLION}
    )
    ax.text(0.5, 0.62, text, ha="center", fontsize=sc.preset.font_pt * 2, weight="bold")
    ax.text(0.5, 0.4, "watched until the trial ended;\nnobody was served again", ha="center", va="top")
