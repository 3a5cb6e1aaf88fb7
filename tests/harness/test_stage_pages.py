"""topologies/README.md and its diagrams say what the stages declare now."""

from __future__ import annotations

import pytest

from experiments.harness.run import CHECKOUT
from experiments.harness.stage_pages import README, NoPlace, pages, section, with_section
from topologies.stage import Settings
from topologies.stage1_distributed import Stage1
from topologies.stage2_secured import Stage2
from topologies.stage3_scaleup import Stage3
from topologies.stages import STAGES


def test_page_and_diagrams_are_those_of_the_declarations_now() -> None:
    wanted = pages(CHECKOUT, (kind() for kind in STAGES.values()))
    assert len(wanted) == len(STAGES) + 1
    for path, text in wanted.items():
        there = (CHECKOUT / path).read_text() if (CHECKOUT / path).exists() else ""
        # Not compared by assert alone: the difference of two pages would hide what to do about it.
        assert there == text or pytest.fail(
            f"{path} is not what the stages declare; run: ./testbed draw --write"
        )


def test_no_diagram_is_left_of_a_stage_that_is_gone() -> None:
    there = {path.name for path in (CHECKOUT / "topologies" / "diagrams").iterdir()}
    assert there == {f"stage{number}.svg" for number in STAGES}


@pytest.mark.parametrize("number", STAGES)
def test_what_a_stage_shows_and_lacks_is_said_before_its_picture(number: str) -> None:
    page = (CHECKOUT / README).read_text()
    begin = f"### Stage {number}, {STAGES[number].title}"
    assert begin in page
    told = page.partition(begin)[2].partition("<!--")[0]
    assert "Shows" in told
    assert "Missing" in told


def test_tables_of_stage_1() -> None:
    told = section(Stage1())
    assert "| server2 | server | 8.8.8.22 | mysql, gunicorn, nginx |" in told
    assert "| mysql | server1, server2 | tcp/3306 on every address |" in told
    assert "| 3 | lb1 | server1, server2 | tcp/80 | requests and health checks |" in told
    assert "tcp/3306, tcp/80 of server1, server2, to everybody on public." in told


def test_tables_of_stage_3() -> None:
    told = section(Stage3())
    assert "| host | role | layer | public | app | data | monitoring | daemons |" in told
    assert "| app1 | server | web |  | 10.0.1.31 | 10.0.2.31 | 10.0.9.31 | gunicorn, node-exporter," in told
    balancers = "tcp/443 (TLS), tcp/80 on virtual addresses and public; tcp/8404 on 127.0.0.1"
    assert f"| haproxy | lb1, lb2 | {balancers}; tcp/8405 on monitoring |" in told
    assert "| 3 | lb1, lb2 | each other | VRRP | who holds which address |" in told
    assert "Open without being declared" not in told


@pytest.mark.parametrize("number", STAGES)
def test_every_row_of_a_table_has_as_many_cells_as_its_head(number: str) -> None:
    for block in section(STAGES[number]()).split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.strip().splitlines()}) == 1


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    marks = ("<!-- stage 2: written by ./testbed draw --write -->", "<!-- stage 2: end -->")
    page = f"before\n{marks[0]}\nold\n{marks[1]}\nafter\n"
    new = with_section(page, Stage2())
    assert new.startswith(f"before\n{marks[0]}\n[![Stage 2")
    assert new.endswith(f"{marks[1]}\nafter\n")
    assert "old" not in new
    assert with_section(new, Stage2()) == new
    assert with_section(new, Stage2(Settings(reencrypt=True))) != new


@pytest.mark.parametrize("page", ["", "<!-- stage 2: written by ./testbed draw --write -->\n"])
def test_a_page_without_a_place_for_a_stage_names_the_lines_to_add(page: str) -> None:
    with pytest.raises(
        NoPlace, match=r"add the two lines <!-- stage 2: written .* and <!-- stage 2: end -->"
    ):
        with_section(page, Stage2())
