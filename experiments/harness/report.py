"""report.html: one file that opens offline, from the verdict down to the kernel version.

The words and numbers are made here, the page is report.html beside this file. What the run does not support
is a dash, or "> N s", with the reason; never a number.
"""

from __future__ import annotations

import json
import math
import shlex
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from experiments.harness.model import (
    Claim,
    Control,
    Outage,
    Prediction,
    Report,
    StreamResult,
    Table,
    Trial,
    Verdict,
)

NOTHING = "–"
SYMBOLS: dict[Verdict, str] = {"held": "✓", "deviated": "✗", "inconclusive": "?"}
FILES = ("result.json", "events.csv", "probes.csv", "requests.csv")
STREAMS = {
    "vip": "a new connection each time, always to the same virtual IP",
    "by-name": "a new connection each time, to whatever address the name gives",
    "kept-alive": "requests on connections that stay open",
}
UNITS = {"ms": "ms", "s": "s", "hz": "/s", "percent": "%", "mbit": "Mbit/s", "share": "", "ratio": ""}
FIRST_OF_RUN = ("id", "argv", "commit", "dirty", "seed", "parameters", "versions", "kernel")


def render_report(
    report: Report, svgs: Mapping[str, str] | None = None, *, files: Sequence[str] = FILES
) -> str:
    """The whole page as text. Sections about trials appear only where there are trials.

    `svgs`: SVG text of the trials' figures by name. "trials" and "classroom" have their sections; every name
    that begins with "failover" is shown, in order. A name that is missing is said to be missing. `files` and
    the report's configs are linked by paths relative to the page.
    """
    svgs = svgs or {}
    checks = {k: v for k, v in report.fidelity.items() if k not in ("verdict", "reasons")}
    template = Path(__file__).with_name("report.html").read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template).render(
        report=report,
        symbols=SYMBOLS,
        reasons=[str(r) for r in report.fidelity.get("reasons", ())],
        claims=[claim_row(c) for c in report.claims],
        controls=[control_row(c) for c in report.controls],
        tables=[(t, marked_rows(t)) for t in report.tables],
        shown=[(p, data_uri(p.svg)) for p in report.pictures],
        predictions=predictions(report.trials),
        trials=[trial_row(t) for t in report.trials],
        streams=[row for t in report.trials for row in stream_rows(t)],
        pictures={name: data_uri(svg) for name, svg in svgs.items()},
        failovers=sorted(name for name in svgs if name.startswith("failover")),
        headline=report.headline.removeprefix(f"{report.verdict}: "),  # the word is shown before it
        checks=[(label(k), value_text(v, k)) for k, v in checks.items() if not isinstance(v, Mapping)],
        details=[(label(k), flat(v)) for k, v in checks.items() if isinstance(v, Mapping)],
        provenance=provenance(report.run),
        period_ms=f"{report.period_s * 1e3:g}",
        slo_ms=f"{report.slo_s * 1e3:g}",
        files=[(name, quote(name)) for name in files],
        configs=[(name, quote(name)) for name in report.configs],
    )


def data_uri(svg: str) -> str:
    """An image of its own: its ids and styles meet nothing of the page's, and no script in it runs."""
    return "data:image/svg+xml;base64," + b64encode(svg.encode()).decode("ascii")


# -- numbers as words --------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Three decimals below one, two from there, none where the value is whole."""
    return f"{value:g}" if value == int(value) else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"


def seconds(value_s: float | None) -> str:
    return NOTHING if value_s is None else f"{number(value_s)} s"


def predicted_text(p: Prediction) -> str:
    if p.high_s is None:
        return "no recovery until healed"
    if p.high_s == 0:
        return "no outage"
    return seconds(p.high_s) if p.low_s == p.high_s else f"{number(p.low_s)}–{number(p.high_s)} s"


def outage_text(o: Outage | None) -> str:
    if o is None:
        return "none"
    return f"> {o.lower_s:.1f} s, not recovered" if o.outage_s is None else seconds(o.outage_s)


def bracket_text(o: Outage | None) -> str:
    if o is None:
        return NOTHING
    return (
        f"{number(o.lower_s)} … {number(o.upper_s)} s" if o.upper_s is not None else f"{o.lower_s:.1f} s … ?"
    )


def errors_text(errors: Mapping[str, int]) -> str:
    most_first = sorted(errors.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {n:,}" for name, n in most_first) or NOTHING


def claim_row(c: Claim) -> dict[str, str]:
    """An inconclusive claim shows no measurement; an interval only where there is one."""
    unit = f" {c.measured.unit}" if c.measured.unit else ""
    low, high = c.predicted_low, c.predicted_high
    if low is None and high is None:
        predicted = NOTHING
    elif high is None:
        predicted = f"≥ {number(low or 0.0)}{unit}"
    elif low is None or low == high:
        predicted = f"{'≤ ' if low is None else ''}{number(high)}{unit}"
    else:
        predicted = f"{number(low)}–{number(high)}{unit}"
    return {"id": c.id, "sentence": c.sentence, "predicted": predicted, "measured": _measured(c, unit),
            "verdict": c.verdict, "symbol": SYMBOLS[c.verdict], "reason": c.reason}  # fmt: skip


def control_row(c: Control) -> dict[str, str]:
    """A control is as it should be when it deviates."""
    tone: Verdict = "held" if c.deviated else "deviated"
    word = "deviated, as it must" if c.deviated else "did not deviate"
    return {"name": c.name, "expected": c.expected, "reason": c.reason, "word": word,
            "tone": tone, "symbol": SYMBOLS[tone]}  # fmt: skip


def cell_text(value: object) -> str:
    """A port has no thousands separator, a measurement no digits that mean nothing."""
    if isinstance(value, float):
        return number(value) if math.isfinite(value) else NOTHING
    return value_text(value) if value is None or isinstance(value, bool) else str(value)


def marked_rows(t: Table) -> list[tuple[tuple[str, ...], Verdict | None]]:
    return list(zip(t.rows, t.marks or [None] * len(t.rows), strict=True))


def _measured(c: Claim, unit: str) -> str:
    m = c.measured
    if c.verdict == "inconclusive" or (m.median is None and m.low is None):
        return NOTHING
    if m.median is None:
        return f"> {number(m.low or 0.0)}{unit} (n = {m.n})"
    if m.n == 1 and m.low is None and m.high is None:
        return f"{number(m.median)}{unit}"  # counted or read once: there is nothing to be uncertain of
    interval = f" [{number(m.low)}–{number(m.high)}]" if m.low is not None and m.high is not None else ""
    return f"{number(m.median)}{unit}{interval} (n = {m.n})"


def predictions(trials: Sequence[Trial]) -> list[dict[str, str]]:
    """Each arithmetic once, with the faults it speaks of."""
    faults: dict[Prediction, list[str]] = {}
    for t in trials:
        named = faults.setdefault(t.prediction, [])
        fault = " of ".join(part for part in (t.fault, t.target) if part)
        if fault not in named:
            named.append(fault)
    return [
        {"faults": ", ".join(names), "predicted": predicted_text(p), "because": p.because}
        for p, names in faults.items()
    ]


def trial_row(t: Trial) -> dict[str, Any]:
    counts = not t.fidelity
    phases = ", ".join(f"{label(k)} {seconds(v)}" for k, v in t.phases.items())
    failback = NOTHING
    if t.failback is not None:
        failback = outage_text(t.failback.outage)
    return {
        "number": t.number,
        "fault": t.fault,
        "target": t.target or NOTHING,
        "predicted": predicted_text(t.prediction),
        "outage": outage_text(t.headline.outage) if counts else NOTHING,
        "bracket": bracket_text(t.headline.outage) if counts else NOTHING,
        "lost": f"{t.headline.lost:,} of {t.headline.sent:,}",
        "errors": errors_text(t.headline.errors),
        "phases": (phases or NOTHING) if counts else NOTHING,
        "failback": failback if counts else NOTHING,
        "verdict": t.verdict,
        "symbol": SYMBOLS[t.verdict],
        "note": "" if counts else "Does not count: " + "; ".join(t.fidelity),
    }


def stream_rows(t: Trial) -> list[dict[str, Any]]:
    """Headline first. Streams are never averaged: they answer different questions."""
    return [_stream_row(t, s, headline=s is t.headline) for s in (t.headline, *t.others)]


def _stream_row(t: Trial, s: StreamResult, *, headline: bool) -> dict[str, Any]:
    return {
        "trial": t.number,
        "stream": s.stream,
        "headline": headline,
        "how": STREAMS.get(s.stream, ""),
        "outage": NOTHING if t.fidelity else outage_text(s.outage),
        "bracket": NOTHING if t.fidelity else bracket_text(s.outage),
        "lost": f"{s.lost:,} of {s.sent:,}",
        "errors": errors_text(s.errors),
    }


# -- provenance --------------------------------------------------------------------------------------------


def label(key: str) -> str:
    """ "probe_lateness_p99_ms" → "probe lateness p99": the unit goes with the value."""
    stem, _, unit = key.rpartition("_")
    return (stem if stem and unit in UNITS else key).replace("_", " ")


def value_text(value: Any, key: str = "") -> str:
    unit = UNITS.get(key.rpartition("_")[2], "")
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and key.endswith("_share"):
        return f"{value:.1%}"
    if isinstance(value, int | float):
        return f"{value:,} {unit}".rstrip() if isinstance(value, int) else f"{value:.4g} {unit}".rstrip()
    return (
        value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    )


def flat(values: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """Nested values as rows: {"lateness_ms": {"p99": 1.35}} → ("lateness, p99", "1.35 ms")."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{above}, {label(key)}" if above else label(key)
        if isinstance(value, Mapping):
            unit = key.rpartition("_")[2]
            rows += flat({f"{k}_{unit}" if unit in UNITS else k: v for k, v in value.items()}, name)
        else:
            rows.append((name, value_text(value, key)))
    return rows


def provenance(run: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(name, [(part, text)]) for each entry of the run; a plain value has one part without a name."""
    keys = [k for k in FIRST_OF_RUN if k in run] + [k for k in run if k not in FIRST_OF_RUN]
    names = {"argv": "command line", "dirty": "changed since the commit", "id": "run"}
    rows = []
    for key in keys:
        value = run[key]
        if key == "argv" and isinstance(value, list | tuple):
            parts = [("", shlex.join(str(a) for a in value))]
        elif isinstance(value, Mapping):
            # A parameter keeps the name it has in code and on the command line.
            parts = [(str(k), _plain(v)) for k, v in value.items()]
        else:
            parts = [("", _plain(value))]
        rows.append((names.get(key, key.replace("_", " ")), parts or [("", NOTHING)]))
    return rows


def _plain(value: Any) -> str:
    """A seed has no thousands separator: it is typed in again."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value_text(value)
