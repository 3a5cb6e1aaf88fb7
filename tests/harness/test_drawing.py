"""Three kinds of shapes become the same picture as SVG and as PNG."""

from __future__ import annotations

import math
from pathlib import Path as File
from xml.etree import ElementTree

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from experiments.harness.drawing import (
    Box,
    Drawing,
    Path,
    Shape,
    Words,
    arrowhead,
    png,
    shortened,
    svg,
    width_of,
)

ARROW = Path(((0, 50), (100, 50)), line=4, head_at_end=True)


def drawing(*shapes: Shape) -> Drawing:
    return Drawing(200, 100, "A <title> & more", 'Said in "words".', shapes)


def test_an_svg_is_well_formed_and_says_what_it_shows() -> None:
    text = svg(drawing(Words(1, 2, "a < b & c", 16, bold=True), Box(1, 2, 3, 4, dash=(2, 3)), ARROW))
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.attrib["viewBox"] == "0 0 200 100"
    assert root.attrib["role"] == "img"
    labels = root.attrib["aria-labelledby"].split()
    said = {e.attrib["id"]: e.text for e in root if "id" in e.attrib}
    assert [said[label] for label in labels] == ["A <title> & more", 'Said in "words".']
    assert [e.text for e in root.iter(f"{space}text")] == ["a < b & c"]
    assert len(list(root.iter(f"{space}polygon"))) == 1
    assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), "it opens offline"


def test_the_same_drawing_gives_the_same_bytes() -> None:
    assert svg(drawing(ARROW)) == svg(drawing(ARROW))


def test_an_arrowhead_ends_at_the_tip_and_lies_on_both_sides_of_the_line() -> None:
    tip, left, right = arrowhead((100, 50), (0, 50), 10)
    assert tip == (100, 50)
    for wing in (left, right):
        assert math.isclose(math.dist(tip, wing), 10)
        assert wing[0] < 100
    assert math.isclose(left[1] + right[1], 100)


def test_a_line_stops_inside_its_heads_and_only_there() -> None:
    (start, end) = shortened(ARROW)
    assert start == (0, 50)
    assert 100 - ARROW.head < end[0] < 100
    assert shortened(Path(((0, 0), (5, 5)))) == ((0, 0), (5, 5))


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "web1–web9", "alertmanager", "127.0.0.1:9093", ":443 :80 :8405", "mysqld-exporter", "UNIX socket",
        "tcp/443 (TLS), tcp/80 – the site; redirect to https", "everybody on public → server1, server2",
        "VIP 8.8.8.8", "monitoring", "10.0.9.11–19", "VRRP", "443, 80",
    ],
)  # fmt: skip
def test_a_text_is_never_wider_than_was_reckoned_and_not_much_narrower(text: str, bold: bool) -> None:
    font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    real = TextPath((0, 0), text, size=100, prop=font).get_extents().width
    assert 0.98 <= width_of(text, 100, bold) / real <= 1.3


def test_a_png_has_the_drawings_shape(tmp_path: File) -> None:
    disc = Box(10, 10, 20, 20, radius=10)
    path = tmp_path / "drawing.anything"
    png(
        drawing(Box(0, 0, 50, 40, radius=6, dash=(3, 3)), disc, ARROW, Words(5, 5, "$x$ & $y$", 12)),
        path,
        scale=2,
    )
    head = path.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    assert (int.from_bytes(head[16:20]), int.from_bytes(head[20:24])) == (400, 200)
