"""What the system itself says, on the run's clock: addresses from the kernel, transitions from daemons' logs.

    ip monitor address (one per balancer) ─┐
                                           ├─► Event, Event, Event …
    keepalived.log, haproxy.log … ─────────┘

Times are those of arrival here: netlink tells at once, logs are looked at every 10 ms.
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

from experiments.harness.model import Event
from topologies.host import EmulatedHost
from topologies.testbed import Daemon, Testbed
from topologies.waiting import NotReady

#: What a log line must say to become an event, and the kind of event it becomes.
TELLING = (
    ("detected", re.compile(r"Receive advertisement timeout|Backup received priority 0 advertisement")),
    ("detected", re.compile(r"Script.* (?:failed|timed out)|Entering FAULT STATE|now FAULT state")),
    ("detected", re.compile(r"Server \S+ is DOWN")),
    ("switched", re.compile(r"Entering MASTER STATE")),
    ("log", re.compile(r"Entering BACKUP STATE|Server \S+ is UP|VRRP_Script\(\S+\) succeeded")),
)
_ADDRESS = re.compile(r"^(?P<gone>Deleted )?.*\binet (?P<address>[\d.]+)/")
_LOG_POLL_S = 0.01


class Watch(AbstractContextManager["Watch"]):
    """Collects events while it is entered; `events()` may be asked at any time."""

    def __init__(self, vips: Iterable[str]) -> None:
        self._vips = frozenset(vips)
        self._events: list[Event] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._monitors: list[subprocess.Popen[str]] = []
        self._threads: list[threading.Thread] = []
        self._daemons: list[Daemon] = []

    def events(self) -> list[Event]:
        """So far, in order of time."""
        with self._lock:
            return sorted(self._events, key=lambda e: e.t_s)

    def note(self, kind: str, host: str, detail: str) -> float:
        """Add an event of our own, now; returns its time."""
        now = time.monotonic()
        self.add(Event(now, kind, host, detail))
        return now

    def addresses_of(self, host: EmulatedHost) -> None:
        """Watch the virtual addresses come and go on `host`; those it has now are the first events."""
        monitor = subprocess.Popen(
            host.enter(["ip", "-4", "-o", "monitor", "address"]), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
            env=host.environment,
        )  # fmt: skip
        self._monitors.append(monitor)
        for line in host.run(["ip", "-4", "-o", "address", "show"]).stdout.splitlines():
            self._address_line(host.name, line)
        self._run(f"addresses-of-{host.name}", lambda: self._read(host.name, monitor.stdout))

    def log_of(self, daemon: Daemon) -> None:
        """Watch a daemon's log, across its restarts."""
        self._daemons.append(daemon)

    def __enter__(self) -> Watch:
        self._run("logs", self._follow_logs)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for monitor in self._monitors:
            monitor.kill()
        for monitor in self._monitors:
            monitor.wait(5)
        for thread in self._threads:
            thread.join(5)
            if thread.is_alive():
                raise NotReady(f"waited 5 s for {thread.name} to end")
        for monitor in self._monitors:
            if monitor.stdout is not None:
                monitor.stdout.close()

    # -- inside ---------------------------------------------------------------------------------------

    def _run(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name)
        thread.start()
        self._threads.append(thread)

    def add(self, event: Event) -> None:
        """An event known from elsewhere, at its own time."""
        with self._lock:
            self._events.append(event)

    def _read(self, host: str, lines: IO[str] | None) -> None:
        for line in lines or ():
            self._address_line(host, line)

    def _address_line(self, host: str, line: str) -> None:
        found = _ADDRESS.match(line)
        if found and found["address"] in self._vips:
            kind = "vip-down" if found["gone"] else "vip-up"
            self.add(Event(time.monotonic(), kind, host, found["address"]))

    def _follow_logs(self) -> None:
        """A daemon appends to the same file after a restart, so one offset per file is enough."""
        offsets: dict[Path, int] = {}
        while not self._stop.wait(_LOG_POLL_S):
            for daemon in list(self._daemons):
                if daemon.process is None:
                    continue
                path = daemon.process.log
                with path.open("rb") as log:
                    log.seek(offsets.get(path, 0))
                    fresh = log.read()
                whole = fresh[: fresh.rfind(b"\n") + 1]
                offsets[path] = offsets.get(path, 0) + len(whole)
                for line in whole.decode(errors="replace").splitlines():
                    self._log_line(daemon.host.name, daemon.name, line)

    def _log_line(self, host: str, daemon: str, line: str) -> None:
        for kind, pattern in TELLING:
            if pattern.search(line):
                # keepalived begins its lines with the wall-clock time, which says less than the event's own.
                text = re.sub(r"^\w{3} \w{3} +\d+ [\d:]+ \d{4}: ", "", line)
                self.add(Event(time.monotonic(), kind, host, f"{daemon}: {text[:160]}"))
                return


@contextmanager
def watching(testbed: Testbed) -> Iterator[Watch]:
    """Watch the addresses and logs of the stage's load balancers while the block runs."""
    with Watch(testbed.stage.site_addresses) as watch:
        for balancer in testbed.stage.hosts_of("keepalived"):
            watch.addresses_of(testbed.hosts[balancer])
        for daemon in testbed.daemons:
            if daemon.name in ("keepalived", "haproxy"):
                watch.log_of(daemon)
        yield watch
