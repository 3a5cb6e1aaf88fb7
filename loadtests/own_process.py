"""A generator and the machine it shares: its priority, its descriptors, and whether it got the processor."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType


class Fairness:
    """Whether this process got the processor when it wanted it."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s, self._waited_s = time.monotonic(), time.process_time(), _run_queue_wait_s()

    def summary(self) -> dict[str, float | None]:
        """Shares of the wall time since the start: on the processor, and ready but waiting for it."""
        wall_s = time.monotonic() - self._wall_s
        waited_s = _run_queue_wait_s()
        share = None if waited_s is None or self._waited_s is None else (waited_s - self._waited_s) / wall_s
        return {
            "wall_s": wall_s,
            "cpu_share": (time.process_time() - self._cpu_s) / wall_s,
            "run_queue_wait_share": share,
        }


def _run_queue_wait_s() -> float | None:
    """Ready but not running: /proc/self/schedstat, second field (kernel: sched-stats.rst), or None."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return None


@contextlib.contextmanager
def undisturbed(nice: int) -> Iterator[None]:
    """Priority as far as allowed, fine timers, and no cyclic garbage collector: a full collection stops the
    loop for milliseconds, and the engine makes no cycles (a test holds it to that), so counting is enough.
    """
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, nice)
    with contextlib.suppress(OSError):  # the kernel may delay a sleeper by 50 µs to save wake-ups; 1 µs here
        Path("/proc/self/timerslack_ns").write_text("1000")
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


@contextlib.contextmanager
def on_termination(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT call `stop` instead of ending the process: it must be safe in a signal handler."""

    def handle(_signum: int, _frame: FrameType | None) -> None:
        stop()

    old = [(number, signal.signal(number, handle)) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        yield
    finally:
        for number, handler in old:
            signal.signal(number, handler)


def allow_descriptors(wanted: int) -> None:
    """Raises the soft limit as far as the hard one lets us; beyond it, requests are "local-error"."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def max_rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
