"""End a running stage or experiment, and wait until nothing of it is left."""

from __future__ import annotations

import sys

from experiments.harness import options
from experiments.harness.model import EXIT_USAGE
from experiments.operate import attach
from experiments.operate.attach import Refused
from topologies import capsule
from topologies.capsule import RunningCapsule

EXAMPLES = """\
  sudo ./testbed down                                  the one that runs
  sudo ./testbed down --run 6a91                       one of several
  sudo ./testbed down --all
"""


def main(argv: list[str]) -> int:
    p = options.parser("down", (__doc__ or "").split("\n")[0], EXAMPLES)
    which = p.add_mutually_exclusive_group()
    which.add_argument("--run", metavar="ID", help="a run's id or its last part")
    which.add_argument("--all", action="store_true", help="every run on this machine")
    chosen = p.parse_args(argv)

    def work() -> int:
        attach.require_root("down")
        runs = capsule.running()
        if not runs and chosen.run is None:
            print("nothing is running")
            return 0
        for run in runs if chosen.all else [the_one(runs, chosen.run)]:
            print(f"ending {run.label}, run {run.run_id}", file=sys.stderr)
            capsule.stop(run)
            print(f"{run.label}, run {run.run_id}: ended; nothing of it is left")
        return 0

    return attach.answering("down", work)


def the_one(runs: list[RunningCapsule], run_id: str | None) -> RunningCapsule:
    """Unlike `ps`, this ends something: of several runs it does not guess. Raises Refused."""
    if run_id is None and len(runs) > 1:
        alive = ", ".join(f"{run.run_id} ({run.label})" for run in runs)
        raise Refused(
            EXIT_USAGE, f"{len(runs)} are running: {alive}; say which with --run ID, or end them with --all"
        )
    return attach.choose(runs, run_id)
