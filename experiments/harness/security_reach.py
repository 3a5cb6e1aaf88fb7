"""Who reaches whom: the scan of a running stage, and what it says of claims 2.1, 3.7, 1.5 and 0.5.

flows ──► declared ─┐
                    ├─► as declared, missing, surplus, let through
hosts ──► scan ─────┘
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from experiments.harness import security_controls
from experiments.harness.findings import Findings
from experiments.harness.progress import Progress
from experiments.harness.reachability import declared_doors, named, predicted_doors
from experiments.harness.scan import Pace
from experiments.harness.scanned import MYSQL_PORT, Scanned, amiss, in_words, ports_of, walls_of
from experiments.harness.security_shown import describe
from experiments.harness.survey import Survey, ask_all, denials_logged, denied
from topologies.stage import Stage
from topologies.testbed import Testbed
from topologies.waiting import NotReady, wait_until

#: Of nmap's table of what is open most often.
COMMON_PORTS = 1000


def look(
    found: Findings, testbed: Testbed, known: Survey, layers: Sequence[str], repeat: int, progress: Progress
) -> None:
    """Scan, say what it means for the stage's claims, and show that the scanner sees what is wrong."""
    stage = testbed.stage
    dropped_before = {host: denied(testbed.hosts[host]) for host in walls_of(stage)}
    scans = []
    for _ in range(repeat):
        with progress.waiting("scanning from every host to every host"):
            scans.append(_scan(testbed, known))
    # Every scan must be exact; the first that is not is the one that is shown.
    scan = next((one for one in scans if not one.compared.exact), scans[-1])
    progress.say(f"{len(scan.seen)} doors tried; {in_words(scan.compared)}")
    describe(found, stage, scan, repeat, COMMON_PORTS)
    security_controls.second_opinion(found, testbed, scan, progress)
    if stage.layers:
        _firewalls(found, stage, scan, repeat)
        _denials(found, testbed, scan, dropped_before, repeat)
        if set(stage.hosts_of("gunicorn")).isdisjoint(stage.hosts_of("nginx")):
            _database_tier(found, stage, scan)
        security_controls.firewalls_off(found, testbed, scan, layers, progress)
    elif "tls" in stage.offers:
        _alone(found, scan)
    else:
        _open_to_all(found, testbed, scan, progress)


def _scan(testbed: Testbed, known: Survey) -> Scanned:
    stage = testbed.stage
    declared = frozenset(declared_doors(stage, known.addresses))
    guarded = tuple(host for hosts in stage.layers.values() for host in hosts)
    seen = ask_all(testbed, known, ports_of(stage, known, COMMON_PORTS), declared, Pace())
    return Scanned(known, declared, guarded, seen)


def _firewalls(found: Findings, stage: Stage, scan: Scanned, repeat: int) -> None:
    off = ", ".join(stage.settings.firewalls_off)
    notes = [f"the firewall of {off} is off"] if off else []
    notes += [f"{repeat} scans"] if repeat > 1 else []
    found.claim(
        "2.1", "three firewalls let through exactly the declared flows", held=scan.compared.exact,
        reason="; ".join([in_words(scan.compared), *notes]), predicted=(0, 0), measured=amiss(scan.compared),
        unit="openings amiss",
    )  # fmt: skip


def _denials(
    found: Findings, testbed: Testbed, scan: Scanned, before: Mapping[str, int], repeat: int
) -> None:
    """Each silent door was a packet dropped: the kernel's counter must know of all, and the log of some."""
    walls = walls_of(testbed.stage)

    def told() -> bool:
        return all(denials_logged(testbed.hosts[host], layer) for host, layer in walls.items())

    with contextlib.suppress(NotReady):  # who has not is seen in the table
        wait_until(told, timeout_s=5.0, what="every firewall to log a denial")
    rows, good = list[tuple[str, str, int, int, int]](), 0
    for host, layer in walls.items():
        silent = repeat * sum(d.destination == host and s == "silent" for d, s in scan.seen.items())
        counted = denied(testbed.hosts[host]) - before[host]
        lines = denials_logged(testbed.hosts[host], layer)
        good += counted >= silent > 0 and lines > 0
        rows.append((host, layer, silent, counted, lines))
    found.table(
        "What was denied",
        "Doors that stayed silent; packets that the firewall's counter dropped meanwhile; lines that ulogd "
        "wrote (the rules log 10 a second at most, so that a flood cannot fill the disk).",
        ("host", "layer", "silent doors", "dropped", "log lines"), rows,
    )  # fmt: skip
    if not walls:
        return
    silent, counted, lines = (sum(some) for some in list(zip(*rows, strict=True))[2:])
    found.claim(
        "2.1", "what a firewall denies is counted and logged", held=good == len(walls),
        reason=f"{counted} packets dropped for {silent} silent doors, {lines} log lines name their layer",
        predicted=(len(walls), len(walls)), measured=good, unit="hosts",
    )  # fmt: skip


def _database_tier(found: Findings, stage: Stage, scan: Scanned) -> None:
    databases, tier = stage.hosts_of("mysql"), stage.hosts_of("gunicorn")
    asked = {door.source for door in scan.seen if door.destination in databases}
    reach = {
        door.source
        for door, state in scan.seen.items()
        if state == "open" and door.destination in databases and door.port == MYSQL_PORT
    }
    who = ", ".join(sorted(reach)) or "nobody"
    found.claim(
        "3.7", "only the application tier reaches the dedicated database", held=reach == set(tier),
        reason=f"of {len(asked)} other hosts: {who}, on tcp/{MYSQL_PORT} of {', '.join(databases)}",
        predicted=(len(tier), len(tier)), measured=len(reach), unit="hosts",
    )  # fmt: skip


def _alone(found: Findings, scan: Scanned) -> None:
    """Stage 0 has no firewall, and needs none for this."""
    found.claim(
        "0.5", "others find no port but the declared: the rest is on UNIX sockets or loopback",
        held=scan.compared.exact, reason=in_words(scan.compared), predicted=(0, 0),
        measured=amiss(scan.compared), unit="openings amiss",
    )  # fmt: skip


def _open_to_all(found: Findings, testbed: Testbed, scan: Scanned, progress: Progress) -> None:
    """Stage 1: as open as its services say that they listen; a packet filter would show."""
    stage, asker = testbed.stage, testbed.stage.clients[0]
    expected = predicted_doors(stage, scan.known.addresses) - scan.declared
    databases = {door for door in expected if door.source == asker and door.port == MYSQL_PORT}
    reached = {door for door in databases if scan.seen.get(door) == "open"}
    found.claim(
        "1.5", "without a firewall MySQL is reachable from the Internet",
        held=bool(databases) and reached == databases,
        reason=named(reached) or f"{asker} reaches no MySQL",
        predicted=(len(databases), len(databases)), measured=len(reached), unit="databases",
    )  # fmt: skip
    found.claim(
        "1.5", "whoever listens can be reached by everybody",
        held=set(scan.compared.surplus) == expected and not scan.compared.missing,
        reason=in_words(scan.compared), predicted=(len(expected), len(expected)),
        measured=len(scan.compared.surplus), unit="openings beyond the declared",
    )  # fmt: skip
    if reached:
        security_controls.packet_filter(found, testbed, scan, sorted(reached)[0], progress)
