"""What the monitoring experiment found of alerts: who was told of a fault, when, and where nobody was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from experiments.harness.alert_trials import AlertTrial
from experiments.harness.findings import Findings
from experiments.harness.model import Event, Interval, Prediction
from experiments.harness.unnoticed import Unnoticed
from experiments.harness.verdict import interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALERTED, UNNOTICED = "2.4", "1.6"


def say_alerts(found: Findings, trials: Sequence[AlertTrial], seed: int) -> None:
    """A claim for each fault, over all its trials, with the arithmetic and the silenced twin."""
    if not trials:
        return
    for title in dict.fromkeys(t.case.title for t in trials):
        mine = [t for t in trials if t.case.title == title]
        judged = [t.judged for t in mine]
        bad = [reason for verdict, reason in judged if verdict != "held"]
        delays = [t.delay_s for t in mine if t.delay_s is not None]
        p = mine[0].prediction
        found.claim(
            ALERTED, f"{title}: {mine[0].case.alert} is received within its timers", held=not bad,
            predicted=(p.low_s, p.high_s), unit="s",
            measured=delays[0] if len(delays) == 1 else interval(delays, "s", seed),
            reason=bad[0] if bad else f"{judged[0][1]} ({mine[0].case.seen_by})",
        )  # fmt: skip
    found.table(
        "From the fault to the page",
        "Seconds since the fault, on one clock: the first scrape that shows it, the evaluation that sees it, "
        "the one at which it has lasted long enough, and the receipt at Alertmanager's webhook.",
        ("fault", "seen by", "predicted", "bad scrape", "pending", "firing", "received", "also told of",
         "probes lost"),
        [_alert_row(t) for t in trials], [t.judged[0] for t in trials],
    )  # fmt: skip
    found.table(
        "The arithmetic", "Every timer is the one in force in the running Prometheus and Alertmanager.",
        ("fault", "alert", "steps"),
        [(t.case.title, t.case.alert, t.prediction.because) for t in _first_of_each(trials)],
    )  # fmt: skip
    found.keep("alerts", [_kept(t) for t in trials])
    _control_silence(found, trials)


def _control_silence(found: Findings, trials: Sequence[AlertTrial]) -> None:
    """The same fault at the same moment on another host: it fires, and Alertmanager keeps it to itself."""
    for t in trials:
        if t.case.silenced:
            told = "somebody was told" if t.silent_told else "nobody was told"
            found.control(
                f"the same fault on {t.case.silenced['host']}, its alert silenced", "nobody is told",
                t.silent_fired and not t.silent_told and t.told_s is not None,
                f"the alert {'fired' if t.silent_fired else 'did not fire'} in Prometheus and {told} in "
                f"{t.healed_s - t.began_s:.1f} s; of {t.case.title} somebody was, after {_at(t.delay_s)} s",
            )  # fmt: skip
            return


def _kept(t: AlertTrial) -> dict[str, Any]:
    moments = {
        "first_bad_s": t.first_bad_s,
        "pending_s": t.pending_s,
        "firing_s": t.firing_s,
        "told_s": t.told_s,
    }
    return {
        "fault": t.case.name, "title": t.case.title, "alert": t.case.alert, "verdict": t.judged[0],
        "predicted_s": [t.prediction.low_s, t.prediction.high_s], "began_s": t.began_s,
        "complete_after_s": t.complete_s - t.began_s, "after_s": {k: t.after(m) for k, m in moments.items()},
        "also_told": t.also_told, "probes": {"sent": t.sent, "lost": t.lost},
    }  # fmt: skip


def _first_of_each(trials: Sequence[AlertTrial]) -> list[AlertTrial]:
    return list({t.case.title: t for t in reversed(trials)}.values())[::-1]


def _alert_row(t: AlertTrial) -> Sequence[object]:
    high = "–" if t.prediction.high_s is None else f"{t.prediction.high_s:.2f}"
    moments = (t.first_bad_s, t.pending_s, t.firing_s, t.told_s)
    return (
        t.case.title, t.case.seen_by, f"{t.prediction.low_s:.2f}–{high}", *(_at(t.after(m)) for m in moments),
        ", ".join(t.also_told) or "nothing else", f"{t.lost} of {t.sent}",
    )  # fmt: skip


def _at(moment_s: float | None) -> str:
    return "never" if moment_s is None else f"{moment_s:.2f}"


def say_unnoticed(found: Findings, seen: Unnoticed, watched: Prediction) -> None:
    """A censored observation: longer than it was watched, and no more is known."""
    limit_s = watched.high_s or 0.0
    known = (
        f"{seen.known} after {seen.known_after_s:.1f} s, which nobody reads"
        if seen.known_after_s is not None
        else "no log said so by then"
    )
    nobody = not seen.watchers and not seen.pages
    found.claim(
        UNNOTICED, f"without monitoring nobody is told of a fault: {seen.fault}",
        held=nobody if seen.watched_s > limit_s or not nobody else None, predicted=(limit_s, None),
        measured=Interval(None, seen.watched_s, None, 1, "s"),
        reason=f"predicted never; with stage 2's timers it would be {watched.low_s:g}–{limit_s:g} s. "
        f"{len(seen.watchers)} daemons watch, {seen.pages} pages; {seen.good} of {seen.sent} requests were "
        f"served all the same; {known}",
    )  # fmt: skip


def draw(found: Findings, trials: Sequence[AlertTrial], unnoticed: Unnoticed) -> None:
    """The lanes of all faults on one time axis."""

    def figure() -> Figure:
        # Imported late: it brings Matplotlib with it.
        from experiments.harness.figure_alerts import draw_alerts

        return draw_alerts(trials, unnoticed.watched_s)

    told = [f"{t.case.title}: {t.judged[1]}" for t in trials]
    found.figure(
        "alerts", "From the fault to somebody who knows",
        "Each lane is a fault. Hatched: when the page was predicted, from the timers in force. Where nobody "
        "watches the arrow has no end: longer than that, and no more is known.",
        "; ".join([*told, f"stage 1: nobody was told in {unnoticed.watched_s:.2f} s"]), figure,
    )  # fmt: skip


def events_of(trials: Sequence[AlertTrial]) -> list[Event]:
    found = []
    for t in trials:
        host = t.case.faults[0].target.host
        found.append(Event(t.began_s, "inject", host, t.case.title))
        found += [Event(m, "detected", host, f"{t.case.alert} {what}") for m, what in
                  ((t.first_bad_s, "scraped"), (t.pending_s, "pending"), (t.firing_s, "firing"),
                   (t.told_s, "received")) if m is not None]  # fmt: skip
        found.append(Event(t.healed_s, "healed", host, t.case.title))
    return sorted(found, key=lambda e: e.t_s)
