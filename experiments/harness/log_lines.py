"""Lines of access logs and of the central store: who asked for what, when it was written, when it arrived.

    nginx    10.0.1.11 [2026-11-24T03:20:18+00:00] "GET /health HTTP/1.1" 200 3 rt=0.001 … at=1795490418.123
    HAProxy  8.8.8.101:4711 [24/Nov/2026:03:20:18.123] www~ web/server1 0/0/0/1/1 200 310 - - ---- 1/1/0/0/0 …
    store    2026-11-24T03:20:19.841124+00:00 LINE

Times are wall-clock (UNIX). nginx says when it wrote a line ($msec). HAProxy says when the request began and
how long it took, and writes then (Configuration Manual §8.2.3, %tr and %Ta); it names no zone: local time.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

HEALTH = "/health"
_NGINX = re.compile(
    r'(?P<client>\S+) \[\S+\] "(?P<method>\S+) (?P<path>\S+)[^"]*" (?P<status>\d{3}) .* at=(?P<at>\d+\.\d+)$'
)
_HAPROXY = re.compile(
    r"\S+:\d+ \[(?P<began>[^\]]+)\] \S+ web/(?P<server>\S+) -?\d+/-?\d+/-?\d+/-?\d+/\+?(?P<total_ms>\d+) "
    r"(?P<status>\d{3}) "
)


@dataclass(frozen=True)
class Access:
    """One request as a web server (nginx: `client`, `path`) or balancer (HAProxy: `server`) wrote it down."""

    written_s: float
    status: int
    client: str = ""
    path: str = ""
    server: str = ""

    def is_check_of(self, balancers: Iterable[str]) -> bool:
        """A health check comes from a balancer itself; in what it passes on, nginx names the client."""
        return self.path == HEALTH and self.client in balancers


@dataclass(frozen=True)
class Stored:
    """A line of the store."""

    arrived_s: float
    text: str


def lines_of(text: str) -> list[str]:
    """Complete lines that are not empty; the store leaves those out, too."""
    whole = text[: text.rfind("\n") + 1]
    return [line for line in whole.split("\n") if line]


def stored(text: str) -> list[Stored]:
    """Raises ValueError for a line that does not begin with a time."""
    found = []
    for line in lines_of(text):
        moment, _, rest = line.partition(" ")
        found.append(Stored(datetime.datetime.fromisoformat(moment).timestamp(), rest))
    return found


def nginx_access(line: str) -> Access | None:
    """None for what is no request."""
    found = _NGINX.match(line)
    if found is None:
        return None
    return Access(float(found["at"]), int(found["status"]), client=found["client"], path=found["path"])


def haproxy_access(line: str) -> Access | None:
    """None for what is no request to a web server: notices, redirections, a server's change of state."""
    found = _HAPROXY.match(line)
    if found is None:
        return None
    began = datetime.datetime.strptime(found["began"], "%d/%b/%Y:%H:%M:%S.%f").timestamp()
    return Access(began + int(found["total_ms"]) / 1000, int(found["status"]), server=found["server"])


def access(tag: str, line: str) -> Access | None:
    """By the tag of its stream."""
    if tag == "nginx-access":
        return nginx_access(line)
    return haproxy_access(line) if tag == "haproxy" else None


def delays_s(tag: str, lines: Iterable[Stored]) -> Iterator[float]:
    """Written → in the store, of every request of a stream."""
    for line in lines:
        request = access(tag, line.text)
        if request is not None:
            yield line.arrived_s - request.written_s


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that at least `share` of them do not exceed (nearest rank). None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
