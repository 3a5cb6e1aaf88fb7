"""What became of every write that had an id of its own: a line each, `id,fate,end_s`.

acknowledged    a whole right answer came
failed          it cannot have happened: not a byte was sent, or the answer was 4xx
indeterminate   it may have happened: sent, and then silence, a reset, half an answer, or 5xx
"""

from __future__ import annotations

from typing import TextIO

from loadtests.connection import Connection
from loadtests.outcomes import SENDING, is_answer
from loadtests.probes import GOOD

COLUMNS = "id,fate,end_s"
ACKNOWLEDGED, FAILED, INDETERMINATE = "acknowledged", "failed", "indeterminate"


def fate_of(outcome: str, status: int | None, *, sent: bool) -> str:
    """`sent`: whether any byte of the request may have left."""
    if outcome in (GOOD, "slow"):
        return ACKNOWLEDGED
    refused = is_answer(outcome) and status is not None and 400 <= status < 500
    return FAILED if refused or not sent else INDETERMINATE


def write_fate(out: TextIO, c: Connection, outcome: str, end_s: float) -> None:
    """The line of a request that has just ended."""
    fate = fate_of(outcome, c.answer.status, sent=c.stage >= SENDING)
    out.write(f"{c.request.mark},{fate},{end_s:.6f}\n")
