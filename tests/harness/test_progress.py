"""Progress goes to stderr, as plain lines where nobody looks; told to be quiet, it says nothing."""

from __future__ import annotations

import pytest

from experiments.harness.progress import Progress


def test_on_a_plain_stream_every_step_is_a_plain_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    with progress.waiting("bringing up stage 3"):
        progress.now("waiting for haproxy on lb1")
    progress.say("[bold]brackets[/nothing] stay what they are: [2.61, 3.61] s")
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b" not in err
    lines = [line.split(" s  ", 1)[1] for line in err.splitlines()]
    assert lines == [
        "bringing up stage 3",
        "waiting for haproxy on lb1",
        "[bold]brackets[/nothing] stay what they are: [2.61, 3.61] s",
    ]


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(quiet=True)
    with progress.waiting("something"):
        progress.now("something else")
        progress.say("a step")
    assert capsys.readouterr() == ("", "")
