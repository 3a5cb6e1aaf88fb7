"""Monitoring collects metrics and logs of every layer, and tells of a fault in time (claims 1.6, 2.3, 2.4).

sudo python experiments/monitoring.py                   stage 2: series, logs, requests/s, five faults; stage 1
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
from experiments.harness import collected, conduct, monitoring_report, options
from experiments.harness.alert_trials import GRACE_S, AlertBench, AlertTrial
from experiments.harness.figure_alerts import draw_alerts
from experiments.harness.findings import Findings
from experiments.harness.generators import probing
from experiments.harness.monitor import Monitor
from experiments.harness.monitoring_cases import cases, if_somebody_watched, unwatched
from experiments.harness.progress import Progress
from experiments.harness.run import Run
from experiments.harness.standing import standing
from experiments.harness.unnoticed import go_unnoticed
from topologies.stage import Stage
from topologies.testbed import Testbed

SENTENCE = "monitoring collects metrics and logs of every layer and tells of a fault within its timers"
EXAMPLES = """\
  sudo python experiments/monitoring.py                            stage 2, each fault once
  sudo ./testbed monitoring --repeat 3 --alert-for 10              … three times, more patience
  sudo ./testbed monitoring --scrape-interval 5 --evaluation-interval 5
  sudo ./testbed monitoring --stage 3
  sudo ./testbed monitoring --stage 1                              nobody watches: the same fault, unnoticed
"""


def command_line() -> argparse.ArgumentParser:
    p = options.parser("monitoring", (__doc__ or "").split("\n")[0], EXAMPLES)
    options.add_common(p, repeat=1, stage="2")
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
        p.error(f"stage {stage.number} has nobody who watches, nor anything to fail over: choose 1, 2 or 3")
    if stage.monitors and not stage.settings.agents:
        p.error("without agents there is nothing to be told: --stage 1 shows what that is like")

    def work(chosen: Namespace, run: Run, progress: Progress) -> int:
        return watch(chosen, run, progress, stage)

    return conduct.conduct("monitoring", f"monitoring-stage{stage.number}", chosen, work, stage)


def watch(chosen: Namespace, run: Run, progress: Progress, stage: Stage) -> int:
    """Look at what is collected, count requests, break things until somebody is told; then where nobody is."""
    found = Findings("monitoring", run, stage, chosen, SENTENCE)
    testbed: Testbed | None = None
    trials: list[AlertTrial] = []
    with found.collecting(progress):
        if stage.monitors:
            with standing(stage, run, progress) as testbed:
                monitor = Monitor(testbed)
                collect(found, testbed, monitor, chosen, progress)
                trials = alert(found, testbed, monitor, chosen, run.seed, progress)
                found.check("wall_clock_moved_ms", 1000 * monitor.clock_moved_s())
        plain, watched_s = nobody_is_told(found, run, progress, stage)
        testbed = testbed or plain
        draw(found, trials, watched_s)
    return found.publish(progress, testbed, monitoring_report.events_of(trials))


def collect(
    found: Findings, testbed: Testbed, monitor: Monitor, chosen: Namespace, progress: Progress
) -> None:
    """Claim 2.3: series, streams, lines, and requests counted four ways; with two controls."""
    stage, last = testbed.stage, testbed.stage.hosts_of("nginx")[-1]
    progress.now("the first scrapes")
    targets, figures = collected.series_found(stage, monitor)
    monitoring_report.say_series(found, targets, figures)
    collected.provoke_denials(testbed, monitor)

    beside = collected.expected_beside(testbed, monitor)
    progress.say(f"{targets.expected} agents answer; counting requests for {chosen.window:g} s")
    load = collected.offer(testbed, monitor, chosen.rate, chosen.window, "counted")
    logs = collected.logs_found(testbed, monitor, load.window.start_s)
    monitoring_report.say_logs(found, logs, collected.polling_s(testbed, last))
    monitoring_report.table_layers(found, stage, targets, logs)
    tally = collected.requests_counted(testbed, monitor, load, beside)
    monitoring_report.say_rates(found, tally, load, beside)

    progress.say(f"controls: few requests, and the log shipper of {last} stopped")
    with collected.shipper_stopped(testbed, last):
        few = collected.offer(testbed, monitor, CONTROL_HZ, CONTROL_S, "control")
        missing = collected.missing_lines(testbed, monitor, last, ("nginx-access",))
    after = collected.logs_found(testbed, monitor)
    monitoring_report.control_rates(found, collected.requests_counted(testbed, monitor, few, beside))
    monitoring_report.control_shipper(found, last, missing, after)


CONTROL_HZ, CONTROL_S = 10.0, 9.0


def alert(
    found: Findings, testbed: Testbed, monitor: Monitor, chosen: Namespace, seed: int, progress: Progress
) -> list[AlertTrial]:
    """Claim 2.4: every fault is told of within the timers in force; a silenced one is the control."""
    settings = testbed.stage.settings
    phase_s = max(settings.scrape_interval_s, settings.evaluation_interval_s, settings.check_inter_s)
    config = collected.prober_config(testbed.stage, ALERT_HZ, "alerts")
    trials: list[AlertTrial] = []
    with probing(testbed.hosts["client1"], config, testbed.results, "alerts") as prober:
        bench = AlertBench(testbed, monitor, prober, random.Random(seed), phase_s)
        monitor.wait_until_calm()
        for case in [case for _ in range(chosen.repeat) for case in cases(testbed)]:
            progress.now(f"{case.title}: who is told, and when")
            trials.append(bench.perform(case))
            progress.say(f"{case.title}: {trials[-1].judged[1]}")
    monitoring_report.say_alerts(found, trials, seed)
    monitoring_report.control_silence(found, trials)
    return trials


ALERT_HZ = 40.0


def nobody_is_told(found: Findings, run: Run, progress: Progress, stage: Stage) -> tuple[Testbed, float]:
    """Claim 1.6: on stage 1 the same fault goes unnoticed for longer than stage 2 would have needed."""
    predicted = if_somebody_watched(stage.settings)
    watch_s = (predicted.high_s or 0.0) + GRACE_S
    plain = unwatched(stage.settings)
    with standing(plain, run, progress, within="" if plain.number == stage.number else "stage1") as testbed:
        fault = ProcessKill(Target(plain.hosts_of("nginx")[-1], "nginx"))
        progress.now(f"stage 1: nginx killed, {watch_s:.0f} s long")
        seen = go_unnoticed(testbed, fault, watch_s, random.Random(run.seed))
    monitoring_report.say_unnoticed(found, seen, predicted)
    return testbed, seen.watched_s


def draw(found: Findings, trials: list[AlertTrial], watched_s: float) -> None:
    """The lanes of all faults on one axis."""
    found.figure(
        "alerts", "From the fault to somebody who knows",
        "Each lane is a fault. Hatched: when the page was predicted, from the timers in force. Where nobody "
        "watches, the arrow has no end: longer than that, and no more is known.",
        "; ".join(f"{t.case.title}: {t.judged[1]}" for t in trials)
        + f"; stage 1: nobody was told in {watched_s:.1f} s",
        lambda: draw_alerts(trials, watched_s),
    )  # fmt: skip
