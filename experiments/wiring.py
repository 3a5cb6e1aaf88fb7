"""Every daemon listens where it was declared, and a request goes from one to the next as declared (0.5, 0.7).

sudo python experiments/wiring.py     stage 2: listeners, hops, certificates, and the waterfall of one request
"""

from __future__ import annotations

if __name__ == "__main__":
    from _interpreter import hand_over

    hand_over("wiring")

import argparse
import random
from argparse import Namespace
from dataclasses import replace

from experiments.harness import conduct, options, wiring_controls, wiring_report
from experiments.harness.certificates import shown_on
from experiments.harness.findings import Findings
from experiments.harness.held import follow
from experiments.harness.links import hops_of
from experiments.harness.looking import look
from experiments.harness.progress import Progress
from experiments.harness.run import Run
from experiments.harness.standing import standing
from experiments.harness.timed_visits import Visits, visit
from topologies.stage import Stage
from topologies.stages import STAGES
from topologies.testbed import Testbed

SENTENCE = "who listens, who asks whom and as whom is exactly what was declared, and a request's time adds up"
EXAMPLES = """\
  sudo python experiments/wiring.py                 stage 2
  sudo ./testbed wiring --stage 0                   UNIX sockets and TCP between the daemons, in turns
  sudo ./testbed wiring --stage 3 --reencrypt       a certificate on every hop
  sudo ./testbed wiring --repeat 200 --json         more visitors, one document
"""
#: Of turns, on stage 0; an even number.
PAIRS = 6


def command_line() -> argparse.ArgumentParser:
    p = options.parser("wiring", (__doc__ or "").split("\n")[0], EXAMPLES)
    options.add_common(p, repeat=50, stage="2")
    options.add_sizes(p)
    return p


def main(argv: list[str] | None = None) -> int:
    p = command_line()
    chosen = p.parse_args(argv)
    stage = options.stage_of(p, chosen)

    def work(chosen: Namespace, run: Run, progress: Progress) -> int:
        return examine(chosen, run, progress, stage)

    return conduct.conduct("wiring", f"wiring-stage{stage.number}", chosen, work, stage)


def examine(chosen: Namespace, run: Run, progress: Progress, stage: Stage) -> int:
    """Each wiring of the stage: who listens, what a request takes, where its time goes; then the controls."""
    found = Findings("wiring", run, stage, chosen, SENTENCE)
    rng = random.Random(run.seed)
    made: dict[str, list[Visits]] = {}
    testbed = None
    with found.collecting(progress):
        turns = variants(stage)
        for turn, (wiring, variant) in enumerate(turns):
            within = f"{wiring}-{turn}" if wiring else ""
            with standing(variant, run, progress, within=within) as testbed:
                if wiring not in made:
                    declared_beside_seen(found, testbed, rng, progress, in_words(wiring))
                with progress.waiting(f"{chosen.repeat} visitors, and curl in between"):
                    visits = visit(testbed, chosen.repeat, f"{run.run_id}-{turn}")
                made.setdefault(wiring, []).append(visits)
                if turn == len(turns) - 1:
                    with progress.waiting("controls: a stranger, a dead daemon, a wrong name"):
                        wiring_controls.stranger(found, testbed)
                        wiring_controls.dead_daemon(found, testbed)
                        wiring_controls.wrong_name(found, testbed)
        for wiring, turns_of_it in made.items():
            wiring_report.visits(found, sum(turns_of_it, Visits()), run.seed, in_words(wiring))
        wiring_controls.without_lookup(found, visits)
        if len(made) > 1:
            wiring_report.wirings(found, made, run.seed)
    return found.publish(progress, testbed)


def variants(stage: Stage) -> list[tuple[str, Stage]]:
    """Stage 0 in both its wirings, in an order that lets no drift favour one; any other as it is."""
    if stage.number != "0":
        return [("", stage)]
    both = {wiring: STAGES["0"](replace(stage.settings, wiring=wiring)) for wiring in ("unix", "tcp")}
    turns = ("unix", "tcp", "tcp", "unix") * (PAIRS // 2)
    return [(wiring, both[wiring]) for wiring in turns]


def in_words(wiring: str) -> str:
    return {"": "", "unix": ", over UNIX sockets", "tcp": ", over TCP"}[wiring]


def declared_beside_seen(
    found: Findings, testbed: Testbed, rng: random.Random, progress: Progress, wired: str
) -> None:
    with progress.waiting("looking at every socket"):
        wiring_report.listeners(found, look(testbed), wired)
    hops = hops_of(testbed.stage)
    with progress.waiting("holding requests at the database to see their sockets"):
        shown = {hop.link: shown_on(testbed, hop) for hop in hops}
        wiring_report.hops(found, testbed.stage, hops, follow(testbed, hops, rng), shown, wired)
