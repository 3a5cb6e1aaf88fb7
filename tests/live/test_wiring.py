"""A real stage is wired as declared: every listener, hop, certificate and part of a request."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live.test_failover import assert_nothing_left
from tests.live.test_operate import ROOT, TESTBED

pytestmark = [pytest.mark.live, pytest.mark.slow]


def run(results: Path, *options: str) -> dict[str, Any]:
    done = subprocess.run(
        [*TESTBED, "wiring", "--json", "--quiet", "--results", str(results), *options],
        cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr}\n{done.stdout[-2000:]}"
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def rows_of(document: dict[str, Any], title: str) -> list[dict[str, str]]:
    (table,) = (t for t in document["tables"] if t["title"] == title)
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def test_stage_2_is_wired_as_declared_and_its_controls_are_not(tmp_path: Path) -> None:
    document = run(tmp_path, "--repeat", "10")
    assert {claim["verdict"] for claim in document["claims"]} == {"held"}
    assert all(control["deviated"] for control in document["controls"])
    where = {(row["host"], row["socket"]): row["seen"] for row in rows_of(document, "Listeners")}
    assert where["lb1", "tcp 8.8.8.8:443"] == "haproxy as haproxy"
    assert where["server1", "unix /run/gunicorn/gunicorn.sock"] == "gunicorn as www-data"
    assert where["monitor1", "tcp 10.0.9.51:514"] == "rsyslog as root"
    first, *behind = rows_of(document, "Hops of a request")
    assert "www.foobar.com" in first["certificate"]
    assert {row["shown"] for row in behind} == {"plain text", "UNIX socket"}
    (picture,) = tmp_path.glob("*/*/waterfall.svg")
    assert "upstream_response_time" in picture.read_text()
    assert_nothing_left(tmp_path)


def test_with_every_hop_encrypted_the_database_shows_its_certificate_too(tmp_path: Path) -> None:
    hops = rows_of(run(tmp_path, "--repeat", "5", "--reencrypt"), "Hops of a request")
    crossing = [row for row in hops if row["socket"].startswith("tcp")]
    assert {row["shown"].split(",")[0] for row in crossing} == {"TLSv1.3"}
    assert {row["certificate"].split(" (")[0] for row in crossing} == {"www.foobar.com", "10.0.2.41"}
