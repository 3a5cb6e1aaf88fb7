"""From trials to a verdict, and from the verdict to result.json, charts, report.html and one line.

Moments ─► Trial ─► Claim ─► Report ─► result.json · events.csv · *.svg *.png · report.html · exit code
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.harness import outages, publication, verdict
from experiments.harness.generators import load_samples
from experiments.harness.model import Claim, Event, Prediction, Report, StreamResult, Trial, Verdict
from experiments.harness.progress import Progress
from experiments.harness.report import render_report
from experiments.harness.run import Run
from experiments.harness.trials import (
    HEADLINE,
    LATENESS_LIMIT_MS,
    Moments,
    Plan,
    evaluate,
    holders_now,
    perform,
)
from loadtests.probes import Probe
from topologies.stage import Stage
from topologies.testbed import Testbed
from topologies.waiting import TestbedError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Conclusion:
    """Gathers the trials of one run and publishes what they support."""

    def __init__(
        self,
        experiment: str,
        run: Run,
        stage: Stage,
        chosen: Namespace,
        claim: tuple[str, str],
        period_s: float,
    ) -> None:
        self._experiment, self._run, self._stage, self._chosen = experiment, run, stage, chosen
        self._claim, self._period_s = claim, period_s
        self._provenance = publication.origin(run, stage, chosen)
        self.prober: dict[str, Any] = {}
        self._trials: list[Trial] = []
        self._probes: list[Probe] = []
        self._vip = stage.site_addresses[0]
        self._prediction: Prediction | None = None
        self._interrupted = False
        self._cut_short: str | None = None

    # -- trials ---------------------------------------------------------------------------------------

    def conduct_trials(self, plan: Plan, count: int, progress: Progress) -> None:
        """Perform and evaluate `count` trials; one that does not count is repeated once.

        Ctrl-C ends the run after cleaning up, and what was measured is kept.
        """
        self._prediction = plan.prediction
        spare = count
        try:
            while len([t for t in self._trials if not t.fidelity]) < count:
                number = len(self._trials) + 1
                trial = self._conduct(plan, number)
                progress.say(trial_line(trial))
                if trial.fidelity:
                    progress.say(f"trial {number} does not count: {'; '.join(trial.fidelity)}")
                    spare -= 1
                    if spare < 0 or number >= 2 * count:
                        break
        except KeyboardInterrupt:
            self._interrupted, self._cut_short = True, "interrupted"
        except TestbedError as error:
            # What was measured before is kept, and so is the reason why there is no more of it.
            self._cut_short = str(error)
            progress.say(self._cut_short)

    def _conduct(self, plan: Plan, number: int) -> Trial:
        moments: Moments = perform(plan, number)
        self._probes = plan.prober.probes()
        trial = evaluate(plan, number, moments, self._probes)
        self._trials.append(trial)
        return trial

    # -- conclusions ----------------------------------------------------------------------------------

    def publish(self, events: Sequence[Event], testbed: Testbed, progress: Progress) -> int:
        """Write everything and print the verdict; returns the exit code."""
        report = self._report(events)
        document = publication.document_of(
            report, {"trials": [_trial_row(t) for t in report.trials]}, testbed, self._run
        )
        return publication.publish(
            self._run, report, document, lambda: self._draw(report), progress,
            as_json=self._chosen.json, interrupted=self._interrupted,
        )  # fmt: skip

    def _report(self, events: Sequence[Event]) -> Report:
        claims = self._claims(events)
        fidelity = self._fidelity()
        reached = verdict.overall(claims) if self._cut_short is None else "inconclusive"
        return Report(
            experiment=self._experiment, stage=self._stage.number, stage_title=self._stage.title,
            verdict=reached, headline=self._headline(claims, reached), claims=claims,
            trials=tuple(self._trials), events=tuple(events), fidelity=fidelity, run=self._provenance,
            period_s=self._period_s, slo_s=0.5, diagram=self._stage.picture,
            configs=publication.configs_in(self._run.directory),
        )  # fmt: skip

    def _claims(self, events: Sequence[Event]) -> tuple[Claim, ...]:
        if self._prediction is None:
            return ()
        predictions = [self._prediction]
        claims = [verdict.judge_claim(*self._claim, predictions, self._trials, seed=self._run.seed)]
        valid = [t for t in self._trials if not t.fidelity]
        if valid and len(self._stage.hosts_of("keepalived")) > 1:
            first, last = self._trials[0], self._trials[-1]
            initial = holders_now([e for e in events if e.t_s <= first.start_s], self._vip)
            claims.append(
                verdict.vip_gap_claim(events, {self._vip: initial}, first.start_s, last.end_s, predictions)
            )
        return tuple(claims)

    def _headline(self, claims: Sequence[Claim], reached: Verdict) -> str:
        if self._cut_short is not None:
            done = f"after {len(self._trials)} of {self._chosen.repeat} trials"
            return f"inconclusive: {self._cut_short.splitlines()[0]} {done}"
        if not claims:
            return "inconclusive: nothing was measured"
        claim, trials = claims[0], [t for t in self._trials if not t.fidelity]
        predicted = predicted_words(claim, self._prediction)
        return f"{reached}: {claim.sentence} — {outage_words(trials)}; {predicted}"

    def _fidelity(self) -> dict[str, Any]:
        reasons = sorted({reason for t in self._trials for reason in t.fidelity})
        counted = [t for t in self._trials if not t.fidelity]
        headline = [p for p in self._probes if p.stream == HEADLINE]
        if self._cut_short is not None:
            reasons.append(self._cut_short)
        waited = self.prober.get("run_queue_wait_share")
        if waited is not None and waited > 0.05:
            reasons.append(f"the prober waited for a CPU {waited:.1%} of the time")
        handling_ms = (self.prober.get("handling_delay_ms") or {}).get("p99")
        if handling_ms is not None and handling_ms > LATENESS_LIMIT_MS:
            reasons.append(f"answers waited for the prober: p99 {handling_ms:.1f} ms")
        level = "pass" if not reasons else "doubtful" if len(counted) >= self._chosen.repeat else "fail"
        return {
            "verdict": level,
            "reasons": reasons,
            "probe_lateness_p99_ms": round(outages.lateness_percentile_ms(headline, 0.99), 3)
            if headline
            else None,
            "prober": self.prober,
        }

    def _draw(self, report: Report) -> None:
        figures = self._figures(report) if report.trials else {}
        svgs = publication.save_figures(self._run, figures)
        self._run.write_text("report.html", render_report(report, svgs))

    def _figures(self, report: Report) -> dict[str, Figure]:
        # Imported late: matplotlib takes a second that a usage error should not wait for.
        from experiments.harness import charts

        load, shown = load_samples(self._run.directory), representative(report.trials)
        mine = [p for p in self._probes if shown.start_s <= p.due_s < shown.end_s]
        return {
            "failover": charts.draw_failover(
                shown, mine, report.events, load, self._period_s, slo_s=report.slo_s
            ),
            "trials": charts.draw_trials(report.trials),
            "classroom": charts.draw_classroom(shown, mine, load),
        }


# -- words and rows ----------------------------------------------------------------------------------


def trial_line(trial: Trial) -> str:
    """One trial on one line, as progress shows it."""
    seen = stream_words(trial.headline)
    failback = (
        ""
        if trial.failback is None or not trial.failback.lost
        else f"; failback {stream_words(trial.failback)}"
    )
    lost = f"{trial.headline.lost} of {trial.headline.sent} probes lost"
    return f"trial {trial.number}: {seen}; {lost}{failback} → {trial.verdict}"


def stream_words(result: StreamResult) -> str:
    outage = result.outage
    if outage is None:
        return "no outage"
    if outage.outage_s is None:
        return f"outage > {outage.lower_s:.1f} s"
    return f"outage {outage.outage_s:.3f} s ({outage.lower_s:.3f}–{outage.upper_s or 0:.3f})"


def outage_words(trials: Sequence[Trial]) -> str:
    """What was measured, over all trials that count."""
    found = [t.headline.outage for t in trials]
    if not found:
        return "no trial counts"
    known = sorted(o.outage_s for o in found if o is not None and o.outage_s is not None)
    parts = []
    if len(known) == 1:
        parts.append(f"measured {known[0]:.3f} s")
    elif known:
        parts.append(f"measured {known[0]:.3f}–{known[-1]:.3f} s in {len(known)} trials")
    censored = [o.lower_s for o in found if o is not None and o.outage_s is None]
    if censored:
        parts.append(f"no recovery in {len(censored)} of {len(found)} trials (> {min(censored):.1f} s)")
    if not parts or any(o is None for o in found):
        parts.append(f"no outage in {sum(o is None for o in found)} of {len(found)} trials")
    return ", ".join(parts)


def predicted_words(claim: Claim, prediction: Prediction | None) -> str:
    if prediction is not None and not prediction.recovers:
        return "predicted: until it is healed"
    if claim.predicted_low is None or claim.predicted_high is None:
        return "no prediction"
    if claim.predicted_high == 0:
        return "predicted: none"
    return f"predicted {claim.predicted_low:.3f}–{claim.predicted_high:.3f} s"


def representative(trials: Sequence[Trial]) -> Trial:
    """The trial that is drawn large: of those that count, the one with the median outage."""
    counted = [t for t in trials if not t.fidelity] or list(trials)

    def lasted(trial: Trial) -> float:
        outage = trial.headline.outage
        return 0.0 if outage is None else float("inf") if outage.outage_s is None else outage.outage_s

    return sorted(counted, key=lasted)[(len(counted) - 1) // 2]


def _trial_row(t: Trial) -> dict[str, Any]:
    return {
        "number": t.number, "fault": t.fault, "target": t.target,
        "predicted_s": [t.prediction.low_s, t.prediction.high_s], "because": t.prediction.because,
        **_stream_row(t.headline), "phases": t.phases, "verdict": t.verdict, "fidelity": list(t.fidelity),
        "failback": None if t.failback is None else _stream_row(t.failback),
        "streams": {s.stream: _stream_row(s) for s in t.others},
        "window_s": {"start": t.start_s, "inject": t.inject_s, "heal": t.heal_s, "end": t.end_s},
    }  # fmt: skip


def _stream_row(s: StreamResult) -> dict[str, Any]:
    """No bad probe at all is an outage of 0 s; one that did not end is null with its lower bound."""
    o = s.outage
    return {
        "outage_s": 0.0 if o is None else o.outage_s, "outage_lower_s": 0.0 if o is None else o.lower_s,
        "outage_upper_s": 0.0 if o is None else o.upper_s, "recovered": o is None or o.recovered,
        "sent": s.sent, "lost": s.lost, "errors": s.errors,
    }  # fmt: skip
