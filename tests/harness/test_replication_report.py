"""What replication says of runs whose truth is known."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.harness import figure_replication, replication
from experiments.harness.ordering import Orders, Reads
from experiments.harness.progress import Progress
from experiments.harness.replicas import Refusal
from experiments.harness.replication import Compared
from experiments.harness.replication_report import Seen, State, say
from tests.harness.synthetic_findings import findings
from tests.harness.synthetic_replication import BASIS, SUMMARY, good, token, tokens


def said(directory: Path, seen: Seen) -> Any:
    """result.json of this."""
    found = findings(directory, as_json=True)
    say(found, seen, "server1", "server2")
    found.publish(Progress(quiet=True), None)
    return json.loads((directory / "result.json").read_text())


def verdict_of(document: Any, word: str) -> str:
    (claim,) = (c for c in document["claims"] if word in c["sentence"])
    return str(claim["verdict"])


def test_a_replica_that_does_its_duty_holds(tmp_path: Path) -> None:
    document = said(tmp_path, good())
    assert document["verdict"] == "held", document["headline"]
    assert {c["id"] for c in document["claims"]} == {"1.3"}
    assert len(document["claims"]) == 8
    assert [c["deviated"] for c in document["controls"]] == [True, True, True]
    assert document["fidelity"]["writer_lateness_p99_ms"] == 0.9
    assert (tmp_path / "lag.svg").exists()


@pytest.mark.parametrize(
    ("loaded", "median", "rare"),
    [
        (tokens(0.5, 400, slow=8, slow_ms=5.0), "held", "held"),
        (tokens(3.0, 400), "deviated", "held"),
        (tokens(0.5, 400, slow=8, slow_ms=50.0), "held", "deviated"),
        ([token(10.0, None, 1999.0)] * 400, "deviated", "deviated"),
        (tokens(0.97, 400), "inconclusive", "held"),  # a question more or less decides
    ],
)
def test_the_median_and_the_rare_token_are_judged_apart(
    tmp_path: Path, loaded: list[replication.Token], median: str, rare: str
) -> None:
    document = said(tmp_path, replace(good(), loaded=loaded))
    assert (verdict_of(document, "half of all"), verdict_of(document, "99 of 100")) == (median, rare)


def test_a_lost_order_and_one_that_nobody_wrote_deviate(tmp_path: Path) -> None:
    for compared in (Compared(2500, ("a",), ()), Compared(2500, (), ("b",))):
        assert (
            verdict_of(said(tmp_path, replace(good(), compared=compared)), "every acknowledged") == "deviated"
        )


def test_a_replica_elsewhere_or_with_a_history_of_its_own_deviates(tmp_path: Path) -> None:
    for state in (State("0-1-9", "0-1-8", ()), State("0-1-9", "0-1-9", ("0-2-10",))):
        assert verdict_of(said(tmp_path, replace(good(), state=state)), "same transaction") == "deviated"


@pytest.mark.parametrize(
    ("named", "selects"),
    [
        (Counter(replica=99, primary=1), {"server1": 1, "server2": 99}),
        (Counter(replica=100), {"server1": 100, "server2": 0}),  # it says so, and the counters say otherwise
        (Counter(replica=100), {"server1": 5, "server2": 100}),
        (Counter({"": 100}), {"server1": 0, "server2": 100}),
    ],
)
def test_reads_that_came_from_elsewhere_deviate(
    tmp_path: Path, named: Counter[str], selects: dict[str, int]
) -> None:
    seen = good()
    seen.reads[0] = Reads("/api/items/1", 100, named, selects), "replica"
    assert verdict_of(said(tmp_path, seen), "catalogue") == "deviated"


@pytest.mark.parametrize("refusal", [Refusal(None, "accepted"), Refusal(1142, "MySQL error 1142: denied")])
def test_only_read_only_is_the_refusal_that_was_predicted(tmp_path: Path, refusal: Refusal) -> None:
    assert verdict_of(said(tmp_path, replace(good(), refusal=refusal)), "refuses") == "deviated"


def test_a_replica_that_does_not_catch_up_deviates(tmp_path: Path) -> None:
    document = said(tmp_path, replace(good(), caught_up_s=None))
    assert verdict_of(document, "stood still") == "deviated"


@pytest.mark.parametrize(
    "blind",
    [
        {"unseen": token(40.0, 0.4)}, {"accepted": Refusal(1290, "MySQL error 1290")},
        {"state_after": State("0-1-9", "0-1-9", ())},
    ],
)  # fmt: skip
def test_a_control_that_shows_nothing_leaves_the_run_undecided(tmp_path: Path, blind: dict[str, Any]) -> None:
    document = said(tmp_path, replace(good(), **blind))
    assert document["verdict"] == "inconclusive"
    assert "sees nothing" in document["headline"]


def test_a_stopwatch_that_waited_for_a_processor_decides_nothing(tmp_path: Path) -> None:
    document = said(tmp_path, replace(good(), stopwatch_wait_share=0.2))
    assert document["verdict"] == "inconclusive"
    assert {c["verdict"] for c in document["claims"]} == {"inconclusive"}


def test_a_load_that_was_not_taken_decides_nothing(tmp_path: Path) -> None:
    less = Orders([], {**SUMMARY, "acknowledged": 1500})
    assert said(tmp_path, replace(good(), orders=[less]))["verdict"] == "inconclusive"


def test_a_late_writer_is_a_doubt(tmp_path: Path) -> None:
    late = Orders([], {**SUMMARY, "lateness_ms": {"p50": 1.0, "p99": 30.0, "max": 80.0}})
    document = said(tmp_path, replace(good(), orders=[late]))
    assert document["verdict"] == "held"
    assert document["fidelity"]["verdict"] == "doubtful"


def test_of_what_was_not_reached_nothing_is_said(tmp_path: Path) -> None:
    document = said(tmp_path, Seen(basis=BASIS, idle=tokens(0.4)))
    assert document["claims"] == []
    assert document["controls"] == []
    assert said(tmp_path, Seen())["claims"] == []


def test_the_figure_shows_what_was_never_seen_as_longer_than_the_watch() -> None:
    series = {"no load": tokens(0.4), "control": [token(40.0, None, 1999.0)]}
    figure = figure_replication.draw_lags(series, replication.predict(BASIS), [(12.0, 14.0)])
    left, right = figure.axes
    assert (left.get_xscale(), right.get_yscale()) == ("log", "log")
    labels = right.get_legend_handles_labels()[1]
    assert "control: not seen, longer than this" in labels
    assert not any(line.get_label() == "control" for line in left.lines)
