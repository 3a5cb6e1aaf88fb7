"""What a run says: a prediction, a measurement, a verdict. Plain values; nothing here does I/O.

Prediction ──► Trial, Trial, Trial ──► Measured ──► Claim (held · deviated · inconclusive)
or, where nothing is broken:            Claim, Control, Table, Picture
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["held", "deviated", "inconclusive"]

#: Exit codes of every experiment (DESIGN: Commands).
EXIT_HELD, EXIT_DEVIATED, EXIT_USAGE, EXIT_CANNOT, EXIT_INCONCLUSIVE, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130
EXIT_OF: dict[Verdict, int] = {
    "held": EXIT_HELD, "deviated": EXIT_DEVIATED, "inconclusive": EXIT_INCONCLUSIVE,
}  # fmt: skip


@dataclass(frozen=True)
class Prediction:
    """What theory says of one fault, before it is injected.

    `low_s`..`high_s` bounds the outage in seconds. `high_s` None: nothing takes over, the outage lasts
    until somebody heals the fault. `because` is the arithmetic in words, with its numbers.
    """

    low_s: float
    high_s: float | None
    because: str

    @property
    def recovers(self) -> bool:
        return self.high_s is not None


@dataclass(frozen=True)
class Event:
    """Something that happened, on the run's clock: a row of events.csv.

    `kind` is one of: trial, inject, injected, heal, healed, vip-up, vip-down, detected, switched, log.
    """

    t_s: float  # CLOCK_MONOTONIC
    kind: str
    host: str  # "" when it concerns the whole run
    detail: str


@dataclass(frozen=True)
class Outage:
    """A maximal run of bad probes, as a bracket: the truth lies between `lower_s` and `upper_s`.

    lower = last bad due − first bad due; upper = first good end after − last good end before;
    headline = gap between good completions − one period. Not recovered: headline and upper are None and
    lower is the time watched (a censored observation, never a number).
    """

    start_s: float  # CLOCK_MONOTONIC: due time of the first bad probe
    end_s: float | None  # end of the first good probe after it
    outage_s: float | None
    lower_s: float
    upper_s: float | None
    lost: int
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def recovered(self) -> bool:
        return self.outage_s is not None


@dataclass(frozen=True)
class StreamResult:
    """What one stream of probes saw in one trial. `outage` None: no bad probe at all."""

    stream: str
    sent: int
    lost: int
    outage: Outage | None
    errors: dict[str, int]


@dataclass(frozen=True)
class Trial:
    """One injection: its window on the clock, what was predicted, what each stream saw."""

    number: int  # from 1
    fault: str
    target: str
    start_s: float  # CLOCK_MONOTONIC: probing is steady from here
    inject_s: float
    heal_s: float
    end_s: float
    prediction: Prediction
    headline: StreamResult
    others: tuple[StreamResult, ...] = ()
    failback: StreamResult | None = None  # headline stream between heal and end
    phases: dict[str, float] = field(default_factory=dict)  # detect_s, switch_s, serve_s after injection
    fidelity: tuple[str, ...] = ()  # reasons this trial does not count; empty: it does
    verdict: Verdict = "inconclusive"


@dataclass(frozen=True)
class Interval:
    median: float | None
    low: float | None
    high: float | None
    n: int
    unit: str


@dataclass(frozen=True)
class Claim:
    """One row of CLAIMS.md with what this run says of it."""

    id: str
    sentence: str
    predicted_low: float | None
    predicted_high: float | None
    measured: Interval
    verdict: Verdict
    reason: str  # one line: why this verdict


@dataclass(frozen=True)
class Control:
    """A deliberately wrong configuration, which the same experiment must show as deviating.

    One that does not deviate says nothing about the design: it says that the instrument sees nothing.
    """

    name: str  # "database firewall off"
    expected: str  # "surplus openings towards db1"
    deviated: bool
    reason: str  # what was seen, one line with numbers


@dataclass(frozen=True)
class Table:
    """Cells as text; the first of a row names it. `marks`: one per row, or none at all."""

    title: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    marks: tuple[Verdict | None, ...] = ()


@dataclass(frozen=True)
class Picture:
    title: str
    name: str  # of its files, without suffix
    caption: str
    alt: str  # what is seen in it, for those who do not see it
    svg: str


@dataclass(frozen=True)
class LoadSample:
    """One second as Locust reported it (its own statistics, closed loop)."""

    t_s: float  # CLOCK_MONOTONIC
    users: int
    rps: float
    failures_per_s: float
    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True)
class Report:
    """All that report.html and the charts are drawn from."""

    experiment: str
    stage: str
    stage_title: str
    verdict: Verdict
    headline: str  # the verdict in one line, as the terminal prints it
    claims: tuple[Claim, ...]
    trials: tuple[Trial, ...]
    events: tuple[Event, ...]
    fidelity: dict[str, Any]  # verdict, reasons, probe_lateness_p99_ms …
    run: dict[str, Any]  # id, argv, commit, dirty, versions, kernel, seed, parameters
    period_s: float = 0.0  # of the headline stream; it and slo_s matter only where there are trials
    slo_s: float = 0.0
    diagram: str = ""  # the stage's ASCII picture
    configs: tuple[str, ...] = ()  # paths of rendered configurations relative to the run's directory
    controls: tuple[Control, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()
