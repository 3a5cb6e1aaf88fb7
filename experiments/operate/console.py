"""Mininet's command line over a stage: `client1 curl https://www.foobar.com/`, `sh ip link`, `exit`."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
from collections.abc import Iterator

from mininet.cli import CLI
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import Node


class Console(CLI):  # type: ignore[misc]  # mininet has no types
    """Ctrl-C ends the command that runs on a host; at the prompt it leaves (KeyboardInterrupt)."""

    prompt = "testbed> "
    readlineInited = True  # Mininet's name: a history file would outlive the run

    def run(self) -> None:
        self.cmdloop()

    def do_EOF(self, line: str) -> object:
        print()
        return self.do_exit(line)


def converse(net: Mininet) -> None:
    """Until `exit` or the end of input. Raises KeyboardInterrupt."""
    setLogLevel("output")  # the level on which Mininet prints what commands say
    for host in net.hosts:
        host.cmd("cd")  # the shells began in / before the host had a home
    # mnexec wants to stand on a host where we stand here, but /home, /root and /tmp are others there.
    with _terminal_restored(), contextlib.chdir("/"):
        try:
            Console(net)
        finally:
            for host in net.hosts:
                _end_command(host)


def _end_command(host: Node, timeout_s: float = 1.0) -> None:
    """`down` may come while a command runs; Mininet cannot take a network down whose shells are busy."""
    deadline_s = time.monotonic() + timeout_s
    if host.waiting:
        host.sendInt()
    while host.waiting and time.monotonic() < deadline_s:
        # Mininet's monitor(timeoutms=…) also wakes when the terminal is writable, and then blocks in read.
        if select.select([host.stdout], [], [], 0.05)[0]:
            host.monitor()
    if host.waiting:
        os.killpg(host.shell.pid, signal.SIGKILL)
        host.waiting, host.shell = False, None  # Mininet then leaves it alone


@contextlib.contextmanager
def _terminal_restored() -> Iterator[None]:
    """Mininet has the terminal send single characters while a command runs; leaving must undo that."""
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        with contextlib.suppress(termios.error, OSError):  # the terminal is gone
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
