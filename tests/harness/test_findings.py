"""What was found becomes a verdict, and nothing that was found is lost on the way to result.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from experiments.harness.findings import Findings
from experiments.harness.model import Claim, Event, Interval
from experiments.harness.progress import Progress
from tests.harness.synthetic_findings import SENTENCE, fill, findings
from topologies.testbed import Testbed
from topologies.waiting import CannotEmulate, CommandFailed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUIET = Progress(quiet=True)


@pytest.fixture
def found(tmp_path: Path) -> Findings:
    return findings(tmp_path)


def concluded(found: Findings, directory: Path) -> tuple[int, dict[str, Any]]:
    """The exit code and result.json, which is JSON for every reader."""
    status = found.publish(QUIET, None)
    return status, strictly((directory / "result.json").read_text())


def strictly(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    document: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return document


def bars() -> Figure:
    from experiments.harness.figure_style import new_figure

    figure = new_figure(4, 2)
    figure.add_axes((0.1, 0.1, 0.8, 0.8)).bar(["a", "b"], [3, 5])
    return figure


# -- verdicts ----------------------------------------------------------------------------------------


def doubtful(f: Findings) -> None:
    fill(f).doubt("the machine was busy")


def failed(f: Findings) -> None:
    fill(f, held=False).fail("the capture lost packets")


@pytest.mark.parametrize(
    ("filled", "verdict", "status", "fidelity"),
    [
        (lambda f: fill(f), "held", 0, "pass"),
        (lambda f: fill(f, held=False), "deviated", 1, "pass"),
        (lambda f: fill(f, held=None), "inconclusive", 4, "pass"),
        (lambda f: fill(f, deviated=False), "inconclusive", 4, "doubtful"),
        (lambda f: fill(f, held=False, deviated=False), "deviated", 1, "doubtful"),
        (doubtful, "held", 0, "doubtful"),
        (failed, "inconclusive", 4, "fail"),
        (lambda f: None, "inconclusive", 4, "pass"),
        (lambda f: f.control("off", "openings", deviated=True, reason="14"), "inconclusive", 4, "pass"),
    ],
    ids=[
        "all held", "a claim deviates", "a claim cannot be told", "a control does not deviate",
        "a claim deviates and a control does not", "doubt", "it does not count", "nothing", "only a control",
    ],
)  # fmt: skip
def test_claims_controls_and_fidelity_decide_verdict_and_exit_code(
    found: Findings,
    tmp_path: Path,
    filled: Callable[[Findings], Any],
    verdict: str,
    status: int,
    fidelity: str,
) -> None:
    filled(found)
    ended, document = concluded(found, tmp_path)
    assert (ended, document["verdict"], document["fidelity"]["verdict"]) == (status, verdict, fidelity)
    assert document["headline"].startswith(f"{verdict}: {SENTENCE} — ")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({}, "3 of 3 claims held, 1 of 1 controls deviated"),
        (
            {"held": False},
            "2 of 3 claims held, 1 of 1 controls deviated; "
            "2.1, each layer's firewall lets through exactly the declared flows: "
            "212 of 215 pairs of host and port as declared, 3 open beyond",
        ),
        (
            {"deviated": False},
            "3 of 3 claims held, 0 of 1 controls deviated; "
            "the control “database firewall off” did not deviate: the instrument sees nothing "
            "(no opening beyond the declared ones)",
        ),
    ],
)
def test_the_headline_counts_and_names_the_first_thing_that_did_not_hold(
    found: Findings, tmp_path: Path, how: dict[str, Any], said: str
) -> None:
    _, document = concluded(fill(found, **how), tmp_path)
    assert document["headline"].partition(" — ")[2] == said


def test_the_headline_is_one_line_whatever_a_daemon_said(found: Findings, tmp_path: Path) -> None:
    found.claim("1.5", "nothing listens", held=False, reason="nmap said:\n  3306/tcp open\n")
    _, document = concluded(found, tmp_path)
    assert document["headline"].endswith("1.5, nothing listens: nmap said: 3306/tcp open")


def test_a_run_that_does_not_count_says_nothing_of_any_claim(found: Findings, tmp_path: Path) -> None:
    failed(found)
    _, document = concluded(found, tmp_path)
    assert {c["verdict"] for c in document["claims"]} == {"inconclusive"}
    assert {c["measured"]["median"] for c in document["claims"]} == {None}
    assert {c["reason"] for c in document["claims"]} == {"the run does not count: the capture lost packets"}
    assert document["headline"].endswith(
        "0 of 3 claims held, 1 of 1 controls deviated; the capture lost packets"
    )


# -- cut short ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends", "status", "why"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (CommandFailed("nmap took too long:\n  last line of its log"), 4, "nmap took too long"),
        (CannotEmulate("not installed: nmap"), 4, "not installed: nmap"),
    ],
)  # fmt: skip
def test_what_was_found_before_the_end_is_kept_and_the_run_is_inconclusive(
    found: Findings, tmp_path: Path, ends: BaseException, status: int, why: str
) -> None:
    with found.collecting(QUIET):
        fill(found, held=False)
        raise ends
    ended, document = concluded(found, tmp_path)
    assert (ended, document["verdict"], document["fidelity"]["verdict"]) == (status, "inconclusive", "fail")
    assert [c["verdict"] for c in document["claims"]] == ["deviated", "held", "held"]
    assert document["controls"][0]["deviated"]
    assert document["data"] == {"surplus": 3}
    assert document["headline"].endswith(f"controls deviated; {why}")
    assert document["fidelity"]["reasons"] == [str(ends) or "interrupted"]
    assert why in (tmp_path / "report.html").read_text()


def test_a_machine_that_cannot_run_it_has_no_result(found: Findings) -> None:
    with pytest.raises(CannotEmulate), found.collecting(QUIET):
        raise CannotEmulate("not installed: nmap")


def test_a_defect_of_ours_is_not_taken_for_an_end(found: Findings) -> None:
    with pytest.raises(ZeroDivisionError), found.collecting(QUIET):
        raise ZeroDivisionError


def test_why_it_was_cut_short_is_what_came_first(found: Findings, tmp_path: Path) -> None:
    with found.collecting(QUIET):
        raise CommandFailed("db1 is gone")
    with found.collecting(QUIET):
        raise KeyboardInterrupt
    status, document = concluded(fill(found), tmp_path)
    assert (status, document["fidelity"]["reasons"]) == (130, ["db1 is gone"])


def test_losing_patience_with_the_drawing_loses_no_result(
    found: Findings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def draw() -> Figure:
        raise KeyboardInterrupt

    fill(found).figure("bars", "Bars", "…", "Two bars.", draw)
    status, document = concluded(found, tmp_path)
    assert (status, document["verdict"]) == (130, "held")
    out = capsys.readouterr().out.splitlines()
    assert out[0] == document["headline"]
    assert out[-1].endswith("/result.json")
    assert not (tmp_path / "report.html").exists()


# -- result.json -------------------------------------------------------------------------------------


def test_result_json_has_the_keys_that_design_promises_and_those_of_findings(
    found: Findings, tmp_path: Path
) -> None:
    found.check("captured_packets", 1200)
    ready = [
        SimpleNamespace(where="nginx on web1", ready_after_s=0.51234),
        SimpleNamespace(where="nginx on web2", ready_after_s=None),
    ]
    testbed = SimpleNamespace(timings={"bring-up": 2.0}, daemons=ready)
    fill(found).publish(QUIET, cast(Testbed, testbed))
    document = strictly((tmp_path / "result.json").read_text())
    assert list(document) == [
        "schema", "experiment", "stage", "verdict", "headline", "claims", "controls", "trials", "tables",
        "data", "fidelity", "timings_s", "run", "results_dir",
    ]  # fmt: skip
    assert (document["schema"], document["experiment"], document["stage"]) == (1, "security", "0")
    first, second, third = document["claims"]
    assert first == {
        "id": "2.1", "sentence": "each layer's firewall lets through exactly the declared flows",
        "predicted": {"low": 0.0, "high": 0.0, "unit": "openings"},
        "measured": {"median": 0, "low": None, "high": None, "n": 1, "unit": "openings"},
        "verdict": "held", "reason": "212 of 212 pairs of host and port as declared, 0 open beyond",
    }  # fmt: skip
    assert second["measured"] == {"median": None, "low": None, "high": None, "n": 0, "unit": ""}
    assert third["measured"] == {"median": 8.9, "low": 8.1, "high": 9.6, "n": 5, "unit": ""}
    assert document["controls"] == [
        {
            "name": "database firewall off", "expected": "surplus openings towards db1", "deviated": True,
            "reason": "14 openings that were not declared",
        }
    ]  # fmt: skip
    assert document["trials"] == []
    assert [t["title"] for t in document["tables"]] == ["Who reaches whom", "Certificates"]
    assert document["tables"][1]["rows"][2] == ["expired", "?", "–"]
    assert document["fidelity"] == {"verdict": "pass", "reasons": [], "captured_packets": 1200}
    assert document["timings_s"] == {"bring-up": 2.0, "ready": {"nginx on web1": 0.5123}}
    assert {"id", "argv", "commit", "dirty", "versions", "seed"} <= document["run"].keys()


def test_a_claim_that_was_judged_elsewhere_is_a_claim_like_others(found: Findings, tmp_path: Path) -> None:
    found.add(Claim("1.3", "lag is small", None, 20.0, Interval(2.5, 2.0, 3.0, 9, "ms"), "held", "p99 4 ms"))
    _, document = concluded(found, tmp_path)
    assert (document["claims"][0]["id"], document["claims"][0]["measured"]["n"]) == ("1.3", 9)


def test_what_is_no_number_is_not_shown_as_one(found: Findings, tmp_path: Path) -> None:
    found.claim("1.3", "lag is small", held=None, reason="no row arrived", measured=float("nan"), unit="ms")
    _, document = concluded(found, tmp_path)
    assert document["claims"][0]["measured"] == {
        "median": None, "low": None, "high": None, "n": 0, "unit": "ms",
    }  # fmt: skip


def test_details_for_programs_are_plain_json(found: Findings, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Hop:
        where: Path
        ports: frozenset[int]

    found.keep("hops", (Hop(Path("/run/x"), frozenset({443, 80})),))
    _, document = concluded(found, tmp_path)
    assert document["data"] == {"hops": [{"where": "/run/x", "ports": [80, 443]}]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        found.keep("lag_ms", float("inf"))
    with pytest.raises(TypeError, match="object is nothing that"):
        found.keep("what", object())


def test_a_table_that_does_not_fit_is_noticed_where_it_is_made(found: Findings) -> None:
    with pytest.raises(ValueError, match="every row needs 2 cells"):
        found.table("T", "", ("a", "b"), (("1",),))
    with pytest.raises(ValueError, match="1 marks for 2 rows"):
        found.table("T", "", ("a",), (("1",), ("2",)), ("held",))


# -- files, page, terminal ---------------------------------------------------------------------------


def test_pictures_lie_beside_the_result_and_in_the_page_with_every_file(
    found: Findings, tmp_path: Path
) -> None:
    for path in (
        "captures/lb1.pcap",
        "by-name/probes.csv",
        "hosts/lb1/etc/nginx.conf",
        "firewall off/hosts/db1/etc/my.cnf",
    ):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text("x")
    fill(found)
    found.figure("as-made", "Made", "…", "Two bars.", bars())
    found.figure("when-due", "Drawn", "…", "Two bars again.", bars)
    with pytest.raises(ValueError, match="already a picture as-made"):
        found.figure("as-made", "Again", "…", "Two bars.", bars)
    found.publish(QUIET, None, [Event(1.0, "log", "lb1", "alert")])
    names = {p.name for p in tmp_path.iterdir()}
    assert {
        "as-made.svg",
        "as-made.png",
        "when-due.svg",
        "when-due.png",
        "result.json",
        "events.csv",
    } <= names
    assert not [name for name in names if name.startswith(".")]
    page = (tmp_path / "report.html").read_text()
    assert page.count('<img src="data:image/svg+xml;base64,') == 2
    assert page.index("Two bars.") < page.index("Two bars again.")
    hrefs = [part.partition('"')[0] for part in page.split('<a href="')[1:]]
    assert hrefs == [
        "result.json", "events.csv", "by-name/probes.csv", "captures/lb1.pcap", "hosts/lb1/etc/nginx.conf",
        "firewall%20off/hosts/db1/etc/my.cnf",
    ]  # fmt: skip


def test_without_events_there_is_no_file_of_events(found: Findings, tmp_path: Path) -> None:
    concluded(fill(found), tmp_path)
    assert not (tmp_path / "events.csv").exists()


def test_the_page_shows_controls_and_tables_and_no_number_that_cannot_be_told(
    found: Findings, tmp_path: Path
) -> None:
    concluded(fill(found, held=None), tmp_path)
    page = (tmp_path / "report.html").read_text()
    for part in (
        "Negative controls",
        "database firewall off",
        "Who reaches whom",
        "80, 443, 514, 9100",
        "3.12",
    ):
        assert part in page
    assert "3 openings" not in page
    assert "0 openings" in page  # the prediction


def test_the_terminal_gets_verdict_claims_controls_and_where_to_look(
    found: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "40")  # of no meaning in a pipe
    fill(found, held=False).publish(Progress(), None)
    out, err = capsys.readouterr()
    headline, *rows, page = [" ".join(line.split()) for line in out.splitlines()]
    assert headline.startswith("deviated: three firewalls")
    assert rows == [
        "✗ 2.1 each layer's firewall lets through exactly the declared flows "
        "3 openings, predicted 0 openings 212 of 215 pairs of host and port as declared, 3 open beyond",
        "✓ 2.2 plain HTTP is redirected 301 to https:// on 20 of 20 requests",
        "✓ 2.2 a resumed handshake is cheaper 8.90 [8.10–9.60] (n = 5), predicted ≥ 1.50 "
        "8.9 times as many resumed",
        "negative controls",
        "✓ database firewall off surplus openings towards db1 14 openings that were not declared",
    ]
    assert page == "./report.html"
    assert "\x1b" not in out
    assert "drawing the report" in err


def test_json_is_one_document_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, document = concluded(fill(findings(tmp_path, as_json=True)), tmp_path)
    assert strictly(capsys.readouterr().out) == document
