"""A phase counts what was due in it, and says when it does not count."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from experiments.harness import phases as module
from experiments.harness.generators import RunningProber
from experiments.harness.phases import check_prober, measure, phase_of
from loadtests.probes import Probe
from tests.harness.synthetic_findings import findings
from tests.harness.synthetic_spread import probe


def test_a_probe_belongs_to_the_phase_it_was_due_in() -> None:
    rows = [probe(k, "lb1>web1>app1", took_s=3.0) for k in (7, 3, 4, 0)]
    assert [p.k for p in phase_of("", 100 + 3 / 40, 100 + 7 / 40, rows).probes] == [3, 4]


def test_good_probes_in_time_raise_no_doubt() -> None:
    assert module.unfit([probe(k, "lb1>web1>app1", late_s=0.004) for k in range(100)]) == ()


def test_a_late_prober_spoils_a_phase() -> None:
    (doubt,) = module.unfit([probe(k, "lb1>web1>app1", late_s=0.009) for k in range(100)])
    assert doubt == "probe lateness p99 9.0 ms > 5 ms"


def test_a_probe_that_failed_spoils_a_phase() -> None:
    rows = [probe(k, "lb1>web1>app1") for k in range(8)]
    rows += [probe(8, "", outcome="refused"), probe(9, "", outcome="refused"), probe(10, "", outcome="tls")]
    assert module.unfit(rows) == ("3 of 11 probes failed (2 refused, 1 tls)",)
    assert module.unfit([]) == ("no probe was answered",)


class Played:
    """A prober whose rows come in batches, one for each time it is asked."""

    def __init__(self, *late_s: float) -> None:
        self.late_s = list(late_s)

    def probes(self) -> list[Probe]:
        late_s = self.late_s.pop(0)
        return [probe(k, "lb1>web1>app1", late_s=late_s) for k in range(400)]


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "observe_until", lambda _s: None)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: 100.0))


@pytest.mark.usefixtures("no_waiting")
def test_what_does_not_count_is_measured_again() -> None:
    said: list[str] = []
    prober = Played(0.02, 0.001, 0.001)
    assert measure(cast("RunningProber", prober), "even", 4.0, said.append).doubts == ()
    assert said == ["even does not count and is measured again: probe lateness p99 20.0 ms > 5 ms"]
    assert len(prober.late_s) == 1


@pytest.mark.usefixtures("no_waiting")
def test_what_never_counts_is_not_measured_for_ever() -> None:
    prober = Played(0.02, 0.03, 0.04, 0.05)
    phase = measure(cast("RunningProber", prober), "even", 4.0, lambda _text: None)
    assert phase.doubts == ("probe lateness p99 40.0 ms > 5 ms",)
    assert len(phase.probes) == 160


def published(found: Any, directory: Path) -> dict[str, Any]:
    import json

    from experiments.harness.progress import Progress

    found.publish(Progress(quiet=True), None)
    document: dict[str, Any] = json.loads((directory / "result.json").read_text())
    return document


def test_a_prober_that_waited_for_a_processor_is_a_doubt(tmp_path: Path) -> None:
    found = findings(tmp_path)
    phase = phase_of("even", 100.0, 104.0, [probe(k, "lb1>web1>app1", late_s=0.001) for k in range(160)])
    check_prober(found, [phase], {"run_queue_wait_share": 0.2})
    fidelity = published(found, tmp_path)["fidelity"]
    assert fidelity["probe_lateness_p99_ms"] == pytest.approx(1.0)
    assert fidelity["reasons"] == ["the prober waited for a CPU 20.0% of the time"]
