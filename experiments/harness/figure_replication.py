"""How late a replica is: the distribution of lags over what was predicted, and each token on the clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullFormatter

from experiments.harness import figure_style as style
from experiments.harness.replication import LagPrediction, Token, quantile

STYLES = [
    (style.GREY, "-", "o"),
    (style.BLUE, "--", "s"),
    (style.VERMILLION, ":", "^"),
    (style.GREEN, "-.", "D"),
]
LEAST_MS = 0.1  # the left end of the logarithmic axes


def draw_lags(
    series: Mapping[str, Sequence[Token]], predicted: LagPrediction, writing: Sequence[tuple[float, float]],
    preset: style.Preset = style.PAGE,
) -> Figure:  # fmt: skip
    """`writing`: (start, end) of the write load, on the tokens' clock. Tokens never seen point upwards."""
    with style.styled(preset):
        figure = style.new_figure(preset.width_in, 5.2)
        left = figure.add_axes((0.06, 0.12, 0.40, 0.77))
        right = figure.add_axes((0.54, 0.12, 0.45, 0.77))
        longest_s = max((t.until_s - t.acknowledged_s for ts in series.values() for t in ts), default=1.0)
        _distribution(left, series, predicted, preset)
        _over_time(right, series, predicted, writing, longest_s, preset)
    return figure


def _distribution(
    ax: Axes, series: Mapping[str, Sequence[Token]], predicted: LagPrediction, preset: style.Preset
) -> None:
    for (low, high), limit_s in (((0.47, 0.53), predicted.median_s), ((0.975, 1.005), predicted.p99_s)):
        ax.add_patch(
            Rectangle(
                (LEAST_MS, low), max(0.0, limit_s * 1e3 - LEAST_MS), high - low, facecolor="#DDF1EA",
                edgecolor=style.GREEN, hatch="////", lw=0.5, zorder=0, label="predicted: median, p99",
            )
        )  # fmt: skip
    for (name, tokens), (colour, line, _) in zip(series.items(), STYLES, strict=False):
        lags_ms = sorted(t.lag_s * 1e3 for t in tokens)
        seen = [lag for lag in lags_ms if math.isfinite(lag)]
        if not seen:
            continue
        shares = [(i + 1) / len(lags_ms) for i in range(len(seen))]
        median, p99 = quantile(tokens, 0.5), quantile(tokens, 0.99)
        ax.step(
            [max(LEAST_MS, lag) for lag in seen], shares, where="post", color=colour, ls=line, zorder=3,
            lw=preset.line_pt * 1.3, label=f"{name}: p50 {median.words}, p99 {p99.words}",
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlim(left=LEAST_MS)
    ax.set_ylim(0, 1.04)
    ax.set_xlabel("lag behind the acknowledgment, ms (log scale)")
    ax.set_ylabel("share of tokens seen by then")
    _plain_numbers(ax, "x")
    handles, labels = ax.get_legend_handles_labels()
    by_label = dict(zip(labels, handles, strict=True))
    ax.legend(
        by_label.values(), by_label.keys(), loc="lower right", bbox_to_anchor=(1.02, 1.0), frameon=False,
        fontsize=preset.font_pt * 0.8,
    )  # fmt: skip


def _over_time(
    ax: Axes, series: Mapping[str, Sequence[Token]], predicted: LagPrediction,
    writing: Sequence[tuple[float, float]], longest_s: float, preset: style.Preset,
) -> None:  # fmt: skip
    start_s = min((t.due_s for ts in series.values() for t in ts), default=0.0)
    for begin_s, end_s in writing:
        ax.axvspan(
            begin_s - start_s, end_s - start_s, color=style.PALE, lw=0, zorder=0, label="orders are written"
        )
    for (name, tokens), (colour, _, marker) in zip(series.items(), STYLES, strict=False):
        seen = [t for t in tokens if t.seen_s is not None]
        lost = [t for t in tokens if t.seen_s is None]
        if seen:
            ax.plot(
                [t.due_s - start_s for t in seen], [max(LEAST_MS, t.lag_s * 1e3) for t in seen], ls="none",
                marker=marker, ms=preset.point_pt * 0.8, mfc="none", mec=colour, mew=0.7, label=name,
            )  # fmt: skip
        if lost:
            ax.plot(
                [t.due_s - start_s for t in lost], [t.least_s * 1e3 for t in lost], ls="none", marker="^",
                ms=preset.point_pt * 2, mfc=colour, mec=style.BLACK, zorder=4,
                label=f"{name}: not seen, longer than this",
            )  # fmt: skip
    ax.axhline(predicted.p99_s * 1e3, color=style.GREEN, lw=1, ls="--", label="predicted p99, at most")
    ax.set_yscale("log")
    ax.set_ylim(LEAST_MS, max(longest_s, predicted.p99_s) * 1e3 * 2)
    ax.set_xlabel("time, s")
    ax.set_ylabel("lag, ms (log scale)")
    _plain_numbers(ax, "y")
    ax.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize=preset.font_pt * 0.8
    )


def _plain_numbers(ax: Axes, which: str) -> None:
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
    ax.grid(color=style.PALE)
    ax.set_axisbelow(True)
