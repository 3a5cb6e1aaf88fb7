"""The lanes of the failover figure, from top to bottom; all share one time axis, seconds from injection.

    summary ▏ was it up · fault · phases · predicted · measured
    probes  ▏ every probe, by class        latency ▏ p50 p95 p99
    rate    ▏ good against offered         holders ▏ who served, who holds the VIP      events ▏ what happened
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from experiments.harness import figure_style as style
from experiments.harness.bins import Bins
from experiments.harness.figure_labels import place_labels
from experiments.harness.figure_scene import Scene, Spans, merge_spans, served_spans, shown_events, vip_spans
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
    """A log axis with plain numbers: 1, 10, 100; with 2 and 5 between where it spans little. After the data."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    subs = (1.0, 2.0, 5.0) if high / low < 100 else (1.0,)
    ax.yaxis.set_major_locator(LogLocator(base=10, subs=subs))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


# -- summary -----------------------------------------------------------------------------------------------


def summary_streams(sc: Scene) -> list[str]:
    """All streams on a page; a projector has room for the headline only."""
    return [sc.trial.headline.stream] if sc.preset.projector else list(sc.streams)


def summary_rows(sc: Scene) -> list[str]:
    return [*(f"{s} up?" for s in summary_streams(sc)), "fault", "phases", "predicted", "measured"]


def draw_summary(ax: Axes, sc: Scene, bins: dict[str, Bins]) -> None:
    rows = summary_rows(sc)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(axis="y", length=0)
    for y, stream in enumerate(summary_streams(sc)):
        _availability(ax, sc, y, bins[stream])
    y = len(summary_streams(sc))
    low, high = sc.window
    heal = sc.rel(sc.trial.heal_s)
    if heal > 0:
        _bar(ax, y, 0, min(heal, high), facecolor="#BBBBBB", edgecolor=style.GREY)
        _bar_text(ax, sc, y, 0, min(heal, high), style.fault_text(sc.trial))
    phases = [(n, s, c, h) for n, s, c, h in (
        ("detection", sc.detection, DETECTION, ".."), ("recovery", sc.recovery, RECOVERY, "\\\\")) if s]  # fmt: skip
    for _, span, colour, hatch in phases:
        _bar(ax, y + 1, *span, facecolor=colour, hatch=hatch, edgecolor=style.BLACK, lw=0.5)
    if phases:
        text = ", ".join(f"{name} {style.seconds(s[1] - s[0])}" for name, s, _, _ in phases)
        _side_text(ax, sc, y + 1, phases[0][1][0], phases[-1][1][1], text)
    _predicted_and_measured(ax, sc, y + 2, y + 3)


def _availability(ax: Axes, sc: Scene, y: int, b: Bins) -> None:
    """Per bin: all good, some bad, none good. Height and hatch say it as well as colour."""
    states: dict[str, list[tuple[float, float]]] = {"good": [], "some": [], "none": []}
    for t, share in zip(b.start_s, b.bad_share, strict=True):
        if not math.isnan(share):
            state = "good" if share == 0 else "none" if share == 1 else "some"
            states[state].append((sc.rel(t), sc.rel(t) + b.width_s))
    looks = {"good": (style.BLUE, None, 0.3), "some": (style.YELLOW, "//", 0.6), "none": (style.VERMILLION, "xx", 0.8)}
    for state, spans in states.items():
        colour, hatch, height = looks[state]
        for a, e in merge_spans(spans, 1e-6):
            _bar(ax, y, a, e, height=height, facecolor=colour, hatch=hatch, edgecolor=style.BLACK, lw=0.3)


def _predicted_and_measured(ax: Axes, sc: Scene, y_predicted: int, y_measured: int) -> None:
    trial, (_, high) = sc.trial, sc.window
    a, b = predicted_span(sc)
    _bar(ax, y_predicted, a, max(b, a + 1e-9), facecolor="white", edgecolor=style.GREEN, hatch="////", lw=1)
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
        _bar(ax, y_measured, start, end, height=0.34, facecolor=style.BLACK)
    text = "does not count" if trial.fidelity else f"out {style.outage_text(outage)}"
    if not outage.recovered:
        arrow = {"arrowstyle": "-|>", "lw": 3, "color": style.BLACK, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 22}
        ax.annotate("", (high, y_measured), (start, y_measured), arrowprops=arrow, zorder=4)
        text += "" if trial.fidelity else ": not back within the trial"
    _side_text(ax, sc, y_measured, start, end, text)


def _bar(ax: Axes, y: float, a: float, b: float, *, height: float = 0.64, **how: object) -> None:
    ax.broken_barh([(a, b - a)], (y - height / 2, height), **how)  # type: ignore[arg-type]


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


# -- probes, latency, rate ---------------------------------------------------------------------------------


def draw_probes(ax: Axes, sc: Scene) -> None:
    ax.set_ylabel("latency, ms\n(log scale)")
    points(ax, sc, sc.probes)
    log_scale(ax)
    slo_ms = sc.slo_s * 1e3
    ax.axhline(slo_ms, color=style.GREY, ls=(0, (5, 3)), lw=sc.preset.line_pt * 0.7, zorder=1)
    ax.text(sc.window[0], slo_ms, f" SLO {slo_ms:g} ms", va="bottom", fontsize=sc.preset.font_pt * 0.85)
    low, high = ax.get_ylim()
    ax.set_ylim(low, max(high, slo_ms) * 2.2)
    shade_predicted(ax, sc)
    ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=LEGEND_COLUMNS, frameon=False, borderaxespad=0.1,
              handletextpad=0.1, columnspacing=0.9, markerscale=1.3)  # fmt: skip


def points(ax: Axes, sc: Scene, probes: Iterable[Probe], *, legend: bool = True) -> None:
    """Every probe at the moment it was due. Drawn as an image inside the SVG: five thousand paths are not small."""
    probes = list(probes)
    counts = Counter(style.class_of(p.outcome) for p in probes)
    for name, n in sorted(counts.items(), key=lambda item: (item[0] != "ok", -item[1])):
        colour, marker = style.style_of(name)
        chosen = [p for p in probes if style.class_of(p.outcome) == name]
        size = sc.preset.point_pt * (0.9 if name == "ok" else 1.2)
        ax.plot(
            [sc.rel(p.due_s) for p in chosen],
            [max(p.latency_s, 1e-5) * 1e3 for p in chosen],
            ls="none", marker=marker, color=colour, ms=size, mew=1.0 if marker in style.STROKES else 0.25,
            mec=colour if marker in style.STROKES else style.BLACK, alpha=0.55 if name == "ok" else 0.9,
            label=f"{name} {n:,}" if legend else None, rasterized=True, zorder=2 if name == "ok" else 3,
        )  # fmt: skip


def legend_rows(sc: Scene) -> int:
    return -(-len({style.class_of(p.outcome) for p in sc.probes}) // LEGEND_COLUMNS)


def draw_latency(ax: Axes, sc: Scene, b: Bins) -> None:
    ax.set_ylabel("ms\n(log scale)")
    x = [sc.rel(t) + b.width_s / 2 for t in b.start_s]
    looks = (("p99", b.p99_s, style.VERMILLION, ":"), ("p95", b.p95_s, style.ORANGE, "--"), ("p50", b.p50_s, style.BLUE, "-"))
    for name, values, colour, dash in looks:
        ax.plot(x, [v * 1e3 for v in values], color=colour, ls=dash, label=name, marker=".", ms=sc.preset.point_pt * 0.6)
    if sc.load:
        locust = [math.nan if s.p95_ms is None else s.p95_ms for s in sc.load]
        ax.plot([sc.rel(s.t_s) for s in sc.load], locust, color=style.GREY, ls=(0, (6, 2, 1, 2)), marker="s",
                ms=sc.preset.point_pt * 0.8, mfc="white", label="p95 as Locust reports it", zorder=1)  # fmt: skip
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


def _legend_above(ax: Axes) -> None:
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.99), ncols=5, frameon=False, borderaxespad=0.1,
                  handlelength=2.4, columnspacing=1.4)  # fmt: skip


# -- holders and events ------------------------------------------------------------------------------------


def holder_rows(sc: Scene) -> list[tuple[str, Spans, str, str | None]]:
    """(label, spans, colour, hatch) of each lane."""
    served = [(f"{host} serves", spans, style.BLUE, None) for host, spans in served_spans(sc).items()]
    # On a projector only what moves: an address that stays where it was is no news.
    vips = {k: v for k, v in vip_spans(sc).items() if not sc.preset.projector or v != [sc.window]}
    held = [(f"{vip} on {host}", spans, style.ORANGE, "///") for (vip, host), spans in vips.items()]
    return [*served, *held]


def draw_holders(ax: Axes, sc: Scene) -> None:
    rows = holder_rows(sc)
    ax.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), [label for label, *_ in rows])
    ax.tick_params(axis="y", length=0)
    for y, (_, spans, colour, hatch) in enumerate(rows):
        ax.axhline(y, color=style.PALE, lw=1, zorder=-1)
        for a, b in spans:
            _bar(ax, y, a, b, height=0.6, facecolor=colour, hatch=hatch, edgecolor=style.BLACK, lw=0.4)
    if not rows:
        ax.text(0.5, 0.5, "nobody answered, and no VIP was seen", transform=ax.transAxes, ha="center", va="center")


def event_label(sc: Scene, e: Event) -> str:
    kind = "" if e.kind == "log" else e.kind
    what = " ".join(part for part in (e.host, kind) if part)
    text = ": ".join(part for part in (what, e.detail) if part)
    return style.shorten(f"{sc.rel(e.t_s):+.2f} s {text}", 40 if sc.preset.projector else 58)


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
        colour = style.VERMILLION if e.kind.startswith("inject") else style.GREEN if e.kind.startswith("heal") else style.GREY
        ax.plot([place.x, place.x], [-0.5, place.row + 0.3], color=colour, lw=sc.preset.line_pt * 0.7)
        ax.plot([place.x], [-0.5], color=colour, marker="^", ms=sc.preset.point_pt * 1.4, clip_on=False)
        x, ha = (place.x - pad, "right") if place.flipped else (place.x + pad, "left")
        ax.text(x, place.row, text, ha=ha, va="center_baseline", fontsize=size,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85})  # fmt: skip
    rows = 1 + max((p.row for p in places), default=0)
    ax.set_ylim(-0.5, rows - 0.5)
    ax.set_yticks([])
    if left_out:
        ax.set_title(f"Events ({left_out} more in events.csv)")
    return rows
