"""A stage stands for the length of a `with`, says so, and leaves its files where they were asked for."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from experiments.harness import standing as module
from experiments.harness.progress import Progress
from experiments.harness.run import Run
from experiments.harness.standing import standing
from topologies.stage0_simple import Stage0
from topologies.waiting import NotReady


class Imagined:
    """A testbed that is up at once, or never."""

    log: list[str]
    fails = False

    def __init__(self, stage: Stage0, *, results: Path, say: Any, **_: Any) -> None:
        self.timings = {"bring-up": 7.13}
        self._results, self._say = results, say

    def __enter__(self) -> Imagined:
        assert self._results.is_dir()
        self.log.append(f"up in {self._results.name}")
        self._say("starting the daemons")
        if self.fails:
            raise NotReady("waited 10 s for nginx")
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.log.append("down")


@pytest.fixture
def imagined(monkeypatch: pytest.MonkeyPatch) -> type[Imagined]:
    Imagined.log, Imagined.fails = [], False
    monkeypatch.setattr(module, "Testbed", Imagined)
    return Imagined


def test_progress_says_what_comes_up_and_how_long_it_took(
    imagined: type[Imagined], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with standing(Stage0(), Run("r1", tmp_path, 7), Progress()):
        imagined.log.append("looked at")
    assert imagined.log == [f"up in {tmp_path.name}", "looked at", "down"]
    said = [line.split(" s  ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert said == ["bringing up stage 0", "starting the daemons", "stage 0 answers after 7.1 s"]


def test_a_second_stage_of_a_run_has_a_directory_of_its_own(
    imagined: type[Imagined], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with standing(Stage0(), Run("r1", tmp_path, 7), Progress(), within="firewall-off"):
        pass
    assert imagined.log == ["up in firewall-off", "down"]
    assert "stage 0 (firewall-off) answers after 7.1 s" in capsys.readouterr().err


def test_whatever_happens_in_it_the_stage_is_taken_down(imagined: type[Imagined], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), standing(Stage0(), Run("r1", tmp_path, 7), Progress(quiet=True)):
        raise KeyboardInterrupt
    assert imagined.log[-1] == "down"


def test_a_stage_that_does_not_come_up_says_why(imagined: type[Imagined], tmp_path: Path) -> None:
    imagined.fails = True
    entering = standing(Stage0(), Run("r1", tmp_path, 7), Progress(quiet=True))
    with pytest.raises(NotReady, match="nginx"):
        entering.__enter__()
