"""Locust as a student starts it: its own process, a scenario, and nothing but the command line."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LOADTESTS = Path(__file__).parents[2] / "loadtests"
SCENARIOS = ("browse", "write", "mixed", "static", "compute")


@dataclass(frozen=True)
class Row:
    """One line of requests.csv."""

    end_s: float
    latency_ms: float
    method: str
    name: str
    outcome: str
    served_by: str


def command(*scenarios: str) -> list[str]:
    files = ",".join(str(LOADTESTS / f"{scenario}.py") for scenario in scenarios)
    return [sys.executable, "-P", "-m", "locust", "-f", files]


def environment(authority: Path | None) -> dict[str, str]:
    """Of a shell that knows nothing of this project; `authority` is the CA that this host trusts."""
    own = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONDONTWRITEBYTECODE": "1"}
    return own | ({"SSL_CERT_FILE": str(authority)} if authority else {})


def load(
    *scenarios: str, host: str, record: Path, users: int, options: tuple[str, ...] = ("--run-time", "2s"),
    authority: Path | None = None,
) -> list[Row]:  # fmt: skip
    """Run to the end; what was recorded. All users come at once."""
    done = subprocess.run(
        [
            *command(*scenarios), "--headless", "--host", host, "--users", str(users), "--spawn-rate", "100",
            "--only-summary",
            "--stop-timeout", "1", "--record", str(record), "--exit-code-on-error", "0",
            *options,
        ],
        cwd=record.parent, env=environment(authority), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=40, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return recorded(record)


def recorded(record: Path) -> list[Row]:
    with (record / "requests.csv").open(newline="") as text:
        lines = list(csv.reader(text))
    assert lines[0] == list(Row.__dataclass_fields__)
    return [Row(float(end), float(latency), *more) for end, latency, *more in lines[1:]]
