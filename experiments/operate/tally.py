"""What a load came to, counted from Locust's own rows: by request, by host that served, by kind of failure.

    requests.csv of every Locust process ──► Tally ──► summary.json, the table at the end, the web UI's tab

Percentiles come from the rows, within 1%: Locust rounds its own to two digits, and has none by second.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from loadtests.histogram import Histogram

HEADER = "end_s,latency_ms,method,name,outcome,served_by"
GOOD = "ok"
RECENT_S = 5
#: What a request wants, by how it begins; the first that fits.
KINDS = (("PUT ", "orders"), ("GET /api/orders", "orders"), ("GET /static/", "files"), ("GET /api/", "API"),
         ("GET /compute", "compute"), ("GET ", "pages"))  # fmt: skip


@dataclass(frozen=True)
class Request:
    """A row of requests.csv."""

    end_s: float  # CLOCK_MONOTONIC
    latency_s: float
    name: str  # with its method: "GET /items/[id]"
    outcome: str
    served_by: tuple[str, ...]  # client side first

    @classmethod
    def parse(cls, line: str) -> Request:
        """Raises ValueError for a line that is no such row."""
        end, latency, method, name, outcome, served_by = line.split(",")
        hops = tuple(served_by.split(">")) if served_by else ()
        return cls(float(end), float(latency) / 1e3, f"{method} {name}", outcome, hops)

    @property
    def kind(self) -> str:
        return next((kind for begins, kind in KINDS if self.name.startswith(begins)), "other")


@dataclass
class Count:
    """Requests that belong together."""

    requests: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    latencies: Histogram = field(default_factory=Histogram)

    def add(self, request: Request) -> None:
        self.requests += 1
        self.latencies.add(request.latency_s)
        if request.outcome != GOOD:
            self.failures[request.outcome] += 1


@dataclass
class _Second:
    number: int
    requests: list[Request] = field(default_factory=list)


@dataclass(frozen=True)
class Recent:
    """The last seconds: rates per second, latencies in ms (None of nothing), answers by hop and host."""

    rps: float
    failures_per_s: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    served: Counter[tuple[int, str]]


class Tally:
    """All requests so far."""

    def __init__(self) -> None:
        self.total = Count()
        self.names: dict[str, Count] = {}
        self.served: Counter[tuple[int, str, str]] = Counter()  # hop, host, kind → answers
        self.first_s = math.inf
        self.last_s = -math.inf
        self._seconds: deque[_Second] = deque()

    def add(self, request: Request) -> None:
        self.total.add(request)
        self.names.setdefault(request.name, Count()).add(request)
        for hop, host in enumerate(request.served_by):
            self.served[hop, host, request.kind] += 1
        self.first_s = min(self.first_s, request.end_s - request.latency_s)
        self.last_s = max(self.last_s, request.end_s)
        self._remember(request)

    def _remember(self, request: Request) -> None:
        number = int(request.end_s)
        second = next((s for s in reversed(self._seconds) if s.number == number), None)
        if second is None:
            second = _Second(number)
            self._seconds.append(second)
            while len(self._seconds) > 2 * RECENT_S:
                self._seconds.popleft()
        second.requests.append(request)

    @property
    def span_s(self) -> float:
        """From the first request's start to the last one's end."""
        return max(0.0, self.last_s - self.first_s) if self.total.requests else 0.0

    def recent(self, now_s: float) -> Recent:
        """The last RECENT_S whole seconds."""
        until = int(now_s)
        seconds = [s for s in self._seconds if until - RECENT_S <= s.number < until]
        requests = [request for second in seconds for request in second.requests]
        latencies = sorted(request.latency_s for request in requests)
        served = Counter((hop, host) for r in requests for hop, host in enumerate(r.served_by))
        return Recent(
            rps=len(requests) / RECENT_S,
            failures_per_s=sum(r.outcome != GOOD for r in requests) / RECENT_S,
            p50_ms=_percentile_ms(latencies, 0.5),
            p95_ms=_percentile_ms(latencies, 0.95),
            p99_ms=_percentile_ms(latencies, 0.99),
            served=served,
        )

    def answers_of(self, host: str) -> int:
        """Answers that passed this host, at the hop where it served most."""
        hops: Counter[int] = Counter()
        for (hop, name, _), count in self.served.items():
            if name == host:
                hops[hop] += count
        return max(hops.values(), default=0)


def _percentile_ms(ordered_s: Sequence[float], q: float) -> float | None:
    """Nearest rank."""
    return round(ordered_s[math.ceil(q * len(ordered_s) - 1e-9) - 1] * 1e3, 2) if ordered_s else None


class Rows:
    """A requests.csv that is still being written: each asking gives the rows that came since."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | None = None
        self._rest = ""

    def __iter__(self) -> Iterator[Request]:
        if self._file is None:
            if not self.path.exists():
                return
            self._file = self.path.open()
        lines = (self._rest + self._file.read()).split("\n")
        self._rest = lines.pop()  # half a line, or nothing
        yield from (Request.parse(line) for line in lines if line and line != HEADER)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def merge(paths: Iterable[Path], out: Path) -> None:
    """One requests.csv of those of all workers, in the order of time."""
    with out.open("w") as merged:
        merged.write(f"{HEADER}\n")
        merged.writelines(heapq.merge(*(_lines(path) for path in paths), key=_end_s))


def _lines(path: Path) -> Iterator[str]:
    """Whole rows; the last one may be half where a process was killed."""
    if not path.exists():
        return
    with path.open() as text:
        for line in text:
            if line.endswith("\n") and line != f"{HEADER}\n":
                yield line


def _end_s(line: str) -> float:
    return float(line.partition(",")[0])
