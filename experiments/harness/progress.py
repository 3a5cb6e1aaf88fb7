"""Long work says what it waits for: one live line on a terminal, plain lines elsewhere, nothing with --quiet.

Everything here goes to stderr; stdout is for results.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status


class Progress:
    """Says what is going on."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._start_s = time.monotonic()
        self._status: Status | None = None
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """A step that is worth a line of its own."""
        with self._lock:
            self._console.print(f"[dim]{time.monotonic() - self._start_s:6.1f} s[/dim]  {escape(text)}")

    def now(self, text: str) -> None:
        """What is being waited for: replaces the live line; on a plain stream, a line."""
        if self._status is not None:
            self._status.update(f"{escape(text)} …")
        elif not sys.stderr.isatty():
            self.say(text)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that `text` is going on while the block runs."""
        if not self._console.is_terminal or self._console.quiet:
            self.say(text)
            yield
            return
        with self._console.status(f"{escape(text)} …", spinner="dots") as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None
