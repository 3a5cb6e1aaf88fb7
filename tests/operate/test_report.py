"""`report` shows the verdict of the run that is meant, and never a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.operate import report

RESULT: dict[str, Any] = {
    "schema": 1, "verdict": "held", "headline": "held: fails over in time",
    "claims": [
        {"id": "3.1", "sentence": "fails over", "predicted": {"low": 2.6, "high": 3.6, "unit": "s"},
         "measured": {"median": 2.915, "low": 2.9, "high": 3.0, "n": 3, "unit": "s"}, "verdict": "held"},
        {"id": "0.1", "sentence": "stays down", "predicted": {"low": 5.0, "high": None, "unit": "s"},
         "measured": {"median": None, "low": None, "high": None, "n": 0, "unit": "s"}, "verdict": "deviated"},
    ],
    "fidelity": {"verdict": "doubtful", "reasons": ["the prober was late"]},
}  # fmt: skip


def measured(results: Path, run: str, headline: str = "held: fails over in time") -> Path:
    directory = results / "failover-stage3" / run
    directory.mkdir(parents=True)
    (directory / "result.json").write_text(json.dumps({**RESULT, "headline": headline}))
    (directory / "report.html").write_text("<html>")
    return directory


def point(results: Path, directory: Path) -> None:
    (results / "latest").symlink_to(directory.relative_to(results))


def test_headline_claims_fidelity_and_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = measured(tmp_path, "20260101-000000-aaaa")
    point(tmp_path, directory)
    assert report.main(["--results", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "held: fails over in time"
    rows = [" ".join(line.split()) for line in lines]
    assert "3.1 fails over 2.600–3.600 s 2.915 s (2.900–3.000, n = 3) held" in rows
    assert "0.1 stays down at least 5 s – deviated" in rows
    assert "fidelity: the prober was late" in lines
    assert lines[-1] == str(directory / "report.html")


def test_controls_have_their_own_lines_and_what_the_run_cannot_tell_has_no_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = {
        "id": "2.1", "sentence": "as declared", "predicted": {"low": 0.0, "high": 0.0, "unit": "openings"},
        "measured": {"median": 14.0, "low": None, "high": None, "n": 1, "unit": "openings"},
    }  # fmt: skip
    controls = [
        {"name": "firewall off", "expected": "openings", "deviated": True, "reason": "14 openings"},
        {"name": "a port too many", "expected": "one opening", "deviated": False, "reason": "none"},
    ]
    claims = [{**claim, "verdict": "inconclusive"}, {**claim, "verdict": "deviated"}]
    result = {**RESULT, "claims": claims, "controls": controls, "trials": []}
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert report.main([str(tmp_path)]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "2.1 as declared 0 openings – inconclusive" in rows
    assert "2.1 as declared 0 openings 14 openings deviated" in rows
    assert "firewall off openings 14 openings deviated, as it must" in rows
    assert "a port too many one opening none did not deviate" in rows


def test_json_is_the_result_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = measured(tmp_path, "20260101-000000-aaaa")
    assert report.main([str(directory), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == RESULT


def test_a_run_may_be_named_by_its_id_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measured(tmp_path, "20260101-000000-aaaa", "the first")
    point(tmp_path, measured(tmp_path, "20260102-000000-bbbb", "the second"))
    assert report.main(["20260101-000000-aaaa", "--results", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("the first")


def test_a_stage_that_was_only_up_does_not_hide_the_last_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured(tmp_path, "20260101-000000-aaaa", "the first")
    measured(tmp_path, "20260102-000000-bbbb", "the second")
    up = tmp_path / "up-stage3" / "20260103-000000-cccc"
    up.mkdir(parents=True)
    point(tmp_path, up)
    assert report.main(["--results", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("the second")
    assert "measured nothing" in captured.err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (None, "has no result.json"),
        ("{", "is damaged"),
        ("[1]", "is not a result"),
        ("{}", "is not a result"),
    ],
)
def test_a_run_without_a_readable_result_is_a_usage_error(
    text: str | None, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "result.json").write_text(text)
    assert report.main([str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert why in captured.err


@pytest.mark.parametrize("argv", [[], ["20260101-000000-aaaa"]])
def test_no_run_at_all_is_a_usage_error(
    argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.main([*argv, "--results", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
