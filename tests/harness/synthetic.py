"""A run that never happened: all that a real one would leave, from a seed, with a known truth.

Both the tests and whoever looks at the figures take their input from here; the trials are synthetic_trial's.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from experiments.harness.model import Claim, Interval, LoadSample, Prediction, Report, Trial, Verdict
from loadtests.probes import Probe
from tests.harness.synthetic_trial import FOREVER, NONE, PERIOD_S, SLO_S, VRRP, events, load, trial


@dataclass(frozen=True)
class Run:
    report: Report
    probes: dict[int, list[Probe]]  # by trial number
    load: dict[int, list[LoadSample]]


def report(
    trials: Sequence[Trial], *, verdict: Verdict = "held", chatty: bool = False, reasons: Sequence[str] = ()
) -> Report:
    outages = [t.headline.outage.outage_s for t in trials if t.headline.outage and t.headline.outage.outage_s]
    n = len(outages)
    median = sorted(outages)[n // 2] if n else None
    p = trials[0].prediction
    claim = Claim(
        "3.1",
        "an LB cluster fails over",
        p.low_s,
        p.high_s,
        Interval(median, min(outages) if n >= 3 else None, max(outages) if n >= 3 else None, n, "s"),
        verdict,
        REASONS.get(verdict) or "; ".join(reasons),
    )
    second = Claim(
        "3.4",
        "keepalived / floating IP",
        0.0,
        p.high_s,
        Interval(None, None, None, 0, "s"),
        "inconclusive",
        "this run did not watch long enough for a failback",
    )
    return Report(
        experiment="failover",
        stage="3",
        stage_title="scale-up",
        verdict=verdict,
        headline=HEADLINES[verdict] if n else "lb1 crashes: not back within the trial",
        claims=(claim, second),
        trials=tuple(trials),
        events=tuple(e for t in trials for e in events(t, chatty=chatty)),
        fidelity={
            "verdict": "fail" if reasons else "pass",
            "reasons": list(reasons),
            "probe_lateness_p99_ms": 12.3 if reasons else 0.31,
            "achieved_over_offered": 0.998,
            "generator_runqueue_share": 0.012,
        },
        run={
            "id": "20250101-120000-ab12",
            "argv": ["experiments/failover.py", "--stage", "3", "--note", "two words"],
            "commit": "0123456789abcdef",
            "dirty": True,
            "versions": {"haproxy": "2.6.12", "keepalived": "2.2.7"},
            "kernel": "6.1.0",
            "seed": 7,
            "parameters": {"advert_int_s": 1.0, "vrrp_version": 2},
        },
        period_s=PERIOD_S,
        slo_s=SLO_S,
        diagram=DIAGRAM,
        configs=(
            "hosts/lb1/etc/haproxy/haproxy.cfg",
            "hosts/lb1/etc/keepalived/keepalived.conf",
            "hosts/lb2/etc/haproxy/haproxy.cfg",
        ),
    )


def run(
    outages_s: Sequence[float | None] = (3.1, 2.83, 3.42),
    *,
    chatty: bool = False,
    reasons: tuple[str, ...] = (),
    verdict: Verdict = "held",
    **how: object,
) -> Run:
    """A whole run: one trial per outage (0: none, None: never back), all with the same fault."""
    made = [trial(i, o, fidelity=reasons, verdict=verdict, **how) for i, o in enumerate(outages_s, 1)]  # type: ignore[arg-type]
    trials = [t for t, _ in made]
    return Run(
        report(trials, verdict=verdict, chatty=chatty, reasons=reasons),
        {t.number: rows for t, rows in made},
        {t.number: load(t) for t in trials},
    )


def recovered() -> Run:
    return run()


def censored() -> Run:
    return run((None,), prediction=FOREVER)


def control() -> Run:
    return run((0,), fault="none", target="", prediction=NONE)


def inconclusive() -> Run:
    return run(
        (3.1,),
        verdict="inconclusive",
        reasons=("probe lateness p99 12.3 ms, more than 5 ms", "CPU pressure of the machine 31%"),
    )


def many(n: int = 60) -> list[Trial]:
    """Trials of two faults, some censored, one not counting; without probes of their own."""
    rng = random.Random(3)
    made = []
    template, _ = trial(1, 3.1, extra_streams=False)
    slow = replace(template, fault="keepalived-stopped-by-its-operator", target="lb1")
    for i in range(n):
        base = template if i < max(3, n * 2 // 3) else slow
        outage_s = rng.uniform(2.7, 3.5) if base is template else rng.uniform(0.5, 0.8)
        o = base.headline.outage
        assert o is not None
        lower = outage_s - rng.uniform(0, 0.01)
        new = replace(o, outage_s=outage_s, lower_s=lower, upper_s=outage_s + PERIOD_S)
        if i in (7, 20):
            new = replace(o, outage_s=None, end_s=None, upper_s=None, lower_s=8.0)
        prediction = VRRP if base is template else Prediction(0.55, 0.70, "a graceful stop costs the skew")
        made.append(
            replace(
                base,
                number=i + 1,
                headline=replace(base.headline, outage=new),
                prediction=prediction,
                fidelity=("probe lateness p99 9 ms",) if i == 11 else (),
            )
        )
    return made


HEADLINES: dict[Verdict, str] = {
    "held": "lb1 crashes: out for 3.11 s, predicted 2.61–3.61 s",
    "deviated": "lb1 crashes: out for 3.11 s, which was not predicted",
    "inconclusive": "lb1 crashes: this run cannot tell for how long",
}
REASONS = {"held": "every trial lies within the VRRP interval", "deviated": "it came back too late"}
DIAGRAM = r"""
   client1          dns1
      |              |
  ====+==============+=====  8.8.8.0/24
      |              |
     lb1 -- VRRP -- lb2        8.8.8.8  8.8.8.9
      |              |
  ====+==============+=====  10.0.1.0/24
     web1 web2   app1 app2
                   |
                  db1          10.0.2.0/24
""".strip("\n")
