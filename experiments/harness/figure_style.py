"""What every figure has in common: Okabe–Ito colours, never colour alone, text that stays text.

Matplotlib is used through its object-oriented interface: a Figure has no global state and needs no display.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from experiments.harness.model import Outage, Prediction, Trial

# Okabe & Ito, "Color Universal Design" (2008)
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE = "#555555", "#E4E4E4"

#: colour and marker of each class of probe
CLASS_STYLES: dict[str, tuple[str, str]] = {
    "ok": (BLUE, "."),
    "refused": (VERMILLION, "x"),
    "connect-timeout": (ORANGE, "^"),
    "read-timeout": (PURPLE, "v"),
    "reset": (BLACK, "s"),
    "closed-early": (BLACK, "+"),
    "http-5xx": (GREEN, "D"),
    "http-4xx": (GREEN, "h"),
    "unreachable": (VERMILLION, "<"),
    "tls": (SKY, "P"),
    "dns": (VERMILLION, "*"),
    "wrong-body": (PURPLE, "X"),
    "slow": (SKY, "d"),
    "in-flight-cap": (GREY, "p"),  # the prober's own faults
    "local-error": (GREY, "8"),
}
OTHER_STYLE = (GREY, "1")
#: markers that are strokes, and take no edge of their own
STROKES = frozenset("x+.1")


@dataclass(frozen=True)
class Preset:
    """Sizes for a page, or for the last row of a lecture hall."""

    width_in: float
    font_pt: float
    line_pt: float
    point_pt: float  # diameter of a marker
    projector: bool


PAGE = Preset(width_in=13.0, font_pt=10.0, line_pt=1.5, point_pt=4.5, projector=False)
PROJECTOR = Preset(width_in=16.0, font_pt=12.5, line_pt=2.8, point_pt=6.5, projector=True)


@contextmanager
def styled(preset: Preset) -> Iterator[None]:
    """The settings of all figures, for the length of a `with`."""
    settings: dict[Any, Any] = {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Segoe UI", "Helvetica", "Arial"],
        "font.size": preset.font_pt,
        "axes.titlesize": preset.font_pt,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": preset.font_pt,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "xtick.labelsize": preset.font_pt * 0.9,
        "ytick.labelsize": preset.font_pt * 0.9,
        "legend.fontsize": preset.font_pt * 0.9,
        "lines.linewidth": preset.line_pt,
        "hatch.linewidth": 0.7,
        "figure.facecolor": "white",
        "text.parse_math": False,  # a log line with two dollar signs is not mathematics
        "svg.fonttype": "none",  # text stays text: small, searchable, and sans-serif everywhere
        "svg.hashsalt": "webstack-testbed",  # the same run gives the same bytes
    }
    with mpl.rc_context(settings):
        yield


def new_figure(width_in: float, height_in: float) -> Figure:
    figure = Figure(figsize=(width_in, height_in))
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path_without_suffix: Path) -> None:
    """Writes NAME.svg (dense points as an image inside) and NAME.png (about 1900 pixels wide)."""
    path = path_without_suffix
    path.parent.mkdir(parents=True, exist_ok=True)
    with styled(PAGE):
        figure.savefig(path.with_name(path.name + ".svg"), dpi=144, metadata={"Date": None})
        figure.savefig(path.with_name(path.name + ".png"), dpi=1900 / figure.get_figwidth())


def class_of(outcome: str) -> str:
    """http-503 and http-502 are one class on a chart."""
    return f"{outcome[:6]}xx" if outcome.startswith("http-") and len(outcome) == 8 else outcome


def style_of(outcome: str) -> tuple[str, str]:
    return CLASS_STYLES.get(class_of(outcome), OTHER_STYLE)


def seconds(value_s: float) -> str:
    """Three digits for what is below a second, two decimals above: finer than any probe period."""
    return f"{value_s:.3f} s" if abs(value_s) < 1 else f"{value_s:.2f} s"


def predicted_text(p: Prediction) -> str:
    if p.high_s is None:
        return "no recovery until healed"
    if p.high_s == 0:
        return "no outage"
    if p.low_s == p.high_s:
        return seconds(p.high_s)
    decimals = 3 if p.high_s < 1 else 2
    return f"{p.low_s:.{decimals}f}–{p.high_s:.{decimals}f} s"


def outage_text(outage: Outage | None) -> str:
    """The headline, or the bound a censored observation gives; never a number that was not seen."""
    if outage is None:
        return "no outage"
    return f"> {outage.lower_s:.1f} s" if outage.outage_s is None else seconds(outage.outage_s)


def fault_text(trial: Trial) -> str:
    """ "host-crash of lb1"; the control without fault says so."""
    if trial.fault in ("", "none", "control", "no-fault"):
        return "control, no fault"
    return f"{trial.fault} of {trial.target}" if trial.target else trial.fault


def text_width(ax: Axes, text: str, font_pt: float) -> float:
    """About how wide a text is in data units of a linear x axis.

    Estimated, not measured: whoever opens the SVG has other fonts anyway. DejaVu, the widest, needs 0.5 em.
    """
    figure = ax.figure
    width_in = ax.get_position().width * figure.get_figwidth()  # type: ignore[union-attr]
    low, high = ax.get_xlim()
    return len(text) * 0.55 * font_pt / 72 / width_in * (high - low)


def shorten(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def banner(figure: Figure, reasons: tuple[str, ...], preset: Preset, y_in: float) -> None:
    """One line nobody can overlook: this trial does not count, and why. `y_in` from the top edge."""
    width = int(figure.get_figwidth() * 72 / (0.62 * preset.font_pt)) - 4
    figure.text(
        0.5,
        1 - y_in / figure.get_figheight(),
        shorten("⚠ DOES NOT COUNT: " + "; ".join(reasons), width),
        ha="center",
        va="center",
        weight="bold",
        color=BLACK,
        bbox={"boxstyle": "square,pad=0.4", "facecolor": YELLOW, "edgecolor": BLACK, "linewidth": 1.5},
    )
