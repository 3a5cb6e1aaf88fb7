"""What a prober is told is checked before anything is sent."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.prober_config import ConfigError, ProberConfig
from tests.loadtests.known_truth import ROOT, config_for


def test_a_configuration_survives_json(tmp_path: Path) -> None:
    config = replace(config_for(8080, tmp_path), nameserver="8.8.8.53", dns_timeout_s=0.3, duration_s=4.0)
    assert ProberConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"streams": []}, "streams: at least one"),
        ({"streams": [{"name": "a", "url": "http://h/"}]}, "needs 'rate_hz'"),
        ({"streams": [{"name": "a,b", "url": "http://h/", "rate_hz": 1}]}, "stream name"),
        ({"streams": [{"name": "a", "url": "ftp://h/", "rate_hz": 1}]}, "http or https"),
        ({"streams": [{"name": "a", "url": "http://h:99999/", "rate_hz": 1}]}, "url"),
        ({"streams": [{"name": "a", "url": "http://h/", "rate_hz": 0}]}, "rate_hz"),
        ({"streams": [{"name": "a", "url": "http://h/", "rate_hz": 1}]}, "connect_to or a nameserver"),
        (
            {"streams": [{"name": "a", "url": "http://h/", "rate_hz": 1, "connect_to": "lb1"}]},
            "not an IP address",
        ),
        ({"streams": [{"name": "a", "url": "https://h/", "rate_hz": 1, "connect_to": "8.8.8.8"}]}, "ca_file"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": "soon"}, "timeout_s must be float"),
        ({"timeout_ms": 500}, "no field 'timeout_ms'"),
        ({"nameserver": "dns1"}, "nameserver"),
    ],
)
def test_a_wrong_configuration_is_one_clear_line_and_exit_2(
    changes: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    document = json.loads(config_for(8080, tmp_path).to_json()) | changes
    with pytest.raises(ConfigError, match=complaint):
        ProberConfig.from_json(json.dumps(document))


def test_the_command_line_says_what_is_wrong_and_exits_2(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"streams": [], "output": "probes.csv"}')
    for config in (path, tmp_path / "missing.json"):
        done = subprocess.run(
            [sys.executable, "-m", "loadtests.prober", str(config)],
            cwd=ROOT, capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("prober: ")
        assert done.stderr.count("\n") == 1
