"""What the monitoring experiment found of metrics and logs: claims, controls and tables."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.harness import monitored
from experiments.harness.collected import Load, Logs, Tally
from experiments.harness.findings import Findings
from experiments.harness.log_lines import percentile
from experiments.harness.model import Verdict
from experiments.harness.monitored import Compared
from experiments.harness.request_rates import TOLERANCE, Expected, Rate, rates, worst
from topologies.stage import Stage

COLLECTED = "2.3"
#: More than this and requests would fall into the wrong window.
CLOCK_LIMIT_S = 0.05
#: Reading a file, sending its lines and writing them, on hosts with fractions of a core.
SHIPPING_LATE_S = 0.25


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
        COLLECTED, "every daemon that writes a log has its stream in the central store, and nobody else has",
        held=logs.present.differences == 0, predicted=(0, 0), measured=logs.present.differences,
        unit="differences",
        reason=f"{logs.present.expected} streams expected: {logs.present}"
        + (f"; nothing written yet: {', '.join(logs.silent)}" if logs.silent else ""),
    )  # fmt: skip
    total = monitored.tally(logs.streams)
    found.claim(
        COLLECTED, "every line of every log arrives in the central store, once",
        held=total.lost + total.surplus == 0, predicted=(0, 0), measured=total.lost + total.surplus,
        unit="lines",
        reason=f"{total.written} lines written, {total.lost} lost, {total.surplus} surplus{_where(logs)}",
    )  # fmt: skip
    half_s, late_s = percentile(logs.delays_s, 0.5), percentile(logs.delays_s, 0.99)
    high_s = polling_s + SHIPPING_LATE_S
    found.claim(
        COLLECTED, "99 of 100 requests are in the central store once the shipper has looked at its file",
        held=None if late_s is None else late_s <= high_s, predicted=(0, high_s), measured=late_s, unit="s",
        reason="no request was logged" if late_s is None else
        f"files are looked at every {polling_s:g} s, and {SHIPPING_LATE_S:g} s for the way: "
        f"p50 {half_s:.3f} s, p99 {late_s:.3f} s of {len(logs.delays_s)} requests",
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
        "Agents that Prometheus asks, and streams of the central store compared line by line with the files "
        "on the hosts. A daemon that wrote nothing has no stream.",
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
        "differences between two scrapes, and the generator's answers are counted between the same moments. "
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
        f"{missing} lines missing while it was stopped; once it ran again {left.lost} of {left.written} "
        f"lost, {left.surplus} surplus{_where(after)}",
    )  # fmt: skip


def check_clock(found: Findings, moved_s: float) -> None:
    """Prometheus and the logs live on the wall clock, the generator does not."""
    found.check("wall_clock_moved_ms", round(1000 * moved_s, 3))
    if abs(moved_s) > CLOCK_LIMIT_S:
        found.fail(f"the wall clock was set by {1000 * moved_s:.0f} ms: logs and metrics cannot be compared")
