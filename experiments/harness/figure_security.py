"""Pictures of the security experiment: who reaches whom, and what can be read on each hop.

          dns1   lb1          db1
          53 ⋯   80 443 ⋯     3306 ⋯           ● open, as declared     ▲ open, not declared
client1   ●  ·   ●   ●  ·     ▒▒▒▒ ▒           ✕ declared, not open    · kept out
db1       ▒  ▒   ▒   ▒  ▒                      ◆ let through           ▒ no network in common
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from experiments.harness import figure_style as style
from experiments.harness.reachability import OTHERS, Matrix, Shown


@dataclass(frozen=True)
class Look:
    """Of one kind of cell: its marker ("" for none), colours and words."""

    marker: str
    colour: str
    behind: str
    says: str
    size: float = 7.0


LOOKS: dict[Shown, Look] = {
    "as declared": Look("o", style.BLUE, "#DCEAF5", "open, as declared"),
    "surplus": Look("^", style.VERMILLION, "#F9E0D1", "open, not declared", 9.0),
    "missing": Look("x", style.BLACK, style.YELLOW, "declared, not open", 8.0),
    "leaking": Look("D", style.PURPLE, "#F5E4EE", "let through, nobody listens"),
    "unserved": Look("o", "white", "#DCEAF5", "declared, nobody listens"),
    "kept out": Look(".", style.GREY, "white", "kept out, or nobody listens", 3.5),
    "no network": Look("", style.GREY, style.PALE, "no network in common"),
}
#: Width of a cell and height of a row, and what labels need around them, in inches.
CELL_IN, ROW_IN, LEFT_IN, BOTTOM_IN = 0.33, 0.3, 0.95, 0.7
#: The head of the table, with ports and hosts, in rows.
HEAD_ROWS = 3.8


def draw_matrix(shown: Matrix) -> Figure:
    """One row for each host that asked, one column for each port; hosts are set apart by a line."""
    rows, columns = len(shown.sources), len(shown.columns)
    # Few columns become no posters: a page is 13 in wide, and cells are at most half as wide again.
    width_in = max(8.0, min(style.PAGE.width_in, LEFT_IN + 0.3 + columns * CELL_IN * 1.5))
    height_in = (HEAD_ROWS + 0.3 + rows) * ROW_IN + BOTTOM_IN
    with style.styled(style.PAGE):
        figure = style.new_figure(width_in, height_in)
        ax = figure.add_axes(
            (
                LEFT_IN / width_in,
                BOTTOM_IN / height_in,
                1 - (LEFT_IN + 0.2) / width_in,
                rows * ROW_IN / height_in,
            )
        )
        _cells(ax, shown)
        _labels(ax, shown)
        _legend(figure, {shown.shown(s, c) for s in shown.sources for c in shown.columns})
    return figure


def _cells(ax: Axes, shown: Matrix) -> None:
    ax.set_xlim(0, len(shown.columns))
    ax.set_ylim(len(shown.sources), 0)
    for y, source in enumerate(shown.sources):
        for x, column in enumerate(shown.columns):
            kind = shown.shown(source, column)
            if kind == "itself":
                ax.add_patch(Rectangle((x, y), 1, 1, facecolor="#9A9A9A", edgecolor="none"))
                continue
            look = LOOKS[kind]
            hatch = "////" if kind == "no network" else None
            face = Rectangle((x, y), 1, 1, facecolor=look.behind, edgecolor="white", lw=0.5, hatch=hatch)
            ax.add_patch(face)
            if look.marker:
                stroke = look.marker in style.STROKES
                ax.plot(
                    x + 0.5, y + 0.5, look.marker, color=look.colour, markersize=look.size,
                    markeredgecolor=look.colour if stroke else style.BLACK,
                    markeredgewidth=_edge_pt(look.marker),
                )  # fmt: skip


def _edge_pt(marker: str) -> float:
    return 2.0 if marker == "x" else 0.6


def _labels(ax: Axes, shown: Matrix) -> None:
    ax.set_yticks([y + 0.5 for y in range(len(shown.sources))], list(shown.sources))
    said = ["others" if opening == OTHERS else _port(opening) for _, opening in shown.columns]
    ax.set_xticks([x + 0.5 for x in range(len(said))], said, rotation=90)
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    at, font_pt = 0, style.PAGE.font_pt * 0.9
    for host, some in groupby(shown.columns, key=lambda column: column[0]):
        wide = len(list(some))
        ax.plot([at, at], [-HEAD_ROWS, len(shown.sources)], color=style.BLACK, lw=0.8, clip_on=False)
        if wide > 1:
            ax.text(at + 0.12, 0.1 - HEAD_ROWS, host, weight="bold", va="top", fontsize=font_pt)
        else:  # upright, above the one port that it has
            ax.text(
                at + 0.5, -1.85, host, weight="bold", va="bottom", ha="center", rotation=90, fontsize=font_pt
            )
        at += wide
    ax.text(-0.15, -0.4, "from ↓   to →", ha="right", va="bottom", fontsize=style.PAGE.font_pt * 0.9)


def _port(opening: str) -> str:
    """TCP goes without saying."""
    return opening.removeprefix("tcp/").replace("udp/", "udp ")


def _legend(figure: Figure, kinds: set[Shown]) -> None:
    handles: list[Line2D | Rectangle] = []
    for kind, look in LOOKS.items():
        if kind not in kinds:
            continue
        if look.marker:
            edge = look.colour if look.marker in style.STROKES else style.BLACK
            handles.append(
                Line2D([], [], linestyle="", marker=look.marker, markersize=8, label=look.says,
                       color=look.colour, markeredgecolor=edge, markeredgewidth=_edge_pt(look.marker))
            )  # fmt: skip
        else:
            handles.append(
                Rectangle(
                    (0, 0), 1, 1, label=look.says, facecolor=look.behind, hatch="////", edgecolor="white"
                )
            )
    figure.legend(handles=handles, loc="lower center", ncols=4, frameon=False, bbox_to_anchor=(0.5, 0.0))


# -- what can be read on each hop --------------------------------------------------------------------

#: Variant → colour and hatch.
VARIANTS: dict[str, tuple[str, str]] = {
    "as it is": (style.VERMILLION, ""),
    "re-encrypted": (style.SKY, "///"),
}


def draw_hops(counted: Mapping[str, Mapping[str, Mapping[str, int]]], secrets: Sequence[str]) -> Figure:
    """`counted`: variant → hop → secret → occurrences. One panel for each secret."""
    hops = list(dict.fromkeys(hop for by_hop in counted.values() for hop in by_hop))
    with style.styled(style.PAGE):
        figure = style.new_figure(10.0, 1.2 + 1.9 * len(secrets))
        top = 1 - 0.45 / figure.get_figheight()
        panels = figure.subplots(len(secrets), 1, sharex=True, squeeze=False)
        figure.subplots_adjust(
            left=0.08, right=0.98, top=top, bottom=0.5 / figure.get_figheight(), hspace=0.45
        )
        for ax, secret in zip(panels[:, 0], secrets, strict=True):
            _bars(ax, counted, hops, secret)
            ax.set_title(f"{secret}: occurrences in plain text")
        panels[-1, 0].set_xticks(range(len(hops)), hops)
        handles = [Rectangle((0, 0), 1, 1, label=name, facecolor=VARIANTS[name][0], hatch=VARIANTS[name][1],
                             edgecolor=style.BLACK, lw=0.6) for name in counted]  # fmt: skip
        figure.legend(handles=handles, loc="upper right", ncols=2, frameon=False)
    return figure


def _bars(
    ax: Axes, counted: Mapping[str, Mapping[str, Mapping[str, int]]], hops: Sequence[str], secret: str
) -> None:
    width = 0.8 / len(counted)
    for number, (variant, by_hop) in enumerate(counted.items()):
        colour, hatch = VARIANTS[variant]
        for x, hop in enumerate(hops):
            if hop not in by_hop or secret not in by_hop[hop]:
                ax.annotate("–", (x, 0), (0, 2), textcoords="offset points", ha="center", color=style.GREY)
                continue
            at, value = x - 0.4 + (number + 0.5) * width, by_hop[hop][secret]
            ax.bar(at, value, width * 0.9, facecolor=colour, hatch=hatch, edgecolor=style.BLACK, lw=0.6)
            # A zero is a result, and a bar of no height shows none.
            ax.annotate(str(value), (at, value), (0, 2), textcoords="offset points", ha="center", va="bottom")
    most = max(by_hop.get(hop, {}).get(secret, 0) for by_hop in counted.values() for hop in hops)
    ax.set_ylim(0, 1.25 * max(1, most))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    ax.set_ylabel("count")
    ax.set_xlim(-0.6, len(hops) - 0.4)
