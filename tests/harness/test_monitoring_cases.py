"""Every fault hits the stage it is meant for, and waits for an alert that is among its rules."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import cast

import pytest

from experiments import monitoring
from experiments.harness.alert_trials import Case
from experiments.harness.alerts import LATE_S
from experiments.harness.model import EXIT_USAGE
from experiments.harness.monitoring_cases import CASES, cases, if_somebody_watched, unwatched
from experiments.harness.unnoticed import watchers
from services.credentials import Secrets
from services.haproxy import CONFIGURATION
from services.prometheus import RULES, Prometheus
from topologies.flows import parse_flow
from topologies.stage import Settings
from topologies.stages import STAGES
from topologies.testbed import Testbed

SECRETS = Secrets()


def rendered(number: str, **settings: float) -> tuple[Testbed, list[Case]]:
    """A stage as it is rendered, without anything of it running."""
    stage = STAGES[number](Settings(**settings))  # type: ignore[arg-type]
    balancers = {
        host: {"haproxy.cfg": service.render(SECRETS)[CONFIGURATION].text}
        for host in stage.hosts_of("haproxy")
        for service in stage.declared[host]
        if service.name == "haproxy"
    }
    testbed = cast(Testbed, SimpleNamespace(stage=stage, configs=balancers))
    return testbed, cases(testbed)


@pytest.mark.parametrize("number", ["2", "3"])
def test_every_case_is_a_fault_of_something_that_runs_there(number: str) -> None:
    testbed, found = rendered(number)
    assert tuple(case.name for case in found) == CASES
    for case in found:
        for fault in case.faults:
            assert type(fault).aim(fault.target, testbed.stage) == fault


@pytest.mark.parametrize("number", ["2", "3"])
def test_every_case_waits_for_an_alert_that_there_is_about_a_target_that_is_scraped(number: str) -> None:
    testbed, found = rendered(number)
    stage = testbed.stage
    prometheus = next(s for s in stage.declared["monitor1"] if isinstance(s, Prometheus))
    alerts = re.findall(r"alert: (\w+)", prometheus.render(SECRETS)[RULES].text)
    for case in found:
        assert case.alert in alerts
        assert case.scraped in {(t.job, t.host) for t in prometheus.targets}


def test_where_every_web_server_asks_every_application_server_all_of_them_get_the_release() -> None:
    (slow,) = (case for case in rendered("3")[1] if case.name == "slow-answers")
    assert [str(fault.target) for fault in slow.faults] == ["app1/gunicorn", "app2/gunicorn"]
    assert "server" not in slow.labels
    (slow,) = (case for case in rendered("2")[1] if case.name == "slow-answers")
    assert [str(fault.target) for fault in slow.faults] == ["server2/gunicorn"]
    assert slow.labels["server"] == "server2"


def test_the_health_checks_interval_is_the_rendered_one() -> None:
    (slow,) = (case for case in rendered("2", check_inter_s=0.5)[1] if case.name == "slow-answers")
    assert (slow.inter_s, slow.slow_s) == (0.5, 0.3)


def test_the_silenced_twin_is_hit_by_the_same_fault() -> None:
    (killed,) = (case for case in rendered("3")[1] if case.silenced)
    assert killed.silenced is not None
    assert killed.silenced["host"] in {fault.target.host for fault in killed.faults}
    assert killed.silenced["host"] != killed.labels["host"]


def test_stage_1_keeps_the_timers_and_drops_what_it_does_not_have() -> None:
    settings = Settings(
        check_inter_s=0.5, reencrypt=True, firewalls_off=("lb",), flows=(parse_flow("client1>lb1:tcp/81"),)
    )
    stage = unwatched(settings)
    assert (stage.number, stage.settings.check_inter_s, stage.settings.flows) == ("1", 0.5, ())
    assert watchers(stage) == ()


def test_stage_2_would_tell_within_its_declared_timers() -> None:
    predicted = if_somebody_watched(Settings())
    assert (predicted.low_s, predicted.high_s) == (4.0, 8.0 + LATE_S)
    patient = if_somebody_watched(Settings(alert_for_s=60.0, scrape_interval_s=15.0))
    assert (patient.low_s, patient.high_s) == (60.0, 77.0 + LATE_S)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--stage", "0"], "stage 0 is one server, and nobody watches it: choose 1, 2 or 3"),
        (["--no-agents"], "--stage 1 shows what that is like"),
        (["--fault", "earthquake"], "earthquake"),
        (["--window", "1"], "10 to 300"),
    ],
)
def test_what_cannot_be_watched_is_a_usage_error_of_one_line(
    options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        monitoring.main(options)
    said = capsys.readouterr().err
    assert refused.value.code == EXIT_USAGE
    assert complaint in said
    assert said.count("\n") == 1
