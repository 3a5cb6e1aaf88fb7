"""Whatever a stage declares is in its picture, where it can be read, and nothing else is."""

from __future__ import annotations

from itertools import combinations

import pytest

from experiments.harness import figure_style
from experiments.harness.drawing import Box, Drawing, Path, Shape, Words, svg, width_of
from experiments.harness.figure_stage import changed, draw
from experiments.harness.figure_style import VERMILLION
from experiments.harness.stage_legend import wrapped
from experiments.harness.stage_plan import plan_of
from experiments.harness.stage_streams import networks_of, streams_of
from tests.variants import VARIANTS
from topologies.flows import parse_flow
from topologies.stage import NETWORKS, Settings, Stage
from topologies.stage0_simple import Stage0
from topologies.stage1_distributed import Stage1
from topologies.stage2_secured import Stage2
from topologies.stage3_scaleup import Stage3

EVERY = pytest.mark.parametrize("stage", VARIANTS.values(), ids=VARIANTS.keys())
CROWDED = Settings(balancers=9, web_servers=9, app_servers=9)


def words(drawing: Drawing) -> list[str]:
    return [shape.text for shape in drawing.shapes if isinstance(shape, Words)]


def apart(one: Box, other: Box) -> bool:
    return one.right <= other.x or other.right <= one.x or one.bottom <= other.y or other.bottom <= one.y


@EVERY
def test_every_host_address_daemon_and_network_is_in_the_picture(stage: Stage) -> None:
    found = words(draw(stage))
    for group in plan_of(stage).groups:
        for cell in group.cells:
            alone = not cell.pile
            assert cell.rows[0].left in found
            for network, address in stage.addresses[cell.hosts[0]].items():
                assert any(
                    text == address or (not alone and text.startswith(f"{address}–")) for text in found
                ), network
    drawn = {service.name for services in stage.declared.values() for service in services}
    # The kernel's rules and who writes down what they deny are the frame.
    assert drawn - {"nftables", "ulogd"} <= set(found)
    for network in networks_of(stage):
        assert {network, NETWORKS[network]} <= set(found)


@EVERY
def test_every_stream_has_its_number_in_the_list_and_on_an_arrow(stage: Stage) -> None:
    found = words(draw(stage))
    among = {
        host for group in plan_of(stage).groups for cell in group.cells if cell.pile for host in cell.hosts
    }
    for stream in streams_of(stage):
        inside_a_pile = {
            host for pair in stream.pairs for host in pair
        } <= among and stream.destinations == "each other"
        assert found.count(str(stream.number)) >= (1 if inside_a_pile else 2), stream
        line = f"{stream.sources} → {stream.destinations}"
        assert line.split()[0] in " ".join(found)


@EVERY
def test_nothing_overlaps_and_nothing_lies_outside(stage: Stage) -> None:
    plan, drawing = plan_of(stage), draw(stage)
    cells = [cell for group in plan.groups for cell in group.cells]
    boxes = [Box(c.x, c.y, c.width, c.height) for c in cells]
    assert all(apart(one, other) for one, other in combinations(boxes, 2))
    assert all(apart(one.plate, other.plate) for one, other in combinations(plan.groups, 2))
    assert all(apart(one.box, other.box) for one, other in combinations(plan.frames, 2))
    for bar in plan.bars.values():
        assert all(box.bottom < bar or bar < box.y for box in boxes)
    for x, y in corners(drawing.shapes):
        assert 0 <= x <= drawing.width
        assert 0 <= y <= drawing.height


def corners(shapes: tuple[Shape, ...]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for shape in shapes:
        match shape:
            case Box():
                found += [(shape.x, shape.y), (shape.right, shape.bottom)]
            case Path():
                found += shape.points
            case Words():
                width = width_of(shape.text, shape.size, shape.bold)
                left = {"start": 0.0, "middle": width / 2, "end": width}[shape.anchor]
                found += [(shape.x - left, shape.y - shape.size), (shape.x - left + width, shape.y)]
    return found


@EVERY
def test_what_stands_in_a_box_fits_into_it(stage: Stage) -> None:
    for cell in (cell for group in plan_of(stage).groups for cell in group.cells):
        lines = list(cell.lines())
        assert cell.y < lines[0][0] - lines[0][1].size * 0.7
        assert lines[-1][0] < cell.bottom
        for _, row in lines:
            needed = width_of(row.left, row.size, row.bold) + width_of(row.right, row.size)
            apart_px = 12 if row.right else 0
            assert needed + apart_px <= cell.right_edge - cell.left_edge + 0.01


@EVERY
def test_what_stands_on_an_arrow_covers_no_host_and_leaves_the_arrow_to_be_seen(stage: Stage) -> None:
    drawing = draw(stage)
    pills = [s for s in drawing.shapes if isinstance(s, Box) and s.radius == 17]
    assert len(pills) >= 2
    assert all(apart(one, other) for one, other in combinations(pills, 2))
    for group in plan_of(stage).groups:
        for cell in group.cells:
            around = Box(cell.x - 10, cell.y, cell.width + 20, cell.height)
            assert all(apart(pill, around) for pill in pills)


@EVERY
def test_frames_hold_the_hosts_of_their_layer_and_no_other(stage: Stage) -> None:
    plan = plan_of(stage)
    assert {f.layer for f in plan.frames} == set(stage.layers)
    for frame in plan.frames:
        for group in plan.groups:
            inside = not apart(frame.box, group.plate)
            assert inside == (set(group.hosts) <= set(stage.layers[frame.layer]))


def test_a_firewall_that_is_off_is_no_wall_and_says_so() -> None:
    def walls(drawing: Drawing) -> int:
        return sum(isinstance(s, Box) and s.stroke == VERMILLION and s.line == 3 for s in drawing.shapes)

    plain, weaker = draw(Stage2()), draw(Stage2(Settings(firewalls_off=("database",))))
    assert walls(plain) - walls(weaker) == 1
    assert words(plain).count("firewall") == 3
    assert words(weaker).count("no firewall") == 1
    assert "everybody on monitoring → db1" in words(weaker)
    assert not any("→ db1" in text and "everybody" in text for text in words(plain))


def test_what_a_stage_without_firewalls_leaves_open_is_said_beside_it() -> None:
    beside = " ".join(words(draw(Stage1())))
    told = "tcp/3306, tcp/80 – open: no flow, no firewall"
    assert f"everybody on public → server1, server2 {told}" in beside
    assert "no flow, no firewall" not in " ".join(words(draw(Stage3())))


def test_tls_is_a_tube_and_plain_text_is_not() -> None:
    def tubes(stage: Stage) -> int:
        return sum(isinstance(s, Path) and s.stroke == "#FFFFFF" for s in draw(stage).shapes)

    signs = 1  # that of the legend
    assert tubes(Stage1()) == 0
    assert tubes(Stage2(Settings(tls=False))) == 0
    assert tubes(Stage2()) == signs + 1
    assert tubes(Stage3(Settings(reencrypt=True))) == signs + 4


def test_virtual_addresses_are_with_who_holds_them_first() -> None:
    rows = {
        (cell.hosts, row.left): row.right
        for group in plan_of(Stage3()).groups for cell in group.cells for row in cell.rows
    }  # fmt: skip
    assert rows[("lb1",), "VIP 8.8.8.8"] == rows[("lb2",), "VIP 8.8.8.9"] == "master"
    assert rows[("lb1",), "VIP 8.8.8.9"] == rows[("lb2",), "VIP 8.8.8.8"] == "standby"


def test_many_hosts_of_a_kind_are_a_pile() -> None:
    found = words(draw(Stage3(CROWDED)))
    assert {"lb1–lb9", "web1–web9", "app1–app9", "9 servers", "master lb1", "master lb2"} <= set(found)
    assert "web5" not in found
    assert draw(Stage3(CROWDED)).width < 2400


def test_a_further_flow_is_an_arrow_of_its_own() -> None:
    further = Settings(flows=(parse_flow("client1>lb1:tcp/22"), parse_flow("monitor1>db1:tcp/3306")))
    plain, more = words(draw(Stage2())), words(draw(Stage2(further)))
    assert {"client1 → lb1", "monitor1 → db1", "22", "further flow"} <= set(more) - set(plain)


def test_settings_that_are_not_the_default_are_named() -> None:
    assert list(changed(Settings())) == []
    other = Settings(tls=False, mode="active-passive", firewalls_off=("lb", "web"), web_servers=3)
    assert list(changed(other)) == [
        "mode: active-passive",
        "web servers: 3",
        "no tls",
        "firewalls off: lb, web",
    ]
    assert any("no tls" in text for text in words(draw(Stage0(Settings(tls=False)))))


@EVERY
def test_colours_are_those_that_everybody_can_tell_apart(stage: Stage) -> None:
    greys = {"#FFFFFF", "#F3F3F3", "#BBBBBB", "none"}
    palette = {v for v in vars(figure_style).values() if isinstance(v, str) and v.startswith("#")}
    for shape in draw(stage).shapes:
        match shape:
            case Box():
                assert {shape.fill, shape.stroke} <= palette | greys
            case Path():
                assert shape.stroke in palette | greys
            case Words():
                assert shape.size >= 16, f"{shape.text} cannot be read from the last row"
                assert shape.colour in ("#000000", "#FFFFFF")


@EVERY
def test_the_description_says_in_words_what_the_picture_shows(stage: Stage) -> None:
    told = draw(stage).description
    for host, on in stage.addresses.items():
        assert f"{host}, " in told
        assert all(f"{address} on {segment}" in told for segment, address in on.items())
    for stream in streams_of(stage):
        assert f"{stream.number}: {stream.sources} to {stream.destinations}" in told
    assert draw(stage).title == f"Stage {stage.number}, {stage.title}"


@EVERY
def test_a_declaration_always_gives_the_same_bytes(stage: Stage) -> None:
    assert svg(draw(stage)) == svg(draw(type(stage)(stage.settings)))


def test_long_lines_are_broken_between_words() -> None:
    text = "monitor1 → lb1, lb2, web1, web2, app1, app2, db1"
    lines = list(wrapped(text, 18, 300, bold=True))
    assert len(lines) > 1
    assert " ".join(lines) == text
    assert all(width_of(line, 18, bold=True) <= 300 for line in lines)
