"""Trials of alerts that nobody ever saw, for the tests of what is made of them."""

from __future__ import annotations

from dataclasses import replace

from experiments.faults import Target
from experiments.faults.process_kill import ProcessKill
from experiments.faults.slow_answers import SlowAnswers
from experiments.harness.alert_trials import AlertTrial, Case
from experiments.harness.model import Prediction
from loadtests.probes import Probe

KILLED = Case(
    "nginx-killed", "nginx killed on web1", (ProcessKill(Target("web1", "nginx")),),
    {"alertname": "NginxDown", "host": "web1"}, ("nginx", "web1"), "refused", "its exporter is refused",
)  # fmt: skip
SLOW = Case(
    "slow-answers", "slow answers on app1, app2",
    (SlowAnswers(Target("app1", "gunicorn")), SlowAnswers(Target("app2", "gunicorn"))),
    {"alertname": "SlowAnswers"}, ("haproxy", "lb1"), "refused", "HAProxy's health check", inter_s=2.0,
)  # fmt: skip
SILENCED = replace(
    KILLED, name="agent-killed", title="agent killed on web1",
    silenced={"alertname": "AgentDown", "host": "db1"},
)  # fmt: skip


def trial(case: Case = KILLED, *, told_after_s: float | None = 6.0, began_s: float = 100.0) -> AlertTrial:
    told_s = None if told_after_s is None else began_s + told_after_s
    return AlertTrial(
        case, Prediction(4.0, 8.25, "scrape U(0,2); …"), began_s, began_s,
        first_bad_s=began_s + 1.0, pending_s=began_s + 1.9,
        firing_s=None if told_s is None else told_s - 0.02, told_s=told_s, healed_s=began_s + 9.0,
        also_told=("BackendDown web1",), sent=200, lost=3,
        silent_fired=bool(case.silenced), silent_told=False,
    )  # fmt: skip


def probe(sent_s: float, takes_s: float, by: str = "lb1>web1>app1") -> Probe:
    return Probe(
        "by-name", 0, sent_s, sent_s, sent_s, sent_s + takes_s, sent_s + takes_s, "ok", 200, "8.8.8.8", by
    )
