"""From literal trials to result.json: every verdict, exit code and sentence, and the keys that DESIGN has."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from experiments.harness import conclusion
from experiments.harness.conclusion import Conclusion
from experiments.harness.model import Event, Prediction, Trial
from experiments.harness.progress import Progress
from experiments.harness.run import Run
from experiments.harness.trials import Plan
from loadtests.probes import Probe
from tests.harness.synthetic_trial import FOREVER, NONE, PERIOD_S, VRRP, events, trial
from topologies.stage3_scaleup import Stage3
from topologies.testbed import Testbed

CLAIM = ("3.1", "a load balancer cluster fails over")
STARVED = ("probe lateness p99 9.0 ms > 5 ms: the prober itself was starved",)
Conduct = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def conduct(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Conduct:
    """Conduct a run of `repeat` whose trials come out as given; returns its exit code and result.json."""

    def run(
        outcomes: Sequence[Trial | type[KeyboardInterrupt]], *, repeat: int = 3, draw: bool = False,
        as_json: bool = True, prediction: Prediction = VRRP,
    ) -> tuple[int, dict[str, Any]]:  # fmt: skip
        coming = iter(outcomes)
        rows: list[Probe] = []

        def perform(_plan: Plan, _number: int) -> Trial:
            outcome = next(coming)
            if isinstance(outcome, type):
                raise outcome
            return outcome

        def evaluate(_plan: Plan, number: int, came_out: Trial, _rows: Sequence[Probe]) -> Trial:
            return replace(came_out, number=number)

        monkeypatch.setattr(conclusion, "perform", perform)
        monkeypatch.setattr(conclusion, "evaluate", evaluate)
        if not draw:
            monkeypatch.setattr(Conclusion, "_draw", lambda _self, _report: None)
        chosen = Namespace(json=as_json, repeat=repeat, results=str(tmp_path), seed=7, fault="host-crash")
        made = Conclusion("failover", Run("r1", tmp_path, 7), Stage3(), chosen, CLAIM, PERIOD_S)
        made.prober = {"run_queue_wait_share": 0.01}
        rows += trial(1)[1]
        plan = SimpleNamespace(prediction=prediction, prober=SimpleNamespace(probes=lambda: rows))
        made.conduct_trials(cast(Plan, plan), repeat, Progress(quiet=True))
        ready = SimpleNamespace(where="haproxy on lb1", ready_after_s=0.5)
        testbed = SimpleNamespace(timings={"bring-up": 2.0}, daemons=[ready])
        said = [e for t in outcomes if isinstance(t, Trial) for e in (*events(t), failed_back(t))]
        status = made.publish(said, cast(Testbed, testbed), Progress(quiet=True))
        return status, strictly(capsys.readouterr().out) if as_json else {}

    return run


def strictly(text: str) -> dict[str, Any]:
    """One JSON document, and nothing that only Python's reader accepts."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    document: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return document


def failed_back(t: Trial) -> Event:
    """Between trials lb1 has its address again."""
    return Event(t.end_s + 1, "vip-up", "lb1", "8.8.8.8")


def good(number: int = 1, outage_s: float | None = 3.1) -> Trial:
    return trial(number, outage_s)[0]


def deviating() -> Trial:
    return replace(good(outage_s=4.9), verdict="deviated")


def spoiled() -> Trial:
    return replace(good(), fidelity=STARVED, verdict="inconclusive")


# -- verdicts and exit codes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "verdict", "status", "headline"),
    [
        ([good(1, 2.8), good(2, 3.1), good(3, 3.4)], "held", 0, "measured 2.8"),
        ([good(), deviating(), good()], "deviated", 1, "measured 3.1"),
        ([spoiled()] * 4, "inconclusive", 4, "no trial counts"),
        ([good(), KeyboardInterrupt], "inconclusive", 130, "interrupted after 1 of 3 trials"),
        ([KeyboardInterrupt], "inconclusive", 130, "interrupted after 0 of 3 trials"),
    ],
)
def test_the_trials_decide_verdict_exit_code_and_headline(
    conduct: Conduct, outcomes: list[Any], verdict: str, status: int, headline: str
) -> None:
    ended, document = conduct(outcomes)
    assert (ended, document["verdict"]) == (status, verdict)
    assert document["headline"].startswith(verdict)
    assert headline in document["headline"]


def test_a_run_that_is_no_recovery_by_prediction_says_so(conduct: Conduct) -> None:
    censored = replace(trial(1, None)[0], prediction=FOREVER)
    status, document = conduct([censored], repeat=1, prediction=FOREVER)
    (row,) = document["trials"]
    assert status == 0
    assert (row["outage_s"], row["outage_upper_s"], row["recovered"]) == (None, None, False)
    assert row["outage_lower_s"] == pytest.approx(8.0, abs=0.02)
    assert row["predicted_s"] == [FOREVER.low_s, None]
    claim = document["claims"][0]
    assert claim["measured"]["median"] is None
    assert claim["predicted"]["high"] is None
    assert "no recovery in 1 of 1 trials (> 8.0 s); predicted: until it is healed" in document["headline"]


def test_the_control_says_that_nothing_was_predicted_and_nothing_seen(conduct: Conduct) -> None:
    control = trial(1, 0, fault="none", prediction=NONE)[0]
    status, document = conduct([control], repeat=1, prediction=NONE)
    assert status == 0
    (row,) = document["trials"]
    assert (row["outage_s"], row["outage_lower_s"], row["outage_upper_s"], row["recovered"]) == (
        0,
        0,
        0,
        True,
    )
    assert document["headline"].endswith("no outage in 1 of 1 trials; predicted: none")


# -- trials that do not count ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcomes", "repeat", "performed", "verdict", "fidelity"),
    [
        ([good(), spoiled(), good(), good()], 3, 4, "held", "doubtful"),
        ([spoiled(), good()], 1, 2, "held", "doubtful"),
        ([spoiled(), spoiled()], 1, 2, "inconclusive", "fail"),
        ([spoiled()] * 4, 3, 4, "inconclusive", "fail"),
        ([good(), good(), good()], 3, 3, "held", "pass"),
    ],
)
def test_a_trial_that_does_not_count_is_repeated_but_not_for_ever(
    conduct: Conduct, outcomes: list[Any], repeat: int, performed: int, verdict: str, fidelity: str
) -> None:
    # One more would be one too many: there is none, and asking for it would fail.
    _, document = conduct(outcomes, repeat=repeat)
    assert [t["number"] for t in document["trials"]] == list(range(1, performed + 1))
    assert (document["verdict"], document["fidelity"]["verdict"]) == (verdict, fidelity)
    assert document["fidelity"]["reasons"] == ([] if fidelity == "pass" else list(STARVED))


def test_a_prober_that_waited_for_the_processor_is_a_reason_for_doubt(
    conduct: Conduct, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Conclusion.publish

    def starved(self: Conclusion, *rest: Any) -> int:
        self.prober = {"run_queue_wait_share": 0.2}
        return publish(self, *rest)

    monkeypatch.setattr(Conclusion, "publish", starved)
    _, document = conduct([good()], repeat=1)
    assert document["fidelity"]["verdict"] == "doubtful"
    assert document["fidelity"]["reasons"] == ["the prober waited for a CPU 20.0% of the time"]


# -- result.json -------------------------------------------------------------------------------------


def test_result_json_has_the_keys_that_design_promises(conduct: Conduct, tmp_path: Path) -> None:
    _, document = conduct([good()], repeat=1)
    assert document == strictly((tmp_path / "result.json").read_text())
    assert (document["schema"], document["experiment"], document["stage"]) == (1, "failover", "3")
    assert list(document) == [
        "schema", "experiment", "stage", "verdict", "headline", "claims", "trials", "fidelity", "timings_s",
        "run", "results_dir",
    ]  # fmt: skip
    first, second = document["claims"]
    assert (first["id"], first["sentence"], second["id"]) == (*CLAIM, "3.4")
    assert list(first) == ["id", "sentence", "predicted", "measured", "verdict", "reason"]
    assert first["predicted"] == {"low": VRRP.low_s, "high": VRRP.high_s, "unit": "s"}
    assert list(first["measured"]) == ["median", "low", "high", "n", "unit"]
    (row,) = document["trials"]
    assert list(row) == [
        "number", "fault", "target", "predicted_s", "because", "outage_s", "outage_lower_s", "outage_upper_s",
        "recovered", "sent", "lost", "errors", "phases", "verdict", "fidelity", "failback", "streams",
        "window_s",
    ]  # fmt: skip
    assert (row["fault"], row["target"], row["predicted_s"]) == ("host-crash", "lb1", [2.61, 3.61])
    assert row["outage_lower_s"] <= row["outage_s"] <= row["outage_upper_s"]
    assert sum(row["errors"].values()) == row["lost"] <= row["sent"]
    assert list(row["phases"]) == ["detect_s", "switch_s", "serve_s"]
    assert {"verdict", "reasons", "probe_lateness_p99_ms"} <= document["fidelity"].keys()
    assert {"id", "argv", "commit", "dirty", "versions", "seed"} <= document["run"].keys()
    assert document["run"]["parameters"]["advert_int_s"] == 1.0
    assert "results" not in document["run"]["parameters"]
    assert document["timings_s"] == {"bring-up": 2.0, "ready": {"haproxy on lb1": 0.5}}


def test_without_json_the_terminal_gets_the_verdict_and_where_to_look(
    conduct: Conduct, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    conduct([good()], repeat=1, as_json=False)
    verdict, report = capsys.readouterr().out.splitlines()
    assert verdict.startswith("held: a load balancer cluster fails over — measured 3.1")
    assert verdict.endswith("predicted 2.610–3.610 s")
    assert report == "./report.html"


def test_everything_that_belongs_to_a_run_lies_beside_its_result(conduct: Conduct, tmp_path: Path) -> None:
    (tmp_path / "locust").mkdir()
    (tmp_path / "locust" / "requests.csv").write_text("end_s\n")
    conduct([good()], repeat=1, draw=True)
    names = {p.name for p in tmp_path.iterdir()}
    pictures = {f"{name}.{kind}" for name in ("failover", "trials", "classroom") for kind in ("svg", "png")}
    assert {"result.json", "events.csv", "requests.csv", "report.html"} | pictures <= names
    assert not [name for name in names if name.startswith(".")]


def test_a_run_that_ended_before_its_first_trial_has_a_page_that_says_so(
    conduct: Conduct, tmp_path: Path
) -> None:
    status, _ = conduct([KeyboardInterrupt], draw=True)
    assert status == 130
    assert "interrupted after 0 of 3 trials" in (tmp_path / "report.html").read_text()


def test_losing_patience_with_the_drawing_loses_no_trial(
    conduct: Conduct, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Conclusion, "_figures", give_up)
    status, document = conduct([good()], repeat=1, draw=True)
    assert (status, document["verdict"]) == (130, "held")
    assert document == strictly((tmp_path / "result.json").read_text())


@pytest.mark.parametrize(
    ("outages_s", "drawn"),
    [((3.4, 2.8, 3.1), 3.1), ((2.8, None, 3.4), 3.4), ((0, 3.0), 0.0), ((None,), None)],
)
def test_the_trial_that_is_drawn_large_has_the_median_outage(
    outages_s: tuple[float | None, ...], drawn: float | None
) -> None:
    outage = conclusion.representative([good(n, o) for n, o in enumerate(outages_s, 1)]).headline.outage
    measured = 0.0 if outage is None else outage.outage_s
    assert measured == (drawn if drawn is None else pytest.approx(drawn, abs=0.04))
