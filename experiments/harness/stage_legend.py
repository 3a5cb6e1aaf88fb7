"""Beside the picture of a stage: the streams by their numbers, what is open though nobody declared it, the signs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from experiments.harness.drawing import Box, Path, Shape, Words, width_of
from experiments.harness.figure_style import BLACK, BLUE, GREEN, PURPLE, VERMILLION
from experiments.harness.stage_cells import SMALL, TEXT
from experiments.harness.stage_plan import BADGE, Plan
from experiments.harness.stage_streams import Stream, named
from topologies.listening import Exposure, exposed
from topologies.stage import NETWORKS

WIDTH, ENTRY, HEADING = 470.0, 58.0, 44.0
WIDE = 1.25  # a picture that is so much wider than high has its list below

Entry = Callable[[float, float], Iterator[Shape]]


def beside(plan: Plan) -> tuple[float, float, tuple[Shape, ...]]:
    """(width, height, shapes) of the drawing with its list: to the right, or below where there is more room."""
    entries = _entries(plan)
    if plan.width / plan.height < WIDE:
        columns, left, top = 1, plan.width + 16, 112.0
        width, height = left + WIDTH, max(plan.height, top + HEADING + ENTRY * len(entries) + 16)
    else:
        columns = max(1, int((plan.width - 24) // WIDTH))
        left, top = 24.0, plan.height + 10
        rows = -(-len(entries) // columns)
        width, height = plan.width, top + HEADING + ENTRY * rows + 8
    rows = -(-len(entries) // columns)
    shapes: list[Shape] = [Words(left, top + 18, "Who opens connections to whom", 20, bold=True)]
    for number, entry in enumerate(entries):
        column, row = divmod(number, rows)
        shapes += entry(left + column * WIDTH, top + HEADING + row * ENTRY)
    return width, height, tuple(shapes)


def _entries(plan: Plan) -> list[Entry]:
    entries: list[Entry] = [_stream(stream) for stream in plan.streams]
    entries += [_open(exposure) for exposure in exposed(plan.stage)]
    return entries + [_signs(plan)]
