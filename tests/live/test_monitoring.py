"""Monitoring, end to end: what is collected is all there, and somebody is told in time, or nobody ever."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live.test_operate import ROOT, TESTBED

pytestmark = [pytest.mark.live, pytest.mark.slow]

HELD, INCONCLUSIVE = 0, 4
#: Every timer as short as it goes: what takes half a minute of waiting by default.
QUICK = ("--scrape-interval", "1", "--evaluation-interval", "1", "--alert-for", "1", "--window", "10")


def held(results: Path, *options: str) -> dict[str, Any]:
    """result.json of a run that held; one that starved on a shared machine is repeated."""
    line = [*TESTBED, "monitoring", "--json", "--quiet", "--results", str(results), *QUICK, *options]
    for _ in range(2):
        done = subprocess.run(
            line, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
        said = f"exit {done.returncode}: {done.stderr}\n{done.stdout[-3000:]}"
        assert done.returncode in (HELD, INCONCLUSIVE), said
        document: dict[str, Any] = json.loads(done.stdout)
        if done.returncode == HELD:
            return document
    raise AssertionError(f"inconclusive twice: {document['headline']}")


def test_a_killed_agent_is_told_of_in_time_and_the_silenced_one_is_not(tmp_path: Path) -> None:
    document = held(tmp_path, "--fault", "agent-killed")
    assert {c["id"] for c in document["claims"]} == {"1.6", "2.3", "2.4"}
    assert len(document["controls"]) == 3
    assert all(control["deviated"] for control in document["controls"])
    (shipper,) = (c for c in document["controls"] if "shipper" in c["name"])
    assert shipper["reason"].endswith(" lost, 0 surplus")  # a restart repeats nothing
    (alert,) = document["data"]["alerts"]
    low_s, high_s = alert["predicted_s"]
    moments = [alert["after_s"][name] for name in ("first_bad_s", "pending_s", "firing_s", "told_s")]
    assert moments == sorted(moments)  # the way of an alert, in its order
    assert low_s <= moments[-1] <= high_s
    (unnoticed,) = (c for c in document["claims"] if c["id"] == "1.6")
    assert unnoticed["measured"]["median"] is None  # censored, never a number
    assert unnoticed["measured"]["low"] > high_s


def test_where_nobody_watches_the_same_fault_is_never_told(tmp_path: Path) -> None:
    document = held(tmp_path, "--stage", "1", "--check-inter", "0.5")
    (claim,) = document["claims"]
    assert (claim["id"], claim["measured"]["median"]) == ("1.6", None)
    assert "Server web/server2 is DOWN" in claim["reason"]  # HAProxy's log knew
