"""Load shapes as literal tables: how many users there are, and for how long. Arithmetic only.

steps   ▁▂▃▅▇     ramp  ▁▂▄▆█     spike  ▁▁█▁▁▁     day  ▃▁▂▅█▇▄     soak  ▅▅▅▅▅▅
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """This many users for this long; they come and go at this rate, which must be enough to get there."""

    seconds: float
    users: int
    spawn_rate: float  # users per second


Table = tuple[Row, ...]

SHAPES: dict[str, Table] = {
    "steps": (Row(20, 20, 20), Row(20, 40, 20), Row(20, 60, 20), Row(20, 80, 20), Row(20, 100, 20)),
    "ramp": (Row(60, 100, 100 / 50), Row(10, 100, 100)),
    "spike": (Row(20, 10, 10), Row(15, 100, 100), Row(25, 10, 100)),
    # A sine, one row for an hour of the day: 55 - 45 cos(2π (h - 4) / 24), fewest at four in the morning.
    "day": (
        Row(5, 32, 20), Row(5, 23, 20), Row(5, 16, 20), Row(5, 12, 20), Row(5, 10, 20), Row(5, 12, 20),
        Row(5, 16, 20), Row(5, 23, 20), Row(5, 32, 20), Row(5, 43, 20), Row(5, 55, 20), Row(5, 67, 20),
        Row(5, 77, 20), Row(5, 87, 20), Row(5, 94, 20), Row(5, 98, 20), Row(5, 100, 20), Row(5, 98, 20),
        Row(5, 94, 20), Row(5, 87, 20), Row(5, 78, 20), Row(5, 67, 20), Row(5, 55, 20), Row(5, 43, 20),
    ),
    "soak": (Row(1800, 50, 5),),
}  # fmt: skip


def length_s(table: Table) -> float:
    return sum(row.seconds for row in table)


def peak(table: Table) -> int:
    return max(row.users for row in table)


def scaled(table: Table, users: int | None = None, seconds: float | None = None) -> Table:
    """The same shape with this many users at its peak and this long; None leaves it as it is."""
    wider = 1.0 if seconds is None else seconds / length_s(table)
    higher = 1.0 if users is None else users / peak(table)
    return tuple(
        # At least one user where the table has some: a shape that is drawn small does not pause.
        Row(r.seconds * wider, max(round(r.users * higher), min(r.users, 1)), r.spawn_rate * higher / wider)
        for r in table
    )


def at(table: Table, t_s: float) -> tuple[int, float] | None:
    """Users and spawn rate `t_s` seconds after the start; None when the shape is over."""
    for row in table:
        if t_s < row.seconds:
            return row.users, row.spawn_rate
        t_s -= row.seconds
    return None
