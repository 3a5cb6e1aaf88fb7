"""A load from its start to its summary: count, show and obey once a second, and keep what there is.

stage up ──► Locust in the clients ──► each second: rows counted · stage.json · faults on request ──► summary
"""

from __future__ import annotations

import json
import shutil
import signal
import time
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from rich.console import Console

from experiments.harness import publication
from experiments.harness.generators import observe_until
from experiments.harness.model import EXIT_HELD, EXIT_INTERRUPTED, Event
from experiments.harness.progress import Progress
from experiments.harness.run import CHECKOUT, VENV, Run
from experiments.operate import load_summary
from experiments.operate.board import Board, layers_of
from experiments.operate.breaking import Breaking, breaking, open_door
from experiments.operate.swarm import DOOR, RECORDS, STAGE_JSON, Plan, Strain, Swarm, leader_host, swarming
from experiments.operate.tally import Rows, Tally, merge
from loadtests import launch
from loadtests.shapes import SHAPES, length_s
from topologies import forward
from topologies.forward import Forward
from topologies.stage import Stage
from topologies.testbed import Testbed

PROGRESS_S = 5.0
LATE_S = 60.0  # Locust starts, ramps up and stops within this, or it never will


def load(
    chosen: Namespace,
    run: Run,
    progress: Progress,
    stage: Stage,
    plan: Plan,
    forwards: tuple[Forward, ...],
    sockets: Mapping[str, int],
) -> int:
    """Build the stage, load it, and say what came of it; a load that is cut short keeps what it has.

    Raises NotReady or DaemonDied when stage or Locust do not start, or Locust ends before its time.
    """
    testbed = Testbed(
        stage, run_id=run.run_id, results=run.directory, code=CHECKOUT, venv=VENV, say=progress.now
    )
    watch = Watch(run, plan, progress)
    interrupted = False
    with ExitStack() as stack:
        with progress.waiting(f"bringing up stage {stage.number}"):
            stack.enter_context(testbed)
        progress.say(f"stage {stage.number} answers after {testbed.timings['bring-up']:.1f} s")
        home = testbed.hosts[leader_host(testbed)]
        token = open_door(home, DOOR)
        try:
            with _ended_by_down(plan) as ended, breaking(testbed, home.path(f"{DOOR}/requests")) as broken:
                watch.broken = broken
                with swarming(testbed, plan) as swarm:
                    if plan.web:
                        urls = forward.serving(forwards, sockets, testbed.hosts)
                        testbed.urls = stack.enter_context(urls)
                        testbed.write_state()
                        _welcome(testbed.urls, token)
                    shown = publication.shown(run.directory)
                    watch.follow(swarm, Board(testbed, plan, watch.counted, broken, shown), broken, ended)
        except KeyboardInterrupt:
            interrupted = True
            progress.say("interrupted; the summary is of what there was")
    document = {
        "schema": 1, "verb": "load", "stage": stage.number, "scenario": plan.scenario, "shape": plan.shape,
        "users": plan.users, "workers": plan.workers, "interrupted": interrupted,
        **load_summary.numbers(_collected(run), layers_of(stage)), "doubts": watch.doubts,
        "run": publication.origin(run, stage, chosen), "results_dir": publication.shown(run.directory),
    }  # fmt: skip
    run.write_json("summary.json", document)
    if watch.events:
        run.write_events(watch.events)
    if chosen.json:
        print(json.dumps(document, indent=2), flush=True)
    else:
        load_summary.show(document)
    return EXIT_INTERRUPTED if interrupted else EXIT_HELD


class Watch:
    """What is known while it runs, and survives how it ends."""

    def __init__(self, run: Run, plan: Plan, progress: Progress) -> None:
        self.counted = Tally()
        self.broken: Breaking | None = None
        self._run, self._plan, self._progress = run, plan, progress
        self._strains: list[Strain] = []

    @property
    def events(self) -> list[Event]:
        """Faults injected and healed, those that the end healed included."""
        return self.broken.events() if self.broken else []

    @property
    def doubts(self) -> list[str]:
        """Why the latencies may be Locust's own."""
        return [doubt for strain in self._strains if (doubt := strain.doubt())]

    def follow(self, swarm: Swarm, board: Board, broken: Breaking, ended: list[int]) -> None:
        """Once a second, until Locust ends or somebody ends it. Raises DaemonDied when it ends badly."""
        rows = [Rows(path) for path in swarm.rows]
        next_s = said_s = time.monotonic()
        deadline_s = None if self._plan.web else next_s + _longest_s(self._plan) + LATE_S
        while swarm.leader.running and not ended:
            next_s = max(next_s + 1.0, time.monotonic())
            observe_until(next_s)
            swarm.assert_well()
            broken.pick_up()
            self._count(swarm, rows)
            self._run.write_json(STAGE_JSON, board.document(swarm.users()))
            if next_s - said_s >= PROGRESS_S and self.counted.total.requests:
                said_s = next_s
                self._progress.say(_line(self.counted, swarm.users(), next_s))
            if deadline_s is not None and next_s > deadline_s:
                self._progress.say("Locust does not end by itself; it is ended")
                return
        swarm.assert_well()

    def _count(self, swarm: Swarm, rows: list[Rows]) -> None:
        for each in rows:
            for request in each:
                self.counted.add(request)
        now_s = time.monotonic()
        if self.counted.total.requests and not self._strains:
            # From the first request on: before it, Locust was busy with starting.
            self._strains = [Strain(process, now_s) for process in swarm.with_users]
        for strain in self._strains:
            strain.look(now_s)


def _longest_s(plan: Plan) -> float:
    if plan.seconds is not None:
        return plan.seconds
    return length_s(SHAPES[plan.shape]) if plan.shape else launch.MOST_S


def _line(counted: Tally, users: int, now_s: float) -> str:
    """Of the last seconds, but for what is said to be of all."""
    recent = counted.recent(now_s)
    p95 = "–" if recent.p95_ms is None else f"{recent.p95_ms:.1f} ms"
    return (
        f"{users} users, {recent.rps:.1f} requests/s, {recent.failures_per_s:.1f} failures/s, p95 {p95}"
        f" (in all: {counted.total.requests} requests, {counted.total.failures.total()} failures)"
    )


def _collected(run: Run) -> Tally:
    """One requests.csv and one load.csv in place of those of each process, and the count of all there is."""
    records = run.directory / RECORDS
    merge(sorted(records.rglob("requests.csv")), run.directory / "requests.csv")
    if (records / "load.csv").exists():
        (records / "load.csv").rename(run.directory / "load.csv")
    shutil.rmtree(records, ignore_errors=True)
    counted = Tally()
    for request in Rows(run.directory / "requests.csv"):
        counted.add(request)
    return counted


def _welcome(urls: Mapping[str, str], token: str) -> None:
    """On standard error, where it is no part of a result. The token is said here and nowhere else."""
    out = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    for name, url in urls.items():
        out.print(f"  {name:<16} {url}")
    out.print(f"\nopen {urls['locust']} and start; the stage and its faults are at {urls['locust']}stage")
    out.print(f"token for faults: {token}")
    out.print("it stays until Ctrl-C, or from another terminal: sudo ./testbed down\n")


@contextmanager
def _ended_by_down(plan: Plan) -> Iterator[list[int]]:
    """With a web UI, SIGTERM (`down`) is how a load ends, not an interruption: the list is not empty then."""
    said: list[int] = []
    if not plan.web:
        yield said
        return
    before = signal.signal(signal.SIGTERM, lambda number, _frame: said.append(number))
    try:
        yield said
    finally:
        signal.signal(signal.SIGTERM, before)
