"""Asks the hosts of a running stage: who has which address, who listens, who reaches whom, what was denied.

kernel: addresses, listeners ──► questions ──► scan from every host's own network ──► Door → state
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

from experiments.harness.ports import UDP_QUESTIONS
from experiments.harness.reachability import Addresses, Door, Listening, pairs
from experiments.harness.scan import Endpoint, Pace, State, room_for, scan
from services.nftables import CONFIGURATION
from services.service import EVERY_ADDRESS
from services.ulogd import LOG
from topologies.host import EmulatedHost
from topologies.netns import in_network
from topologies.stage import interface
from topologies.testbed import Testbed

#: Long enough for the kernel to send a SYN, and its repetitions after 1 s and 3 s.
PATIENT = Pace(rate_hz=500, at_once=500, timeout_s=3.5)
#: Sources that scan at the same time, at one pace together: while one waits for its last answers, others ask.
SIDE_BY_SIDE = 4
_DENIED = re.compile(r"counter packets (\d+) bytes \d+ drop")
_NMAP_STATES: dict[str, State] = {"open": "open", "closed": "closed", "filtered": "silent"}


@dataclass(frozen=True)
class Survey:
    """What the kernels said before anything was scanned, host by host as the stage declares them."""

    addresses: Addresses
    listening: Listening


def survey(testbed: Testbed) -> Survey:
    """Addresses and listeners of every host. Raises CommandFailed."""
    return Survey(
        {name: _addresses(testbed, testbed.hosts[name]) for name in testbed.stage.addresses},
        {name: _listening(testbed.hosts[name]) for name in testbed.stage.addresses},
    )


def _addresses(testbed: Testbed, host: EmulatedHost) -> dict[str, tuple[str, ...]]:
    said = json.loads(host.run(["ip", "-json", "-4", "addr", "show"]).stdout)
    there = {link["ifname"]: tuple(a["local"] for a in link["addr_info"]) for link in said}
    return {segment: there[interface(host.name, segment)] for segment in testbed.stage.addresses[host.name]}


def _listening(host: EmulatedHost) -> frozenset[tuple[str, str, int]]:
    return listeners_in(host.run(["ss", "-Hltun"]).stdout)


def listeners_in(said: str) -> frozenset[tuple[str, str, int]]:
    """(protocol, address, port) of what `ss -Hltun` shows to listen on more than loopback."""
    found = set()
    for line in said.splitlines():
        protocol, _, _, _, local, *_ = line.split()
        address, _, port = local.rpartition(":")
        address = address.strip("[]").partition("%")[0]
        if not address.startswith(("127.", "::1")):
            found.add((protocol, EVERY_ADDRESS if address in ("*", "::") else address, int(port)))
    return frozenset(found)


def ask_all(
    testbed: Testbed,
    known: Survey,
    tcp_ports: Collection[int],
    declared: Collection[Door],
    pace: Pace,
    towards: Collection[str] | None = None,
) -> dict[Door, State]:
    """The state of every door from every host, those of the hosts `towards` alone if given.

    Where two hosts share no network, only what somebody listens on is tried: there is no way to any of it.
    A declared door that does not answer at once is asked again with more patience.
    """
    questions = _questions(known, tcp_ports, towards)
    seen: dict[Door, State] = {}
    with room_for(pace.at_once) as at_once, ThreadPoolExecutor(max_workers=SIDE_BY_SIDE) as pool:
        share = replace(pace, rate_hz=pace.rate_hz / SIDE_BY_SIDE, at_once=at_once // SIDE_BY_SIDE)
        for answers in pool.map(lambda some: _ask(testbed.hosts[some[0]], some[1], share), questions.items()):
            seen |= answers
    doubtful: dict[str, list[Door]] = {}
    for door in declared:
        if door in seen and seen[door] != "open":
            doubtful.setdefault(door.source, []).append(door)
    for source, doors in doubtful.items():
        seen |= _ask(testbed.hosts[source], doors, PATIENT)
    return seen


def _questions(
    known: Survey, tcp_ports: Collection[int], towards: Collection[str] | None
) -> dict[str, list[Door]]:
    questions: dict[str, list[Door]] = {}
    for source, destination, segment, address in pairs(known.addresses):
        if towards is not None and destination not in towards:
            continue
        listening = sorted({port for protocol, _, port in known.listening[destination] if protocol == "tcp"})
        udp = UDP_QUESTIONS if segment else ()
        questions.setdefault(source, []).extend(
            Door(source, destination, segment, address, protocol, port)
            for protocol, ports in (("tcp", tcp_ports if segment else listening), ("udp", udp))
            for port in ports
        )
    return questions


def _ask(host: EmulatedHost, doors: Collection[Door], pace: Pace) -> dict[Door, State]:
    """The state of each, asked from the host's own network."""
    of = {_endpoint(door): door for door in doors}
    states = in_network(host.pid, lambda: scan(list(of), pace))
    return {of[endpoint]: state for endpoint, state in states.items()}


def _endpoint(door: Door) -> Endpoint:
    question = UDP_QUESTIONS[door.port]() if door.protocol == "udp" else b""
    return Endpoint(door.address, door.port, question)


# -- a second opinion --------------------------------------------------------------------------------


def nmap(host: EmulatedHost, address: str, ports: Collection[int]) -> dict[int, State]:
    """What nmap's SYN scan from `host` makes of these ports. Raises CommandFailed."""
    listed = ",".join(map(str, sorted(ports)))
    line = ["nmap", "-n", "-Pn", "-sS", "--max-retries", "1", "-oX", "-", "-p", listed, address]
    return nmap_states(host.run(line, timeout_s=60.0).stdout)


def nmap_states(document: str) -> dict[int, State]:
    """Port → state, from nmap's XML."""
    found: dict[int, State] = {}
    for port in ElementTree.fromstring(document).iter("port"):
        state = port.find("state")
        if state is not None:
            found[int(port.attrib["portid"])] = _NMAP_STATES.get(state.attrib["state"], "unreachable")
    return found


# -- firewalls ---------------------------------------------------------------------------------------


def denied(host: EmulatedHost) -> int:
    """Packets that the host's firewall has dropped so far, by its own counter. Raises CommandFailed."""
    found = _DENIED.search(host.run(["nft", "list", "chain", "inet", "firewall", "input"]).stdout)
    return int(found[1]) if found else 0


def denials_logged(host: EmulatedHost, layer: str) -> int:
    """Lines in the host's firewall log that carry its layer's prefix."""
    log = host.path(LOG)
    return log.read_text(errors="replace").count(f"deny {layer} ") if log.exists() else 0


@contextmanager
def firewall_off(testbed: Testbed, layer: str) -> Iterator[None]:
    """The layer's hosts without any rule during the block, and with their own rules after it."""
    hosts = [testbed.hosts[name] for name in testbed.stage.layers[layer]]
    try:
        for host in hosts:
            host.run(["nft", "flush", "ruleset"])
        yield
    finally:
        for host in hosts:
            host.run(["nft", "--file", CONFIGURATION])


def states_of(seen: Mapping[Door, State]) -> dict[str, int]:
    """How many doors were found in each state."""
    counted: dict[str, int] = {}
    for state in seen.values():
        counted[state] = counted.get(state, 0) + 1
    return counted
