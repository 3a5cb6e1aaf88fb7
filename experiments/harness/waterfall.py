"""Where the time of a request goes, seen from the client and from each daemon behind.

client      │ DNS │ TCP │ TLS │ first byte ──────────────────── │ body │
HAProxy                       │ TR │ Tw │ Tc │ Tr ───────── │ Td │        %TR/%Tw/%Tc/%Tr/%Ta, to the ms
nginx                                        │ rt ───────── │             $request_time
gunicorn                                     │ urt ─────── │              $upstream_response_time

Pure. The daemons' timers: HAProxy configuration manual §8.4 (option httplog: §8.2.3); nginx, log module.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from experiments.harness.model import Interval
from experiments.harness.verdict import interval
from loadtests.fetch import PARTS, Fetched

#: Both daemons cut their figures to whole milliseconds.
LOG_STEP_S = 0.001
_HTTPLOG = re.compile(r" \S+/(?P<server>\S+) (?P<timers>-?\d+/-?\d+/-?\d+/-?\d+/\+?-?\d+) \d{3} ")
_TIMED = re.compile(r" rt=(?P<request>[\d.]+) urt=(?P<upstream>[\d., :-]*)")


@dataclass(frozen=True)
class BalancerTimes:
    """What HAProxy says of one request, in seconds: received, queued, connected, answered, and all of it."""

    server: str
    request_s: float
    queue_s: float
    connect_s: float
    response_s: float
    active_s: float

    @property
    def pieces(self) -> tuple[tuple[str, float], ...]:
        """Under the names of HAProxy's manual; Td, the data after the head, is what is left of Ta."""
        head_s = self.request_s + self.queue_s + self.connect_s + self.response_s
        return (
            ("TR", self.request_s), ("Tw", self.queue_s), ("Tc", self.connect_s), ("Tr", self.response_s),
            ("Td", max(0.0, self.active_s - head_s)),
        )  # fmt: skip


@dataclass(frozen=True)
class WebTimes:
    """What nginx says of one request, in seconds; `upstream_s` None: it answered by itself."""

    request_s: float
    upstream_s: float | None


@dataclass(frozen=True)
class Request:
    """One request as the client saw it, and as those behind logged that very request (None: not there)."""

    seen: Fetched
    balancer: BalancerTimes | None = None
    web: WebTimes | None = None


def line_with(log: str, mark: str) -> str | None:
    """The last line of `log` that asks for a target ending in `mark`."""
    return next((line for line in reversed(log.splitlines()) if f"{mark} HTTP/" in line), None)


def balancer_times(line: str) -> BalancerTimes | None:
    """None for a line that is no httplog of a request that went all the way."""
    found = _HTTPLOG.search(line)
    if found is None:
        return None
    timers = [int(text.removeprefix("+")) / 1000 for text in found["timers"].split("/")]
    return None if min(timers) < 0 else BalancerTimes(found["server"], *timers)


def web_times(line: str) -> WebTimes | None:
    """Attempts at several upstreams count together."""
    found = _TIMED.search(line)
    if found is None:
        return None
    upstreams = [float(text) for text in re.split(r"[ ,:]+", found["upstream"]) if text not in ("", "-")]
    return WebTimes(float(found["request"]), sum(upstreams) if upstreams else None)


def misfits(request: Request) -> list[str]:
    """Where an inner time is longer than the outer one that contains it, by more than logs are cut."""
    seen, balancer, web = request.seen, request.balancer, request.web
    # Daemons read their clock once per round of their event loop. Where one ends TLS, the round in which the
    # request arrived may have begun with the handshake; it cannot have begun before the connection.
    chain: list[tuple[str, float]] = [("client", sum(seen.parts_s[2:]))]
    if balancer is not None:
        chain.append(("HAProxy", balancer.active_s))
    if web is not None:
        chain.append(("nginx", web.request_s))
        if web.upstream_s is not None:
            chain.append(("gunicorn", web.upstream_s))
    found = []
    for (outer, outer_s), (inner, inner_s) in pairwise(chain):
        slack_s = LOG_STEP_S if outer == "client" else 2 * LOG_STEP_S
        if inner_s > outer_s + slack_s:
            found.append(f"{inner} {inner_s * 1e3:.0f} ms within {outer} {outer_s * 1e3:.1f} ms")
    return found


# -- curl, for comparison --------------------------------------------------------------------------------

#: What curl is to write of a transfer: moments since its begin, in seconds (curl(1), --write-out).
CURL_FORMAT = "%{time_namelookup} %{time_connect} %{time_appconnect} %{time_starttransfer} %{time_total} "


def curl_parts_s(text: str) -> tuple[float, ...]:
    """PARTS of the second of two transfers by one curl process; the first one pays for loading libraries.

    Raises ValueError for anything but two transfers.
    """
    moments = [float(word) for word in text.split()]
    if len(moments) != 10:
        raise ValueError(f"not two transfers of curl: {text!r}")
    name_s, connected_s, secured_s, first_byte_s, total_s = moments[5:]
    ready_s = max(connected_s, secured_s)  # time_appconnect is 0 without TLS
    return (
        name_s,
        connected_s - name_s,
        ready_s - connected_s,
        first_byte_s - ready_s,
        total_s - first_byte_s,
    )


# -- over many requests ----------------------------------------------------------------------------------


def part_medians(rows: Sequence[Sequence[float]], seed: int) -> list[Interval]:
    """Median of each part in ms, with its bootstrap interval. `rows`: requests of len(PARTS) seconds each."""
    return [interval([row[k] * 1e3 for row in rows], "ms", seed) for k in range(len(PARTS))]


def typical(requests: Sequence[Request]) -> Request:
    """The real request whose total is the (lower) median: its parts add up, which medians of parts need not.

    Raises ValueError for no requests.
    """
    if not requests:
        raise ValueError("no request is typical of none")
    return sorted(requests, key=lambda r: r.seen.total_s)[(len(requests) - 1) // 2]


# -- as bars ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bar:
    """One piece of the picture: `row` counts from the top, times in ms since the visitor began."""

    row: int
    who: str
    what: str
    start_ms: float
    length_ms: float


def bars(request: Request) -> list[Bar]:
    """The request as nested rows. Behind the client only lengths are logged: each row begins where the one
    above handed over, which is the earliest it can have been.
    """
    seen, balancer, web = request.seen, request.balancer, request.web
    hosts = seen.served_by.split(">")
    found = _in_a_row(0, "client", 0.0, tuple(zip(PARTS, seen.parts_s, strict=True)))
    row, asked_ms = 0, sum(seen.parts_s[:3]) * 1e3
    if balancer is not None:
        row += 1
        found += _in_a_row(row, f"{hosts.pop(0)} HAProxy", asked_ms, balancer.pieces)
        asked_ms += (balancer.request_s + balancer.queue_s + balancer.connect_s) * 1e3
    if web is not None:
        found += _in_a_row(row + 1, f"{hosts[0]} nginx", asked_ms, (("rt", web.request_s),))
        if web.upstream_s is not None:
            found += _in_a_row(row + 2, f"{hosts[-1]} gunicorn", asked_ms, (("urt", web.upstream_s),))
    return found


def _in_a_row(row: int, who: str, start_ms: float, pieces: Sequence[tuple[str, float]]) -> list[Bar]:
    """One piece after the other; those of no length are left out."""
    found = []
    for what, length_s in pieces:
        if length_s > 0:
            found.append(Bar(row, who, what, start_ms, length_s * 1e3))
        start_ms += length_s * 1e3
    return found
