"""The lanes of the failover figure, from top to bottom; all share one time axis, seconds from injection.

summary ▏ was it up · fault · phases · predicted · measured
probes  ▏ every probe, by class        latency ▏ p50 p95 p99
rate    ▏ good against offered         holders ▏ who served, who holds the VIP      events ▏ what happened
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from experiments.harness import figure_style as style
from experiments.harness.bins import Bins
from experiments.harness.figure_labels import place_labels
from experiments.harness.figure_scene import Scene, Spans, served_spans, shown_events, vip_spans
from experiments.harness.model import Event
from loadtests.probes import Probe

DETECTION, RECOVERY = style.ORANGE, style.SKY
LEGEND_COLUMNS = 5


def shade(ax: Axes, sc: Scene) -> None:
    """Fault, detection and recovery, each in its own tint (their names stand in the summary lane)."""
    if sc.trial.heal_s > sc.trial.inject_s:
        ax.axvspan(0, sc.rel(sc.trial.heal_s), color=style.PALE, alpha=0.55, lw=0, zorder=-4)
    for span, colour in ((sc.detection, DETECTION), (sc.recovery, RECOVERY)):
        if span is not None:
            ax.axvspan(*span, color=colour, alpha=0.16, lw=0, zorder=-3)
    ax.axvline(0, color=style.BLACK, lw=sc.preset.line_pt * 0.7, zorder=-2)


def predicted_span(sc: Scene) -> tuple[float, float]:
    """Where the service should come back: [low, high] after injection, to the end if nothing takes over."""
    p = sc.trial.prediction
    return p.low_s, sc.window[1] if p.high_s is None else min(p.high_s, sc.window[1])


def shade_predicted(ax: Axes, sc: Scene, alpha: float = 0.7) -> None:
    low, high = predicted_span(sc)
    if high > low:
        ax.axvspan(low, high, facecolor="none", edgecolor=style.GREEN, hatch="//", alpha=alpha, zorder=-1)
    else:
        ax.axvline(low, color=style.GREEN, ls=(0, (1, 1)), zorder=-1)


def log_scale(ax: Axes) -> None:
    """A log axis with plain numbers: 1, 10, 100; 2 and 5 too where it spans little. After the data."""
    if not math.isfinite(ax.dataLim.minposy):
        ax.set_ylim(1, 1000)  # nothing was answered: an empty panel, not an error
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    subs = (1.0, 2.0, 5.0) if high / low < 100 else (1.0,)
    ax.yaxis.set_major_locator(LogLocator(base=10, subs=subs))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def bar(ax: Axes, y: float, a: float, b: float, *, height: float = 0.64, **how: object) -> None:
    ax.broken_barh([(a, b - a)], (y - height / 2, height), **how)  # type: ignore[arg-type]


# -- probes, latency, rate ---------------------------------------------------------------------------------


def draw_probes(ax: Axes, sc: Scene) -> None:
    ax.set_ylabel("latency, ms\n(log scale)")
    points(ax, sc, sc.probes)
    log_scale(ax)
    slo_ms = sc.slo_s * 1e3
    ax.axhline(slo_ms, color=style.GREY, ls=(0, (5, 3)), lw=sc.preset.line_pt * 0.7, zorder=1)
    ax.annotate(
        f"SLO {slo_ms:g} ms",
        (sc.window[0], slo_ms),
        (4, 2),
        textcoords="offset points",
        fontsize=sc.preset.font_pt * 0.85,
    )
    low, high = ax.get_ylim()
    ax.set_ylim(low, max(high, slo_ms) * 2.2)
    shade_predicted(ax, sc)
    _legend_above(ax, ncols=LEGEND_COLUMNS, handletextpad=0.1, columnspacing=0.9, markerscale=1.3)


def points(ax: Axes, sc: Scene, probes: Iterable[Probe]) -> None:
    """Every probe when it was due. An image inside the SVG, because five thousand paths are not small."""
    probes = list(probes)
    counts = Counter(style.class_of(p.outcome) for p in probes)
    for name, n in sorted(counts.items(), key=lambda item: (item[0] != "ok", -item[1])):
        colour, marker = style.style_of(name)
        chosen = [p for p in probes if style.class_of(p.outcome) == name]
        size = sc.preset.point_pt * (0.9 if name == "ok" else 1.2)
        ax.plot(
            [sc.rel(p.due_s) for p in chosen],
            [max(p.latency_s, 1e-5) * 1e3 for p in chosen],
            ls="none",
            marker=marker,
            color=colour,
            ms=size,
            mew=1.0 if marker in style.STROKES else 0.25,
            alpha=0.55 if name == "ok" else 0.9,
            label=f"{name} {n:,}",
            rasterized=True,
            zorder=2 if name == "ok" else 3,
        )


def legend_rows(sc: Scene) -> int:
    return -(-len({style.class_of(p.outcome) for p in sc.probes}) // LEGEND_COLUMNS)


def draw_latency(ax: Axes, sc: Scene, b: Bins) -> None:
    ax.set_ylabel("ms\n(log scale)")
    x = [sc.rel(t) + b.width_s / 2 for t in b.start_s]
    looks = (
        ("p99", b.p99_s, style.VERMILLION, ":"),
        ("p95", b.p95_s, style.ORANGE, "--"),
        ("p50", b.p50_s, style.BLUE, "-"),
    )
    for name, values, colour, dash in looks:
        ax.plot(
            x,
            [v * 1e3 for v in values],
            color=colour,
            ls=dash,
            label=name,
            marker=".",
            ms=sc.preset.point_pt * 0.6,
        )
    if sc.load:
        locust = [math.nan if s.p95_ms is None else s.p95_ms for s in sc.load]
        ax.plot(
            [sc.rel(s.t_s) for s in sc.load],
            locust,
            color=style.GREY,
            ls=(0, (6, 2, 1, 2)),
            marker="s",
            ms=sc.preset.point_pt * 0.8,
            mfc="white",
            label="p95 as Locust reports it",
            zorder=1,
        )
    log_scale(ax)
    _legend_above(ax)


def draw_rate(ax: Axes, sc: Scene, b: Bins) -> None:
    ax.set_ylabel("probes/s")
    edges = [sc.rel(t) for t in (*b.start_s, b.start_s[-1] + b.width_s)] if b.start_s else []
    if edges:
        ax.stairs(b.goodput_hz, edges, fill=True, color=style.SKY, alpha=0.8, label="good", zorder=1)
        ax.stairs(b.goodput_hz, edges, color=style.BLUE, lw=sc.preset.line_pt * 0.7, baseline=None, zorder=2)
        ax.stairs(b.offered_hz, edges, color=style.BLACK, ls="--", baseline=None, label="offered", zorder=3)
    ax.set_ylim(bottom=0)
    _legend_above(ax)


def _legend_above(ax: Axes, **how: Any) -> None:
    """At the right, on the line of the panel's title."""
    if ax.get_legend_handles_labels()[0]:
        how = {"ncols": 5, "handlelength": 2.4, "columnspacing": 1.4} | how
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.99), frameon=False, borderaxespad=0.1, **how)


# -- holders and events ------------------------------------------------------------------------------------


def holder_rows(sc: Scene) -> list[tuple[str, Spans, str, str | None]]:
    """(label, spans, colour, hatch) of each lane."""
    served = [(f"{host} serves", spans, style.BLUE, None) for host, spans in served_spans(sc).items()]
    # On a projector only what moves: an address that stays where it was is no news.
    vips = {k: v for k, v in vip_spans(sc).items() if not sc.preset.projector or v != [sc.window]}
    held = [(f"{host} has {vip}", spans, style.ORANGE, "///") for (vip, host), spans in vips.items()]
    return [*served, *held]


def draw_holders(ax: Axes, sc: Scene) -> None:
    rows = holder_rows(sc)
    ax.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), [style.shorten(label, 15) for label, *_ in rows])
    ax.tick_params(axis="y", length=0)
    for y, (_, spans, colour, hatch) in enumerate(rows):
        ax.axhline(y, color=style.PALE, lw=1, zorder=-1)
        for a, b in spans:
            bar(ax, y, a, b, height=0.6, facecolor=colour, hatch=hatch, edgecolor=style.BLACK, lw=0.4)
    if not rows:
        ax.text(
            0.5, 0.5, "nobody answered, and no VIP was seen", transform=ax.transAxes, ha="center", va="center"
        )


def event_label(sc: Scene, e: Event) -> str:
    kind = "" if e.kind == "log" else e.kind
    what = " ".join(part for part in (e.host, kind) if part)
    text = ": ".join(part for part in (what, e.detail) if part)
    return style.shorten(f"{round(sc.rel(e.t_s), 2) + 0.0:+.2f} s {text}", 40 if sc.preset.projector else 58)


def draw_events(ax: Axes, sc: Scene, most: int) -> int:
    """Draws at most `most` labels; returns the rows it needs, so that the caller can give it the height."""
    chosen, left_out = shown_events(sc, most)
    size = sc.preset.font_pt * 0.9
    labels = [event_label(sc, e) for e in chosen]
    pad = 0.004 * (sc.window[1] - sc.window[0])
    widths = [style.text_width(ax, text, size) + 2 * pad for text in labels]
    xs = [sc.rel(e.t_s) for e in chosen]
    places = place_labels(xs, widths, *sc.window)
    for place, text, e in zip(places, labels, chosen, strict=True):
        colour = (
            style.VERMILLION
            if e.kind.startswith("inject")
            else style.GREEN
            if e.kind.startswith("heal")
            else style.GREY
        )
        ax.plot([place.x, place.x], [-0.5, place.row + 0.3], color=colour, lw=sc.preset.line_pt * 0.7)
        ax.plot([place.x], [-0.5], color=colour, marker="^", ms=sc.preset.point_pt * 1.4, clip_on=False)
        x, ha = (place.x - pad, "right") if place.flipped else (place.x + pad, "left")
        ax.text(
            x,
            place.row,
            text,
            ha=ha,
            va="center_baseline",
            fontsize=size,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
        )
    rows = 1 + max((p.row for p in places), default=0)
    ax.set_ylim(-0.5, rows - 0.5)
    ax.set_yticks([])
    if left_out:
        ax.set_title(f"Events ({left_out} more in events.csv)")
    return rows
