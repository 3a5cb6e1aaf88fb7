"""Which faults a monitored stage is told of, by which alert, and how each of them is seen at all.

    agent killed    Prometheus is refused                              AgentDown
    nginx killed    its exporter is refused, and says nginx_up 0       NginxDown
    nginx hangs     its exporter gives up, and says nginx_up 0         NginxDown
    host crash      Prometheus waits in vain for the whole host        AgentDown
    slow answers    HAProxy's health check takes too long              SlowAnswers

A hung nginx was chosen over a hung gunicorn: its port stays open and its agent goes on answering, so that
only the agent's own time-out tells. gunicorn has no agent; HAProxy would tell of either in the end.
"""

from __future__ import annotations

from dataclasses import replace

from experiments.faults import Target
from experiments.faults.hang import Hang
from experiments.faults.host_crash import HostCrash
from experiments.faults.process_kill import ProcessKill
from experiments.faults.slow_answers import SlowAnswers
from experiments.harness.alert_trials import Case
from experiments.harness.alerts import Timers, on_the_way, scraped
from experiments.harness.configs import HAProxyServer, parse_haproxy
from experiments.harness.model import Prediction
from experiments.harness.predict import total
from services.alertmanager import Alertmanager
from services.nginx_exporter import NginxExporter
from services.node_exporter import NodeExporter
from services.prometheus import Prometheus
from topologies.stage import Settings, Stage
from topologies.stages import STAGES
from topologies.testbed import Testbed

#: In this order: no fault falls where the last one has just been healed, and the crash comes last.
CASES = ("agent-killed", "nginx-hangs", "nginx-killed", "slow-answers", "host-crash")


def cases(testbed: Testbed) -> list[Case]:
    """One of each, in the order of CASES."""
    stage = testbed.stage
    webs, apps, lb, db = (stage.hosts_of(d) for d in ("nginx", "gunicorn", "haproxy", "mysql"))
    one, other = webs[0], webs[-1]
    exporter = next(s for s in stage.declared[other] if isinstance(s, NginxExporter))
    agent = NodeExporter.name
    # Where every web server asks every application server, a check is slow only if all of them are.
    released = apps if set(apps) != set(webs) else [other]
    slow = {"server": other} if set(apps) == set(webs) else {}
    return [
        Case(
            "agent-killed",
            f"agent killed on {one}",
            (ProcessKill(Target(one, agent)), ProcessKill(Target(db[0], agent))),
            {"alertname": "AgentDown", "job": "node", "host": one},
            ("node", one), "refused", "Prometheus is refused",
            silenced={"alertname": "AgentDown", "job": "node", "host": db[0]},
        ),
        Case(
            "nginx-hangs",
            f"nginx hangs on {other}",
            (Hang(Target(other, "nginx")),),
            {"alertname": "NginxDown", "host": other},
            ("nginx", other), "silent", "its exporter's own time-out", agent_timeout_s=exporter.timeout_s,
        ),
        Case(
            "nginx-killed",
            f"nginx killed on {one}",
            (ProcessKill(Target(one, "nginx")),),
            {"alertname": "NginxDown", "host": one},
            ("nginx", one), "refused", "its exporter is refused", agent_timeout_s=exporter.timeout_s,
        ),
        Case(
            "slow-answers",
            f"slow answers on {', '.join(released)}",
            tuple(SlowAnswers(Target(app, "gunicorn")) for app in released),
            {"alertname": "SlowAnswers", **slow},
            ("haproxy", lb[0]), "refused", "HAProxy's health check, its duration",
            inter_s=check_of(testbed, other).inter_s,
        ),
        Case(
            "host-crash",
            f"{other} crashes",
            (HostCrash(Target(other)),),
            {"alertname": "AgentDown", "job": "node", "host": other},
            ("node", other), "black-hole", "Prometheus's scrape_timeout",
        ),
    ]  # fmt: skip


def check_of(testbed: Testbed, web: str) -> HAProxyServer:
    """The health check of this web server, by the first balancer's rendered configuration."""
    text = testbed.configs[testbed.stage.hosts_of("haproxy")[0]]["haproxy.cfg"]
    return next(s for b in parse_haproxy(text).backends for s in b.servers if s.name == web)


def unwatched(settings: Settings) -> Stage:
    """Stage 1 with the same timers: the same fault, and nobody who watches."""
    plain = Settings()
    return STAGES["1"](
        replace(
            settings, tls=plain.tls, reencrypt=plain.reencrypt, agents=plain.agents,
            firewalls_off=plain.firewalls_off, flows=plain.flows,
        )
    )  # fmt: skip


def if_somebody_watched(settings: Settings) -> Prediction:
    """When stage 2 with the same timers would tell of a killed nginx, as declared."""
    stage = STAGES["2"](settings)
    services = stage.declared[stage.monitors[0]]
    prometheus = next(s for s in services if isinstance(s, Prometheus))
    alertmanager = next(s for s in services if isinstance(s, Alertmanager))
    timers = Timers(
        prometheus.scrape_interval_s, prometheus.scrape_timeout_s, prometheus.evaluation_interval_s,
        prometheus.alert_for_s, alertmanager.group_wait_s,
    )  # fmt: skip
    return total(on_the_way(timers, scraped(timers, "refused")))
