"""The signs of a stage's picture: numbered discs, the pill on an arrow, lines for plain text and TLS."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.harness.drawing import Box, Path, Point, Shape, Words, shortened, width_of
from experiments.harness.figure_style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY
from experiments.harness.stage_streams import Kind, Stream
from topologies.monitoring import SEGMENT as MONITORING

NAME, TEXT, SMALL = 22.0, 18.0, 16.0  # sizes of letters
BADGE = 28.0
NETWORK_COLOURS = {"public": SKY, "app": GREEN, "data": ORANGE, MONITORING: PURPLE}
STREAM_COLOURS: dict[Kind, str] = {"request": BLUE, "watch": PURPLE, "further": BLACK}
DASHES: dict[Kind, tuple[float, ...]] = {"request": (), "watch": (9.0, 5.0), "further": (14.0, 4.0, 3.0, 4.0)}


def badge(stream: Stream, middle: Point) -> Iterator[Shape]:
    """The number of a stream in a disc."""
    x, y = middle
    colour = STREAM_COLOURS[stream.kind]
    number = BLACK if stream.kind == "watch" else "#FFFFFF"
    yield Box(x - BADGE / 2, y - BADGE / 2, BADGE, BADGE, colour, stroke="#FFFFFF", line=1, radius=BADGE / 2)
    yield Words(x, y + 6, str(stream.number), TEXT - 1, bold=True, colour=number, anchor="middle")


def pill_width(streams: list[Stream]) -> float:
    return 10 + sum(BADGE + 12 + width_of(s.ports, TEXT, bold=True) for s in streams)


def pill(streams: list[Stream], middle: Point) -> Iterator[Shape]:
    """Number and ports, on an arrow; on the line of a firewall it is the opening."""
    width = pill_width(streams)
    x, y = middle[0] - width / 2, middle[1]
    yield Box(x, y - 17, width, 34, line=1.5, radius=17)
    for stream in streams:
        yield from badge(stream, (x + 4 + BADGE / 2, y))
        yield Words(x + BADGE + 10, y + 6, stream.ports, TEXT, bold=True)
        x += pill_width([stream]) - 10


def arrow(kind: Kind, tls: bool, points: tuple[Point, ...], back: bool, forth: bool) -> Iterator[Shape]:
    """Plain text is a thick line; TLS is a tube."""
    colour, dash = STREAM_COLOURS[kind], DASHES[kind]
    outside = Path(points, colour, 8 if tls else 3.5, dash, back, forth)
    yield outside
    if tls:  # the hollow of the tube ends before the arrowheads
        inside = Path(shortened(outside), head_at_start=back, head_at_end=forth)
        yield Path(shortened(inside), "#FFFFFF", 3)
