"""`draw` gives the picture of a stage on standard output or in a file, and starts nothing."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from experiments.harness import stage_pages
from experiments.harness.drawing import svg
from experiments.harness.figure_stage import draw as picture
from experiments.harness.run import CHECKOUT
from experiments.operate import draw
from topologies.flows import parse_flow
from topologies.stage import Settings
from topologies.stage2_secured import Stage2
from topologies.stages import STAGES


@pytest.fixture(autouse=True)
def nobody_in_particular(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)


@pytest.mark.parametrize("number", STAGES)
def test_the_picture_goes_to_standard_output_and_nothing_else_does(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw.main([number]) == 0
    out, err = capsys.readouterr()
    assert out == svg(picture(STAGES[number]()))
    assert ElementTree.fromstring(out).tag.endswith("svg")
    assert err == ""


def test_sizes_and_switches_are_those_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert draw.main(["2", "--reencrypt", "--firewall-off", "web", "--flow", "monitor1>db1:tcp/3306"]) == 0
    flow = "monitor1>db1:tcp/3306"
    stage = Stage2(Settings(reencrypt=True, firewalls_off=("web",), flows=(parse_flow(flow),)))
    assert capsys.readouterr().out == svg(picture(stage))


def test_files_get_what_was_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert draw.main(["0", "--svg", str(tmp_path / "zero.svg")]) == 0
    assert draw.main(["0", "--png", str(tmp_path / "zero.png")]) == 0
    assert (tmp_path / "zero.svg").read_text() == svg(picture(STAGES["0"]()))
    assert (tmp_path / "zero.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("option", ["--svg", "--png"])
def test_a_file_that_cannot_be_written_is_one_line(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw.main(["0", option, str(tmp_path / "nowhere" / "x")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"draw: cannot write {tmp_path}/nowhere/x: No such file or directory"


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        ([], "which stage? one of 0, 1, 2, 3"),
        (["9"], "9"),
        (["--write", "3"], "--write"),
        (["--write", "--web-servers", "3"], "--write"),
        (["3", "--svg", "a", "--png", "b"], "--png"),
        (["1", "--reencrypt"], "stage 1 has no TLS behind a load balancer"),
        (["3", "--flow", "garbage"], "garbage"),
        (["3", "--firewall-off", "nonsense"], "nonsense"),
    ],
)
def test_bad_input_is_a_usage_error_of_one_line(
    argv: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        draw.main(argv)
    assert left.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert named in line


def test_write_puts_page_and_diagrams_into_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / stage_pages.README
    page.parent.mkdir()
    page.write_text((CHECKOUT / stage_pages.README).read_text())
    monkeypatch.setattr(draw, "CHECKOUT", tmp_path)
    assert draw.main(["--write"]) == 0
    written = capsys.readouterr().out.splitlines()
    assert written == ["topologies/README.md", *(f"topologies/diagrams/stage{n}.svg" for n in STAGES)]
    assert all((tmp_path / path).is_file() for path in written)


def test_a_page_without_places_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / stage_pages.README
    page.parent.mkdir()
    page.write_text("# mine\n")
    monkeypatch.setattr(draw, "CHECKOUT", tmp_path)
    assert draw.main(["--write"]) == 3
    assert page.read_text() == "# mine\n"
    assert list(page.parent.iterdir()) == [page]
    (line,) = capsys.readouterr().err.splitlines()
    assert "no place for stage 0" in line
