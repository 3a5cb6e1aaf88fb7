"""Trials that never happened: probes, events and load samples of a fault, from a seed, with a known truth.

start ── 4 s ──► inject ── outage ──► lb2 serves ──────► heal (9 s) ──► end (12 s)
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from experiments.harness.model import (
    Event,
    LoadSample,
    Outage,
    Prediction,
    StreamResult,
    Trial,
    Verdict,
)
from loadtests.probes import Probe

PERIOD_S, SLO_S, TIMEOUT_S = 0.005, 0.5, 0.5
BEFORE_S, HEAL_S, LENGTH_S = 4.0, 9.0, 12.0
VRRP = Prediction(
    low_s=2.61,
    high_s=3.61,
    because="Master_Down = 3 × advert_int 1 s + skew (256 − 100)/256 s = 3.61 s; the crash falls at a random "
    "phase of the advertisements, so the outage is 2.61 to 3.61 s (RFC 3768, section 6.1).",
)
FOREVER = Prediction(low_s=5.0, high_s=None, because="One balancer holds the address and nothing watches it.")
NONE = Prediction(low_s=0.0, high_s=0.0, because="Nothing is broken, so nothing may be lost.")


def probes(
    start_s: float,
    length_s: float,
    down: tuple[float, float] | None,
    *,
    stream: str = "vip",
    how: Sequence[str] = ("connect-timeout",),
    period_s: float = PERIOD_S,
    seed: int = 1,
    share: float = 1.0,
) -> list[Probe]:
    """A stream from `start_s`; within `down` a `share` of the probes fails as one of `how`."""
    rng = random.Random(f"{stream}{seed}")
    made = []
    for k in range(int(length_s / period_s)):
        due = start_s + k * period_s
        sent = due + rng.uniform(0.00002, 0.0003)
        bad = down is not None and down[0] <= due < down[1] and rng.random() < share
        outcome = rng.choice(how) if bad else "ok"
        after = down is not None and due >= down[1]
        took = rng.lognormvariate(-6.2, 0.35) + (
            0.03 * rng.random() if after and due < (down or (0, 0))[1] + 0.3 else 0
        )
        if outcome.endswith("timeout"):
            took = TIMEOUT_S
        elif outcome == "slow":
            took = 0.6
        elif bad:
            took = rng.uniform(0.0003, 0.0008)
        server = "" if bad else f"lb{2 if after else 1}>web{1 + k % 2}>app{1 + k // 2 % 2}"
        status = 200 if not bad else int(outcome[5:]) if outcome.startswith("http-") else None
        connected = None if outcome in ("connect-timeout", "refused") else sent + 0.0004
        first = sent + took * 0.9 if status else None
        made.append(
            Probe(stream, k, due, sent, connected, first, sent + took, outcome, status, "8.8.8.8", server)
        )
    return made


def seen(rows: Sequence[Probe], window_end_s: float, *, recovers: bool = True) -> StreamResult:
    """The one outage of a synthetic stream, by the formulas of MEASUREMENT."""
    bad = [p for p in rows if not p.good]
    errors = dict(Counter(p.outcome for p in bad))
    if not bad:
        return StreamResult(rows[0].stream, len(rows), 0, None, {})
    first, last = bad[0].due_s, bad[-1].due_s
    before = max(p.end_s for p in rows if p.good and p.due_s < first)
    if not recovers:
        outage = Outage(first, None, None, window_end_s - first, None, len(bad), errors)
    else:
        after = min(p.end_s for p in rows if p.good and p.due_s > last)
        outage = Outage(
            first, after, after - before - PERIOD_S, last - first, after - before, len(bad), errors
        )
    return StreamResult(rows[0].stream, len(rows), len(bad), outage, errors)


def trial(
    number: int = 1,
    outage_s: float | None = 3.1,
    *,
    fault: str = "host-crash",
    target: str = "lb1",
    prediction: Prediction = VRRP,
    how: Sequence[str] = ("connect-timeout", "connect-timeout", "read-timeout", "reset"),
    verdict: Verdict = "held",
    fidelity: tuple[str, ...] = (),
    extra_streams: bool = True,
) -> tuple[Trial, list[Probe]]:
    """`outage_s`: 0 for none, None for never back within the trial."""
    start = 1000.0 + 40.0 * number
    inject, heal, end = start + BEFORE_S, start + HEAL_S, start + LENGTH_S
    down = (
        None
        if outage_s == 0
        else (inject + 0.004, end + 1 if outage_s is None else inject + 0.004 + outage_s)
    )
    rows = probes(start, LENGTH_S, down, how=how, seed=number)
    result = seen(rows, end, recovers=outage_s is not None)
    others: tuple[StreamResult, ...] = ()
    everything = list(rows)
    if extra_streams:
        for name, share in (("by-name", 0.5), ("kept-alive", 1.0)):
            more = probes(
                start,
                LENGTH_S,
                down,
                stream=name,
                how=("reset",) if name == "kept-alive" else how,
                period_s=0.02,
                seed=number,
                share=share,
            )
            others += (seen(more, end, recovers=outage_s is not None),)
            everything += more
    phases = (
        {"detect_s": outage_s - 0.19, "switch_s": outage_s - 0.05, "serve_s": outage_s + 0.006}
        if outage_s
        else {}
    )
    tail = [p for p in rows if p.due_s >= heal]
    made = Trial(
        number,
        fault,
        target,
        start,
        inject,
        heal,
        end,
        prediction,
        result,
        others,
        seen(tail, end) if outage_s is not None else None,
        phases,
        fidelity,
        verdict,
    )
    return made, everything


def events(t: Trial, *, chatty: bool = False) -> list[Event]:
    base = [
        Event(t.start_s - 15, "vip-up", "lb1", "8.8.8.8"),
        Event(t.start_s - 15, "vip-up", "lb2", "8.8.8.9"),
        Event(t.start_s, "trial", "", f"{t.number}"),
        Event(t.inject_s, "inject", t.target, t.fault),
        Event(t.inject_s + 0.002, "injected", t.target, t.fault),
        Event(t.heal_s, "heal", t.target, t.fault),
        Event(t.heal_s + 0.6, "healed", t.target, "keepalived answers again"),
        Event(t.end_s + 1, "vip-down", "lb2", "8.8.8.9"),
    ]
    outage = t.headline.outage
    if outage is not None:
        base.append(Event(t.inject_s + 0.004, "vip-down", "lb1", "8.8.8.8"))
    if outage is not None and outage.end_s is not None:
        back = outage.end_s
        base += [
            Event(back - 0.19, "detected", "lb2", "(VI_1) Backup received no advertisement for Master_Down"),
            Event(back - 0.05, "switched", "lb2", "(VI_1) Entering MASTER STATE"),
            Event(back - 0.05, "vip-up", "lb2", "8.8.8.8"),
            Event(back - 0.04, "log", "lb2", "Sending gratuitous ARP on lb2-eth0 for 8.8.8.8"),
            Event(t.end_s + 1, "vip-down", "lb2", "8.8.8.8"),
        ]
    if chatty:
        noise = "haproxy: Server be_app/app1 is DOWN, reason: Layer4 timeoutin 2001ms, costs $5 or $6"
        base += [Event(t.inject_s + 0.25 * i, "log", f"web{1 + i % 2}", noise) for i in range(20)]
    return sorted(base, key=lambda e: e.t_s)


def load(t: Trial) -> list[LoadSample]:
    """As Locust tells it: while nothing completes its rate freezes, then sinks; its p95 hardly moves."""
    outage = t.headline.outage
    low = t.inject_s if outage else t.end_s
    high = t.end_s if outage is None or outage.end_s is None else outage.end_s
    rng = random.Random(t.number)
    samples = []
    for i in range(int(t.end_s - t.start_s) + 1):
        at = t.start_s + i
        quiet = low + 2 < at < high or (at == high == t.end_s and outage is not None)
        samples.append(
            LoadSample(at, 20, 0.0 if quiet else 398 + rng.uniform(-9, 9), 0.0, 2.0, rng.choice((4.0, 5.0)))
        )
    return samples
