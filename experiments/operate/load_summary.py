"""The end of a load: summary.json, and the same as tables on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from experiments.operate import screen
from experiments.operate.tally import Count, Tally


def numbers(tally: Tally, layers: Sequence[str]) -> dict[str, Any]:
    """The numbers of summary.json. `layers` names the hops, client side first."""
    return {
        "requests": tally.total.requests,
        "failures": tally.total.failures.total(),
        "duration_s": round(tally.span_s, 3),
        "rps": _rate(tally.total.requests, tally.span_s),
        **_latencies(tally.total),
        "failed": dict(tally.total.failures.most_common()),
        "names": [
            {
                "name": name, "requests": count.requests, "failures": count.failures.total(),
                "rps": _rate(count.requests, tally.span_s), **_latencies(count),
                "failed": dict(count.failures.most_common()),
            }
            for name, count in sorted(tally.names.items())
        ],
        "served": served(tally, layers),
    }  # fmt: skip


def served(tally: Tally, layers: Sequence[str]) -> list[dict[str, Any]]:
    """Who served what: a row for each layer and host, with its share of the layer and what was asked for."""
    totals: Counter[int] = Counter()
    hosts: dict[tuple[int, str], Counter[str]] = {}
    for (hop, host, kind), count in tally.served.items():
        totals[hop] += count
        hosts.setdefault((hop, host), Counter())[kind] += count
    return [
        {
            "layer": layers[hop] if hop < len(layers) else f"hop {hop + 1}", "host": host,
            "answers": kinds.total(), "share": round(kinds.total() / totals[hop], 4), "kinds": dict(kinds),
        }
        for (hop, host), kinds in sorted(hosts.items())
    ]  # fmt: skip


def _rate(count: int, seconds: float) -> float | None:
    return round(count / seconds, 2) if seconds > 0 else None


def _latencies(count: Count) -> dict[str, float | None]:
    of = count.latencies
    return {
        "p50_ms": of.percentile_ms(0.5), "p95_ms": of.percentile_ms(0.95), "p99_ms": of.percentile_ms(0.99),
        "max_ms": of.summary_ms()["max"],
    }  # fmt: skip


def show(document: Mapping[str, Any]) -> None:
    """Tables on standard output; what there is nothing of is left out."""
    out = screen.console()
    shape = f", shape {document['shape']}" if document["shape"] else ""
    cut = " (cut short)" if document["interrupted"] else ""
    out.print(f"{document['scenario']} on stage {document['stage']}{shape}: {_in_short(document)}{cut}")
    if document["requests"]:
        columns = ("request", "count", "failures", "per s", "p50 ms", "p95 ms", "p99 ms", "max ms")
        rows = [_row(each) for each in document["names"]]
        out.print()
        out.print(screen.table(columns, [*rows, _row({"name": "all", **document})]))
    if document["served"]:
        kinds = sorted({kind for each in document["served"] for kind in each["kinds"]})
        rows = [
            (
                each["layer"], each["host"], str(each["answers"]), f"{each['share']:.1%}",
                *(str(each["kinds"].get(kind, "")) for kind in kinds),
            )
            for each in document["served"]
        ]  # fmt: skip
        out.print()
        out.print(screen.table(("layer", "served by", "answers", "share", *kinds), rows))
    if document["failed"]:
        out.print()
        failed = [(kind, str(count), _where(document, kind)) for kind, count in document["failed"].items()]
        out.print(screen.table(("failure", "count", "of"), failed))
    for doubt in document["doubts"]:
        out.print(Text(f"doubtful: {doubt}", style="yellow"))
    out.print(f"\n{document['results_dir']}")


def _in_short(document: Mapping[str, Any]) -> str:
    if not document["requests"]:
        return "no request"
    return (
        f"{document['requests']} requests in {document['duration_s']:.1f} s, "
        f"{document['failures']} failed, p95 {document['p95_ms']:.1f} ms"
    )


def _row(each: Mapping[str, Any]) -> tuple[str, ...]:
    latencies = (each[key] for key in ("p50_ms", "p95_ms", "p99_ms", "max_ms"))
    rate = "–" if each["rps"] is None else f"{each['rps']:.1f}"
    counts = (str(each["requests"]), str(each["failures"]))
    return (each["name"], *counts, rate, *("–" if ms is None else f"{ms:.2f}" for ms in latencies))


def _where(document: Mapping[str, Any], kind: str) -> str:
    return ", ".join(each["name"] for each in document["names"] if kind in each["failed"])
