"""What the monitoring experiment found, as claims, controls and tables."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from experiments.harness import monitored
from experiments.harness.alert_trials import AlertTrial
from experiments.harness.collected import Load, Logs, Tally
from experiments.harness.findings import Findings
from experiments.harness.log_lines import percentile
from experiments.harness.model import Event, Interval, Prediction, Verdict
from experiments.harness.monitored import Compared
from experiments.harness.request_rates import TOLERANCE, Expected, Rate, rates, worst
from experiments.harness.unnoticed import Unnoticed
from experiments.harness.verdict import interval
from topologies.stage import Stage

COLLECTED, ALERTED, UNNOTICED = "2.3", "2.4", "1.6"
#: Reading a file, sending its lines and writing them, on hosts with fractions of a core.
SHIPPING_LATE_S = 0.5


def say_series(found: Findings, targets: Compared, figures: Compared) -> None:
    for sentence, compared in (
        ("every agent of every layer answers Prometheus, and no other does", targets),
        ("of each daemon that exports figures, its characteristic series are there", figures),
    ):
        found.claim(
            COLLECTED, sentence, held=compared.differences == 0, predicted=(0, 0),
            measured=compared.differences, unit="differences",
            reason=f"{compared.expected} expected: {compared}",
        )  # fmt: skip


def say_logs(found: Findings, logs: Logs, polling_s: float) -> None:
    found.claim(
        COLLECTED, "every daemon that writes a log has its stream in the central store, and no other is there",
        held=logs.present.differences == 0, predicted=(0, 0), measured=logs.present.differences,
        unit="differences",
        reason=f"{logs.present.expected} streams expected: {logs.present}"
        + (f"; nothing written yet: {', '.join(logs.silent)}" if logs.silent else ""),
    )  # fmt: skip
    total = monitored.tally(logs.streams)
    found.claim(
        COLLECTED, "every line of every log arrives in the central store, once",
        held=total.lost + total.surplus == 0, predicted=(0, 0), measured=total.lost + total.surplus, unit="lines",
        reason=f"{total.written} lines written, {total.lost} lost, {total.surplus} surplus{_where(logs)}",
    )  # fmt: skip
    late_s = percentile(logs.delays_s, 0.99)
    high_s = polling_s + SHIPPING_LATE_S
    median_s = statistics.median(logs.delays_s) if logs.delays_s else None
    measured = Interval(median_s, min(logs.delays_s, default=None), late_s, len(logs.delays_s), "s")
    found.claim(
        COLLECTED, "a request is in the central store as soon as its host's shipper looks at the file again",
        held=None if late_s is None else late_s <= high_s, predicted=(0, high_s), measured=measured,
        reason="no request was logged" if late_s is None or median_s is None else
        f"files are looked at every {polling_s:g} s, and {SHIPPING_LATE_S:g} s for the way: "
        f"p50 {median_s:.3f} s, p99 {late_s:.3f} s of {len(logs.delays_s)} requests",
    )  # fmt: skip


def _where(logs: Logs) -> str:
    """The streams that are not what was written, if there are any."""
    names = ["/".join(stream) for stream, n in sorted(logs.streams.items()) if n.lost + n.surplus]
    return f" ({', '.join(names)})" if names else ""


def table_layers(found: Findings, stage: Stage, targets: Compared, logs: Logs) -> None:
    rows, marks = list[Sequence[object]](), list[Verdict | None]()
    for layer in (*stage.layers, "monitoring"):
        agents = [f"{job} {host}" for job, host in sorted(monitored.targets(stage))
                  if monitored.layer_of(stage, host) == layer]  # fmt: skip
        streams = {s: n for s, n in logs.streams.items() if monitored.layer_of(stage, s[0]) == layer}
        shipped = monitored.tally(streams)
        missing = [name for name in agents if name in targets.missing]
        rows.append((
            layer, ", ".join(agents), ", ".join(missing) or "none",
            ", ".join("/".join(s) for s, n in sorted(streams.items()) if n.written),
            shipped.written, shipped.lost, shipped.surplus,
        ))  # fmt: skip
        marks.append("held" if not missing and shipped.lost + shipped.surplus == 0 else "deviated")
    found.table(
        "What the monitor has of each layer",
        "Agents that Prometheus asks, and streams of the central store compared line by line with the files on "
        "the hosts. A daemon that wrote nothing has no stream.",
        ("layer", "agents", "missing", "log streams", "lines written", "lost", "surplus"), rows, marks,
    )  # fmt: skip


def say_rates(found: Findings, tally: Tally, load: Load, beside: Expected) -> None:
    sources = rates(tally.counts)
    differs = abs(tally.checks_logged - tally.checks_expected)
    checks = (
        f"{tally.checks_logged} health checks in the logs, {tally.checks_expected:.1f} expected of the "
        f"configuration ± {tally.checks_slack}"
    )
    share = 100 * worst(sources)
    found.claim(
        COLLECTED, "requests/s of the web tier agree from metrics, logs, load balancer and generator",
        held=None if load.bad else share <= 100 * TOLERANCE and differs <= tally.checks_slack,
        predicted=(0, 100 * TOLERANCE), measured=share, unit="%",
        reason=f"{load.bad} requests failed in the window" if load.bad else
        f"largest difference once checks and scrapes are counted; {checks}",
    )  # fmt: skip
    found.table(
        "Requests per second of the web tier, counted four ways",
        f"{load.window.lasts_s:.0f} s of {load.rate_hz:.0f} requests/s. Counters are "
        "differences between two scrapes, and the generator's answers are counted between the same two moments. "
        f"Beside the clients each web server is asked {beside.checks_hz:g} times/s by health checks and "
        f"{beside.scrapes_hz:g} times/s for its counters.",
        ("source", "as counted, /s", "difference, %", "corrected, /s", "generator, /s", "difference left, %"),
        [_rate_row(rate) for rate in sources],
        ["held" if abs(rate.residual) <= TOLERANCE else "deviated" for rate in sources],
    )  # fmt: skip
    found.keep("requests", {"sources": sources, "counts": tally.counts})


def _rate_row(rate: Rate) -> Sequence[object]:
    return (
        rate.source, f"{rate.raw_hz:.2f}", f"{100 * rate.raw_residual:+.2f}", f"{rate.corrected_hz:.2f}",
        f"{rate.clients_hz:.2f}", f"{100 * rate.residual:+.2f}",
    )  # fmt: skip


def control_rates(found: Findings, tally: Tally) -> None:
    """At a low rate the checks and scrapes are most of what a web server counts."""
    (nginx,) = (rate for rate in rates(tally.counts) if rate.source == "nginx's counter")
    found.control(
        "checks and scrapes not counted", f"metrics and generator differ by more than {TOLERANCE:.0%}",
        abs(nginx.raw_residual) > TOLERANCE,
        f"nginx says {nginx.raw_hz:.2f}/s, the generator {nginx.clients_hz:.2f}/s: "
        f"{100 * nginx.raw_residual:+.0f}%; with them {100 * nginx.residual:+.1f}%",
    )  # fmt: skip


def control_shipper(found: Findings, host: str, missing: int, after: Logs) -> None:
    left = monitored.tally(after.streams)
    found.control(
        f"log shipper of {host} stopped", "lines of its log are not in the store", missing > 0,
        f"{missing} lines missing while it was stopped; once it ran again {left.lost} of {left.written} lost, "
        f"{left.surplus} surplus{_where(after)}",
    )  # fmt: skip


def say_alerts(found: Findings, trials: Sequence[AlertTrial], seed: int) -> None:
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
    found.keep("alerts", [_alert_row(t) for t in trials])


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


def control_silence(found: Findings, trials: Sequence[AlertTrial]) -> None:
    for t in trials:
        if t.case.silenced:
            told = "somebody was told" if t.silent_told else "nobody was told"
            found.control(
                f"the same fault on {t.case.silenced['host']}, its alert silenced", "nobody is told",
                t.silent_fired and not t.silent_told and t.told_s is not None,
                f"the alert {'fired' if t.silent_fired else 'did not fire'} in Prometheus and {told} in "
                f"{t.healed_s - t.began_s:.1f} s; of {t.case.title} somebody was after {_at(t.delay_s)} s",
            )  # fmt: skip
            return


def say_unnoticed(found: Findings, seen: Unnoticed, watched: Prediction) -> None:
    """A censored observation: longer than it was watched, and no more is known."""
    limit_s = watched.high_s or 0.0
    known = (
        f"{seen.known} after {seen.known_after_s:.1f} s, which nobody reads"
        if seen.known_after_s is not None
        else "no log knew of it either"
    )
    nobody = not seen.watchers and not seen.pages
    found.claim(
        UNNOTICED, f"without monitoring nobody is told of a fault: {seen.fault}",
        held=nobody if seen.watched_s > limit_s or not nobody else None, predicted=(limit_s, None),
        measured=Interval(None, seen.watched_s, None, 1, "s"),
        reason=f"predicted never; with stage 2's timers it would be {watched.low_s:g}–{limit_s:g} s. "
        f"{len(seen.watchers)} daemons watch, {seen.pages} pages; {seen.good} of {seen.sent} requests went on "
        f"being served; {known}",
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
