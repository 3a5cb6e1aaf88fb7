"""Load shapes are tables: bounded, reachable at their spawn rates, and asked once a second by Locust."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from itertools import pairwise

import pytest

from loadtests import launch
from loadtests.shapes import SHAPES, Row, at, length_s, peak, scaled
from tests.loadtests.locust_run import LOADTESTS

TABLE = (Row(10, 5, 1), Row(2.5, 20, 40), Row(10, 0, 40))


@pytest.mark.parametrize(
    ("t_s", "expected"),
    [
        (0, (5, 1)), (9.99, (5, 1)), (10, (20, 40)), (12.49, (20, 40)), (12.5, (0, 40)), (22.49, (0, 40)),
        (22.5, None), (1e6, None),
    ],
)  # fmt: skip
def test_each_row_holds_for_its_seconds_and_then_it_is_over(
    t_s: float, expected: tuple[int, float] | None
) -> None:
    assert at(TABLE, t_s) == expected


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_bounded_and_gets_where_it_wants_to(name: str) -> None:
    table = SHAPES[name]
    assert 0 < length_s(table) <= launch.MOST_S
    assert 0 < peak(table) <= launch.MOST_USERS
    for before, row in pairwise((Row(0, 0, 1), *table)):
        assert abs(row.users - before.users) / row.spawn_rate <= row.seconds
        # Locust asks once a second; it warns above 100 users a second.
        assert row.seconds >= 1
        assert 0 < row.spawn_rate <= 100


def test_the_five_shapes_are_what_their_names_say() -> None:
    users = {name: [row.users for row in table] for name, table in SHAPES.items()}
    assert set(users) == {"steps", "ramp", "spike", "day", "soak"}
    assert users["steps"] == sorted(set(users["steps"]))
    assert SHAPES["ramp"][0].users / SHAPES["ramp"][0].spawn_rate >= 0.8 * SHAPES["ramp"][0].seconds
    low, high, low_again = users["spike"]
    assert low == low_again < high / 5
    assert users["day"] == [round(55 - 45 * math.cos(2 * math.pi * (hour - 4) / 24)) for hour in range(24)]
    assert len(users["soak"]) == 1
    assert length_s(SHAPES["soak"]) >= 1800


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_scaled_in_height_and_length_and_still_gets_where_it_wants_to(name: str) -> None:
    table = scaled(SHAPES[name], users=37, seconds=45)
    assert peak(table) == 37
    assert length_s(table) == pytest.approx(45)
    for before, row in pairwise((Row(0, 0, 1), *table)):
        # Users are whole: half a user of rounding on either side.
        assert (abs(row.users - before.users) - 1) / row.spawn_rate <= row.seconds
    assert min(row.users for row in table) >= 1, "drawn small, it does not pause"


def test_without_wishes_a_shape_stays_as_it_is() -> None:
    assert scaled(TABLE) == TABLE


_TICKS = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
from shapes import Row
from shaping import TableShape
shape = TableShape((Row(0.2, 3, 5), Row(0.2, 8, 9)))
seen = [shape.tick()]
while seen[-1] is not None:
    time.sleep(0.02)
    tick = shape.tick()
    if tick != seen[-1]:
        seen.append(tick)
shape.reset_time()
print(json.dumps([*seen, shape.tick()]))
"""


def test_tick_follows_the_table_ends_with_it_and_begins_anew_after_a_reset() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TICKS, str(LOADTESTS)], env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [[3, 5], [8, 9], None, [3, 5]]
