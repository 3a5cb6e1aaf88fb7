"""Findings that nobody ever made: an imaginary look at who reaches whom, held, deviating and undecided.

Both the tests and whoever looks at the page take their input from here.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from experiments.harness.findings import Findings
from experiments.harness.model import Interval
from experiments.harness.run import Run
from topologies.stage0_simple import Stage0

SENTENCE = "three firewalls let through what was declared, and nothing else"
HOSTS = ("client1", "lb1", "server1", "server2", "db1", "monitor1")


def findings(directory: Path, *, as_json: bool = False, **options: Any) -> Findings:
    """Of a run in `directory`, with nothing in them yet."""
    chosen = Namespace(json=as_json, repeat=1, results=str(directory), seed=7, **options)
    return Findings("security", Run("r1", directory, 7), Stage0(), chosen, SENTENCE)


def fill(found: Findings, *, held: bool | None = True, deviated: bool = True) -> Findings:
    """Three claims, the first as `held`; a control that shows itself if `deviated`; a table and data."""
    surplus = 0 if held else 3
    found.claim(
        "2.1", "each layer's firewall lets through exactly the declared flows", held=held,
        reason=f"212 of {212 + surplus} pairs of host and port as declared, {surplus} open beyond",
        predicted=(0.0, 0.0), measured=surplus, unit="openings",
    )  # fmt: skip
    found.claim("2.2", "plain HTTP is redirected", held=True, reason="301 to https:// on 20 of 20 requests")
    found.claim(
        "2.2", "a resumed handshake is cheaper", held=True, reason="8.9 times as many resumed",
        predicted=(1.5, None), measured=Interval(8.9, 8.1, 9.6, 5, ""),
    )  # fmt: skip
    found.control(
        "database firewall off", "surplus openings towards db1", deviated,
        "14 openings that were not declared" if deviated else "no opening beyond the declared ones",
    )  # fmt: skip
    rows = [(a, *(_reach(a, b) for b in HOSTS)) for a in HOSTS]
    found.table("Who reaches whom", "Row: who asks. Column: who is asked.", ("from", *HOSTS), rows)
    found.table(
        "Certificates", "What a client that checks makes of it.", ("certificate", "answer", "after, ms"),
        (("its own", "accepted", 3.1234), ("of another name", "refused", 2.0), ("expired", "?", None)),
        ("held", "held", "inconclusive"),
    )  # fmt: skip
    found.keep("surplus", surplus)
    return found


def _reach(source: str, target: str) -> str:
    return "" if source == target else "3306" if target == "db1" else "80, 443, 514, 9100"
