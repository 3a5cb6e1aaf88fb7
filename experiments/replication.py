"""A replica follows its primary, takes the reads off it, and refuses writes (claim 1.3).

sudo python experiments/replication.py       stage 1: lag under write load, reads, refusals, completeness
"""

from __future__ import annotations

if __name__ == "__main__":
    from _interpreter import hand_over

    hand_over("replication")

import argparse
import time
from argparse import Namespace
from collections.abc import Sequence

from experiments.harness import conduct, options, replication
from experiments.harness.findings import Findings
from experiments.harness.ordering import Reads, databases_named, ordering
from experiments.harness.progress import Progress
from experiments.harness.replicas import Pair, pair_of
from experiments.harness.replication_report import CATCH_UP_S, Seen, State, say
from experiments.harness.run import Run
from experiments.harness.standing import standing
from loadtests.orders import OrdersConfig
from loadtests.own_process import Fairness
from topologies.host import TRUST_STORE
from topologies.stage import DOMAIN, Stage
from topologies.testbed import Testbed

SENTENCE = "a replica follows its primary, takes the reads off it, and refuses writes"
EXAMPLES = """\
  sudo python experiments/replication.py          stage 1
  sudo ./testbed replication --rate 200           twice the write load
  sudo ./testbed replication --watch 60           1200 tokens instead of 400
"""
TOKENS_HZ = 20.0
BASIS = 100  # commits and questions before anything is predicted
IDLE_S = 5.0
READS = 100
CATALOGUE, ORDERS = "/api/items/1", "/api/orders/UUID"


def command_line() -> argparse.ArgumentParser:
    p = options.parser("replication", (__doc__ or "").split("\n")[0], EXAMPLES)
    options.add_common(p, repeat=1, stage="1")
    p.add_argument(
        "--rate", type=options.number(float, 10, 200), default=100.0, metavar="HZ",
        help="orders per second (default 100)",
    )  # fmt: skip
    p.add_argument(
        "--watch", type=options.number(float, 3, 600), default=20.0, metavar="S",
        help="time under write load (default 20)",
    )  # fmt: skip
    options.add_sizes(p)
    return p


def main(argv: list[str] | None = None) -> int:
    p = command_line()
    chosen = p.parse_args(argv)
    stage = options.stage_of(p, chosen)
    pair = pair_of(stage)
    if pair is None:
        p.error(f"stage {stage.number} has no replica")

    def work(chosen: Namespace, run: Run, progress: Progress) -> int:
        return replicate(chosen, run, progress, stage, pair)

    return conduct.conduct("replication", f"replication-stage{stage.number}", chosen, work, stage)


def replicate(chosen: Namespace, run: Run, progress: Progress, stage: Stage, names: tuple[str, str]) -> int:
    """Predict the lag, measure it under load, count what arrived, and do what must not work."""
    found, seen, testbed = Findings("replication", run, stage, chosen, SENTENCE), Seen(), None
    with found.collecting(progress), standing(stage, run, progress) as running:
        testbed = running
        with Pair(running, *names) as pair:
            predict(pair, seen, progress)
            measure(pair, seen, running, run, chosen, progress)
            count(pair, seen)
            read(pair, seen, running)
            seen.refusal = pair.write_as_the_site()
            go_wrong(pair, seen, progress)
    say(found, seen, *names)
    return found.publish(progress, testbed)


def predict(pair: Pair, seen: Seen, progress: Progress) -> None:
    with progress.waiting("measuring commits and round trips"):
        seen.basis = pair.basis(BASIS, TOKENS_HZ)
    progress.say(f"predicted: {replication.predict(seen.basis).because}")


def measure(
    pair: Pair, seen: Seen, testbed: Testbed, run: Run, chosen: Namespace, progress: Progress
) -> None:
    """Tokens without load, then beside an open-loop stream of orders through the site."""
    stopwatch = Fairness()
    with progress.waiting("tokens without load"):
        seen.idle += pair.follow(TOKENS_HZ, IDLE_S)
    for number in range(1, chosen.repeat + 1):
        config = orders_config(testbed.stage, chosen.rate, chosen.watch)
        client = testbed.hosts["client1"]
        with (
            progress.waiting(f"tokens beside {chosen.rate:g} orders/s for {chosen.watch:g} s"),
            ordering(client, config, run.directory, f"orders{number}") as orders,
        ):
            start_s = time.monotonic()
            seen.loaded += pair.follow(TOKENS_HZ, chosen.watch)
            seen.writing.append((start_s, time.monotonic()))
        seen.orders.append(orders)
    seen.stopwatch_wait_share = stopwatch.summary()["run_queue_wait_share"]


def count(pair: Pair, seen: Seen) -> None:
    """What must be on the replica, what is, and whether anything else is."""
    pair.caught_up_after_s(CATCH_UP_S)
    attempted = pair.attempted.union(*(orders.attempted for orders in seen.orders))
    acknowledged = pair.acknowledged.union(*(orders.acknowledged for orders in seen.orders))
    seen.compared = replication.compare(attempted, acknowledged, pair.orders(pair.replica))
    seen.state = state_of(pair)


def state_of(pair: Pair) -> State:
    history = [pair.text(host, "gtid_binlog_state") for host in (pair.replica, pair.primary)]
    return State(
        pair.text(pair.primary, "gtid_binlog_pos"), pair.text(pair.replica, "gtid_slave_pos"),
        replication.errant(*history),
    )  # fmt: skip


def read(pair: Pair, seen: Seen, testbed: Testbed) -> None:
    """The catalogue and orders that exist, each read READS times; nobody else asks meanwhile."""
    written = sorted(pair.acknowledged)[:READS]
    for route, paths, role in (
        (CATALOGUE, [CATALOGUE] * READS, "replica"),
        (ORDERS, [ORDERS.replace("UUID", id) for id in written], "primary"),
    ):
        seen.reads.append((reads_of(pair, testbed, route, paths), role))


def reads_of(pair: Pair, testbed: Testbed, route: str, paths: Sequence[str]) -> Reads:
    hosts = (pair.primary, pair.replica)
    before = {host: pair.counted(host) for host in hosts}
    named = databases_named(testbed, "client1", paths)
    return Reads(route, len(paths), named, {host: pair.counted(host) - before[host] for host in hosts})


def go_wrong(pair: Pair, seen: Seen, progress: Progress) -> None:
    """The controls; the last one leaves a replica with a history of its own, so it is the last."""
    with progress.waiting("the controls"):
        with pair.stopped():
            seen.unseen = pair.token()
        seen.caught_up_s = pair.caught_up_after_s(CATCH_UP_S)
        with pair.writable():
            seen.accepted = pair.write_as_the_site()
        seen.state_after = state_of(pair)


def orders_config(stage: Stage, rate_hz: float, seconds: float) -> OrdersConfig:
    url = f"{stage.scheme}://{DOMAIN}"
    return OrdersConfig(url, stage.site_addresses[0], rate_hz, seconds, output="", ca_file=TRUST_STORE)
