"""--shape NAME makes any scenario follow a table of shapes.py, in the terminal and in the web UI.

--users is then the peak, --run-time the length; without them both are as the table has them.
"""

from __future__ import annotations

import argparse
from typing import Any

from locust import LoadTestShape, events
from locust.env import Environment
from locust.util.timespan import parse_timespan
from shapes import SHAPES, Table, at, scaled


class TableShape(LoadTestShape):
    """Asked once a second by Locust. It ends the test after its last row: it is bounded whoever starts it."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table

    def tick(self) -> tuple[int, float] | None:
        now: tuple[int, float] | None = at(self.table, self.get_run_time())
        return now


def install() -> None:
    events.init_command_line_parser.add_listener(_add_option)
    # Locust looks for shapes before it reads options; `init` is the moment to bring one.
    events.init.add_listener(_follow)


def _add_option(parser: argparse.ArgumentParser, **_: Any) -> None:
    hidden: dict[str, Any] = {"include_in_web_ui": False}  # Locust's own addition to argparse
    parser.add_argument(
        "--shape", choices=sorted(SHAPES), default=None, help="users follow this table of shapes.py", **hidden
    )


def _follow(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    if options is None or options.shape is None or options.worker:
        return
    run_time = parse_timespan(options.run_time) if isinstance(options.run_time, str) else options.run_time
    shape = TableShape(scaled(SHAPES[options.shape], options.num_users, run_time))
    shape.runner = environment.runner
    environment.shape_class = shape
