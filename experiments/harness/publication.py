"""What a run leaves behind, in the order of what must not be lost.

Report ─► result.json ─► events.csv ─► *.svg *.png ─► report.html ─► the verdict on the terminal ─► exit code
"""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.harness import terminal
from experiments.harness.model import EXIT_INTERRUPTED, EXIT_OF, Claim, Report
from experiments.harness.progress import Progress
from experiments.harness.report import FILES
from experiments.harness.run import Run, provenance
from topologies.stage import Stage
from topologies.testbed import Testbed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def publish(
    run: Run,
    report: Report,
    document: Mapping[str, Any],
    draw: Callable[[], None],
    progress: Progress,
    *,
    as_json: bool,
    listing: bool = False,
    interrupted: bool = False,
) -> int:
    """Write everything and print the verdict; returns the exit code.

    `draw` makes the pictures and report.html. Whoever loses patience with it (Ctrl-C) keeps the result.
    `listing`: claims and controls follow the headline on the terminal.
    """
    run.write_json("result.json", document)
    if report.events:
        run.write_events(report.events)
    _requests_beside_the_rest(run.directory)
    page = "report.html"
    try:
        with progress.waiting("drawing the report"):
            draw()
    except KeyboardInterrupt:
        interrupted, page = True, "result.json"
        progress.say("interrupted while drawing the report; result.json is complete")
    if as_json:
        print(json.dumps(document, indent=2), flush=True)
    else:
        terminal.show(report, f"{shown(run.directory)}/{page}", listing=listing)
    return EXIT_INTERRUPTED if interrupted else EXIT_OF[report.verdict]


def origin(run: Run, stage: Stage, chosen: Namespace) -> dict[str, Any]:
    """The provenance of a run of this stage with these options."""
    return provenance(run, {**stage.settings.as_dict(), **_plain(vars(chosen))})


def document_of(
    report: Report, evidence: Mapping[str, Any], testbed: Testbed | None, run: Run
) -> dict[str, Any]:
    """result.json, schema 1. `evidence`: what stands between the claims and the fidelity."""
    return {
        "schema": 1, "experiment": report.experiment, "stage": report.stage, "verdict": report.verdict,
        "headline": report.headline, "claims": [_claim_row(c) for c in report.claims], **evidence,
        "fidelity": report.fidelity, "timings_s": timings_s(testbed), "run": report.run,
        "results_dir": shown(run.directory),
    }  # fmt: skip


def timings_s(testbed: Testbed | None) -> dict[str, Any]:
    """How long each step took, and each daemon from its start to its first answer. Empty without a stage."""
    if testbed is None:
        return {}
    ready = {d.where: round(d.ready_after_s, 4) for d in testbed.daemons if d.ready_after_s is not None}
    return {**{name: round(value, 4) for name, value in testbed.timings.items()}, "ready": ready}


def save_figures(run: Run, figures: Mapping[str, Figure | Callable[[], Figure]]) -> dict[str, str]:
    """Draw and save each as NAME.svg and NAME.png in the run's directory; returns the SVG texts by name."""
    if not figures:
        return {}
    # Imported late: matplotlib takes a second that a usage error should not wait for.
    from experiments.harness import charts

    for name, figure in figures.items():
        charts.save(figure() if callable(figure) else figure, run.directory / name)
    return {name: (run.directory / f"{name}.svg").read_text() for name in figures}


def files_in(directory: Path) -> tuple[str, ...]:
    """What the run left beside its page: those that every run may have first, then what was captured."""
    found = (p for pattern in ("*", "*/*") for p in sorted(directory.glob(pattern)) if p.is_file())
    names = [
        str(p.relative_to(directory))
        for p in found
        if p.suffix not in (".svg", ".png") and not p.name.startswith(".")
    ]
    first = [name for name in FILES if name in names]
    return (*first, *(name for name in names if name not in first and name != "report.html"))


def configs_in(directory: Path) -> tuple[str, ...]:
    """Every rendered configuration of the run's stages, the first stage's before those of directories."""
    patterns = ("hosts/*/etc/**/*", "*/hosts/*/etc/**/*")
    found = [
        sorted(str(p.relative_to(directory)) for p in directory.glob(g) if p.is_file()) for g in patterns
    ]
    return tuple(path for paths in found for path in paths)


def shown(directory: Path) -> str:
    """As the user would type it: relative where that is shorter."""
    relative = os.path.relpath(directory)
    return relative if not relative.startswith("..") else str(directory)


def _claim_row(c: Claim) -> dict[str, Any]:
    return {
        "id": c.id, "sentence": c.sentence,
        "predicted": {"low": c.predicted_low, "high": c.predicted_high, "unit": c.measured.unit},
        "measured": asdict(c.measured), "verdict": c.verdict, "reason": c.reason,
    }  # fmt: skip


def _requests_beside_the_rest(directory: Path) -> None:
    requests = directory / "locust" / "requests.csv"
    if requests.exists():
        requests.rename(directory / "requests.csv")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The command line's values that JSON can carry, without where results go (the result says that)."""
    return {
        k: v
        for k, v in values.items()
        if isinstance(v, str | int | float | bool | None) and k not in ("results",)
    }
