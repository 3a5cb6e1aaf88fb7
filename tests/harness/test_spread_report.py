"""What balance says of phases whose truth is known: held, deviated, undecided, never more than measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from experiments.harness import figure_spread, spread
from experiments.harness.phases import Phase, phase_of
from experiments.harness.progress import Progress
from experiments.harness.spread_report import BEHIND, SLOW_LEAST, SLOW_TURNS, WEIGHTS, Judge
from tests.harness.synthetic_findings import findings
from tests.harness.synthetic_spread import LAYOUT, phase, probe, turns

SLOW = {"web2": 0.705}
#: one request in 28 to the slow server, then one in 30: inside of what is predicted for 0.7 s at 40/s
AVOIDING = ["lb1>web2>app2" if k % 30 == 29 else "lb1>web1>app1" for k in range(320)]
MET = {("8.8.8.111", "8.8.8.8"): {"web1"}, ("8.8.8.112", "8.8.8.8"): {"web2"}}
WEIGHTED = ["lb1>web1>app1", "lb1>web2>app1", "lb1>web1>app2"] * 100


def all_phases() -> dict[str, list[Phase]]:
    return {
        "roundrobin": [phase("roundrobin", turns())],
        "leastconn": [phase("leastconn", turns())],
        "source": [phase("source", ["lb1>web2>app1", "lb2>web2>app2"] * 100)],
        WEIGHTS: [phase(WEIGHTS, WEIGHTED)],
        BEHIND: [phase(BEHIND, turns(), {"app2": 0.705})],
        SLOW_TURNS: [phase(SLOW_TURNS, turns(), SLOW)],
        SLOW_LEAST: [phase(SLOW_LEAST, AVOIDING, SLOW)],
    }


def said(directory: Path, phases: dict[str, list[Phase]], met: dict[Any, set[str]] | None = None) -> Any:
    """result.json of what the judge makes of these."""
    found = findings(directory, as_json=True)
    judge = Judge(found, LAYOUT, phases)
    judge.even(split_roles=True)
    judge.source(MET if met is None else met)
    judge.weights({"web1": 2, "web2": 1})
    judge.behind()
    judge.slow()
    judge.tables()
    found.publish(Progress(quiet=True), None)
    return json.loads((directory / "result.json").read_text())


def verdicts(document: Any) -> list[tuple[str, str]]:
    return [(c["id"], c["verdict"]) for c in document["claims"]]


def test_a_balancer_that_keeps_its_promises_holds(tmp_path: Path) -> None:
    document = said(tmp_path, all_phases())
    assert document["verdict"] == "held", document["headline"]
    assert verdicts(document) == [("3.3", "held")] * 2 + [("1.1", "held")] * 6
    assert [c["deviated"] for c in document["controls"]] == [True, True]
    assert len(document["tables"][0]["rows"]) == 14  # every choice of every condition


def test_weights_that_nobody_declared_deviate(tmp_path: Path) -> None:
    phases = {**all_phases(), "roundrobin": [phase("roundrobin", WEIGHTED)]}
    document = said(tmp_path, phases)
    assert document["verdict"] == "deviated"
    assert verdicts(document)[0] == ("3.3", "deviated")


def test_weights_that_did_not_come_into_force_leave_the_instrument_blind(tmp_path: Path) -> None:
    document = said(tmp_path, {**all_phases(), WEIGHTS: [phase(WEIGHTS, turns())]})
    assert document["verdict"] == "inconclusive"
    assert "sees nothing" in document["headline"]


def test_balancers_that_send_one_client_to_two_servers_deviate(tmp_path: Path) -> None:
    phases = {**all_phases(), "source": [phase("source", ["lb1>web2>app1", "lb2>web1>app1"] * 100)]}
    document = said(tmp_path, phases)
    assert ("1.1", "deviated") in verdicts(document)
    again = said(tmp_path, all_phases(), {**MET, ("8.8.8.113", "8.8.8.8"): {"web1", "web2"}})
    assert ("1.1", "deviated") in verdicts(again)


def test_many_clients_on_one_server_are_no_control(tmp_path: Path) -> None:
    document = said(tmp_path, all_phases(), {key: {"web1"} for key in MET})
    assert document["verdict"] == "inconclusive"


@pytest.mark.parametrize("every", [2, 10, 200])
def test_leastconn_that_sends_too_much_or_too_little_to_the_slow_one_deviates(
    tmp_path: Path, every: int
) -> None:
    ways = ["lb1>web2>app2" if k % every == every - 1 else "lb1>web1>app1" for k in range(320)]
    document = said(tmp_path, {**all_phases(), SLOW_LEAST: [phase(SLOW_LEAST, ways, SLOW)]})
    (claim,) = (c for c in document["claims"] if "Little" in c["sentence"])
    assert claim["verdict"] == "deviated"


def test_the_gain_is_the_ratio_of_the_two_p95(tmp_path: Path) -> None:
    claim = said(tmp_path, all_phases())["claims"][-1]
    assert claim["measured"]["median"] == pytest.approx(0.705 / 0.005)
    assert claim["predicted"]["low"] == pytest.approx(28)


def test_leastconn_that_wins_nothing_deviates(tmp_path: Path) -> None:
    phases = {**all_phases(), SLOW_LEAST: [phase(SLOW_LEAST, turns(), SLOW)]}
    claim = said(tmp_path, phases)["claims"][-1]
    assert claim["verdict"] == "deviated"
    assert claim["measured"]["median"] == pytest.approx(1.0)


def test_a_slow_server_that_is_not_slow_shows(tmp_path: Path) -> None:
    document = said(tmp_path, {**all_phases(), BEHIND: [phase(BEHIND, turns())]})
    (claim,) = (c for c in document["claims"] if "further" in c["sentence"])
    assert claim["verdict"] == "deviated"


def test_a_phase_that_does_not_count_decides_nothing(tmp_path: Path) -> None:
    late = [probe(k, way, late_s=0.02) for k, way in enumerate(WEIGHTED)]
    document = said(tmp_path, {**all_phases(), "roundrobin": [phase_of("roundrobin", 100.0, 108.0, late)]})
    assert verdicts(document)[:2] == [("3.3", "inconclusive")] * 2
    assert "lateness" in document["claims"][0]["reason"]


def test_fast_servers_that_are_not_fast_leave_no_prediction(tmp_path: Path) -> None:
    slow = phase("leastconn", turns(), {"web1": 0.2, "web2": 0.2})
    document = said(tmp_path, {**all_phases(), "leastconn": [slow]})
    (claim,) = (c for c in document["claims"] if "Little" in c["sentence"])
    assert claim["verdict"] == "inconclusive"
    assert "no prediction" in claim["reason"]


def test_of_what_was_not_measured_nothing_is_said(tmp_path: Path) -> None:
    document = said(tmp_path, {"roundrobin": all_phases()["roundrobin"]}, {})
    assert verdicts(document) == [("3.3", "held"), ("3.3", "held")]
    assert document["controls"] == []
    assert said(tmp_path, {}, {})["claims"] == []


def test_the_figures_show_every_choice_and_every_condition() -> None:
    choices = spread.web_choices(LAYOUT, phase("roundrobin", turns()), "roundrobin")
    figure = figure_spread.draw_shares([("even", choices), ("again", choices)])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["lb1", "lb2", "lb1", "lb2"]
    assert {t.get_text() for t in axes.texts} == {"even", "again"}
    (axes,) = figure_spread.draw_latencies({"a": [0.1, 0.2], "b": [0.7], "c": []}, 0.7).axes
    assert [line.get_label() for line in axes.lines][:2] == ["a", "b"]
    assert axes.get_xscale() == "log"
