"""What an experiment finds where nothing is broken: claims, negative controls, tables and pictures.

claim · control · table · figure · keep ─► Report ─► result.json · *.svg *.png · report.html · exit code

found = Findings("wiring", run, stage, chosen, "every hop is what it was declared to be")
testbed = None
with found.collecting(progress), standing(stage, run, progress) as testbed:
    found.claim("0.5", "the application speaks to nginx over a UNIX socket", held=..., reason="…")
return found.publish(progress, testbed)
"""

from __future__ import annotations

import json
import math
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.harness import publication, verdict
from experiments.harness.model import Claim, Control, Event, Interval, Picture, Report, Table, Verdict
from experiments.harness.progress import Progress
from experiments.harness.report import cell_text, render_report
from experiments.harness.run import Run
from topologies.stage import Stage
from topologies.testbed import Testbed
from topologies.waiting import CannotEmulate, TestbedError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: A claim by what was seen of it; None: the run cannot tell.
VERDICT_OF: dict[bool | None, Verdict] = {True: "held", False: "deviated", None: "inconclusive"}


class Findings:
    """Gathers what one run finds and publishes it. `stage` is the main one, if there are several."""

    def __init__(
        self, experiment: str, run: Run, stage: Stage, chosen: Namespace, sentence: str = ""
    ) -> None:
        """`sentence`: what the experiment is about, for the headline."""
        self._experiment, self._run, self._stage, self._chosen = experiment, run, stage, chosen
        self._sentence = sentence or experiment
        self._provenance = publication.origin(run, stage, chosen)
        self._claims: list[Claim] = []
        self._controls: list[Control] = []
        self._tables: list[Table] = []
        self._pictures: dict[str, tuple[Picture, Figure | Callable[[], Figure]]] = {}
        self._data: dict[str, Any] = {}
        self._checks: dict[str, Any] = {}
        self._doubts: list[str] = []
        self._failures: list[str] = []
        self._cut_short: str | None = None
        self._interrupted = False

    # -- what is found --------------------------------------------------------------------------------

    def claim(
        self,
        id: str,
        sentence: str,
        *,
        held: bool | None,
        reason: str,
        predicted: tuple[float | None, float | None] = (None, None),
        measured: Interval | float | None = None,
        unit: str = "",
    ) -> None:
        """One row of CLAIMS.md and what this run says of it. `held` None: it cannot tell.

        `predicted` is (low, high) in `unit`, as is a single measured number; an Interval has its own unit.
        """
        if not isinstance(measured, Interval):
            known = measured is not None and math.isfinite(measured)
            measured = Interval(measured if known else None, None, None, int(known), unit)
        self.add(Claim(id, sentence, *predicted, measured, VERDICT_OF[held], reason))

    def add(self, claim: Claim) -> None:
        """A claim that was judged elsewhere."""
        self._claims.append(claim)

    def control(self, name: str, expected: str, deviated: bool, reason: str) -> None:
        """What a deliberately wrong configuration showed. One that does not deviate spoils the run."""
        self._controls.append(Control(name, expected, deviated, reason))

    def table(
        self,
        title: str,
        caption: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        marks: Sequence[Verdict | None] = (),
    ) -> None:
        """Cells may be text or numbers; None is a dash. `marks`: the verdict of each row, or none at all.

        Raises ValueError for a row that does not fit the columns, or marks that do not fit the rows.
        """
        if any(len(row) != len(columns) for row in rows):
            raise ValueError(f"table {title!r}: every row needs {len(columns)} cells")
        if marks and len(marks) != len(rows):
            raise ValueError(f"table {title!r}: {len(marks)} marks for {len(rows)} rows")
        cells = tuple(tuple(cell_text(cell) for cell in row) for row in rows)
        self._tables.append(Table(title, caption, tuple(columns), cells, tuple(marks)))

    def figure(
        self, name: str, title: str, caption: str, alt: str, figure: Figure | Callable[[], Figure]
    ) -> None:
        """A picture, saved as NAME.svg and NAME.png when the run is published.

        A function is called only then: what it draws can neither delay nor lose what was measured.
        Raises ValueError for a second one of that name.
        """
        if name in self._pictures:
            raise ValueError(f"there is already a picture {name}")
        self._pictures[name] = Picture(title, name, caption, alt, svg=""), figure

    def keep(self, key: str, value: Any) -> None:
        """Details for programs: result.json["data"][key]. Dataclasses become objects, sets sorted lists.

        Raises ValueError for what is not a number (NaN, infinity): JSON has no word for it.
        """
        self._data[key] = json.loads(json.dumps(value, default=_plainly, allow_nan=False))

    # -- whether it counts ----------------------------------------------------------------------------

    def check(self, key: str, value: Any) -> None:
        """What was checked of the run itself, with its unit in the name: "probe_lateness_p99_ms", 0.3."""
        self._checks[key] = value

    def doubt(self, reason: str) -> None:
        """The run counts, but whoever reads it must know this."""
        self._doubts.append(reason)

    def fail(self, reason: str) -> None:
        """The run does not count: no claim of it can hold or deviate."""
        self._failures.append(reason)

    @contextmanager
    def collecting(self, progress: Progress) -> Iterator[None]:
        """Around the work: Ctrl-C or a TestbedError ends it here, and what was found before is kept.

        CannotEmulate goes on to the caller while nothing was found: there is no run to speak of.
        """
        try:
            yield
        except KeyboardInterrupt:
            self._interrupted = True
            self._end("interrupted", progress)
        except CannotEmulate as error:
            if not (self._claims or self._controls or self._data):
                raise
            self._end(str(error), progress)
        except TestbedError as error:
            self._end(str(error), progress)

    def _end(self, reason: str, progress: Progress) -> None:
        self._cut_short = self._cut_short or reason
        progress.say(f"{reason}; what was found is kept")

    # -- conclusions ----------------------------------------------------------------------------------

    def publish(self, progress: Progress, testbed: Testbed | None, events: Sequence[Event] = ()) -> int:
        """Write everything and print the verdict; returns the exit code."""
        report = self._report(events)
        evidence = {
            "controls": [asdict(c) for c in report.controls], "trials": [],
            "tables": [asdict(t) for t in report.tables], "data": self._data,
        }  # fmt: skip
        document = publication.document_of(report, evidence, testbed, self._run)
        return publication.publish(
            self._run, report, document, lambda: self._draw(report), progress,
            as_json=self._chosen.json, listing=True, interrupted=self._interrupted,
        )  # fmt: skip

    def _report(self, events: Sequence[Event]) -> Report:
        claims = tuple(self._claims)
        if self._failures:
            claims = tuple(_uncounted(c, self._failures[0]) for c in claims)
        reached = self._verdict(claims)
        return Report(
            experiment=self._experiment, stage=self._stage.number, stage_title=self._stage.title,
            verdict=reached, headline=self._headline(claims, reached), claims=claims, trials=(),
            events=tuple(events), fidelity=self._fidelity(), run=self._provenance,
            diagram=self._stage.picture, configs=publication.configs_in(self._run.directory),
            controls=tuple(self._controls), tables=tuple(self._tables),
        )  # fmt: skip

    def _verdict(self, claims: Sequence[Claim]) -> Verdict:
        """The worst of the claims; nothing holds in a run that is incomplete or saw a control as right."""
        if self._cut_short is not None:
            return "inconclusive"
        reached = verdict.overall(claims)
        return "inconclusive" if reached == "held" and self._blind else reached

    @property
    def _blind(self) -> list[str]:
        """What is wrong with an instrument that takes a wrong configuration for a right one."""
        return [
            f"the control “{c.name}” did not deviate: the instrument sees nothing ({c.reason})"
            for c in self._controls
            if not c.deviated
        ]

    def _fidelity(self) -> dict[str, Any]:
        cut_short = [self._cut_short] if self._cut_short is not None else []
        failures, doubts = [*self._failures, *cut_short], [*self._blind, *self._doubts]
        level = "fail" if failures else "doubtful" if doubts else "pass"
        return {"verdict": level, "reasons": [*failures, *doubts], **self._checks}

    def _headline(self, claims: Sequence[Claim], reached: Verdict) -> str:
        """ "deviated: SENTENCE — 4 of 5 claims held, 2 of 2 controls deviated; 2.1, …: 3 surplus ones" """
        counted = f"{sum(c.verdict == 'held' for c in claims)} of {len(claims)} claims held"
        if self._controls:
            shown = sum(c.deviated for c in self._controls)
            counted += f", {shown} of {len(self._controls)} controls deviated"
        because = self._because(claims, reached)
        line = f"{reached}: {self._sentence} — {counted}" + (f"; {because}" if because else "")
        return " ".join(line.split())

    def _because(self, claims: Sequence[Claim], reached: Verdict) -> str:
        """The first thing that kept the run from holding."""
        if reached == "held":
            return ""
        if self._cut_short is not None:
            return self._cut_short.strip().partition("\n")[0].rstrip(": ")
        if self._failures:
            return self._failures[0]
        for c in claims:
            if c.verdict == reached:
                return f"{c.id}, {c.sentence}: {c.reason}"
        return next(iter(self._blind), "nothing was measured")

    def _draw(self, report: Report) -> None:
        figures = {name: figure for name, (_, figure) in self._pictures.items()}
        svgs = publication.save_figures(self._run, figures)
        pictures = tuple(replace(p, svg=svgs[p.name]) for p, _ in self._pictures.values())
        files = publication.files_in(self._run.directory)
        page = render_report(replace(report, pictures=pictures), files=files)
        self._run.write_text("report.html", page)


def _uncounted(claim: Claim, reason: str) -> Claim:
    """The claim without what a run that does not count seemed to say of it."""
    nothing = Interval(None, None, None, 0, claim.measured.unit)
    return replace(
        claim, measured=nothing, verdict="inconclusive", reason=f"the run does not count: {reason}"
    )


def _plainly(value: object) -> Any:
    """What JSON does not know, as something that it knows. Raises TypeError."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} is nothing that result.json can keep")
