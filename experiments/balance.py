"""A load balancer spreads requests as its algorithm promises (claims 1.1 and 3.3).

sudo python experiments/balance.py     stage 3: roundrobin, leastconn, source; even, weighted, one slow server
"""

from __future__ import annotations

if __name__ == "__main__":
    from _interpreter import hand_over

    hand_over("balance")

import argparse
from argparse import Namespace
from collections.abc import Generator
from contextlib import closing

from experiments.harness import balancing, conduct, options
from experiments.harness.findings import Findings
from experiments.harness.generators import RunningProber, probing
from experiments.harness.model import Event
from experiments.harness.phases import Phase, check_prober, measure
from experiments.harness.progress import Progress
from experiments.harness.run import Run
from experiments.harness.spread import Layout
from experiments.harness.spread_report import BEHIND, EVEN, SLOW_LEAST, SLOW_TURNS, WEIGHTS, Judge
from experiments.harness.standing import standing
from loadtests.prober_config import ProberConfig, StreamConfig
from topologies.host import TRUST_STORE
from topologies.stage import DOMAIN, Stage
from topologies.testbed import Testbed

SENTENCE = "each algorithm spreads requests as it promises"
EXAMPLES = """\
  sudo python experiments/balance.py             two balancers, split roles
  sudo ./testbed balance --stage 1               one balancer, two servers
  sudo ./testbed balance --web-servers 3         thirds
  sudo ./testbed balance --repeat 3              everything three times on one stage
"""
ROUTE = "/health"  # of the application: cheap, so that the two cores measure choices and not load
#: To each address. With DELAY_MS, leastconn's share of the slow server is less than the 5% that p95 shows.
RATE_HZ = 40.0
#: Below the second after which HAProxy's health check gives up: a slow server, not one that is out.
DELAY_MS = 700
CLIENTS = tuple(f"8.8.8.{last}" for last in range(111, 127))


def command_line() -> argparse.ArgumentParser:
    p = options.parser("balance", (__doc__ or "").split("\n")[0], EXAMPLES)
    options.add_common(p, repeat=1)
    p.add_argument(
        "--watch", type=options.number(float, 4, 600), default=8.0, metavar="S",
        help="time measured under each condition (default 8)",
    )  # fmt: skip
    options.add_sizes(p)
    return p


def main(argv: list[str] | None = None) -> int:
    p = command_line()
    chosen = p.parse_args(argv)
    stage = options.stage_of(p, chosen)
    if not stage.hosts_of("haproxy"):
        p.error(f"stage {stage.number} has no load balancer")
    if len(stage.hosts_of("nginx")) < 2 or len(stage.hosts_of("gunicorn")) < 2:
        p.error("there is nothing to choose from: at least two web and two application servers")

    def work(chosen: Namespace, run: Run, progress: Progress) -> int:
        return balance(chosen, run, progress, stage)

    return conduct.conduct("balance", f"balance-stage{stage.number}", chosen, work, stage)


def balance(chosen: Namespace, run: Run, progress: Progress, stage: Stage) -> int:
    """Every algorithm on one running stage, with equal servers, other weights, and one slow server."""
    found = Findings("balance", run, stage, chosen, SENTENCE)
    testbed = None
    layout: Layout | None = None
    phases: dict[str, list[Phase]] = {}
    met: dict[tuple[str, str], set[str]] = {}
    with found.collecting(progress), standing(stage, run, progress) as running:
        testbed, layout = running, balancing.layout_of(running, RATE_HZ, DELAY_MS)
        with probing(testbed.hosts["client1"], prober_config(stage), run.directory) as prober:
            for _ in range(chosen.repeat):
                with closing(conditions(testbed, layout)) as each:
                    for name in each:
                        phases.setdefault(name, []).append(watch(prober, name, chosen.watch, progress))
                        if name == "source":
                            met |= balancing.asked_from_many(
                                testbed, "client1", CLIENTS, stage.site_addresses, 2, ROUTE
                            )
        check_prober(found, [p for each in phases.values() for p in each], prober.summary)
    if layout is not None:
        conclude(found, layout, phases, met)
    events = [Event(p.start_s, "phase", "", name) for name, each in phases.items() for p in each]
    return found.publish(progress, testbed, sorted(events, key=lambda e: e.t_s))


def conditions(testbed: Testbed, layout: Layout) -> Generator[str]:
    """Puts each condition in force and yields its name; when it is asked for the next one, undoes it."""
    for algorithm in EVEN:
        with balancing.algorithm(testbed, algorithm):
            yield algorithm
    with balancing.algorithm(testbed, "roundrobin"), balancing.weighted(testbed, weights(layout)):
        yield WEIGHTS
    with balancing.slowed(testbed, layout.slow_app, DELAY_MS):
        if len(layout.apps) > 1:
            with balancing.algorithm(testbed, "leastconn"):
                yield BEHIND
        with balancing.paired(testbed):
            with balancing.algorithm(testbed, "roundrobin"):
                yield SLOW_TURNS
            with balancing.algorithm(testbed, "leastconn"):
                yield SLOW_LEAST


def watch(prober: RunningProber, name: str, seconds: float, progress: Progress) -> Phase:
    with progress.waiting(f"measuring {name}"):
        phase = measure(prober, name, seconds, progress.say)
    progress.say(f"{name}: {len(phase.probes)} requests" + "".join(f"; {doubt}" for doubt in phase.doubts))
    return phase


def weights(layout: Layout) -> dict[str, int]:
    """The first server counts twice."""
    return {web: 2 if number == 0 else 1 for number, web in enumerate(layout.webs)}


def conclude(
    found: Findings, layout: Layout, phases: dict[str, list[Phase]], met: dict[tuple[str, str], set[str]]
) -> None:
    """Each condition before its prediction; nothing is said of one that was not measured."""
    judge = Judge(found, layout, phases)
    judge.even(split_roles=len(layout.apps) > 1)
    judge.source(met)
    judge.weights(weights(layout))
    judge.behind()
    judge.slow()
    judge.tables()
    judge.figures()
    found.keep("layout", layout)
    found.keep("requests_of_many_clients", {f"{a} to {b}": servers for (a, b), servers in met.items()})


def prober_config(stage: Stage) -> ProberConfig:
    """One stream to each address, so that every balancer is judged by itself; a new connection each time."""
    url = f"{stage.scheme}://{DOMAIN}{ROUTE}"
    return ProberConfig(
        streams=tuple(
            StreamConfig(f"to-{address}", url, RATE_HZ, connect_to=address)
            for address in stage.site_addresses
        ),
        output="/run/testbed/results/probes.csv",
        ca_file=TRUST_STORE,
        timeout_s=3.0,
        slo_s=3.0,  # late answers count here: who gave them is the question
        expect_text="ok",
    )
