"""A drawing is a list of three kinds of shapes, and becomes an SVG or a PNG that look the same.

    Box    a rectangle, rounded or not
    Path   a broken line, with arrowheads where wanted
    Words  one line of text on its baseline

Lengths are in pixels at scale 1, y grows downwards. The SVG is written by hand: its text stays text, and the
same drawing gives the same bytes wherever it is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path as File
from typing import Literal
from xml.sax.saxutils import escape, quoteattr

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch, Polygon

from experiments.harness.figure_style import BLACK, PAGE, new_figure, styled

Point = tuple[float, float]
FONT = "DejaVu Sans, Verdana, Segoe UI, Helvetica, Arial, sans-serif"
_DPI = 100


@dataclass(frozen=True)
class Box:
    x: float
    y: float
    width: float
    height: float
    fill: str = "#FFFFFF"
    stroke: str = BLACK
    line: float = 1.5
    dash: tuple[float, ...] = ()
    radius: float = 0.0

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> Point:
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Path:
    points: tuple[Point, ...]
    stroke: str = BLACK
    line: float = 1.5
    dash: tuple[float, ...] = ()
    head_at_start: bool = False
    head_at_end: bool = False

    @property
    def head(self) -> float:
        """The length of its arrowheads."""
        return 11.0 + 1.6 * self.line


@dataclass(frozen=True)
class Words:
    x: float
    y: float
    text: str
    size: float
    bold: bool = False
    colour: str = BLACK
    anchor: Literal["start", "middle", "end"] = "start"


Shape = Box | Path | Words


@dataclass(frozen=True)
class Drawing:
    """`title` and `description` are what a screen reader says of it."""

    width: float
    height: float
    title: str
    description: str
    shapes: tuple[Shape, ...]


def width_of(text: str, size: float, bold: bool = False) -> float:
    """About how wide a text is in DejaVu Sans, the widest of the fonts that may be used."""
    ems = sum(
        0.36 if c in " .,:;|!'()[]/ijlIft-" else 0.92 if c in "mwMW@%—" else 0.68 if c.isupper() else 0.62
        for c in text
    )
    return ems * size * (1.1 if bold else 1.0)


def arrowhead(tip: Point, behind: Point, length: float) -> tuple[Point, Point, Point]:
    """The triangle of a head at `tip` of a line that comes from `behind`."""
    angle = math.atan2(tip[1] - behind[1], tip[0] - behind[0])
    spread = math.radians(24)
    wings = (angle + math.pi - spread, angle + math.pi + spread)
    left, right = ((tip[0] + length * math.cos(a), tip[1] + length * math.sin(a)) for a in wings)
    return tip, left, right


def heads(path: Path) -> Iterator[tuple[Point, Point, Point]]:
    if path.head_at_start:
        yield arrowhead(path.points[0], path.points[1], path.head)
    if path.head_at_end:
        yield arrowhead(path.points[-1], path.points[-2], path.head)


def shortened(path: Path) -> tuple[Point, ...]:
    """The line itself ends inside its heads, or its blunt end would show at the tip."""
    points = list(path.points)
    for wanted, end, before in ((path.head_at_start, 0, 1), (path.head_at_end, -1, -2)):
        if wanted:
            (x, y), (bx, by) = points[end], points[before]
            share = min(1.0, path.head * 0.7 / max(math.hypot(bx - x, by - y), 1e-9))
            points[end] = (x + (bx - x) * share, y + (by - y) * share)
    return tuple(points)


# -- SVG ---------------------------------------------------------------------------------------------


def svg(drawing: Drawing) -> str:
    """The whole document, readable, deterministic, with nothing to fetch."""
    width, height = _n(drawing.width), _n(drawing.height)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        # A browser shows all of it at once, however small its window is.
        f'  width="{width}" height="{height}" style="max-width:100%;max-height:100vh"',
        f'  role="img" aria-labelledby="title desc" font-family="{FONT}">',
        f'<title id="title">{escape(drawing.title)}</title>',
        f'<desc id="desc">{escape(drawing.description)}</desc>',
        f'<rect width="{width}" height="{height}" fill="#FFFFFF"/>',
        *(_element(shape) for shape in drawing.shapes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _element(shape: Shape) -> str:
    match shape:
        case Box():
            return _tag(
                "rect", x=shape.x, y=shape.y, width=shape.width, height=shape.height, rx=shape.radius,
                fill=shape.fill, stroke=shape.stroke, **_stroke(shape),
            )  # fmt: skip
        case Path():
            line, points = _stroke(shape), _points(shortened(shape))
            return _tag("polyline", points=points, fill="none", stroke=shape.stroke, **line) + "".join(
                _tag("polygon", points=_points(head), fill=shape.stroke) for head in heads(shape)
            )
        case Words():
            style = {"font-weight": "bold"} if shape.bold else {}
            start = {} if shape.anchor == "start" else {"text-anchor": shape.anchor}
            attributes: dict[str, str | float] = {
                "x": shape.x,
                "y": shape.y,
                "font-size": shape.size,
                "fill": shape.colour,
            }
            return _tag("text", **attributes, **style, **start)[:-2] + f">{escape(shape.text)}</text>"


def _stroke(shape: Box | Path) -> dict[str, str | float]:
    dash = {"stroke-dasharray": " ".join(map(_n, shape.dash))} if shape.dash else {}
    return {"stroke-width": shape.line, **dash}


def _tag(name: str, **attributes: str | float) -> str:
    said = ((k, v if isinstance(v, str) else _n(v)) for k, v in attributes.items())
    return f"<{name} {' '.join(f'{k}={quoteattr(v)}' for k, v in said)}/>"


def _points(points: Iterable[Point]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _n(value: float) -> str:
    return f"{round(value, 1):g}"


# -- PNG ---------------------------------------------------------------------------------------------


def png(drawing: Drawing, path: File, scale: float = 1.5) -> None:
    """The same shapes through matplotlib, `scale` pixels for each of the drawing's."""
    with styled(PAGE):
        figure = new_figure(drawing.width / _DPI, drawing.height / _DPI)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        axes.set_xlim(0, drawing.width)
        axes.set_ylim(drawing.height, 0)
        for order, shape in enumerate(drawing.shapes):
            _paint(axes, shape, order)
        figure.savefig(path, format="png", dpi=_DPI * scale, metadata={"Title": drawing.title})


def _paint(axes: Axes, shape: Shape, order: int) -> None:
    """Matplotlib counts lines and letters in points."""
    point = 72 / _DPI
    match shape:
        case Box() if shape.radius >= shape.width / 2 and shape.width == shape.height:
            # Matplotlib's rounded boxes are not round enough for a disc.
            axes.add_patch(
                Circle(
                    shape.middle, shape.width / 2, zorder=order, facecolor=shape.fill, edgecolor=shape.stroke,
                    linewidth=shape.line * point,
                )
            )  # fmt: skip
        case Box():
            rounding = f"round,pad=0,rounding_size={min(shape.radius, shape.height / 2)}"
            axes.add_patch(
                FancyBboxPatch(
                    (shape.x, shape.y), shape.width, shape.height, zorder=order,
                    boxstyle=rounding if shape.radius else "square,pad=0", mutation_aspect=1,
                    facecolor=shape.fill, edgecolor=shape.stroke, linewidth=shape.line * point,
                    linestyle=(0, _dashes(shape)) if shape.dash else "-",
                )
            )  # fmt: skip
        case Path():
            xs, ys = zip(*shortened(shape), strict=True)
            style = (0, _dashes(shape)) if shape.dash else "-"
            axes.plot(
                xs, ys, color=shape.stroke, linewidth=shape.line * point, linestyle=style, zorder=order,
                dash_capstyle="butt", solid_capstyle="butt",
            )  # fmt: skip
            for triangle in heads(shape):
                axes.add_patch(Polygon(triangle, closed=True, color=shape.stroke, linewidth=0, zorder=order))
        case Words():
            axes.text(
                shape.x, shape.y, shape.text, fontsize=shape.size * point, color=shape.colour, zorder=order,
                weight="bold" if shape.bold else "normal", va="baseline",
                ha={"start": "left", "middle": "center", "end": "right"}[shape.anchor],
            )  # fmt: skip


def _dashes(shape: Box | Path) -> tuple[float, ...]:
    """In matplotlib dashes are multiples of the line's width."""
    return tuple(length / max(shape.line, 1e-9) for length in shape.dash)
