"""A process is ended as a group, never by name; one that dies early is noticed with its last words."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from topologies import process
from topologies.process import Process
from topologies.waiting import DaemonDied, NotReady, wait_until

Start = Callable[[str], Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a shell script; it has announced itself in its log when this returns."""
    started = []

    def begin(script: str) -> Process:
        log = tmp_path / "hosts" / "lb1" / "daemon.log"
        begun = process.start("daemon", "lb1", ["sh", "-c", script], log, {"PATH": os.environ["PATH"]})
        started.append(begun)
        wait_until(lambda: "up" in log.read_text(), timeout_s=5, what="the script to say that it is up")
        return begun

    yield begin
    for begun in started:
        begun.kill()


def state(pid: int) -> str:
    """R, S, T … as the kernel has it; "" for no process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def child_of(parent: Process) -> int:
    """The pid that the script printed as its second word."""
    wait_until(lambda: len(parent.log.read_text().split()) > 1, timeout_s=5, what="the child's pid")
    return int(parent.log.read_text().split()[1])


def test_a_daemon_that_dies_early_is_noticed_with_its_last_lines(start: Start) -> None:
    dead = start("echo up; for n in 1 2 3 4 5 6 7 8 9; do echo line $n; done; echo cannot bind >&2; exit 7")
    assert dead.wait(5) == 7
    with pytest.raises(DaemonDied) as noticed:
        dead.assert_running()
    message = str(noticed.value)
    assert message.startswith("daemon on lb1 exited with status 7")
    assert str(dead.log) in message
    assert message.endswith("line 9\n    cannot bind")
    assert "line 1\n" not in message


def test_a_running_process_is_no_error_and_waiting_for_it_has_a_deadline(start: Start) -> None:
    running = start("echo up; exec sleep 60")
    running.assert_running()
    assert running.running
    assert running.exit_status is None
    with pytest.raises(NotReady, match=r"waited 0\.03 s for daemon on lb1 to end"):
        running.wait(0.03)


def test_a_polite_process_ends_by_its_own_stop_signal(start: Start) -> None:
    polite = start("trap 'echo bye; exit 3' QUIT; echo up; while :; do sleep 0.01; done")
    polite.stop(signal.SIGQUIT)
    assert polite.exit_status == 3
    assert "bye" in polite.log.read_text()


def test_a_deaf_process_is_killed_after_its_time(start: Start) -> None:
    deaf = start("trap '' TERM; echo up; while :; do sleep 0.01; done")
    deaf.stop(timeout_s=0.1)
    assert deaf.exit_status == -signal.SIGKILL


@pytest.mark.parametrize("end", [Process.stop, Process.kill])
def test_what_it_started_ends_with_it(start: Start, end: Callable[[Process], None]) -> None:
    parent = start("sleep 60 & echo up $!; wait")
    child = child_of(parent)
    assert state(child)
    end(parent)
    wait_until(lambda: state(child) in ("", "Z"), timeout_s=5, what="the child to be gone")


def test_a_paused_process_does_nothing_and_its_group_neither_until_resumed(start: Start) -> None:
    parent = start("sleep 60 & echo up $!; wait")
    both = (parent.pid, child_of(parent))
    parent.pause()
    wait_until(lambda: [state(pid) for pid in both] == ["T", "T"], timeout_s=5, what="both to stand still")
    assert parent.running
    parent.resume()
    wait_until(lambda: "T" not in [state(pid) for pid in both], timeout_s=5, what="both to go on")


def test_ending_what_has_ended_does_nothing(start: Start) -> None:
    ended = start("echo up")
    assert ended.wait(5) == 0
    ended.send_signal(signal.SIGTERM)
    ended.stop()
    ended.kill()
    ended.pause()
    assert ended.exit_status == 0


def test_a_restart_adds_to_the_log(start: Start) -> None:
    start("echo up first").wait(5)
    again = start("echo second; exec sleep 60")
    wait_until(lambda: "second" in again.last_lines(), timeout_s=5, what="the second line")
    assert again.last_lines().split() == ["up", "first", "second"]
    assert again.last_lines(1).split() == ["second"]


def test_a_log_that_is_gone_is_no_second_error(start: Start) -> None:
    dead = start("echo up; exit 1")
    dead.wait(5)
    dead.log.unlink()
    with pytest.raises(DaemonDied, match="status 1"):
        dead.assert_running()
