"""The end of a run on standard output: the verdict, what it rests on, and where to read more.

held: every hop is what it was declared to be — 2 of 2 claims held, 1 of 1 controls deviated
✓  0.5  every socket is declared  0 surplus, predicted 0  12 sockets as declared
negative controls
✓  nginx on TCP  a socket that was not declared  1 surplus socket
results/wiring-stage0/20261124-002053-6a91/report.html
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from experiments.harness.model import Report
from experiments.harness.report import NOTHING, claim_row, control_row

#: On a terminal only, and not with NO_COLOR; every verdict has its symbol or word as well.
STYLES: dict[str, str] = {"held": "green", "deviated": "bold red", "inconclusive": "yellow"}
#: A pipe has no width; what is cut to 80 columns there is lost for grep.
PIPE_COLUMNS = 1000


def show(report: Report, page: str, *, listing: bool = False) -> None:
    """Print the headline, with `listing` every claim and control on a line, and the path of the `page`."""
    width = None if sys.stdout.isatty() else PIPE_COLUMNS
    out = Console(highlight=False, markup=False, soft_wrap=True, width=width)
    out.print(Text(report.headline, style=STYLES[report.verdict]))
    if listing:
        rows = [claim_row(c) for c in report.claims]
        out.print(
            _lines(
                (r["verdict"], r["symbol"], r["id"], r["sentence"], _numbers(r), r["reason"]) for r in rows
            )
        )
        if report.controls:
            controls = [control_row(c) for c in report.controls]
            out.print("negative controls")
            out.print(
                _lines((c["tone"], c["symbol"], c["name"], c["expected"], c["reason"]) for c in controls)
            )
    out.print(page)


def _lines(rows: Iterable[tuple[str, ...]]) -> Table:
    """One row each, in columns; what is too long for the terminal goes on below its own column."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    for verdict, symbol, *cells in rows:
        grid.add_row(Text(symbol, style=STYLES[verdict]), *(Text(cell) for cell in cells))
    return grid


def _numbers(row: dict[str, str]) -> str:
    """Measured and predicted, as far as there are any."""
    known = [row["measured"]] if row["measured"] != NOTHING else []
    known += [f"predicted {row['predicted']}"] if row["predicted"] != NOTHING else []
    return ", ".join(known)
