"""A stage carries what its tightest budget allows: the highest rate that still meets an SLO (claim 0.3).

    sudo ./testbed capacity                            stage 0, under two minutes
    sudo ./testbed capacity --stage 0 --beside 3       two stages in one run, interleaved

Open loop: requests come at their rate whatever becomes of them, and latency counts from the moment each was
due. The prediction comes first: CPU per request at two easy rates, against every server's budget.
"""

from __future__ import annotations

if __name__ == "__main__":
    from _interpreter import hand_over

    hand_over("capacity")

import argparse
import random
from argparse import Namespace

from experiments.harness import conduct, options
from experiments.harness.findings import Findings
from experiments.harness.progress import Progress
from experiments.harness.run import Run
from experiments.harness.standing import standing
from experiments.load import capacities
from experiments.load.capacities import Measurement
from experiments.load.mixes import MIXES
from experiments.load.offered import Offer
from experiments.load.slo import Slo
from topologies.stage import Stage
from topologies.stages import STAGES

EXAMPLES = """\
  sudo ./testbed capacity                                  what one server carries
  sudo ./testbed capacity --stage 3 --mix static
  sudo ./testbed capacity --stage 0 --beside 3 --repeat 5  ratio with an interval
  sudo ./testbed capacity --p95 50                         a stricter objective
"""
SENTENCE = "a stage carries what its tightest budget allows"


def command_line() -> argparse.ArgumentParser:
    p = options.parser("capacity", (__doc__ or "").split("\n")[0], EXAMPLES)
    options.add_common(p, repeat=1, stage="0")
    p.add_argument(
        "--beside", action="append", default=[], choices=sorted(STAGES), metavar="STAGE",
        help="another stage of the same run, for a ratio (may be repeated)",
    )  # fmt: skip
    p.add_argument("--mix", choices=sorted(MIXES), default="dynamic", help="what is asked for (dynamic)")
    p.add_argument(
        "--p95", type=options.number(float, 1, 10_000), default=200.0, metavar="MS", help="SLO (200 ms)"
    )
    p.add_argument(
        "--errors", type=options.number(float, 0, 50), default=1.0, metavar="PERCENT", help="SLO (1)"
    )
    p.add_argument(
        "--seconds", type=options.number(float, 2, 120), default=5.0, metavar="S", help="of a trial (5)"
    )
    p.add_argument(
        "--ceiling", type=options.number(float, 10, 20_000), default=4000.0, metavar="HZ",
        help="never offer more (4000: the generator's own room)",
    )  # fmt: skip
    options.add_sizes(p)
    return p


def main(argv: list[str] | None = None) -> int:
    p = command_line()
    chosen = p.parse_args(argv)
    stages = [options.stage_of(p, chosen)]
    for number in chosen.beside:
        stages.append(options.stage_of(p, Namespace(**{**vars(chosen), "stage": number})))
    title = f"capacity-stage{'-'.join(stage.number for stage in stages)}"

    def work(chosen: Namespace, run: Run, progress: Progress) -> int:
        return measure(chosen, run, progress, stages)

    return conduct.conduct("capacity", title, chosen, work, stages[0])


def measure(chosen: Namespace, run: Run, progress: Progress, stages: list[Stage]) -> int:
    """Search the capacity of every stage as often as asked, in shuffled order, and judge it."""
    found = Findings("capacity", run, stages[0], chosen, SENTENCE)
    slo = Slo(p95_ms=chosen.p95, errors=chosen.errors / 100)
    what = Offer(mix=chosen.mix, seconds=chosen.seconds)
    order, testbed = random.Random(run.seed), None
    measured: list[Measurement] = []
    with found.collecting(progress):
        for turn in range(1, chosen.repeat + 1):
            for stage in order.sample(stages, len(stages)):
                within = "" if len(stages) * chosen.repeat == 1 else f"stage{stage.number}-{turn}"
                with standing(stage, run, progress, within=within) as testbed:
                    measured.append(
                        capacities.measure(testbed, what, slo, chosen.ceiling, run.seed + turn, progress)
                    )
    capacities.report(found, measured, slo, run.seed)
    return found.publish(progress, testbed)
