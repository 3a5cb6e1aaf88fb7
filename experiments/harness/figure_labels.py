"""Where event labels go so that none overlaps another and no leader line runs through a text.

row 1   ┌ +0.00 s inject
row 0   │     ┌ +2.91 s lb2 becomes master        lines rise from the time axis;
────────┴─────┴──────────────────────────► t      an earlier label lies above a later line
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A label's row (0 lies on the axis) and its extent along x; `flipped`: it ends at its event."""

    x: float
    row: int
    left: float
    right: float
    flipped: bool

    def touches(self, other: Place) -> bool:
        return self.row == other.row and self.left < other.right and other.left < self.right

    def crossed_by_line_of(self, other: Place) -> bool:
        return other.row > self.row and self.left < other.x < self.right


def place_labels(xs: Sequence[float], widths: Sequence[float], x_min: float, x_max: float) -> list[Place]:
    """One Place per label, in the order given; no two labels overlap, and few lines cross one.

    Greedy from the right end: each label takes, on either side of its event, the place that crosses least,
    then the lowest row, then the right side. A label too long for either side stays on the right.
    """
    done: dict[int, Place] = {}
    for i in sorted(range(len(xs)), key=lambda i: (-xs[i], -i)):
        sides = [(xs[i], xs[i] + widths[i], False), (xs[i] - widths[i], xs[i], True)]
        sides = [s for s in sides if s[0] >= x_min and s[1] <= x_max] or sides[:1]
        places = [
            Place(xs[i], row, left, right, flip) for row in range(len(xs)) for left, right, flip in sides
        ]
        free = [p for p in places if not any(p.touches(q) for q in done.values())]
        done[i] = min(free, key=lambda p: (_crossings(p, done.values()), p.row, p.flipped))
    return [done[i] for i in range(len(xs))]


def _crossings(p: Place, others: Iterable[Place]) -> int:
    return sum(p.crossed_by_line_of(q) + q.crossed_by_line_of(p) for q in others)
