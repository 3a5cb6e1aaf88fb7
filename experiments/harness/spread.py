"""Who got how many of the requests, against the share that the algorithm gives.

    served_by "lb1>web2>app1" ──► lb1 chose web2, the nginx on web2 chose app1

Predictions come from the declaration: how many servers, which algorithm, whose health checks take turns, too.

  roundrobin   takes turns, so of n requests each of k servers gets n/k, give or take one (HAProxy's manual,
               "balance"; nginx, ngx_http_upstream_module). Not chance: χ² is close to 0 and p close to 1
  leastconn    the fewest connections, turns among equals: as even as turns while servers are equally quick
  source       one client address, one server; which of them the manual does not say
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from experiments.harness.chi_square import SIGNIFICANT, goodness_of_fit
from experiments.harness.phases import Phase
from loadtests.probes import Probe

Share = tuple[float, float]  # lowest and highest
Z_99 = 2.575829


@dataclass(frozen=True)
class Choice:
    """What one chooser made of its requests: server → requests, and server → the share that was predicted.

    `tested`: server → exact share for χ²; empty where only the interval is predicted.
    """

    chooser: str
    counts: Mapping[str, int]
    predicted: Mapping[str, Share]
    tested: Mapping[str, float] = field(default_factory=dict)

    @property
    def n(self) -> int:
        return sum(self.counts.values())

    @property
    def shares(self) -> dict[str, float]:
        return {server: count / self.n for server, count in self.counts.items()} if self.n else {}

    @property
    def p(self) -> float | None:
        """Of χ² against the exact shares; None without them."""
        if not self.tested or not self.n:
            return None
        return goodness_of_fit([self.counts[s] for s in self.tested], list(self.tested.values()))[1]

    @property
    def within(self) -> bool:
        return all(low <= self.shares.get(s, 0.0) <= high for s, (low, high) in self.predicted.items())

    @property
    def held(self) -> bool | None:
        """Every share in its interval, and χ² sees no difference. None: it had nothing to choose."""
        if not self.n:
            return None
        return self.within and (self.p is None or self.p >= SIGNIFICANT)

    @property
    def words(self) -> str:
        """ "lb1: web1 160, web2 160 (p = 1.00)" """
        counted = ", ".join(f"{server} {count}" for server, count in self.counts.items())
        return f"{self.chooser}: {counted}" + ("" if self.p is None else f" (p = {p_text(self.p)})")


def p_text(p: float) -> str:
    return f"{p:.2f}" if p >= SIGNIFICANT else f"{p:.1g}" if p > 0 else "0"


def hops(probe: Probe) -> tuple[str, ...]:
    """Balancer, web server, application server; on one host the last two have the same name."""
    return tuple(probe.served_by.split(">"))


def chosen_at(probes: Iterable[Probe], hop: int, servers: Sequence[str]) -> dict[str, dict[str, int]]:
    """Chooser (the host at `hop`) → server (the host after it) → requests; 0 for servers nobody met.

    Answers that did not come through so many hosts are left out: nobody knows who would have served them.
    """
    counts: dict[str, Counter[str]] = {}
    for path in map(hops, probes):
        if len(path) > hop + 1:
            counts.setdefault(path[hop], Counter())[path[hop + 1]] += 1
    return {
        chooser: {server: counted[server] for server in dict.fromkeys((*servers, *sorted(counted)))}
        for chooser, counted in sorted(counts.items())
    }


# -- predictions ----------------------------------------------------------------------------------------


def taking_turns(servers: Sequence[str], n: int, *, strangers: int = 0, streams: int = 1) -> dict[str, Share]:
    """The share of each server where a chooser takes turns over `n` of our requests and `strangers` others.

    n + c requests in turns give each of k servers (n + c)/k, less than one more or less. Of the c strangers
    (health checks) it may have had none or all. At the edges of the window one request of each stream may
    have overtaken another. So  (n+c)/k − 1 − c − streams  ≤  nᵢ  ≤  (n+c)/k + 1 + streams.
    """
    k, c = len(servers), strangers
    low = ((n + c) / k - 1 - c - streams) / n
    high = ((n + c) / k + 1 + streams) / n
    return {server: (max(0.0, low), min(1.0, high)) for server in servers}


def even(servers: Sequence[str]) -> dict[str, float]:
    return {server: 1 / len(servers) for server in servers}


def no_worse_than_chance(servers: Sequence[str], n: int) -> dict[str, Share]:
    """1/k with the 99% interval of n independent choices (normal approximation of the binomial).

    leastconn takes turns among servers of equal load, and prefers whoever is behind: both make it more even.
    """
    share = 1 / len(servers)
    half = Z_99 * math.sqrt(share * (1 - share) / n) + 1 / n
    return {server: (max(0.0, share - half), min(1.0, share + half)) for server in servers}


def slow_share(rate_hz: float, fast_s: float, slow_s: float, servers: int) -> Share:
    """The share that leastconn leaves to the one slow server of `servers`, at `rate_hz` in even steps.

    With T = 1/rate, s = `slow_s`, f = `fast_s` (mean times a connection stays with its server), k servers.
    Low: a connection keeps the slow server for s; until its turn comes again at most k requests pass. So it
    gets one request in s/T + k (renewal-reward theorem: Ross, Introduction to Probability Models, ch. 7).
    High: it is chosen only while nobody has fewer connections, so it never has more than one more than a
    fast one: L₂ ≤ L₁ + 1. By Little's law (Little 1961) L = λ·share·time, hence
    λ·p·s ≤ λ·(1−p)·f/(k−1) + 1. Both hold while a fast server is done before the next request comes.
    Raises ValueError where it is not, for a slow server that is not slow, and for no choice.
    """
    if servers < 2 or not slow_s > fast_s:
        raise ValueError("it takes a slow server and a fast one")
    if rate_hz * fast_s >= 1:
        raise ValueError(
            f"{rate_hz:g} requests/s, and even a fast server needs {fast_s * 1e3:.0f} ms for one"
        )
    fast = rate_hz * fast_s / (servers - 1)
    return 1 / (rate_hz * slow_s + servers), (1 + fast) / (rate_hz * slow_s + fast)


def widened(share: Share, n: int) -> Share:
    """By one request at either edge of the window."""
    return max(0.0, share[0] - 1 / n), min(1.0, share[1] + 1 / n)


# -- from phases to choices ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """What the rendered configurations say before anything is measured."""

    webs: tuple[str, ...]  # the balancers' servers
    apps: tuple[str, ...]  # each nginx's upstreams; fewer than two: it has no choice
    balancers: int
    check_inter_s: float
    rate_hz: float  # of each stream: one to every balancer that holds an address
    streams: int
    slow_web: str  # whom the slow server makes slow, as the balancers see it
    slow_app: str
    delay_s: float

    def strangers(self, seconds: float) -> int:
        """Health checks that may come to one nginx in a window, and take their turns there."""
        return self.balancers * (math.ceil(seconds / self.check_inter_s) + 1)


def web_choices(layout: Layout, phase: Phase, balance: str) -> list[Choice]:
    """Each balancer's choice between equally quick web servers."""
    choices = []
    for balancer, counts in chosen_at(phase.probes, 0, layout.webs).items():
        n = sum(counts.values())
        if balance == "source":
            predicted, tested = {max(counts, key=lambda s: counts[s]): (1.0, 1.0)}, {}
        elif balance == "roundrobin":
            predicted, tested = taking_turns(layout.webs, n), even(layout.webs)
        else:
            predicted, tested = no_worse_than_chance(layout.webs, n), even(layout.webs)
        choices.append(Choice(balancer, counts, predicted, tested))
    return choices


def app_choices(layout: Layout, phase: Phase) -> list[Choice]:
    """Each nginx's choice between application servers; empty where it has none."""
    if len(layout.apps) < 2:
        return []
    strangers = layout.strangers(phase.end_s - phase.start_s)
    return [
        Choice(
            f"nginx on {web}", counts,
            taking_turns(layout.apps, sum(counts.values()), strangers=strangers, streams=layout.streams),
            even(layout.apps),
        )
        for web, counts in chosen_at(phase.probes, 1, layout.apps).items()
    ]  # fmt: skip


def avoiding_choices(layout: Layout, phase: Phase, fast_s: float) -> list[Choice]:
    """What leastconn leaves to the slow web server, on each balancer. Raises what slow_share raises."""
    choices = []
    for balancer, counts in chosen_at(phase.probes, 0, layout.webs).items():
        share = slow_share(layout.rate_hz, fast_s, layout.delay_s + fast_s, len(layout.webs))
        choices.append(Choice(balancer, counts, {layout.slow_web: widened(share, sum(counts.values()))}))
    return choices


# -- times ------------------------------------------------------------------------------------------------


def latencies_s(phases: Iterable[Phase]) -> list[float]:
    """Of every probe, from the moment it was due."""
    return [p.latency_s for phase in phases for p in phase.probes]


def p95_s(phase: Phase) -> float:
    return percentile_s([p.latency_s for p in phase.probes], 0.95)


def mean_served_s(phases: Iterable[Phase]) -> float:
    """Mean time from the connection to the end of the answer: what the client sees of it. NaN of nothing."""
    times = [p.end_s - (p.connected_s or p.due_s) for phase in phases for p in phase.probes if p.good]
    return sum(times) / len(times) if times else math.nan


def percentile_s(values_s: Sequence[float], q: float) -> float:
    """The smallest value that at least the share `q` does not exceed (nearest rank). Raises ValueError."""
    if not values_s:
        raise ValueError("no values, no percentile")
    return sorted(values_s)[max(0, math.ceil(q * len(values_s)) - 1)]
