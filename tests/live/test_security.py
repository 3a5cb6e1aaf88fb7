"""What a stage declares open is open, and nothing else; a firewall that is off shows in the scan."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live.test_failover import assert_nothing_left
from tests.live.test_operate import ROOT, TESTBED

pytestmark = [pytest.mark.live, pytest.mark.slow]

HELD, DEVIATED = 0, 1


def run(expected: int, results: Path, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [*TESTBED, "security", "--json", "--quiet", "--results", str(results), *options],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == expected, f"exit {done.returncode}: {done.stderr}\n{done.stdout[-3000:]}"
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_stage_2_is_exact_and_every_control_shows_it(tmp_path: Path) -> None:
    document = run(HELD, tmp_path, "--skip-cost")
    assert {claim["verdict"] for claim in document["claims"]} == {"held"}
    assert {"2.1", "2.2", "2.5"} <= {claim["id"] for claim in document["claims"]}
    controls = {control["name"]: control for control in document["controls"]}
    assert all(control["deviated"] for control in controls.values())
    for layer, host in (("lb", "lb1"), ("web", "server1"), ("database", "db1 tcp/3306")):
        assert host in controls[f"firewall of {layer} off"]["reason"]
    assert not list(tmp_path.rglob("*.pcap")), "a capture is deleted once it is counted"
    assert_nothing_left(tmp_path)


def test_stage_1_is_as_open_as_it_was_drawn(tmp_path: Path) -> None:
    document = run(HELD, tmp_path, "--stage", "1", "--skip-cost")
    assert {claim["id"] for claim in document["claims"]} == {"1.5"}


def test_a_stage_without_its_database_firewall_deviates_and_names_mysql(tmp_path: Path) -> None:
    document = run(DEVIATED, tmp_path, "--firewall-off", "database", "--layer", "lb", "--skip-cost")
    (claim,) = (c for c in document["claims"] if c["verdict"] == "deviated" and c["id"] == "2.1")
    assert "tcp/3306" in claim["reason"]
