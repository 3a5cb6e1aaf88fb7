"""How a scan is shown: what was tried, what is open and for what, and the matrix of it all."""

from __future__ import annotations

from experiments.harness.figure_security import draw_matrix
from experiments.harness.findings import Findings
from experiments.harness.model import Verdict
from experiments.harness.ports import UDP_QUESTIONS
from experiments.harness.reachability import Door, by_destination, matrix
from experiments.harness.scanned import Scanned, in_words
from experiments.harness.survey import states_of
from topologies.stage import Stage


def describe(found: Findings, stage: Stage, scan: Scanned, repeat: int, common: int) -> None:
    """Tables, the picture, and data for programs. `common`: ports that were tried for being common."""
    tcp = len({door.port for door in scan.seen if door.protocol == "tcp" and door.segment})
    counted = states_of(scan.seen)
    found.table(
        "What was scanned",
        f"Every address of every other host. Where both are on a network: {tcp} TCP ports, the {common} most "
        f"common ones and all that is declared or listened on anywhere; {len(UDP_QUESTIONS)} UDP ports, each "
        "in its own protocol, open only if it answers. Where they share no network: what anybody listens on. "
        f"VRRP has no ports: its advertisements are captured instead.{_beyond_udp(scan)}",
        ("hosts", "doors", *sorted(counted)),
        [(len(scan.known.addresses), len(scan.seen), *(counted[state] for state in sorted(counted)))],
    )  # fmt: skip
    _openings(found, stage, scan)
    compared = scan.compared
    lists = {"missing": compared.missing, "surplus": compared.surplus, "unserved": compared.unserved}
    found.keep("scan", {
        "scans": repeat, "doors": len(scan.seen), "tcp_ports": tcp, "udp_ports": sorted(UDP_QUESTIONS),
        "states": counted, "let_through": len(compared.leaking),
        **{name: [str(door) for door in doors] for name, doors in lists.items()},
    })  # fmt: skip
    shown = matrix(scan.seen, scan.declared, scan.known.listening, scan.guarded)
    found.figure(
        "reachability", "Who reaches whom",
        "Row: who asks. Column: which port of whom; “others” are all the other ports that were tried.",
        f"A matrix of {len(shown.sources)} hosts by {len(shown.columns)} ports: {in_words(compared)}.",
        lambda: draw_matrix(shown),
    )  # fmt: skip


def _openings(found: Findings, stage: Stage, scan: Scanned) -> None:
    """What is amiss first, then what is as it should be."""
    compared = scan.compared
    purposes = {(flow.destination, flow.opening): flow.purpose for flow in stage.flows}
    kinds: tuple[tuple[str, tuple[Door, ...], Verdict | None], ...] = (
        ("missing", compared.missing, "deviated"),
        ("surplus", compared.surplus, "deviated"),
        ("declared, nobody listens", compared.unserved, None),
        ("as declared", compared.as_declared, "held"),
    )
    rows: list[tuple[object, ...]] = []
    marks: list[Verdict | None] = []
    for kind, doors, mark in kinds:
        for destination, segment, opening, sources in by_destination(doors):
            purpose = purposes.get((destination, opening)) if kind != "surplus" else None
            rows.append((f"{destination} {opening}", segment, ", ".join(sources), kind, purpose))
            marks.append(mark)
    found.table(
        "Openings", "Every port that answers, or should, by the network on which it was asked.",
        ("port", "network", "open to", "is", "purpose"), rows, marks,
    )  # fmt: skip


def _beyond_udp(scan: Scanned) -> str:
    """Of a protocol that the scan does not speak, silence says nothing."""
    unknown = sorted(
        f"{host} udp/{port}"
        for host, some in scan.known.listening.items()
        for protocol, _, port in some
        if protocol == "udp" and port not in UDP_QUESTIONS
    )
    return f" Not to be told by UDP: {', '.join(unknown)}." if unknown else ""
