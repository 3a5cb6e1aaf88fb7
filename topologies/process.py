"""A process on a host: it owns its process group, writes to a log file, and is never ended by name.

start ──► running ──► stop (its stop signal, then KILL) · kill · pause ⇄ resume
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from topologies.waiting import DaemonDied, NotReady


class Process:
    """A started command and its process group."""

    def __init__(self, name: str, host: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.host = host
        self.log = log
        self.started_s = time.monotonic()
        self.stopped = False  # ended because we asked for it, not by accident
        self._popen = popen

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._popen.poll()

    @property
    def running(self) -> bool:
        return self.exit_status is None

    def last_lines(self, count: int = 8) -> str:
        """The end of its log, for an error message."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        return "\n".join(f"    {line}" for line in lines[-count:])

    def assert_running(self) -> None:
        """Raises DaemonDied with the last log lines."""
        if not self.running:
            raise DaemonDied(
                f"{self.name} on {self.host} exited with status {self.exit_status}; the end of {self.log}:\n"
                + self.last_lines()
            )

    def send_signal(self, number: signal.Signals) -> None:
        """To the leader alone, as an operator's `kill` would."""
        if self.running:
            os.kill(self.pid, number)

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM, timeout_s: float = 5.0) -> None:
        """Ask it to end, then make it. What it started ends with it."""
        self.stopped = True
        self.send_signal(stop_signal)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout_s)
        self.kill()

    def kill(self, timeout_s: float = 5.0) -> None:
        """SIGKILL to the whole group. Raises NotReady if it survives."""
        self._to_group(signal.SIGKILL)
        try:
            self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise NotReady(f"{self.name} on {self.host} survived SIGKILL for {timeout_s:g} s") from error

    def pause(self) -> None:
        """SIGSTOP to the whole group: it is there, but does nothing."""
        self._to_group(signal.SIGSTOP)

    def resume(self) -> None:
        self._to_group(signal.SIGCONT)

    def wait(self, timeout_s: float) -> int:
        """Its exit status. Raises NotReady after `timeout_s`."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise NotReady(f"waited {timeout_s:g} s for {self.name} on {self.host} to end") from error

    def _to_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return  # the whole group has ended already


def start(
    name: str,
    host: str,
    command: Sequence[str],
    log: Path,
    environment: dict[str, str],
    descriptors: Sequence[int] = (),
) -> Process:
    """Start `command` as the leader of its own group, with its output appended to `log`.

    `descriptors` are open files it may use under the same numbers; it inherits no others.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        popen = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, env=environment, pass_fds=tuple(descriptors),
        )  # fmt: skip
    return Process(name, host, popen, log)
