"""Does the scanner see what is wrong, and only that? Firewalls off and on again, a filter, nmap's opinion.

firewall of a layer off ──► surplus ──► on again ──► exact      nmap on some doors ──► the same states
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from experiments.harness.findings import Findings
from experiments.harness.model import Verdict
from experiments.harness.progress import Progress
from experiments.harness.reachability import Door, named
from experiments.harness.scan import Pace
from experiments.harness.scanned import MYSQL_PORT, NEVER_HERE, Scanned, in_words, ports_of
from experiments.harness.survey import ask_all, firewall_off, nmap
from topologies.stage import Stage
from topologies.testbed import Testbed

#: Enough to see whether a firewall is there: of the common ports a tenth.
COMMON_PORTS = 100


def firewalls_off(
    found: Findings, testbed: Testbed, scan: Scanned, layers: Sequence[str], progress: Progress
) -> None:
    """Each firewall off, then on again. One that is off already needs no control: the claim shows it."""
    few = ports_of(testbed.stage, scan.known, COMMON_PORTS)
    rows: list[tuple[object, ...]] = []
    marks: list[Verdict] = []
    for layer in (name for name in layers if name not in testbed.stage.settings.firewalls_off):
        hosts = testbed.stage.layers[layer]
        with progress.waiting(f"the control: firewall of {layer} off, and on again"):
            with firewall_off(testbed, layer):
                off = scan.again(testbed, few, hosts)
            on = scan.again(testbed, few, hosts)
        for state, one in (("off", off), ("on again", on)):
            rows.append((layer, state, len(one.surplus), named(one.surplus, 6) or None, len(one.leaking)))
            marks.append("held" if one.exact else "deviated")
        found.control(
            f"firewall of {layer} off", f"surplus openings towards {', '.join(hosts)}",
            bool(off.surplus or off.leaking),
            f"{_listed(off.surplus)}, {len(off.leaking)} refusals instead of silence; "
            f"{'exact again' if on.exact else 'NOT exact'} with its rules",
        )  # fmt: skip
        if not on.exact:
            found.fail(f"after the control the firewall of {layer} is not what it was: {in_words(on)}")
    if rows:
        found.table(
            "Controls: one firewall off",
            f"The hosts of the layer without rules, asked on {len(few)} TCP ports from everywhere; then with "
            "their own rules again. Let through: a refusal where there should be silence.",
            ("layer", "firewall", "surplus", "which", "let through"), rows, marks,
        )  # fmt: skip


def _listed(surplus: Sequence[Door]) -> str:
    return f"{len(surplus)} surplus" + (f" ({named(surplus, 2)})" if surplus else "")


def packet_filter(found: Findings, testbed: Testbed, scan: Scanned, door: Door, progress: Progress) -> None:
    """Where nothing is filtered, a filter is put up: that door must be seen to close."""
    few = ports_of(testbed.stage, scan.known, 0)
    with (
        progress.waiting(f"the control: a packet filter on {door.destination}"),
        _filtered(testbed, door),
    ):
        now = ask_all(testbed, scan.known, few, scan.declared, Pace(), [door.destination])
    found.control(
        f"packet filter on {door.destination}", f"{door.source} no longer reaches {door.opening} there",
        now[door] == "silent", f"{door} was {scan.seen[door]}, and is {now[door]} behind it",
    )  # fmt: skip


@contextmanager
def _filtered(testbed: Testbed, door: Door) -> Iterator[None]:
    """The door's host drops what its source sends to it, during the block."""
    host, source = testbed.hosts[door.destination], testbed.stage.addresses[door.source][door.segment]
    rules = (
        "add table inet control; add chain inet control input { type filter hook input priority 0; }; "
        f"add rule inet control input ip saddr {source} {door.protocol} dport {door.port} drop"
    )
    try:
        host.run(["nft", rules])
        yield
    finally:
        host.run(["nft", "delete table inet control"], check=False)


def second_opinion(found: Findings, testbed: Testbed, scan: Scanned, progress: Progress) -> None:
    """nmap, from outside and from inside, on a few ports: it must see what the scanner saw."""
    differing, compared = list[str](), 0
    with progress.waiting("asking nmap for a second opinion"):
        for source, destination, address in _two_ways(testbed.stage, scan):
            ours = {
                door.port: state
                for door, state in scan.seen.items()
                if (door.source, door.address, door.protocol) == (source, address, "tcp")
            }
            listened = {port for _, _, port in scan.known.listening[destination]}
            asked = sorted({*NEVER_HERE, *listened} & ours.keys())
            theirs = nmap(testbed.hosts[source], address, asked)
            compared += len(asked)
            differing += [
                f"{source} → {address}:{port} is {ours[port]}, to nmap {theirs.get(port, 'nothing')}"
                for port in asked
                if theirs.get(port) != ours[port]
            ]
    found.check("nmap_asked_for_doors", compared)
    found.check("nmap_agrees_on_doors", compared - len(differing))
    if differing:
        found.fail(f"nmap does not agree: {'; '.join(differing[:3])}")


def _two_ways(stage: Stage, scan: Scanned) -> list[tuple[str, str, str]]:
    """(source, destination, address): a client to the site, and the innermost declared way to a server."""
    declared = sorted(scan.declared)
    front = next(door for door in declared if door.address == stage.site_addresses[0])
    inner = [d for d in declared if d.source in stage.servers and d.destination in stage.servers]
    deepest = [door for door in inner if door.port == MYSQL_PORT] or inner
    ways = [(stage.clients[0], front.destination, front.address)]
    return ways + [(door.source, door.destination, door.address) for door in deepest[:1]]
