"""A probe is one request with every moment of its life on CLOCK_MONOTONIC; probes.csv is one row each.

due ──► sent ──► connected ──► first byte ──► end
 └────────────── latency counts from here ────┘
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TextIO

GOOD = "ok"


@dataclass(frozen=True, slots=True)
class Probe:
    """One row of probes.csv.

    Times are seconds on CLOCK_MONOTONIC (one clock for every namespace of the machine); a moment that
    never came is None. `outcome` is "ok" or one failure class: refused, reset, closed-early,
    connect-timeout, read-timeout, tls, dns, unreachable, wrong-body, slow, "http-503" by status code, or
    one of the prober's own (local-error, in-flight-cap), with which a trial does not count.
    `served_by` names the hosts that made the answer, client side first: "lb1>web2>app1".
    """

    stream: str
    k: int
    due_s: float
    sent_s: float
    connected_s: float | None
    first_byte_s: float | None
    end_s: float
    outcome: str
    status: int | None
    address: str
    served_by: str

    @property
    def good(self) -> bool:
        return self.outcome == GOOD

    @property
    def latency_s(self) -> float:
        """Latency from the intended moment (wrk2's correction for coordinated omission)."""
        return self.end_s - self.due_s

    @property
    def lateness_s(self) -> float:
        """How late the prober itself was: its own error, not the system's."""
        return self.sent_s - self.due_s


COLUMNS = tuple(f.name for f in fields(Probe))


def write_header(out: TextIO) -> None:
    out.write(",".join(COLUMNS) + "\n")


def write_probe(out: TextIO, p: Probe) -> None:
    def t(x: float | None) -> str:
        return "" if x is None else f"{x:.6f}"

    out.write(
        f"{p.stream},{p.k},{t(p.due_s)},{t(p.sent_s)},{t(p.connected_s)},{t(p.first_byte_s)},{t(p.end_s)},"
        f"{p.outcome},{'' if p.status is None else p.status},{p.address},{p.served_by}\n"
    )


def read_probes(path: Path) -> list[Probe]:
    """All complete rows of a probes.csv, also of one that is still being written.

    Raises ValueError if the header is not ours.
    """
    with path.open(newline="") as text:
        return list(_rows(line for line in text if line.endswith("\n")))


def _rows(lines: Iterable[str]) -> Iterator[Probe]:
    rows = csv.reader(lines)
    header = next(rows, None)
    if header is not None and tuple(header) != COLUMNS:
        raise ValueError(f"not a probes.csv: header is {header}")

    def maybe(x: str) -> float | None:
        return float(x) if x else None

    for r in rows:
        yield Probe(
            stream=r[0], k=int(r[1]), due_s=float(r[2]), sent_s=float(r[3]), connected_s=maybe(r[4]),
            first_byte_s=maybe(r[5]), end_s=float(r[6]), outcome=r[7], status=int(r[8]) if r[8] else None,
            address=r[9], served_by=r[10],
        )  # fmt: skip
