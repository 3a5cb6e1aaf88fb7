"""A wait says what it waits for, has a deadline, and notices when waiting has become pointless."""

from __future__ import annotations

import time
from collections.abc import Callable


class TestbedError(Exception):
    """Base of everything the testbed raises on purpose.

    TestbedError
    ├── NotReady        a wait passed its deadline
    ├── DaemonDied      a daemon exited while it was needed
    ├── CommandFailed   a command on a host failed or took too long
    └── CannotEmulate   this machine lacks something; the message says what to do
    """

    __test__ = False  # not a test class, whatever its name says to pytest


class NotReady(TestbedError):
    """Raised when a wait passes its deadline."""


class DaemonDied(TestbedError):
    """Raised when a daemon exits while something waits for it."""


class CommandFailed(TestbedError):
    """Raised when a command on a host exits non-zero or passes its deadline."""


class CannotEmulate(TestbedError):
    """Raised when this machine cannot do what was asked; the message names the remedy."""


def wait_until(
    condition: Callable[[], bool], *, timeout_s: float, what: str, interval_s: float = 0.02
) -> float:
    """Poll `condition` until it is true; returns the seconds waited. OSError from it means "not yet".

    Raises NotReady, naming `what` and the last reason, after `timeout_s`.
    """
    start = time.monotonic()
    reason = ""
    while True:
        try:
            if condition():
                return time.monotonic() - start
        except OSError as error:
            reason = f" (last answer: {error})"
        if time.monotonic() - start > timeout_s:
            raise NotReady(f"waited {timeout_s:g} s for {what}{reason}")
        time.sleep(interval_s)
