"""Tables for people: colours only on a terminal (and not with NO_COLOR), whole lines in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {
    "running": "green", "paused": "yellow", "stopped": "dim", "dead": "bold red",
    "ok": "green", "limited": "yellow", "missing": "bold red", "unchecked": "dim",
    "held": "green", "deviated": "bold red", "inconclusive": "yellow",
}  # fmt: skip


class _Screen(Console):
    def on_broken_pipe(self) -> None:
        """A reader that has seen enough is no failure: rich would exit with 1."""
        raise BrokenPipeError


def console() -> Console:
    # A pipe has no width; what is cut to 80 columns there is lost for grep.
    width = None if sys.stdout.isatty() else 1000
    return _Screen(highlight=False, markup=False, soft_wrap=True, width=width)


def table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    return drawn


def coloured(word: str, text: str | None = None) -> Text:
    """`text` (by default the word itself) in the colour of a state or verdict."""
    return Text(text or word, style=STYLES.get(word, ""))
