"""Who reaches whom: the scan of a running stage, its controls, and what it says of claims 2.1, 3.7, 1.5 and 0.5.

flows ──► declared ─┐
                    ├─► missing, surplus, leaking          firewall of a layer off ──► must show surplus
hosts ──► scan ─────┘                                      … and on again ──────────► exact again
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from experiments.harness.figure_security import draw_matrix
from experiments.harness.findings import Findings
from experiments.harness.model import Verdict
from experiments.harness.ports import UDP_QUESTIONS, common_ports
from experiments.harness.progress import Progress
from experiments.harness.reachability import (
    Comparison,
    Door,
    by_destination,
    compare,
    declared_doors,
    matrix,
    named,
    predicted_doors,
)
from experiments.harness.scan import Pace, State
from experiments.harness.survey import (
    Survey,
    ask_all,
    denials_logged,
    denied,
    firewall_off,
    nmap,
    states_of,
)
from services.nftables import Nftables
from topologies.stage import Stage
from topologies.testbed import Testbed
from topologies.waiting import NotReady, wait_until

#: Of nmap's table; beside them, whatever is declared or listened on anywhere in the stage.
COMMON_PORTS, CONTROL_PORTS = 1000, 100
MYSQL_PORT = 3306
#: What nmap is asked for a second opinion, beside what is declared: often open, and never here.
SECOND_OPINION = (22, 25, MYSQL_PORT, 8404, 9090)


@dataclass(frozen=True)
class Scanned:
    """One scan and what it was to find."""

    known: Survey
    declared: frozenset[Door]
    guarded: tuple[str, ...]  # the hosts of every layer, whether their firewall is up or not
    seen: Mapping[Door, State]

    @property
    def compared(self) -> Comparison:
        return compare(self.seen, self.declared, self.known.listening, self.guarded)

    def towards(self, hosts: Collection[str], seen: Mapping[Door, State]) -> Comparison:
        """Another scan, of these hosts alone, against the same declaration."""
        meant = {door for door in self.declared if door.destination in hosts}
        return compare(seen, meant, self.known.listening, self.guarded)


def look(
    found: Findings, testbed: Testbed, known: Survey, layers: Sequence[str], repeat: int, progress: Progress
) -> None:
    """Scan, say what it means for the stage's claims, and show that the scanner sees what is wrong."""
    stage = testbed.stage
    declared = frozenset(declared_doors(stage, known.addresses))
    guarded = tuple(host for hosts in stage.layers.values() for host in hosts)
    walls = _walls(stage)
    dropped_before = {host: denied(testbed.hosts[host]) for host in walls}
    scans = []
    for _ in range(repeat):
        with progress.waiting("scanning from every host to every host"):
            seen = ask_all(testbed, known, ports(stage, known, COMMON_PORTS), declared, Pace())
        scans.append(Scanned(known, declared, guarded, seen))
    # Every scan must be exact; the first that is not is the one that is shown.
    scan = next((one for one in scans if not one.compared.exact), scans[-1])
    progress.say(f"{len(scan.seen)} doors tried; {_in_words(scan.compared)}")
    _describe(found, stage, scan, repeat)
    _second_opinion(found, testbed, scan, progress)
    if stage.layers:
        _firewalls(found, stage, scan, repeat)
        _denials(found, testbed, scan, walls, dropped_before, repeat)
        if set(stage.hosts_of("gunicorn")).isdisjoint(stage.hosts_of("nginx")):
            _database_tier(found, stage, scan)
        _controls(found, testbed, scan, layers, progress)
    elif "tls" in stage.offers:
        _alone(found, scan)
    else:
        _open_to_all(found, testbed, scan, progress)


def ports(stage: Stage, known: Survey, common: int) -> list[int]:
    """TCP ports to try: the most common ones, and whatever is declared or listened on anywhere."""
    listened = {port for some in known.listening.values() for protocol, _, port in some if protocol == "tcp"}
    declared = {flow.port for flow in stage.flows if flow.protocol == "tcp" and flow.port is not None}
    return sorted({*common_ports(common), *listened, *declared, *SECOND_OPINION})


def _walls(stage: Stage) -> dict[str, str]:
    """Host → layer, where a firewall is up."""
    up = set(stage.hosts_of(Nftables.name))
    return {host: layer for layer, hosts in stage.layers.items() for host in hosts if host in up}


def _in_words(compared: Comparison) -> str:
    said = [f"{len(compared.as_declared)} open as declared"]
    for what, doors in (("missing", compared.missing), ("surplus", compared.surplus)):
        said.append(f"{len(doors)} {what}" + (f" ({named(doors)})" if doors else ""))
    if compared.leaking:
        said.append(f"{len(compared.leaking)} let through to where nobody listens")
    if compared.unserved:
        said.append(f"{len(compared.unserved)} declared where nobody listens ({named(compared.unserved)})")
    return ", ".join(said)


# -- what it says of the claims ----------------------------------------------------------------------


def _firewalls(found: Findings, stage: Stage, scan: Scanned, repeat: int) -> None:
    compared = scan.compared
    off = (
        f"; the firewall of {', '.join(stage.settings.firewalls_off)} is off"
        if stage.settings.firewalls_off
        else ""
    )
    found.claim(
        "2.1", "three firewalls let through exactly the declared flows", held=compared.exact,
        reason=_in_words(compared) + off + (f"; {repeat} scans" if repeat > 1 else ""),
        predicted=(0, 0), measured=len(compared.missing) + len(compared.surplus), unit="openings amiss",
    )  # fmt: skip


def _denials(
    found: Findings,
    testbed: Testbed,
    scan: Scanned,
    walls: Mapping[str, str],
    before: Mapping[str, int],
    repeat: int,
) -> None:
    """Each silent door was one packet dropped: the kernel's counter must know of it, and the log of some."""

    def told() -> bool:
        return all(denials_logged(testbed.hosts[host], layer) for host, layer in walls.items())

    try:
        wait_until(told, timeout_s=5.0, what="every firewall to log a denial")
    except NotReady:
        pass  # the table below shows which one has not
    rows, good = [], 0
    for host, layer in walls.items():
        silent = repeat * sum(d.destination == host and s == "silent" for d, s in scan.seen.items())
        counted = denied(testbed.hosts[host]) - before[host]
        lines = denials_logged(testbed.hosts[host], layer)
        good += counted >= silent > 0 and lines > 0
        rows.append((host, layer, silent, counted, lines))
    found.table(
        "What was denied", "Doors that stayed silent; packets that the firewall's counter dropped meanwhile; lines "
        "that ulogd wrote (the rules log 10 a second at most, so that a flood cannot fill the disk).",
        ("host", "layer", "silent doors", "dropped", "log lines"), rows,
    )  # fmt: skip
    if walls:
        found.claim(
            "2.1", "what a firewall denies is counted and logged", held=good == len(walls),
            reason=f"{good} of {len(walls)} hosts: {sum(r[3] for r in rows)} packets dropped for "
            f"{sum(r[2] for r in rows)} silent doors, {sum(r[4] for r in rows)} log lines with the layer's name",
            predicted=(len(walls), len(walls)), measured=good, unit="hosts",
        )  # fmt: skip


def _database_tier(found: Findings, stage: Stage, scan: Scanned) -> None:
    databases, tier = stage.hosts_of("mysql"), stage.hosts_of("gunicorn")
    reach = {
        door.source
        for door, state in scan.seen.items()
        if state == "open" and door.destination in databases and door.port == MYSQL_PORT
    }
    asked = {door.source for door in scan.seen if door.destination in databases}
    found.claim(
        "3.7", "only the application tier reaches the dedicated database", held=reach == set(tier),
        reason=f"of {len(asked)} hosts, {', '.join(sorted(reach)) or 'nobody'} reach tcp/{MYSQL_PORT} of "
        f"{', '.join(databases)}",
        predicted=(len(tier), len(tier)), measured=len(reach), unit="hosts",
    )  # fmt: skip


def _alone(found: Findings, scan: Scanned) -> None:
    found.claim(
        "0.5", "other hosts find no port but the declared ones: the rest of the server is on UNIX sockets or loopback",
        held=scan.compared.exact, reason=_in_words(scan.compared),
        predicted=(0, 0), measured=len(scan.compared.missing) + len(scan.compared.surplus), unit="openings amiss",
    )  # fmt: skip


def _open_to_all(found: Findings, testbed: Testbed, scan: Scanned, progress: Progress) -> None:
    """Stage 1: as open as its declaration says, and a packet filter would show."""
    stage, compared = testbed.stage, scan.compared
    expected = predicted_doors(stage, scan.known.addresses) - scan.declared
    asker = stage.clients[0]
    databases = {d for d in expected if d.source == asker and d.port == MYSQL_PORT}
    reached = {d for d in databases if scan.seen.get(d) == "open"}
    found.claim(
        "1.5", "without a firewall MySQL is reachable from the Internet", held=bool(databases) and reached == databases,
        reason=f"{asker} reaches {named(reached)}" if reached else f"{asker} reaches no MySQL",
        predicted=(len(databases), len(databases)), measured=len(reached), unit="databases",
    )  # fmt: skip
    found.claim(
        "1.5", "whoever listens can be reached by everybody",
        held=set(compared.surplus) == expected and not compared.missing,
        reason=_in_words(compared), predicted=(len(expected), len(expected)), measured=len(compared.surplus),
        unit="openings beyond the declared",
    )  # fmt: skip
    for host in sorted({d.destination for d in databases})[:1]:
        with progress.waiting(f"the control: MySQL of {host} behind a packet filter"):
            with _filtered(testbed, host, asker):
                few = ports(stage, scan.known, 0)
                again = ask_all(testbed, scan.known, few, scan.declared, Pace(), [host])
        hidden = {d for d in reached if d.destination == host and again.get(d) != "open"}
        found.control(
            f"packet filter on {host}", f"{asker} no longer reaches its MySQL", bool(hidden),
            f"{len(hidden)} of {len({d for d in reached if d.destination == host})} openings gone",
        )  # fmt: skip


@contextmanager
def _filtered(testbed: Testbed, host: str, source: str) -> Iterator[None]:
    """`host` drops what `source` sends to its MySQL, during the block."""
    address = next(iter(testbed.stage.addresses[source].values()))
    rules = (
        "add table inet control; add chain inet control input { type filter hook input priority 0; }; "
        f"add rule inet control input ip saddr {address} tcp dport {MYSQL_PORT} drop"
    )
    try:
        testbed.hosts[host].run(["nft", rules])
        yield
    finally:
        testbed.hosts[host].run(["nft", "delete table inet control"], check=False)


# -- controls, and what was scanned ------------------------------------------------------------------


def _controls(
    found: Findings, testbed: Testbed, scan: Scanned, layers: Sequence[str], progress: Progress
) -> None:
    """Each firewall off, then on again; what is off already needs no control, for the claim shows it."""
    few = ports(testbed.stage, scan.known, CONTROL_PORTS)
    rows: list[tuple[object, ...]] = []
    marks: list[Verdict] = []
    for layer in (name for name in layers if name not in testbed.stage.settings.firewalls_off):
        hosts = testbed.stage.layers[layer]

        def again(hosts: tuple[str, ...] = hosts) -> Comparison:
            return scan.towards(hosts, ask_all(testbed, scan.known, few, scan.declared, Pace(), hosts))

        with progress.waiting(f"the control: firewall of {layer} off, and on again"):
            with firewall_off(testbed, layer):
                off = again()
            on = again()
        rows += [(layer, "off", len(off.surplus), named(off.surplus, 6), len(off.leaking))]
        rows += [(layer, "on again", len(on.surplus), named(on.surplus, 6) or None, len(on.leaking))]
        marks += ["held" if off.exact else "deviated", "held" if on.exact else "deviated"]
        found.control(
            f"firewall of {layer} off", f"surplus openings towards {', '.join(hosts)}",
            bool(off.surplus or off.leaking),
            f"{len(off.surplus)} surplus openings ({named(off.surplus, 2)}), {len(off.leaking)} refusals instead of "
            f"silence; {'exact again' if on.exact else 'NOT exact'} with its rules",
        )  # fmt: skip
        if not on.exact:
            found.fail(f"after the control the firewall of {layer} is not what it was: {_in_words(on)}")
    if rows:
        found.table(
            "Controls: one firewall off", f"The hosts of the layer without rules, asked on {len(few)} TCP ports from "
            "everywhere; then with their own rules again. Let through: a refusal where there should be silence.",
            ("layer", "firewall", "surplus", "which", "let through"), rows, marks,
        )  # fmt: skip


def _second_opinion(found: Findings, testbed: Testbed, scan: Scanned, progress: Progress) -> None:
    """nmap, from outside and from inside, on a few ports: it must see what the scanner saw."""
    differing, compared = [], 0
    with progress.waiting("asking nmap for a second opinion"):
        for source, destination, address in _two_ways(testbed.stage, scan):
            ours = {d.port: s for d, s in scan.seen.items() if d[:2] == (source, destination) and d.address == address
                    and d.protocol == "tcp"}  # fmt: skip
            listened = {port for _, _, port in scan.known.listening[destination]}
            asked = sorted({*SECOND_OPINION, *listened} & ours.keys())
            theirs = nmap(testbed.hosts[source], address, asked)
            compared += len(asked)
            differing += [
                f"{source} → {address}:{port} is {ours[port]}, to nmap {theirs.get(port, 'nothing')}"
                for port in asked
                if theirs.get(port) != ours[port]
            ]
    found.check("nmap_agrees_on_doors", compared - len(differing))
    found.check("nmap_asked_for_doors", compared)
    if differing:
        found.fail(f"nmap does not agree: {'; '.join(differing[:3])}")


def _two_ways(stage: Stage, scan: Scanned) -> list[tuple[str, str, str]]:
    """(source, destination, address): a client to the site, and the innermost declared way to a database."""
    front = next(d for d in sorted(scan.declared) if d.address == stage.site_addresses[0])
    ways = [(stage.clients[0], front.destination, front.address)]
    inner = [d for d in sorted(scan.declared) if d.source in stage.servers and d.destination in stage.servers]
    deepest = [d for d in inner if d.port == MYSQL_PORT] or inner
    return ways + [(d.source, d.destination, d.address) for d in deepest[:1]]


def _describe(found: Findings, stage: Stage, scan: Scanned, repeat: int) -> None:
    """Tables and the picture: what was scanned, what is open, what is amiss."""
    compared = scan.compared
    tcp = len({d.port for d in scan.seen if d.protocol == "tcp" and d.segment})
    silent_udp = sorted(
        {f"{host} udp/{port}" for host, some in scan.known.listening.items() for protocol, _, port in some
         if protocol == "udp" and port not in UDP_QUESTIONS}
    )  # fmt: skip
    unknown = f" Nobody could tell by UDP: {', '.join(silent_udp)}." if silent_udp else ""
    counted = states_of(scan.seen)
    found.table(
        "What was scanned", f"Every address of every other host: on a network both are on, {tcp} TCP ports (the "
        f"{COMMON_PORTS} most common ones, and all that is declared or listened on anywhere) and {len(UDP_QUESTIONS)} "
        "UDP ports, each in its own protocol, open only if it answers; where there is no common network, what somebody "
        f"listens on. VRRP has no ports: its advertisements are captured instead.{unknown}",
        ("hosts", "doors", *sorted(counted)),
        [(len(scan.known.addresses), len(scan.seen), *(counted[state] for state in sorted(counted)))],
    )  # fmt: skip
    purposes = {(f.destination, f.opening): f.purpose for f in stage.flows}
    kinds: tuple[tuple[str, tuple[Door, ...], Verdict | None], ...] = (
        ("missing", compared.missing, "deviated"), ("surplus", compared.surplus, "deviated"),
        ("declared, nobody listens", compared.unserved, None), ("as declared", compared.as_declared, "held"),
    )  # fmt: skip
    rows, marks = [], []
    for kind, doors, mark in kinds:
        for destination, segment, opening, sources in by_destination(doors):
            purpose = purposes.get((destination, opening)) if kind != "surplus" else None
            rows.append((f"{destination} {opening}", segment, ", ".join(sources), kind, purpose))
            marks.append(mark)
    found.table(
        "Openings", "Every port that answers, or should, by the network on which it was asked.",
        ("port", "network", "open to", "is", "purpose"), rows, marks,
    )  # fmt: skip
    found.keep("scan", {
        "scans": repeat, "doors": len(scan.seen), "tcp_ports": tcp, "udp_ports": sorted(UDP_QUESTIONS),
        "states": counted, "missing": list(map(str, compared.missing)), "surplus": list(map(str, compared.surplus)),
        "let_through": len(compared.leaking), "unserved": list(map(str, compared.unserved)),
    })  # fmt: skip
    shown = matrix(scan.seen, scan.declared, scan.known.listening, scan.guarded)
    found.figure(
        "reachability", "Who reaches whom",
        "Row: who asks. Column: which port of whom; “others” are all the other ports that were tried.",
        f"A matrix of {len(shown.sources)} hosts by {len(shown.columns)} ports: {_in_words(compared)}.",
        lambda: draw_matrix(shown),
    )  # fmt: skip
