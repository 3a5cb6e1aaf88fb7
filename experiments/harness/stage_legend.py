"""Beside the picture of a stage: its streams by number, what is open though nobody declared it, the signs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from experiments.harness.drawing import Box, Path, Shape, Words, width_of
from experiments.harness.figure_style import GREY, VERMILLION
from experiments.harness.stage_plan import Plan
from experiments.harness.stage_signs import BADGE, NAME, SMALL, TEXT, arrow, badge
from experiments.harness.stage_streams import Stream, named, networks_of
from topologies.listening import exposed
from topologies.stage import NETWORKS

BESIDE = 1.3  # a picture without monitoring that is so much wider than high has its list below
COLUMN = 480.0

Entry = Callable[[float, float], Iterator[Shape]]


@dataclass(frozen=True)
class Item:
    """One entry of the list: a sign, who and whom, and what for in as many lines as that takes."""

    sign: Entry
    parties: tuple[str, ...]
    told: tuple[str, ...]

    @property
    def height(self) -> float:
        return 23.0 * len(self.parties) + 22.0 * len(self.told) + 15.0

    def at(self, x: float, y: float) -> Iterator[Shape]:
        yield from self.sign(x, y)
        y += 12
        for line in self.parties:
            yield Words(x + BADGE + 12, y, line, TEXT, bold=True)
            y += 23
        for line in self.told:
            yield Words(x + BADGE + 12, y, line, SMALL)
            y += 22


def items_of(plan: Plan, width: float) -> list[Item]:
    """The streams, then what the absence of a firewall opens."""
    room = width - BADGE - 12
    found = []
    for stream in plan.streams:
        parties, told = (
            f"{stream.sources} → {stream.destinations}",
            f"{openings_of(stream)} – {stream.purpose}",
        )
        found.append((_number(stream), parties, told))
    for gap in exposed(plan.stage):
        parties, told = f"everybody on {gap.segment} → {named(gap.hosts)}", ", ".join(gap.openings)
        found.append((_warning, parties, f"{told} – open: no flow, no firewall"))
    return [
        Item(sign, tuple(wrapped(parties, TEXT, room, bold=True)), tuple(wrapped(told, SMALL, room)))
        for sign, parties, told in found
    ]


def openings_of(stream: Stream) -> str:
    """ "tcp/443 (TLS), tcp/80"."""
    return ", ".join(f"{o} (TLS)" if o in stream.tls else o.replace("vrrp", "VRRP") for o in stream.openings)


def wrapped(text: str, size: float, room: float, bold: bool = False) -> Iterator[str]:
    """The text in lines that fit into `room`."""
    line = ""
    for word in text.split():
        if line and width_of(f"{line} {word}", size, bold) > room:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    yield line


def _number(stream: Stream) -> Entry:
    return lambda x, y: badge(stream, (x + BADGE / 2, y + 7))


def _warning(x: float, y: float) -> Iterator[Shape]:
    yield Path(
        ((x + 13, y - 7), (x + 26, y + 17), (x, y + 17), (x + 13, y - 7), (x + 26, y + 17)), VERMILLION, 3
    )
    yield Words(x + 13, y + 14, "!", TEXT, bold=True, anchor="middle")


def listed(items: list[Item], x: float, y: float, columns: int = 1) -> tuple[list[Shape], float]:
    """The list with its heading; returns where it ends."""
    shapes: list[Shape] = [Words(x, y + 18, "Who opens connections to whom", NAME, bold=True)]
    per_column = -(-len(items) // columns)
    ends = []
    for column in range(columns):
        at = y + 48
        for item in items[column * per_column : (column + 1) * per_column]:
            shapes += item.at(x + column * COLUMN, at)
            at += item.height
        ends.append(at)
    return shapes, max(ends)


# -- signs -------------------------------------------------------------------------------------------


def signs(plan: Plan, top: float, width: float) -> tuple[list[Shape], float]:
    """A strip at the foot with what occurs in this picture; returns where it ends."""
    carried = [stream for route in plan.routes for stream in route.streams]
    here: list[tuple[str, Entry]] = []
    if any(s.tls for s in carried):
        here.append(("TLS", lambda x, y: arrow("request", True, ((x, y), (x + 54, y)), False, True)))
    here.append(("plain text", lambda x, y: arrow("request", False, ((x, y), (x + 54, y)), False, True)))
    if any(s.kind == "further" for s in carried):
        here.append(
            ("further flow", lambda x, y: arrow("further", False, ((x, y), (x + 54, y)), False, True))
        )
    if plan.monitors:
        here.append(
            ("metrics and logs", lambda x, y: arrow("watch", False, ((x, y), (x + 54, y)), True, True))
        )
    if any(frame.raised for frame in plan.frames):
        here.append(("firewall: drops and logs what has no opening in it", _wall))
    shapes: list[Shape] = [Path(((24, top + 10), (width - 24, top + 10)), GREY, 1)]
    x, y = 24.0, top + 38
    for said, sign in here:
        needed = 66 + width_of(said, TEXT) + 36
        if x + needed > width and x > 24:
            x, y = 24.0, y + 32
        shapes += [*sign(x, y), Words(x + 66, y + 5.5, said, TEXT)]
        x += needed
    return shapes, y + 26


def _wall(x: float, y: float) -> Iterator[Shape]:
    yield Box(x, y - 13, 54, 26, stroke=VERMILLION, line=3, radius=5)
    yield Box(x + 5, y - 8, 44, 16, stroke=VERMILLION, line=1.5, radius=3)


# -- in words ----------------------------------------------------------------------------------------


def in_words(plan: Plan) -> str:
    """The picture for who cannot see it: networks, hosts with daemons and addresses, firewalls, streams."""
    stage = plan.stage
    said = ["Networks: " + ", ".join(f"{name} {NETWORKS[name]}" for name in networks_of(stage)) + "."]
    for host, on in stage.addresses.items():
        where = ", ".join(f"{address} on {segment}" for segment, address in on.items())
        runs = ", ".join(service.name for service in stage.declared[host])
        said.append(f"{host}, {where}{f', runs {runs}' if runs else ''}.")
    for layer, hosts in stage.layers.items():
        raised = layer not in stage.settings.firewalls_off
        said.append(f"{'Firewall' if raised else 'No firewall'} {layer}: {named(hosts)}.")
    for s in plan.streams:
        said.append(f"{s.number}: {s.sources} to {s.destinations}, {openings_of(s)}: {s.purpose}.")
    for gap in exposed(stage):
        said.append(f"Open to everybody on {gap.segment}: {', '.join(gap.openings)} of {named(gap.hosts)}.")
    return " ".join(said)
