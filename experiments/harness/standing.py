"""A stage that stands for as long as an experiment looks at it.

with standing(stage, run, progress) as testbed:     "bringing up stage 2" … "stage 2 answers after 7.1 s"
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from experiments.harness.progress import Progress
from experiments.harness.run import CHECKOUT, VENV, Run
from topologies.stage import Stage
from topologies.testbed import Testbed


@contextmanager
def standing(stage: Stage, run: Run, progress: Progress, *, within: str = "") -> Iterator[Testbed]:
    """Bring the stage up, say so, and take it down at the end. Raises what Testbed raises.

    `within` names a directory inside the run's own, for the second and every further stage of one run: the
    configurations and logs of two stages must not lie on top of each other.
    """
    results = run.directory / within
    results.mkdir(parents=True, exist_ok=True)
    name = f"stage {stage.number}" + (f" ({within})" if within else "")
    testbed = Testbed(stage, run_id=run.run_id, results=results, code=CHECKOUT, venv=VENV, say=progress.now)
    with ExitStack() as stack:
        # Only as long as it takes: what the experiment waits for afterwards has a live line of its own.
        with progress.waiting(f"bringing up {name}"):
            stack.enter_context(testbed)
        progress.say(f"{name} answers after {testbed.timings['bring-up']:.1f} s")
        yield testbed
