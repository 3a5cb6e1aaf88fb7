"""The waterfall of one request: parts one after the other, and whoever waited for whom below."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from experiments.harness.figure_style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PAGE,
    PALE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    new_figure,
    styled,
)
from experiments.harness.waterfall import Bar, Request, bars

#: colour and hatch of each piece; who is told apart by place, and every piece by its name beside it as well
_STYLES: dict[str, tuple[str, str]] = {
    "dns": (SKY, ""), "tcp": (ORANGE, "//"), "tls": (GREEN, ".."), "first byte": (BLUE, ""),
    "body": (YELLOW, "xx"), "TR": (PALE, ""), "Tw": (PALE, "//"), "Tc": (ORANGE, "//"),
    "Tr": (VERMILLION, "\\\\"), "Td": (YELLOW, "xx"), "rt": (PURPLE, ""), "urt": (GREY, ""),
}  # fmt: skip
NAMES = {
    "dns": "DNS", "tcp": "TCP", "tls": "TLS", "first byte": "request → first byte", "body": "body",
    "TR": "TR request", "Tw": "Tw queue", "Tc": "Tc connect", "Tr": "Tr server's answer", "Td": "Td data",
    "rt": "request_time", "urt": "upstream_response_time",
}  # fmt: skip


_HEAD_IN, _LANE_IN, _FOOT_IN = 0.75, 0.4, 0.65


def waterfall(request: Request, title: str) -> Figure:
    """One request, top down; milliseconds since the visitor began."""
    pieces = bars(request)
    total_ms = request.seen.total_s * 1e3
    end_ms = max(total_ms, *(bar.start_ms + bar.length_ms for bar in pieces))
    height_in = _HEAD_IN + _LANE_IN * len(pieces) + _FOOT_IN
    with styled(PAGE):
        figure = new_figure(PAGE.width_in, height_in)
        drawn = 1 - (_HEAD_IN + _FOOT_IN) / height_in
        ax = figure.add_axes((0.13, _FOOT_IN / height_in, 0.84, drawn))
        for lane, bar in enumerate(pieces):
            if lane == 0 or bar.row != pieces[lane - 1].row:
                ax.axhline(lane, color=PALE, linewidth=0.8)
                ax.text(-0.012, lane + 0.5, bar.who, transform=ax.get_yaxis_transform(), ha="right",
                        va="center", weight="bold")  # fmt: skip
            _draw(ax, bar, lane)
        ax.axvline(total_ms, color=BLACK, linestyle=":", linewidth=1)
        ax.text(total_ms, -0.12, f"total {total_ms:.2f} ms", ha="right", va="bottom")
        ax.set_xlim(0, end_ms * 1.25)
        ax.set_ylim(len(pieces), 0)
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)
        ax.set_xlabel("milliseconds since the visitor began")
        figure.text(0.13, 1 - 0.25 / height_in, title, weight="bold", va="center")
    return figure


def _draw(ax: Axes, bar: Bar, lane: int) -> None:
    colour, hatch = _STYLES[bar.what]
    place, size = (bar.start_ms, lane + 0.16), (bar.length_ms, 0.68)
    ax.add_patch(Rectangle(place, *size, facecolor=colour, hatch=hatch, edgecolor=BLACK, linewidth=0.6))
    # The client has a clock of its own; the daemons write whole milliseconds.
    text = f"{NAMES[bar.what]} {bar.length_ms:.{2 if bar.row == 0 else 0}f} ms"
    ax.annotate(
        text, (bar.start_ms + bar.length_ms, lane + 0.5), xytext=(4, 0), textcoords="offset points",
        va="center", fontsize=PAGE.font_pt * 0.9, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )  # fmt: skip
