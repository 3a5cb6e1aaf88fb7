"""Where everything of a stage goes on paper; nothing in here knows any stage.

    row 0      clients, resolvers
    ═══════════════════ first network ═══
    row 1      hosts whose first network that is          rail ║    list of streams
    ═══════════════════ second network ══                      ║
    row 2      …                                               ║─── monitor

In a row, hosts that run the same form a group; groups stand below those that ask them. Around the hosts of a
layer is a frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from experiments.harness.drawing import Box
from experiments.harness.stage_cells import FIREWALL, PILE, Cell, cells_of
from experiments.harness.stage_signs import pill_width
from experiments.harness.stage_streams import Stream, networks_of, streams_of
from topologies.monitoring import AGENTS
from topologies.monitoring import SEGMENT as MONITORING
from topologies.stage import NETWORKS, Stage

TOP = 112.0  # title above it
LEFT = 162.0  # names of networks
PLATE = 12.0  # around the cells of a group
FRAME = 16.0  # around the plates of a layer
ABOVE, BELOW = 52.0, 32.0  # between plate and frame: an opening and addresses; addresses
TO_BAR, FROM_BAR = 26.0, 46.0
NAMED = 170.0  # beside a frame, for its name


@dataclass
class Group:
    """Hosts that run the same, side by side."""

    row: int
    layer: str
    cells: tuple[Cell, ...]
    gap: float = 28.0

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(host for cell in self.cells for host in cell.hosts)

    @property
    def width(self) -> float:
        return sum(c.width for c in self.cells) + self.gap * (len(self.cells) - 1) + 2 * PLATE

    @property
    def plate(self) -> Box:
        first, last = self.cells[0], self.cells[-1]
        return Box(
            first.x - PLATE, first.y - PLATE, last.right - first.x + 2 * PLATE, first.height + 2 * PLATE
        )

    @property
    def centre(self) -> float:
        return (self.cells[0].x + self.cells[-1].right) / 2

    @property
    def outline(self) -> Box:
        """Where arrows begin and end: the plate, which a single box does not have."""
        if len(self.cells) > 1:
            return self.plate
        only = self.cells[0]
        behind = PILE if only.pile else 0.0
        return Box(only.x, only.y - behind, only.width + behind, only.height + behind)

    @property
    def port(self) -> float:
        """The x of its arrows up and down, clear of the addresses beside its wires."""
        middle = self.cells[len(self.cells) // 2]
        return middle.x + middle.width * 0.68 if len(self.cells) % 2 else self.centre

    def move(self, left: float) -> None:
        x = left + PLATE
        for cell in self.cells:
            cell.x = x
            x = cell.right + self.gap


@dataclass
class Route:
    """What goes from one group to another, or within one: one arrow, or one for each stream."""

    source: Group
    destination: Group
    streams: list[Stream] = field(default_factory=list)


@dataclass(frozen=True)
class Frame:
    """A layer's hosts of one row; `raised`: their firewall is."""

    layer: str
    raised: bool
    box: Box
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Plan:
    stage: Stage
    streams: tuple[Stream, ...]
    groups: tuple[Group, ...]
    frames: tuple[Frame, ...]
    routes: tuple[Route, ...]
    bars: dict[str, float]  # network → y
    monitors: tuple[Cell, ...]  # not placed yet: they stand in the margin
    right: float
    bottom: float

    @property
    def rail(self) -> float:
        """The x of the monitoring network."""
        return self.right + 74


def plan_of(stage: Stage) -> Plan:
    streams = streams_of(stage)
    networks = [name for name in networks_of(stage) if name != MONITORING]
    rows = _groups(stage, networks)
    groups = tuple(group for row in rows for group in row)
    routes = _routes(stage, streams, groups)
    for group in groups:
        inner = [pill_width([s]) for r in routes if r.source is r.destination is group for s in r.streams]
        group.gap = max([28.0, *(width + 50 for width in inner)])
    _place_across(rows, routes)
    bars = _place_down(rows, networks)
    frames = tuple(_frames(stage, rows))
    main_right = max([g.plate.right for g in groups] + [f.box.right for f in frames]) + 24
    bottom = max([g.plate.bottom for g in groups] + [f.box.bottom for f in frames]) + 24
    monitors = tuple(cell for host in stage.monitors for cell in cells_of(stage, (host,)))
    return Plan(stage, streams, groups, frames, routes, bars, monitors, main_right, bottom)


def _groups(stage: Stage, networks: list[str]) -> list[list[Group]]:
    alike: dict[tuple[int, str, str, tuple[str, ...]], list[str]] = {}
    for host, role in stage.roles.items():
        if role == "monitor":
            continue
        first = next(n for n, name in enumerate(networks) if name in stage.addresses[host])
        row = 0 if role in ("client", "dns") else first + 1
        layer = next((name for name, hosts in stage.layers.items() if host in hosts), "")
        serving = (s.name for s in stage.declared[host] if s.name not in (*AGENTS, *FIREWALL))
        alike.setdefault((row, role, layer, tuple(serving)), []).append(host)
    rows: list[list[Group]] = [[] for _ in range(len(networks) + 1)]
    for (row, role, layer, _), hosts in alike.items():
        # Clients stand first, whatever was declared before them: it is they who ask.
        rows[row].insert(
            0 if role == "client" else len(rows[row]), Group(row, layer, cells_of(stage, tuple(hosts)))
        )
    return rows


def _routes(stage: Stage, streams: tuple[Stream, ...], groups: tuple[Group, ...]) -> tuple[Route, ...]:
    """Those that do not take the monitoring network. "Everybody" is drawn as the clients."""
    home = {host: number for number, group in enumerate(groups) for host in group.hosts}
    found: dict[tuple[int, int], Route] = {}
    for stream in streams:
        for source, destination in stream.pairs:
            hidden = stream.public and stage.roles[source] != "client"
            if (
                hidden
                or not {source, destination} <= home.keys()
                or _way(stage, source, destination) == MONITORING
            ):
                continue
            a, b = home[source], home[destination]
            route = found.setdefault((a, b), Route(groups[a], groups[b]))
            if stream not in route.streams:
                route.streams.append(stream)
    return tuple(found.values())


def _way(stage: Stage, source: str, destination: str) -> str:
    """The network they share that comes first."""
    return next(n for n in NETWORKS if n in stage.addresses[source] and n in stage.addresses[destination])


def _place_across(rows: list[list[Group]], routes: tuple[Route, ...]) -> None:
    for row in rows:
        right = None
        for group in row:
            group.move(0.0)
        for number, group in enumerate(row):
            askers = [r.source for r in routes if r.destination is group and r.source.row < group.row]
            offset = group.port - group.plate.x
            wish = sum(a.port for a in askers) / len(askers) - offset if askers else None
            if right is None:
                left = wish if wish is not None else 0.0
            else:
                before = row[number - 1]
                between = [r for r in routes if {id(r.source), id(r.destination)} == {id(group), id(before)}]
                apart = NAMED if before.layer != group.layer else 44.0
                gap = max([apart, *(pill_width(r.streams) + 56 for r in between)])
                left = max(right + gap, wish if wish is not None else right + gap)
            group.move(left)
            right = group.plate.right
    least = min(group.plate.x for row in rows for group in row)
    for row in rows:
        for group in row:
            group.move(group.plate.x - least + LEFT)


def _place_down(rows: list[list[Group]], networks: list[str]) -> dict[str, float]:
    bars = {}
    top = TOP
    for number, row in enumerate(rows):
        height = max((cell.height for group in row for cell in group.cells), default=0.0)
        for cell in (cell for group in row for cell in group.cells):
            cell.y, cell.height = top + PLATE, height
        if number < len(networks):
            bars[networks[number]] = top + height + 2 * PLATE + TO_BAR + (BELOW if number else 12.0)
            top = bars[networks[number]] + FROM_BAR + ABOVE
    return bars


def _frames(stage: Stage, rows: list[list[Group]]) -> Iterable[Frame]:
    for layer in stage.layers:
        for row in rows:
            below = BELOW if row is not rows[-1] else FRAME  # the last have no network below them
            groups = tuple(group for group in row if group.layer == layer)
            if groups:
                plates = [group.plate for group in groups]
                left, top = min(p.x for p in plates) - FRAME, plates[0].y - ABOVE
                width, height = max(p.right for p in plates) + FRAME - left, plates[0].bottom + below - top
                raised = layer not in stage.settings.firewalls_off
                yield Frame(layer, raised, Box(left, top, width, height), groups)
