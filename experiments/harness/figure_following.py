"""When clients followed a change of a name, as a cumulative curve over what the TTL predicts."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from experiments.harness import figure_style as style
from experiments.harness.following import BUSY, DEAF, IN_STEP, Followed, Prediction, never, times_of


def draw_following(
    changes: Sequence[Sequence[Followed]], prediction: Prediction, watched_s: float,
    preset: style.Preset = style.PAGE,
) -> Figure:  # fmt: skip
    """The share of clients that know the new address, over the seconds since it was in effect."""
    clients = [one for change in changes for one in change]
    ttl_s, band = prediction.ttl_s, prediction.distance
    with style.styled(preset):
        figure = style.new_figure(preset.width_in, 5.6)
        ax = figure.add_axes((0.08, 0.12, 0.89, 0.76))
        ramp = [0.0, ttl_s, watched_s]
        ax.fill_between(
            [0.0, band * ttl_s, (1 - band) * ttl_s, ttl_s, watched_s],
            [0.0, 0.0, 1 - 2 * band, 1 - band, 1 - band],
            [band, 2 * band, 1.0, 1.0, 1.0],
            color="#DDF1EA", label=f"where a true sample of {prediction.n} stays 999 times in 1000",
        )  # fmt: skip
        ax.plot(
            ramp, [0.0, 1.0, 1.0], color=style.GREEN, linestyle="--", label=f"predicted: U(0, {ttl_s:g} s)"
        )
        for number, change in enumerate(changes):
            label = "each change" if number == 0 else "_"  # matplotlib leaves out what begins like this
            ax.step(
                *_curve(times_of(BUSY, change), watched_s), where="post", color=style.SKY, lw=0.9, label=label
            )
        ax.step(
            *_curve(times_of(BUSY, clients), watched_s), where="post", color=style.BLUE,
            lw=preset.line_pt * 1.4, label=f"{BUSY}: {len(times_of(BUSY, clients))} clients",
        )  # fmt: skip
        ax.step(
            *_curve(times_of(IN_STEP, clients), watched_s), where="post", color=style.ORANGE,
            linestyle="-.", label=f"control, {IN_STEP}: {len(times_of(IN_STEP, clients))} clients",
        )  # fmt: skip
        deaf = never(DEAF, clients)
        ax.plot(
            [0, watched_s], [0, 0], color=style.VERMILLION, linestyle=":", lw=preset.line_pt * 1.6,
            clip_on=False, label=f"control, {DEAF}: {deaf} clients, none after {watched_s:.1f} s",
        )  # fmt: skip
        ax.axvline(ttl_s, color=style.GREY, lw=0.8)
        ax.text(ttl_s, 1.02, f"TTL {ttl_s:g} s", ha="center", va="bottom", color=style.GREY)
        ax.set_xlim(0, watched_s)
        ax.set_ylim(0, 1)
        ax.set_xlabel("seconds since the change was in effect")
        ax.set_ylabel("clients that know the new address")
        ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        ax.legend(
            frameon=True, framealpha=0.9, edgecolor="none", loc="lower right", bbox_to_anchor=(0.86, 0.03)
        )
    return figure


def _curve(times_s: Sequence[float], until_s: float) -> tuple[list[float], list[float]]:
    """The empirical distribution as the corners of its steps, drawn to `until_s`."""
    ordered = sorted(times_s)
    if not ordered:
        return [0.0, until_s], [0.0, 0.0]
    shares = [(k + 1) / len(ordered) for k in range(len(ordered))]
    return [0.0, *ordered, until_s], [0.0, *shares, 1.0]
