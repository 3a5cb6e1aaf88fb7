"""A stage, drawn from its declaration: networks, hosts, firewalls, and who opens connections to whom.

    draw(Stage3(settings)) ──► Drawing ──► drawing.svg, drawing.png

A number on an arrow is a stream of the list beside it. Where an arrow enters a firewall, number and ports are the
opening. What is told by colour is also told by words or by the kind of line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from experiments.harness import stage_legend
from experiments.harness.drawing import Box, Drawing, Path, Point, Shape, Words, width_of
from experiments.harness.figure_style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION
from experiments.harness.stage_cells import SMALL, TEXT, Cell, span
from experiments.harness.stage_plan import BADGE, PLATE, Frame, Group, Plan, Route, label_width, plan_of
from experiments.harness.stage_streams import Kind, Stream, named
from topologies.monitoring import SEGMENT as MONITORING
from topologies.stage import DOMAIN, NETWORKS, Settings, Stage

NETWORK_COLOURS = {"public": SKY, "app": GREEN, "data": ORANGE, MONITORING: PURPLE}
STREAM_COLOURS: dict[Kind, str] = {"request": BLUE, "watch": PURPLE, "further": BLACK}
DASHES: dict[Kind, tuple[float, ...]] = {"request": (), "watch": (9.0, 5.0), "further": (14.0, 4.0, 3.0, 4.0)}
PALE = "#F3F3F3"
SLOT = 130.0  # between two arrows into one group
LANE = 38.0  # between two arrows side by side
_WIRE_AT = 26.0  # from a box's edge


def draw(stage: Stage) -> Drawing:
    """The picture of `stage`, its title, and the same in words for who cannot see it."""
    plan = plan_of(stage)
    width, height, beside = stage_legend.beside(plan)
    shapes = (
        *_title(stage), *_bars(plan), *_frames(plan), *_plates(plan), *_rail(plan),
        *(shape for group in plan.groups for shape in _wires(plan, group)),
        *(shape for route in plan.routes for shape in _arrows(plan, route)),
        *(shape for group in plan.groups for cell in group.cells for shape in _cell(cell)),
        *(shape for cell in plan.monitors for shape in _cell(cell)),
        *beside,
    )  # fmt: skip
    return Drawing(width, height, title_of(stage), stage_legend.in_words(plan), shapes)


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
            yield f"{name.replace('_', ' ')}: {', '.join(value) if isinstance(value, tuple) else value}"


# -- networks ----------------------------------------------------------------------------------------


def _bars(plan: Plan) -> Iterator[Shape]:
    for name, y in plan.bars.items():
        yield Path(((24, y), (plan.main_right, y)), NETWORK_COLOURS[name], line=9)
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
    ends = [frame.box.middle[1] for frame in plan.frames] + [cell.y + cell.height / 2 for cell in plan.monitors]
    top, bottom = min(ends) - 34, max(ends) + 34
    yield Path(((plan.rail, top), (plan.rail, bottom)), PURPLE, line=9)
    yield Words(plan.rail - 8, top - 36, MONITORING, 19, bold=True)
    yield Words(plan.rail - 8, top - 13, NETWORKS[MONITORING], TEXT)
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
    x = edge[0]
    for stream in mine:
        yield from badge(stream, (x, edge[1]))
        x += BADGE + 2


def _by_rail(plan: Plan, stream: Stream) -> bool:
    drawn = {id(s) for route in plan.routes for s in route.streams}
    return id(stream) not in drawn


# -- hosts and firewalls -----------------------------------------------------------------------------


def _frames(plan: Plan) -> Iterator[Shape]:
    for frame in plan.frames:
        box = frame.box
        if frame.raised:
            yield Box(box.x, box.y, box.width, box.height, stroke=VERMILLION, line=3, radius=10, fill="none")
            inner = Box(box.x + 5, box.y + 5, box.width - 10, box.height - 10)
            yield Box(inner.x, inner.y, inner.width, inner.height, stroke=VERMILLION, line=1.5, radius=6, fill="none")
        else:
            yield Box(box.x, box.y, box.width, box.height, stroke=GREY, line=1.5, dash=(3, 5), radius=10, fill="none")
        yield from _tab(frame)


def _tab(frame: Frame) -> Iterator[Shape]:
    """The frame's name, on its lower line: the upper one has the openings."""
    said = f"firewall “{frame.layer}”" if frame.raised else f"“{frame.layer}”: no firewall"
    width = width_of(said, TEXT, bold=True) + 20
    x, y = frame.box.right - width - 18, frame.box.bottom
    colour = VERMILLION if frame.raised else GREY
    yield Box(x, y - 14, width, 27, fill="#FFFFFF", stroke=colour, line=1.5, radius=4)
    yield Words(x + 10, y + 5, said, TEXT, bold=True)


def _plates(plan: Plan) -> Iterator[Shape]:
    for group in plan.groups:
        if len(group.cells) > 1:
            plate = group.plate
            yield Box(plate.x, plate.y, plate.width, plate.height, fill=PALE, stroke="#BBBBBB", line=1, radius=8)


def _cell(cell: Cell) -> Iterator[Shape]:
    for behind in (10, 5) if cell.pile else ():
        yield Box(cell.x + behind, cell.y - behind, cell.width, cell.height, stroke=GREY, line=1.5, radius=6)
    yield Box(cell.x, cell.y, cell.width, cell.height, line=2, radius=6)
    if cell.agents:
        y = cell.agents_from
        yield Path(((cell.left_edge, y), (cell.right_edge, y)), GREY, 1, (2, 3))
    for y, row in cell.lines():
        yield Words(cell.left_edge, y, row.left, row.size, row.bold)
        if row.right:
            name = row.bold and row.size > TEXT
            yield Words(cell.right_edge, y, row.right, SMALL if name else row.size, anchor="end")


# -- arrows ------------------------------------------------------------------------------------------


def _arrows(plan: Plan, route: Route) -> Iterator[Shape]:
    if route.source is route.destination:
        for lane, stream in enumerate(route.streams):
            yield from _among(route.source, stream, lane, len(route.streams))
    elif route.source.row == route.destination.row:
        yield from _across(plan, route)
    else:
        yield from _down(plan, route)


def _among(group: Group, stream: Stream, lane: int, lanes: int) -> Iterator[Shape]:
    """Between neighbours of one group."""
    for one, other in zip(group.cells, group.cells[1:], strict=False):
        forth = any((a, b) in stream.pairs for a in one.hosts for b in other.hosts)
        back = any((b, a) in stream.pairs for a in one.hosts for b in other.hosts)
        if forth or back:
            y = one.y + one.height / 2 + (lane - (lanes - 1) / 2) * LANE
            yield from _line([stream], ((one.right, y), (other.x, y)), back, forth)
            yield from _label([stream], ((one.right + other.x) / 2 + (back - forth) * 4, y))


def _across(plan: Plan, route: Route) -> Iterator[Shape]:
    """From one group to the next in its row."""
    a, b = route.source.plate, route.destination.plate
    forth = a.x < b.x
    start, end = (a.right, b.x) if forth else (a.x, b.right)
    same = [r for r in plan.routes if {id(r.source), id(r.destination)} == {id(route.source), id(route.destination)}]
    y = a.middle[1] + (same.index(route) - (len(same) - 1) / 2) * LANE
    yield from _line(route.streams, ((start, y), (end, y)), False, True)
    yield from _label(route.streams, ((start + end) / 2 - (5 if forth else -5), y))


def _down(plan: Plan, route: Route) -> Iterator[Shape]:
    """Through the networks between two rows, and into the frame around the other group."""
    falls = route.source.row < route.destination.row
    start_x, end_x = _slot(plan, route, route.source), _slot(plan, route, route.destination)
    upper, lower = (route.source, route.destination) if falls else (route.destination, route.source)
    turn = list(plan.bars.values())[lower.row - 1] + 20
    start_y, end_y = (upper.plate.bottom, lower.plate.y) if falls else (lower.plate.y, upper.plate.bottom)
    bends = ((start_x, turn), (end_x, turn)) if abs(start_x - end_x) > 1 else ()
    yield from _line(route.streams, ((start_x, start_y), *bends, (end_x, end_y)), False, True)
    edge = _edge_of(plan, route.destination, falls)
    yield from _label(route.streams, (end_x, edge))


def _slot(plan: Plan, route: Route, group: Group) -> float:
    """Where the route leaves or enters this group: side by side with the others on that side of it."""
    other = route.destination if group is route.source else route.source
    above = other.row < group.row
    here = [
        r for r in plan.routes
        if group in (r.source, r.destination) and r.source.row != r.destination.row
        and ((r.destination if r.source is group else r.source).row < group.row) == above
    ]  # fmt: skip
    return group.centre + (here.index(route) - (len(here) - 1) / 2) * SLOT


def _edge_of(plan: Plan, group: Group, from_above: bool) -> float:
    """The line of its frame, or where that would be: the place for an opening."""
    for frame in plan.frames:
        if group in frame.groups:
            return frame.box.y if from_above else frame.box.bottom
    return group.plate.y - 42 if from_above else group.plate.bottom + 40


def _line(streams: Iterable[Stream], points: tuple[Point, ...], back: bool, forth: bool) -> Iterator[Shape]:
    """Plain text is one thick line; TLS is a tube."""
    carried = list(streams)
    kind = carried[0].kind
    colour, dash = STREAM_COLOURS[kind], DASHES[kind]
    if any(s.tls for s in carried):
        yield Path(points, colour, 8, dash, back, forth)
        yield Path(_inside(points, back, forth), "#FFFFFF", 3, dash)
    else:
        yield Path(points, colour, 3.5, dash, back, forth)


def _inside(points: tuple[Point, ...], back: bool, forth: bool) -> tuple[Point, ...]:
    """The hollow of a tube ends before its arrowheads."""
    from experiments.harness.drawing import shortened

    return shortened(Path(shortened(Path(points, head_at_start=back, head_at_end=forth)), head_at_start=back, head_at_end=forth))


def _label(streams: list[Stream], middle: Point) -> Iterator[Shape]:
    """Number and ports, on the arrow."""
    width = label_width(streams)
    x, y = middle[0] - width / 2, middle[1]
    yield Box(x, y - 17, width, 34, fill="#FFFFFF", stroke=BLACK, line=1.5, radius=17)
    for stream in streams:
        yield from badge(stream, (x + 4 + BADGE / 2, y))
        yield Words(x + BADGE + 10, y + 6, stream.ports, TEXT, bold=True)
        x += label_width([stream])


def badge(stream: Stream, middle: Point) -> Iterator[Shape]:
    """The number of a stream in a disc."""
    x, y = middle
    colour = STREAM_COLOURS[stream.kind]
    yield Box(x - BADGE / 2, y - BADGE / 2, BADGE, BADGE, fill=colour, stroke="#FFFFFF", line=1, radius=BADGE / 2)
    dark = stream.kind == "watch"
    yield Words(x, y + 5.5, str(stream.number), TEXT - 1, bold=True, colour=BLACK if dark else "#FFFFFF", anchor="middle")


__all__ = ["badge", "changed", "draw", "named", "title_of"]
