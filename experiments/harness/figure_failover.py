"""The failover figure: one trial, one time axis, every probe, and the bracket of its outage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.harness import figure_lanes as lanes
from experiments.harness import figure_style as style
from experiments.harness.bins import bin_probes, period_of, width_for
from experiments.harness.figure_scene import Scene, scene
from experiments.harness.figure_summary import draw_summary, summary_rows
from experiments.harness.figure_zoom import draw_zooms
from experiments.harness.model import Event, LoadSample, Trial
from loadtests.probes import Probe


def draw_failover(
    trial: Trial,
    probes: Iterable[Probe],
    events: Iterable[Event],
    load: Iterable[LoadSample],
    period_s: float,
    *,
    slo_s: float,
    projector: bool = False,
) -> Figure:
    """One trial on one time axis, in seconds from injection.

    `probes` may hold several streams: the headline one is drawn, all of them get an availability strip.
    `events` are the run's (a VIP is held since before the trial). `period_s`: of the headline stream.
    """
    preset = style.PROJECTOR if projector else style.PAGE
    sc = scene(trial, probes, events, load, period_s, slo_s, preset)
    with style.styled(preset):
        return _draw(sc)


def _draw(sc: Scene) -> Figure:
    projector = sc.preset.projector
    t = sc.trial
    bins = {
        stream: bin_probes(p, t.start_s, t.end_s, origin_s=t.inject_s, width_s=width_for(period_of(p)))
        for stream, p in sc.streams.items()
    }
    headline = bins[sc.trial.headline.stream]
    row_in = sc.preset.font_pt * (1.45 if projector else 1.75) / 72
    figure = style.new_figure(sc.preset.width_in, 9.0)
    left_in, right_in = sc.preset.font_pt * 0.125, 0.25
    lanes_in = (sc.preset.width_in - left_in - right_in) * (0.68 if projector else 1.0)
    axes = [
        figure.add_axes((left_in / sc.preset.width_in, 0.1, lanes_in / sc.preset.width_in, 0.1))
        for _ in range(6)
    ]
    for ax in axes:
        ax.set_xlim(*sc.window)
        ax.grid(axis="x", color=style.PALE, lw=0.6)
        ax.set_axisbelow(True)
        lanes.shade(ax, sc)
    summary, points, latency, rate, holders, events = axes
    summary.set_title("In short")
    points.set_title("Every probe" if projector else "Every probe, from the moment it was due")
    latency.set_title(f"Latency of answers per {headline.width_s * 1e3:.0f} ms")
    rate.set_title("Goodput against offered")
    holders.set_title("Who served, who holds the VIP")
    events.set_title("Events")
    draw_summary(summary, sc, bins)
    lanes.draw_probes(points, sc)
    lanes.draw_latency(latency, sc, headline)
    lanes.draw_rate(rate, sc, headline)
    lanes.draw_holders(holders, sc)
    event_rows = lanes.draw_events(events, sc, most=4 if projector else 14)
    for ax in axes[:-1]:
        ax.tick_params(axis="x", labelbottom=False)
    events.set_xlabel("seconds from injection")
    zooms = (figure.add_axes((0.1, 0.1, 0.1, 0.1)), figure.add_axes((0.2, 0.1, 0.1, 0.1)))
    draw_zooms(*zooms, sc)
    fixed_in = [
        len(summary_rows(sc)) * row_in,
        0,
        0,
        0,
        max(len(lanes.holder_rows(sc)), 1) * row_in,
        event_rows * row_in,
    ]
    flexible = [0.0, 2.6, 1.5, 1.1, 0.0, 0.0]
    _lay_out(figure, axes, zooms, fixed_in, flexible, left_in, lanes_in, sc)
    return figure


def _lay_out(
    figure: Figure,
    axes: Sequence[Axes],
    zooms: Sequence[Axes],
    fixed_in: Sequence[float],
    flexible: Sequence[float],
    left_in: float,
    lanes_in: float,
    sc: Scene,
) -> None:
    """Places everything in inches, from the top. A page grows with its rows; a projector is 16 by 9."""
    pt = sc.preset.font_pt
    width_in = sc.preset.width_in
    gap_in, foot_in = pt * (1.75 if sc.preset.projector else 2.1) / 72, pt * 3.4 / 72
    head_in = pt * (5.2 if sc.trial.fidelity else 2.9) / 72
    gaps_in = [gap_in] * len(axes)
    gaps_in[1] += max(0, lanes.legend_rows(sc) - 1) * pt * 1.3 / 72
    lanes_gap_in = sum(gaps_in)
    if sc.preset.projector:
        height_in = 9.0
        scale = (height_in - head_in - foot_in - lanes_gap_in - sum(fixed_in)) / sum(flexible)
        boxes = _zooms_beside(height_in, head_in, foot_in, left_in + lanes_in, width_in, pt)
    else:
        zoom_in = 2.3
        height_in = (
            head_in + lanes_gap_in + sum(fixed_in) + sum(flexible) + foot_in + gap_in + zoom_in + foot_in
        )
        scale = 1.0
        half = (lanes_in - 0.6) / 2
        boxes = [(left_in, foot_in, half, zoom_in), (left_in + half + 0.6, foot_in, half, zoom_in)]
    figure.set_size_inches(width_in, height_in)
    top_in = height_in - head_in
    for ax, gap, fixed, share in zip(axes, gaps_in, fixed_in, flexible, strict=True):
        high_in = fixed + share * scale
        top_in -= gap + high_in
        ax.set_position((left_in / width_in, top_in / height_in, lanes_in / width_in, high_in / height_in))
    for ax, (x, y, w, h) in zip(zooms, boxes, strict=True):
        ax.set_position((x / width_in, y / height_in, w / width_in, h / height_in))
        ax.set_xlabel("seconds from injection")
    figure.text(
        left_in / width_in / 4,
        1 - pt * 2.2 / 72 / height_in,
        title(sc.trial),
        fontsize=pt * 1.5,
        weight="bold",
    )
    if sc.trial.fidelity:
        style.banner(figure, sc.trial.fidelity, sc.preset, y_in=pt * 4.2 / 72)


def _zooms_beside(
    height_in: float, head_in: float, foot_in: float, x_in: float, width_in: float, pt: float
) -> list[tuple[float, float, float, float]]:
    gap_in = pt * 5.0 / 72
    high_in = (height_in - head_in - foot_in - gap_in - pt * 2.1 / 72) / 2
    x_in += pt * 4.5 / 72
    wide_in = width_in - x_in - 0.25
    return [(x_in, foot_in + high_in + gap_in, wide_in, high_in), (x_in, foot_in, wide_in, high_in)]


def title(trial: Trial) -> str:
    """What happened, in one line; without a number when the trial does not count."""
    what = f"Trial {trial.number}: {style.shorten(style.fault_text(trial), 34)}"
    outage = trial.headline.outage
    if trial.fidelity:
        return what
    symbol = {"held": "✓ held", "deviated": "✗ deviated", "inconclusive": "? inconclusive"}[trial.verdict]
    if outage is None:
        seen = "no outage"
    elif outage.recovered:
        seen = f"out for {style.outage_text(outage)}"
    else:
        seen = f"down {style.outage_text(outage)}, not back"
    return f"{what} – {seen} (predicted: {style.predicted_text(trial.prediction)})  {symbol}"
