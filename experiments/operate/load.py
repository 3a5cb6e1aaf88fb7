"""Load a stage with Locust: headless with a summary of every request, or with its web UI in your browser."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import ExitStack

from experiments.harness import conduct, options
from experiments.harness.model import EXIT_CANNOT
from experiments.harness.progress import Progress
from experiments.harness.run import Run
from experiments.operate.loading import load
from experiments.operate.swarm import Plan
from loadtests import launch
from loadtests.shapes import SHAPES
from topologies import forward
from topologies.capsule import Passport
from topologies.forward import Forward
from topologies.stages import STAGES
from topologies.waiting import CannotEmulate

EXAMPLES = """\
  sudo ./testbed load 3                                20 users of a shop for 30 s, then a summary
  sudo ./testbed load 3 --scenario browse --users 100 --workers 2
  sudo ./testbed load 3 --shape spike --users 80 --duration 60
  sudo ./testbed load 3 --web                          Locust's own page, with the stage and its faults
"""
USERS, DURATION_S = 20, 30
MOST_WORKERS = 8


def main(argv: list[str]) -> int:
    p = _parser()
    chosen = p.parse_args(argv)
    if chosen.web and chosen.json:
        p.error("--json is for a load without a web UI")
    stage = options.stage_of(p, chosen)
    plan = plan_of(chosen)
    web_ui = Forward("locust", "http", launch.WEB_PORT, stage.clients[-1], "127.0.0.1", launch.WEB_PORT)
    forwards = (web_ui, *forward.interfaces_of(stage)) if plan.web else ()
    passport = Passport.read()

    def work(chosen: Namespace, run: Run, progress: Progress) -> int:
        assert passport is not None  # work happens inside
        forward.keep_private(passport.sockets)
        return load(chosen, run, progress, stage, plan, forwards, passport.sockets)

    name = f"load {stage.number}"
    with ExitStack() as outside:
        try:
            sockets = {} if passport else outside.enter_context(forward.listening(forwards))
        except CannotEmulate as error:
            conduct.complain(name, error)
            return EXIT_CANNOT
        return conduct.conduct(name, f"load-stage{stage.number}", chosen, work, stage, sockets)


def plan_of(chosen: Namespace) -> Plan:
    """What nobody chose: a shape has a size and length of its own; at the web UI somebody says how long."""
    shaped = chosen.shape is not None
    return Plan(
        scenario=chosen.scenario,
        users=chosen.users or (None if shaped else USERS),
        seconds=chosen.duration or (None if shaped or chosen.web else DURATION_S),
        shape=chosen.shape,
        web=chosen.web,
        workers=chosen.workers,
    )


def _parser() -> ArgumentParser:
    p = options.parser("load", (__doc__ or "").split("\n")[0], EXAMPLES)
    p.add_argument("stage", choices=sorted(STAGES), metavar="STAGE", help=f"one of {', '.join(STAGES)}")
    p.add_argument(
        "--scenario", choices=launch.SCENARIOS, default="mixed", help="what visitors do (default mixed)"
    )
    p.add_argument(
        "--users", type=options.number(int, 1, launch.MOST_USERS), metavar="N",
        help=f"visitors, or the peak of a shape (default {USERS}, or as the shape has it)",
    )  # fmt: skip
    p.add_argument("--shape", choices=sorted(SHAPES), help="how the number of users changes")
    p.add_argument(
        "--duration", type=options.number(int, 1, launch.MOST_S), metavar="S",
        help=f"seconds (default {DURATION_S}, or as the shape has it)",
    )  # fmt: skip
    p.add_argument(
        "--workers", type=options.number(int, 0, MOST_WORKERS), default=0, metavar="N",
        help="Locust processes with users, spread over the clients (default: one process, no master)",
    )  # fmt: skip
    p.add_argument("--web", action="store_true", help="Locust's web UI instead of a fixed load")
    options.add_sizes(p)
    options.add_output(p)
    p.add_argument("--json", action="store_true", help="print summary.json, and nothing else, on stdout")
    return p
