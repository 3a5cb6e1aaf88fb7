"""On a real stage clients are told what the zone says, and follow its change within the TTL."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.live.test_failover import assert_nothing_left
from tests.live.test_operate import ROOT, TESTBED

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_a_hundred_clients_follow_a_zone_with_a_ttl_of_four_seconds(tmp_path: Path) -> None:
    done = subprocess.run(
        [*TESTBED, "dns", "--ttl", "4", "--repeat", "2", "--stage", "1", "--json", "--quiet",
         "--results", str(tmp_path)],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}\n{done.stdout[-2000:]}"
    document = json.loads(done.stdout)
    assert {claim["verdict"] for claim in document["claims"]} == {"held"}
    assert all(control["deviated"] for control in document["controls"])
    followed = [t for change in document["data"]["follow_times_s"] for t in change.values()]
    assert followed.count(None) == 20, "the caches that ignore the TTL"
    assert max(t for t in followed if t is not None) <= 4.25
    (picture,) = tmp_path.glob("*/*/following.svg")
    assert "predicted: U(0, 4 s)" in picture.read_text()
    assert_nothing_left(tmp_path)
