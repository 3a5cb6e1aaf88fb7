"""What encryption costs: handshakes within a budget, time on a new connection, CPU time of a request."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from experiments.harness.findings import Findings
from experiments.harness.handshakes import Window, closed_loop, interleaved
from experiments.harness.misconfigured import Front, front_of
from experiments.harness.progress import Progress
from experiments.harness.request_cost import Cost, batches, cost_of, idle, ratio
from experiments.harness.verdict import interval
from topologies.cgroup import Group
from topologies.testbed import Testbed

PAIRS = 150  # of connections, without and with TLS in turn
#: More than this no client of one machine can ask for: a larger server is measured as one of this size.
LARGEST_BUDGET_CORES = 0.4
LOOPS, WINDOWS, WINDOW_S = 2, 8, 0.5
#: Used of the budget: from here on it is what limits.
SATURATED = 0.9
IDLE_S = 2.0
BATCHES, REQUESTS = 8, 60


def handshakes(found: Findings, testbed: Testbed, seed: int, progress: Progress) -> None:
    """Latency and capacity of new HTTPS connections at the front server."""
    front = front_of(testbed.stage)
    client, server = testbed.hosts[testbed.stage.clients[0]], testbed.hosts[front.host]
    if server.group is None:
        return
    with progress.waiting(f"opening {PAIRS} connections without and with TLS, in turn"):
        opened = interleaved(client, front.address, PAIRS)
    tcp = interval([one.tcp_s * 1e3 for one in opened], "ms", seed)
    both = interval([one.tls_s * 1e3 for one in opened], "ms", seed)
    added = interval([(one.tls_s - one.tcp_s) * 1e3 for one in opened], "ms", seed)
    round_trip_ms = tcp.median or 0.0
    found.claim(
        "2.2", "a TLS handshake adds at least one more round trip to a new connection (RFC 8446, section 2)",
        held=added.low is not None and added.low > round_trip_ms,
        reason=f"TCP alone {tcp.median:.2f} ms, with TLS {both.median:.2f} ms: nearly all of it is computing",
        predicted=(round(round_trip_ms, 3), None), measured=added,
    )  # fmt: skip
    with (
        progress.waiting(f"shaking hands with {front.host} as fast as its budget allows"),
        _at_most(server.group, LARGEST_BUDGET_CORES) as cores,
    ):
        windows = closed_loop(client, server, front.address, loops=LOOPS, windows=WINDOWS, window_s=WINDOW_S)
    _capacity(found, front, windows, cores, seed)
    each = interval([w.used_each_s * 1e3 for w in windows if w.connections], "ms", seed)
    found.table(
        "What HTTPS costs",
        f"{front.host} at {front.address}: new connections, each with a full handshake of TLS 1.3 (ECDSA "
        "P-256, nothing resumed). Medians with 95% bootstrap intervals. The client's own computing is in the "
        "times, as it is in a browser's.",
        ("what", "median", "low", "high", "unit", "n"),
        [
            ("new TCP connection", tcp.median, tcp.low, tcp.high, tcp.unit, tcp.n),
            ("new HTTPS connection", both.median, both.low, both.high, both.unit, both.n),
            ("TLS adds", added.median, added.low, added.high, added.unit, added.n),
            (f"CPU of {front.host} per handshake", each.median, each.low, each.high, each.unit, each.n),
        ],
    )  # fmt: skip


def _capacity(found: Findings, front: Front, windows: list[Window], cores: float, seed: int) -> None:
    share = statistics.median(w.share(cores) for w in windows)
    held_back_s = sum(w.throttled_s for w in windows)
    saturated = share >= SATURATED and held_back_s > 0
    rate = interval([w.rate_hz for w in windows], "handshakes/s", seed) if saturated else None
    found.claim(
        "2.2", f"the CPU budget of {front.host} bounds how many new HTTPS connections it takes",
        held=True if saturated else None,
        reason=f"{LOOPS} clients in closed loops used {share:.0%} of its {cores:.2f} cores: "
        + (f"saturated is {front.host}" if saturated else "it was not the limit, so there is no number"),
        measured=rate, unit="handshakes/s",
    )  # fmt: skip
    found.keep("handshakes", {"cores": cores, "share_of_budget": round(share, 3), "windows": windows})


@contextmanager
def _at_most(group: Group, cores: float) -> Iterator[float]:
    """The group with this budget, if its own is larger, during the block; yields what it has."""
    own = group.cpu_limit()
    if own is not None and own <= cores:
        yield own
        return
    try:
        group.limit_cpu(cores)
        yield cores
    finally:
        group.limit_cpu(own)


# -- what re-encryption adds -------------------------------------------------------------------------


@dataclass(frozen=True)
class RequestCosts:
    """Of one variant of the stage: requests on one kept-alive connection, and each on a new one."""

    kept_alive: Cost
    fresh: Cost

    def pooled(self, other: RequestCosts) -> RequestCosts:
        return RequestCosts(self.kept_alive.pooled(other.kept_alive), self.fresh.pooled(other.fresh))


def request_costs(testbed: Testbed, progress: Progress) -> RequestCosts:
    """CPU time of requests on this stage. Raises OSError."""
    client = testbed.stage.clients[0]
    with progress.waiting(f"counting the CPU time of {2 * BATCHES * REQUESTS} requests"):
        quiet = idle(testbed, IDLE_S)
        kept, fresh = (
            cost_of(batches(testbed, client, BATCHES, REQUESTS, kept_alive=kept_alive), quiet)
            for kept_alive in (True, False)
        )
    return RequestCosts(kept, fresh)


def reencryption(found: Findings, plain: RequestCosts, encrypted: RequestCosts, seed: int) -> None:
    """What TLS behind the load balancer costs, where connections are new and where they are kept."""
    kept = ratio(encrypted.kept_alive.relative, plain.kept_alive.relative, seed)
    fresh = ratio(encrypted.fresh.relative, plain.fresh.relative, seed)
    assert fresh.low is not None
    added_ms = (statistics.median(encrypted.fresh.relative) - statistics.median(plain.fresh.relative)) * 1e3
    own_s = statistics.median((plain.fresh.own_s, encrypted.fresh.own_s))
    found.claim(
        "2.5", "re-encryption costs CPU time on every new connection", held=True if fresh.low > 1 else None,
        reason=f"about {added_ms * own_s:.2f} ms more on all servers together; on a kept-alive connection "
        f"{kept.median:.2f} ({kept.low:.2f}–{kept.high:.2f}) times",
        predicted=(1, None), measured=fresh,
    )  # fmt: skip
    rows: list[tuple[object, ...]] = []
    for name, a, b, times in (
        ("new connection", plain.fresh, encrypted.fresh, fresh),
        ("kept-alive connection", plain.kept_alive, encrypted.kept_alive, kept),
    ):
        for host in a.by_server_s:
            pair = [statistics.median(some.by_server_s[host]) * 1e3 for some in (a, b)]
            rows.append((name, host, *pair, None))
        totals = [statistics.median(some.total_s) * 1e3 for some in (a, b)]
        rows.append((name, "all servers", *totals, f"{times.median:.2f} ({times.low:.2f}–{times.high:.2f})"))
    found.table(
        "CPU time of a request",
        f"Medians of batches of {REQUESTS} requests, less what the servers use anyway, in ms; one before "
        "and after the other. The machine's pace changes meanwhile, so the last column compares the servers' "
        "time in units of the client's own, which does the same work in both: ratio of medians, with its "
        "95% bootstrap interval over batches.",
        ("request on a", "server", "as it is", "re-encrypted", "re-encrypted ÷ as it is"), rows,
    )  # fmt: skip
