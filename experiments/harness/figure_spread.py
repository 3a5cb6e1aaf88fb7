"""Two figures of balance: who got which share against what was predicted, and what clients waited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter

from experiments.harness import figure_style as style
from experiments.harness.chi_square import wilson
from experiments.harness.spread import Choice

#: colour and marker of the first, second, … server of a chooser
SERVERS = [
    (style.BLUE, "o"), (style.ORANGE, "s"), (style.GREEN, "^"), (style.PURPLE, "D"), (style.VERMILLION, "v"),
    (style.SKY, "P"), (style.BLACK, "X"), (style.GREY, "<"), (style.YELLOW, ">"),
]  # fmt: skip
LINES = ["-", "--", ":", "-."]
COLOURS = [style.GREY, style.BLUE, style.VERMILLION, style.PURPLE]
ROW_IN = 0.34


def draw_shares(groups: Sequence[tuple[str, Sequence[Choice]]], preset: style.Preset = style.PAGE) -> Figure:
    """One row per choice, below the condition it was made in: a share with its 95% interval (Wilson) for
    each server, over the band that was predicted.
    """
    rows = sum(len(choices) + 1 for _, choices in groups)
    with style.styled(preset):
        figure = style.new_figure(preset.width_in, 1.4 + ROW_IN * rows)
        ax = figure.add_axes((0.16, 0.8 / (1.4 + ROW_IN * rows), 0.82, 1 - 1.2 / (1.4 + ROW_IN * rows)))
        y, ticks, labels = 0, list[float](), list[str]()
        for condition, choices in groups:
            ax.text(0.0, y, condition, weight="bold", va="center")
            y += 1
            for choice in choices:
                _row(ax, y, choice, preset)
                ticks.append(y)
                labels.append(choice.chooser)
                y += 1
        ax.set_yticks(ticks, labels)
        ax.set_ylim(y - 0.3, -0.7)
        ax.set_xlim(-0.01, 1.01)
        ax.set_xlabel("share of the requests, with its 95% interval (Wilson)")
        ax.grid(axis="x", color=style.PALE)
        ax.set_axisbelow(True)
        _legend(ax)
    return figure


def _row(ax: Axes, y: float, choice: Choice, preset: style.Preset) -> None:
    for low, high in dict.fromkeys(choice.predicted.values()):
        width = max(high - low, 0.004)  # a prediction without any width is still seen
        left = min(max(0.0, (low + high - width) / 2), 1 - width)
        ax.add_patch(
            Rectangle(
                (left, y - 0.42), width, 0.84, facecolor="#DDF1EA", edgecolor=style.GREEN, hatch="////",
                lw=0.5, label="predicted",
            )
        )  # fmt: skip
    for number, (server, count) in enumerate(choice.counts.items()):
        colour, marker = SERVERS[number % len(SERVERS)]
        share = count / choice.n
        low, high = wilson(count, choice.n)
        # Next to each other where they are equal: an even split would hide all but the last.
        offset = y + 0.18 * (number - (len(choice.counts) - 1) / 2)
        ax.errorbar(
            [share], [offset], xerr=[[max(0.0, share - low)], [max(0.0, high - share)]], fmt=marker,
            color=colour, mec=style.BLACK, mew=0.5, ms=preset.point_pt * 1.3, lw=1, capsize=2, label=server,
            zorder=3,
        )  # fmt: skip


def _legend(ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    first = dict(zip(reversed(labels), reversed(handles), strict=True))
    names = sorted(first, key=lambda name: (name == "predicted", name))
    ax.legend(
        [first[name] for name in names], names, ncols=len(names), frameon=False, loc="lower right",
        bbox_to_anchor=(1, 1),
    )  # fmt: skip


def draw_latencies(
    series: Mapping[str, Sequence[float]], delay_s: float, preset: style.Preset = style.PAGE
) -> Figure:
    """Cumulative share of answers over latency, a line per condition; where it crosses 95% is its p95."""
    with style.styled(preset):
        figure = style.new_figure(preset.width_in, 4.6)
        ax = figure.add_axes((0.07, 0.13, 0.91, 0.78))
        for number, (name, values_s) in enumerate(series.items()):
            if not values_s:
                continue
            times_ms = sorted(v * 1e3 for v in values_s)
            shares = [(i + 1) / len(times_ms) for i in range(len(times_ms))]
            ax.step(
                times_ms, shares, where="post", label=name, color=COLOURS[number % len(COLOURS)],
                ls=LINES[number % len(LINES)], lw=preset.line_pt * 1.3,
            )  # fmt: skip
        ax.axhline(0.95, color=style.BLACK, lw=0.8)
        ax.text(1.0, 0.955, "p95 ", transform=ax.get_yaxis_transform(), ha="right", va="bottom")
        ax.axvline(delay_s * 1e3, color=style.GREEN, lw=0.8, ls=(0, (1, 2)))
        ax.text(
            delay_s * 1e3, 0.74, f"every answer of the slow server waits {delay_s * 1e3:g} ms →", ha="right"
        )
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.set_xlabel("latency from the moment the request was due, ms (log scale)")
        ax.set_ylabel("share of answers")
        ax.set_ylim(0, 1.03)
        ax.grid(color=style.PALE)
        ax.set_axisbelow(True)
        ax.legend(loc="lower right", bbox_to_anchor=(0.94, 0.06), frameon=True)
    return figure
