"""A stage, drawn from its declaration: networks, hosts, firewalls, and who opens connections to whom.

    draw(Stage3(settings)) ──► Drawing ──► drawing.svg, drawing.png

A number on an arrow is a stream of the list beside it. Where an arrow enters a firewall, number and ports are
the opening. What is told by colour is also told by words or by the kind of line.
"""

from __future__ import annotations

from collections.abc import Iterator

from experiments.harness.drawing import Box, Drawing, Path, Point, Shape, Words
from experiments.harness.figure_style import GREY, PURPLE, VERMILLION
from experiments.harness.stage_cells import PILE, Cell
from experiments.harness.stage_legend import BESIDE, COLUMN, in_words, items_of, listed
from experiments.harness.stage_legend import signs as signs_of
from experiments.harness.stage_plan import PLATE, Frame, Group, Plan, Route, plan_of
from experiments.harness.stage_signs import BADGE, DASHES, NETWORK_COLOURS, SMALL, TEXT, arrow, badge, pill
from experiments.harness.stage_streams import Stream, span
from topologies.monitoring import SEGMENT as MONITORING
from topologies.stage import DOMAIN, NETWORKS, Settings, Stage

PALE = "#F3F3F3"
SLOT = 130.0  # between two arrows into one group
LANE = 46.0  # between two arrows side by side
_WIRE_AT = 26.0  # from a box's edge


def draw(stage: Stage) -> Drawing:
    """The picture of `stage`, its title, and the same in words for who cannot see it."""
    plan = plan_of(stage)
    beside, width, bottom = _margin(plan)
    signs, height = signs_of(plan, bottom, width)
    shapes = (
        *_title(stage), *_bars(plan), *_frames(plan), *_plates(plan), *_rail(plan),
        *(shape for group in plan.groups for shape in _wires(plan, group)),
        *(shape for route in plan.routes for shape in _arrows(plan, route)),
        *(shape for group in plan.groups for cell in group.cells for shape in _cell(cell)),
        *(shape for cell in plan.monitors for shape in _cell(cell)),
        *beside, *signs,
    )  # fmt: skip
    return Drawing(width, height, title_of(stage), in_words(plan), shapes)


def _margin(plan: Plan) -> tuple[list[Shape], float, float]:
    """(list of streams, width of the drawing, where it ends); the monitors stand below the list."""
    if not plan.monitors and plan.right > BESIDE * plan.bottom:
        columns = int((plan.right - 24) // COLUMN)
        beside, bottom = listed(items_of(plan, COLUMN - 24), 24, plan.bottom, columns)
        return beside, plan.right + 24, bottom
    x = plan.rail + 48 if plan.monitors else plan.right + 40
    beside, bottom = listed(items_of(plan, COLUMN - 24), x, 108)
    for cell in plan.monitors:
        cell.x, cell.y = x, bottom + 16
        bottom = cell.bottom
    return beside, x + COLUMN, max(plan.bottom, bottom + 16)


def title_of(stage: Stage) -> str:
    return f"Stage {stage.number}, {stage.title}"


def _title(stage: Stage) -> Iterator[Shape]:
    yield Words(24, 48, title_of(stage), 30, bold=True)
    said = f"{stage.scheme}://{DOMAIN}/ is {' and '.join(stage.site_addresses)}"
    if chosen := ", ".join(changed(stage.settings)):
        said += f"   ·   {chosen}"
    yield Words(24, 80, said, 18)


def changed(settings: Settings) -> Iterator[str]:
    """What is not as by default, in a few words each; further flows are drawn anyway."""
    default = Settings()
    for name in Settings.names():
        value = getattr(settings, name)
        if value != getattr(default, name) and name != "flows":
            said = name.replace("_", " ")
            if isinstance(value, bool):
                yield said if value else f"no {said}"
            else:
                yield f"{said}: {', '.join(value) if isinstance(value, tuple) else value}"


# -- networks ----------------------------------------------------------------------------------------


def _bars(plan: Plan) -> Iterator[Shape]:
    for name, y in plan.bars.items():
        yield Path(((24, y), (plan.right, y)), NETWORK_COLOURS[name], line=9)
        yield Words(24, y - 14, name, 19, bold=True)
        yield Words(24, y + 28, NETWORKS[name], TEXT)


def _wires(plan: Plan, group: Group) -> Iterator[Shape]:
    """From each box to its networks, with its address there; on the side away from the group's arrows."""
    for cell in group.cells:
        left = cell.centre <= group.centre + 1
        x = cell.x + _WIRE_AT if left else cell.right - _WIRE_AT
        for network, bar in plan.bars.items():
            on = plan.stage.addresses
            if network not in on[cell.hosts[0]]:
                continue
            up = bar < cell.y
            yield Path(((x, cell.y if up else cell.bottom), (x, bar)), NETWORK_COLOURS[network], line=4)
            address = span(tuple(on[host][network] for host in cell.hosts))
            y = cell.y - PLATE - 7 if up else cell.bottom + PLATE + 19
            yield Words(x + 9 if left else x - 9, y, address, TEXT, anchor="start" if left else "end")


def _rail(plan: Plan) -> Iterator[Shape]:
    """The monitoring network, upright: every layer's hosts are on it, and who watches them."""
    if not plan.monitors:
        return
    ends = [frame.box.middle[1] for frame in plan.frames] + [
        cell.y + cell.height / 2 for cell in plan.monitors
    ]
    top, bottom = min(ends) - 70, max(ends) + 34
    yield Path(((plan.rail, top), (plan.rail, bottom)), PURPLE, line=9)
    yield Words(plan.rail - 14, top + 16, MONITORING, 19, bold=True, anchor="end")
    yield Words(plan.rail - 14, top + 40, NETWORKS[MONITORING], TEXT, anchor="end")
    for frame in plan.frames:
        hosts = {host for group in frame.groups for host in group.hosts}
        y = frame.box.middle[1]
        yield from _watched(plan, hosts, (plan.rail, y), (frame.box.right, y))
    for cell in plan.monitors:
        y = cell.y + cell.height / 2
        yield Path(((plan.rail, y), (cell.x, y)), PURPLE, line=4)


def _watched(plan: Plan, hosts: set[str], rail: Point, edge: Point) -> Iterator[Shape]:
    """One line for all that goes between a layer and the monitoring network."""
    mine = [s for s in plan.streams if _by_rail(plan, s) and hosts & {h for pair in s.pairs for h in pair}]
    inwards = any(pair[1] in hosts for s in mine for pair in s.pairs)
    outwards = any(pair[0] in hosts for s in mine for pair in s.pairs)
    yield Path((rail, edge), PURPLE, 2.5, DASHES["watch"], head_at_start=outwards, head_at_end=inwards)
    x = edge[0] + 34
    for stream in mine:
        yield from badge(stream, (x, edge[1]))
        x += BADGE + 2


def _by_rail(plan: Plan, stream: Stream) -> bool:
    return not any(stream in route.streams for route in plan.routes)


# -- hosts and firewalls -----------------------------------------------------------------------------


def _frames(plan: Plan) -> Iterator[Shape]:
    for frame in plan.frames:
        box = frame.box
        if frame.raised:
            yield Box(box.x, box.y, box.width, box.height, stroke=VERMILLION, line=3, radius=10, fill="none")
            inner = Box(box.x + 5, box.y + 5, box.width - 10, box.height - 10)
            yield Box(
                inner.x,
                inner.y,
                inner.width,
                inner.height,
                stroke=VERMILLION,
                line=1.5,
                radius=6,
                fill="none",
            )
        else:
            yield Box(
                box.x,
                box.y,
                box.width,
                box.height,
                stroke=GREY,
                line=1.5,
                dash=(3, 5),
                radius=10,
                fill="none",
            )
        yield from _name(frame)


def _name(frame: Frame) -> Iterator[Shape]:
    """The frame's name, at its upper left corner."""
    x, y = frame.box.x - 10, frame.box.y + 26
    yield Words(x, y, "firewall" if frame.raised else "no firewall", TEXT, anchor="end")
    yield Words(x, y + 23, f"“{frame.layer}”", TEXT, bold=True, anchor="end")


def _plates(plan: Plan) -> Iterator[Shape]:
    for group in plan.groups:
        if len(group.cells) > 1:
            plate = group.plate
            yield Box(
                plate.x, plate.y, plate.width, plate.height, fill=PALE, stroke="#BBBBBB", line=1, radius=8
            )


def _cell(cell: Cell) -> Iterator[Shape]:
    for behind in (PILE, PILE / 2) if cell.pile else ():
        yield Box(cell.x + behind, cell.y - behind, cell.width, cell.height, stroke=GREY, line=1.5, radius=6)
    yield Box(cell.x, cell.y, cell.width, cell.height, line=2, radius=6)
    if cell.agents:
        y = cell.agents_from
        yield Path(((cell.left_edge, y), (cell.right_edge, y)), GREY, 1, (2, 3))
    for y, row in cell.lines():
        yield Words(cell.left_edge, y, row.left, row.size, row.bold)
        if row.right:
            role = row is cell.rows[0]
            yield Words(cell.right_edge, y, row.right, SMALL if role else row.size, anchor="end")


# -- arrows ------------------------------------------------------------------------------------------


def _arrows(plan: Plan, route: Route) -> Iterator[Shape]:
    if route.source is route.destination:
        for lane, stream in enumerate(route.streams):
            yield from _among(route.source, stream, (lane - (len(route.streams) - 1) / 2) * LANE)
    elif route.source.row == route.destination.row:
        yield from _across(plan, route)
    else:
        yield from _between_rows(plan, route)


def _among(group: Group, stream: Stream, lane: float) -> Iterator[Shape]:
    """Between neighbours of one group."""
    for one, other in zip(group.cells, group.cells[1:], strict=False):
        forth = any((a, b) in stream.pairs for a in one.hosts for b in other.hosts)
        back = any((b, a) in stream.pairs for a in one.hosts for b in other.hosts)
        if forth or back:
            y = one.y + one.height / 2 + lane
            yield from arrow(stream.kind, bool(stream.tls), ((one.right, y), (other.x, y)), back, forth)
            yield from pill([stream], ((one.right + other.x) / 2 + (back - forth) * 4, y))


def _across(plan: Plan, route: Route) -> Iterator[Shape]:
    """From one group to another in its row."""
    a, b = route.source.outline, route.destination.outline
    forth = a.x < b.x
    start, end = (a.right, b.x) if forth else (a.x, b.right)
    ends = {id(route.source), id(route.destination)}
    same = [r for r in plan.routes if {id(r.source), id(r.destination)} == ends]
    y = a.middle[1] + (same.index(route) - (len(same) - 1) / 2) * LANE
    yield from _arrow(route, ((start, y), (end, y)))
    yield from pill(route.streams, ((start + end) / 2 - (5 if forth else -5), y))


def _between_rows(plan: Plan, route: Route) -> Iterator[Shape]:
    """Through the networks between two rows, and into the frame around the other group."""
    falls = route.source.row < route.destination.row
    lower = route.destination if falls else route.source
    start_x, end_x = _slot(plan, route, route.source), _slot(plan, route, route.destination)
    turn = list(plan.bars.values())[lower.row - 1] + 20
    if falls:
        start_y, end_y = route.source.outline.bottom, route.destination.outline.y
    else:
        start_y, end_y = route.source.outline.y, route.destination.outline.bottom
    bends = ((start_x, turn), (end_x, turn)) if abs(start_x - end_x) > 1 else ()
    yield from _arrow(route, ((start_x, start_y), *bends, (end_x, end_y)))
    yield from pill(route.streams, (end_x, _edge_of(plan, route.destination, falls)))


def _arrow(route: Route, points: tuple[Point, ...]) -> Iterator[Shape]:
    tls = any(stream.tls for stream in route.streams)
    return arrow(route.streams[0].kind, tls, points, back=False, forth=True)


def _slot(plan: Plan, route: Route, group: Group) -> float:
    """Where the route leaves or enters this group: side by side with the others on that side of it."""

    def side(r: Route) -> int:
        other = r.destination if r.source is group else r.source
        return (other.row > group.row) - (other.row < group.row)

    mine = [r for r in plan.routes if group in (r.source, r.destination) and side(r) == side(route)]
    return group.port + (mine.index(route) - (len(mine) - 1) / 2) * SLOT


def _edge_of(plan: Plan, group: Group, from_above: bool) -> float:
    """The line of its frame, or where that would be: the place for an opening."""
    for frame in plan.frames:
        if group in frame.groups:
            return frame.box.y if from_above else frame.box.bottom
    return group.plate.y - 42 if from_above else group.plate.bottom + 40
