"""Who reaches whom: what was declared beside what a scan found. Pure functions; the scan is elsewhere.

                     answers          lets through, nobody listens     silent
    declared         as declared      unserved, or missing             missing
    not declared     surplus          leaking, behind a firewall       kept out

`unserved` needs the kernel's word that nobody listens there. Behind a firewall an undeclared packet must
vanish: one that is answered, even by a refusal, was let through.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from experiments.harness.scan import State
from services.service import EVERY_ADDRESS, Listener
from topologies.stage import Stage

#: Host → segment → the addresses it has there now, virtual ones included.
Addresses = Mapping[str, Mapping[str, Collection[str]]]
#: Host → what somebody listens on there, loopback left out, as (protocol, address, port).
Listening = Mapping[str, Collection[tuple[str, str, int]]]
Kind = Literal["as declared", "missing", "unserved", "surplus", "leaking", "kept out"]


class Door(NamedTuple):
    """One port at one address, as one host may find it. `segment` is "" where the two share no network."""

    source: str
    destination: str
    segment: str
    address: str
    protocol: str
    port: int

    def __str__(self) -> str:
        return f"{self.source} → {self.destination} {self.address} {self.protocol}/{self.port}"

    @property
    def opening(self) -> str:
        return f"{self.protocol}/{self.port}"


@dataclass(frozen=True)
class Comparison:
    """The doors of each kind, sorted; of those that are as they should be and shut, only the number."""

    as_declared: tuple[Door, ...]
    missing: tuple[Door, ...]
    unserved: tuple[Door, ...]
    surplus: tuple[Door, ...]
    leaking: tuple[Door, ...]
    kept_out: int

    @property
    def exact(self) -> bool:
        """Open is what was declared, and nothing else gets through."""
        return not (self.missing or self.surplus or self.leaking)


def declared_doors(stage: Stage, addresses: Addresses) -> set[Door]:
    """Every TCP and UDP flow of the stage, at each address its destination has on the network they share.

    A flow is meant for the network that `stage.path` names, and for no other that both happen to be on.
    """
    doors = set()
    for flow in stage.flows:
        way = stage.path(flow)
        if flow.port is None or way is None:
            continue
        for address in addresses[flow.destination].get(way[0], ()):
            doors.add(Door(flow.source, flow.destination, way[0], address, flow.protocol, flow.port))
    return doors


def predicted_doors(stage: Stage, addresses: Addresses) -> set[Door]:
    """What must be open if every daemon listens as declared, and every firewall does its work."""
    declared = declared_doors(stage, addresses)
    doors = set()
    for source, destination, segment, address in pairs(addresses):
        for listener in (one for service in stage.declared[destination] for one in service.listeners):
            if listener.port is None or not _serves(listener, address) or not segment:
                continue
            door = Door(source, destination, segment, address, listener.protocol, listener.port)
            if door in declared or destination not in stage.hosts_of("nftables"):
                doors.add(door)
    return doors


def _serves(listener: Listener, address: str) -> bool:
    return listener.reachable and listener.address in (address, EVERY_ADDRESS)


def pairs(addresses: Addresses) -> list[tuple[str, str, str, str]]:
    """(source, destination, segment or "", address): every address of every other host."""
    return [
        (source, destination, segment if segment in networks else "", address)
        for source, networks in addresses.items()
        for destination, theirs in addresses.items()
        if destination != source
        for segment, some in theirs.items()
        for address in some
    ]


def kind_of(
    door: Door, state: State, declared: Collection[Door], listening: Listening, guarded: Collection[str]
) -> Kind:
    """What a door in that state is; `guarded` are the hosts that a firewall stands before, by declaration."""
    if door in declared:
        if state == "open":
            return "as declared"
        ways = ((door.protocol, address, door.port) for address in (door.address, EVERY_ADDRESS))
        served = any(way in listening.get(door.destination, ()) for way in ways)
        return "unserved" if state == "closed" and not served else "missing"
    if state == "open":
        return "surplus"
    # A refused datagram is an ICMP message, which the kernel rations: by UDP only an answer says something.
    let_through = state == "closed" and door.protocol == "tcp" and door.destination in guarded
    return "leaking" if let_through else "kept out"


def compare(
    seen: Mapping[Door, State], declared: Collection[Door], listening: Listening, guarded: Collection[str]
) -> Comparison:
    """Every door that was tried. A declared one that was not tried is missing, too."""
    doors: dict[Kind, list[Door]] = {}
    for door, state in seen.items():
        doors.setdefault(kind_of(door, state, declared, listening, guarded), []).append(door)
    untried = [door for door in declared if door not in seen]
    return Comparison(
        as_declared=tuple(sorted(doors.get("as declared", ()))),
        missing=tuple(sorted([*doors.get("missing", ()), *untried])),
        unserved=tuple(sorted(doors.get("unserved", ()))),
        surplus=tuple(sorted(doors.get("surplus", ()))),
        leaking=tuple(sorted(doors.get("leaking", ()))),
        kept_out=len(doors.get("kept out", ())),
    )


def by_destination(doors: Iterable[Door]) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """(destination, segment, opening, sources), sorted: who gets where, one row for each port and network."""
    rows: dict[tuple[str, str, str, int], set[str]] = {}
    for door in doors:
        rows.setdefault((door.destination, door.segment, door.protocol, door.port), set()).add(door.source)
    return [
        (destination, segment, f"{protocol}/{port}", tuple(sorted(sources)))
        for (destination, segment, protocol, port), sources in sorted(rows.items())
    ]


def named(doors: Collection[Door], most: int = 4) -> str:
    """ "db1 tcp/3306 from lb1, monitor1; … and 2 more": a list that fits in a line."""
    sources: dict[str, set[str]] = {}
    for door in sorted(doors, key=lambda d: (d.destination, d.protocol, d.port)):
        sources.setdefault(f"{door.destination} {door.opening}", set()).add(door.source)
    rows = [f"{where} from {', '.join(sorted(names))}" for where, names in sources.items()]
    more = [f"{len(rows) - most} more"] if len(rows) > most else []
    return "; ".join([*rows[:most], *more])


# -- the picture of it -------------------------------------------------------------------------------

Shown = Literal[Kind, "no network", "itself"]
OTHERS = "others"
#: Of several doors in one cell the first of these is shown.
_WORST_FIRST: tuple[Shown, ...] = ("surplus", "missing", "leaking", "as declared", "unserved", "kept out")


@dataclass(frozen=True)
class Matrix:
    """Rows: who asks. Columns: (destination, opening), the last of each destination its other ports."""

    sources: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    cells: Mapping[tuple[str, str, str], Shown]  # (source, destination, opening)

    def shown(self, source: str, column: tuple[str, str]) -> Shown:
        if source == column[0]:
            return "itself"
        return self.cells.get((source, *column), "no network")


def matrix(
    seen: Mapping[Door, State], declared: Collection[Door], listening: Listening, guarded: Collection[str]
) -> Matrix:
    """Every port that is declared or open somewhere has a column of its own on its host."""
    kinds = {door: kind_of(door, state, declared, listening, guarded) for door, state in seen.items()}
    special = {
        (d.destination, d.protocol, d.port)
        for d, kind in kinds.items()
        if kind not in ("kept out", "leaking")
    }
    special |= {(d.destination, d.protocol, d.port) for d in declared}
    sources = tuple(dict.fromkeys(door.source for door in seen))
    columns = []
    for host in sources:
        own = sorted((protocol, port) for where, protocol, port in special if where == host)
        columns += [(host, f"{protocol}/{port}") for protocol, port in own] + [(host, OTHERS)]
    cells: dict[tuple[str, str, str], Shown] = {}
    for door, kind in kinds.items():
        if not door.segment and kind == "kept out":
            continue
        own_column = (door.destination, door.protocol, door.port) in special
        cell = (door.source, door.destination, door.opening if own_column else OTHERS)
        cells[cell] = min(kind, cells.get(cell, kind), key=_WORST_FIRST.index)
    return Matrix(sources, tuple(columns), cells)
