"""Monitoring collects metrics and logs of every layer, and tells of a fault in time (claims 1.6, 2.3, 2.4).

sudo python experiments/monitoring.py               stage 2: series, logs, requests/s, five faults; stage 1
"""

from __future__ import annotations

if __name__ == "__main__":
    from _interpreter import hand_over

    hand_over("monitoring")

import argparse
import random
from argparse import Namespace

from experiments.faults import Target
from experiments.faults.process_kill import ProcessKill
from experiments.harness import alert_report, collected, conduct, options
from experiments.harness import monitoring_report as report
from experiments.harness.alert_trials import GRACE_S, AlertBench, AlertTrial
from experiments.harness.findings import Findings
from experiments.harness.generators import probing
from experiments.harness.monitor import Monitor
from experiments.harness.monitoring_cases import CASES, cases, if_somebody_watched, unwatched
from experiments.harness.progress import Progress
from experiments.harness.run import Run
from experiments.harness.standing import standing
from experiments.harness.unnoticed import go_unnoticed
from topologies.stage import Stage
from topologies.testbed import Testbed

SENTENCE = "monitoring collects metrics and logs of every layer and tells of a fault within its timers"
EXAMPLES = """\
  sudo python experiments/monitoring.py                        stage 2, each fault once
  sudo ./testbed monitoring --repeat 3 --fault slow-answers    one fault, three times
  sudo ./testbed monitoring --scrape-interval 5 --evaluation-interval 5 --alert-for 10
  sudo ./testbed monitoring --stage 3
  sudo ./testbed monitoring --stage 1                          nobody watches: the same fault, unnoticed
"""
CONTROL_HZ, CONTROL_S = 10.0, 9.0  # so few requests that checks and scrapes matter
ALERT_HZ = 40.0  # requests while things break: they time the first slow answer


def command_line() -> argparse.ArgumentParser:
    p = options.parser("monitoring", (__doc__ or "").split("\n")[0], EXAMPLES)
    options.add_common(p, repeat=1, stage="2")
    p.add_argument(
        "--fault", action="append", choices=CASES, metavar="FAULT",
        help=f"one of {', '.join(CASES)} (may be repeated; default: each of them)",
    )  # fmt: skip
    p.add_argument(
        "--rate", type=options.number(float, 20, 200), default=60.0, metavar="HZ",
        help="requests/s while they are counted (default 60)",
    )  # fmt: skip
    p.add_argument(
        "--window", type=options.number(float, 10, 300), default=24.0, metavar="S",
        help="how long they are counted (default 24)",
    )  # fmt: skip
    options.add_sizes(p)
    return p


def main(argv: list[str] | None = None) -> int:
    p = command_line()
    chosen = p.parse_args(argv)
    stage = options.stage_of(p, chosen)
    if not stage.hosts_of("haproxy"):
        p.error(f"stage {stage.number} is one server, and nobody watches it: choose 1, 2 or 3")
    if stage.monitors and not stage.settings.agents:
        p.error("without agents nobody is told of anything: --stage 1 shows what that is like")

    def work(chosen: Namespace, run: Run, progress: Progress) -> int:
        return watch(chosen, run, progress, stage)

    return conduct.conduct("monitoring", f"monitoring-stage{stage.number}", chosen, work, stage)


def watch(chosen: Namespace, run: Run, progress: Progress, stage: Stage) -> int:
    """Look at what is collected, break things until somebody is told, and then where nobody is."""
    found = Findings("monitoring", run, stage, chosen, SENTENCE)
    testbed: Testbed | None = None
    trials: list[AlertTrial] = []
    with found.collecting(progress):
        if stage.monitors:
            with standing(stage, run, progress) as testbed:
                monitor = Monitor(testbed)
                collect(found, testbed, monitor, chosen, progress)
                alert(found, testbed, monitor, chosen, trials, progress)
                report.check_clock(found, monitor.clock_moved_s())
        testbed = nobody_is_told(found, run, progress, stage, trials) or testbed
    return found.publish(progress, testbed, alert_report.events_of(trials))


def collect(
    found: Findings, testbed: Testbed, monitor: Monitor, chosen: Namespace, progress: Progress
) -> None:
    """Claim 2.3: series, streams, lines, and requests counted four ways; with two controls."""
    stage, last = testbed.stage, testbed.stage.hosts_of("nginx")[-1]
    three_scrapes_s = 3 * stage.settings.scrape_interval_s
    progress.now("the first scrapes")
    targets, figures = collected.series_found(stage, monitor)
    report.say_series(found, targets, figures)
    collected.provoke_denials(testbed, monitor)

    beside = collected.expected_beside(testbed, monitor)
    progress.say(f"{targets.expected} agents are asked; counting requests for {chosen.window:g} s")
    load = collected.offer(testbed, monitor, chosen.rate, max(chosen.window, three_scrapes_s), "counted")
    logs = collected.logs_found(testbed, monitor, load.window.start_s)
    report.say_logs(found, logs, collected.polling_s(testbed, last))
    report.table_layers(found, stage, targets, logs)
    report.say_rates(found, collected.requests_counted(testbed, monitor, load, beside), load, beside)

    progress.say(f"controls: few requests, and the log shipper of {last} stopped")
    with collected.shipper_stopped(testbed, last):
        few = collected.offer(testbed, monitor, CONTROL_HZ, max(CONTROL_S, three_scrapes_s), "control")
        missing = collected.missing_lines(testbed, monitor, last, "nginx-access")
    report.control_shipper(found, last, missing, collected.logs_found(testbed, monitor))
    report.control_rates(found, collected.requests_counted(testbed, monitor, few, beside))


def alert(
    found: Findings, testbed: Testbed, monitor: Monitor, chosen: Namespace, trials: list[AlertTrial],
    progress: Progress,
) -> None:  # fmt: skip
    """Claim 2.4: somebody is told of every fault within the timers in force. Control: one is silenced."""
    settings = testbed.stage.settings
    phase_s = max(settings.scrape_interval_s, settings.evaluation_interval_s, settings.check_inter_s)
    config = collected.prober_config(testbed.stage, ALERT_HZ, "alerts")
    wanted = [case for case in cases(testbed) if case.name in (chosen.fault or CASES)]
    with probing(testbed.hosts["client1"], config, testbed.results, "alerts") as prober:
        bench = AlertBench(testbed, monitor, prober, random.Random(chosen.seed), phase_s)
        monitor.wait_until_calm()
        try:
            for case in wanted * chosen.repeat:
                progress.now(f"{case.title}: who is told, and when")
                trials.append(bench.perform(case))
                progress.say(f"{case.title}: {trials[-1].judged[1]}")
        finally:
            alert_report.say_alerts(found, trials, chosen.seed)


def nobody_is_told(
    found: Findings, run: Run, progress: Progress, stage: Stage, trials: list[AlertTrial]
) -> Testbed | None:
    """Claim 1.6: on stage 1 the same fault goes unnoticed for longer than stage 2 would have needed.

    Returns its testbed where it was the only one.
    """
    predicted, plain = if_somebody_watched(stage.settings), unwatched(stage.settings)
    watch_s = (predicted.high_s or 0.0) + GRACE_S
    alone = plain.number == stage.number
    with standing(plain, run, progress, within="" if alone else "stage1") as testbed:
        fault = ProcessKill(Target(plain.hosts_of("nginx")[-1], "nginx"))
        progress.now(f"stage 1: nginx killed for {watch_s:.1f} s")
        seen = go_unnoticed(testbed, fault, watch_s, random.Random(run.seed))
    alert_report.say_unnoticed(found, seen, predicted)
    alert_report.draw(found, trials, seen)
    return testbed if alone else None
