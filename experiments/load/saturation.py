"""Which component is the limit, and what it allows: the one whose budget is used up first.

X ≤ min over servers of (budget − background) / demand      (bottleneck analysis, Denning & Buzen 1978)
X(N) ≤ min(X_max, N / (R_0 + Z))                            (asymptotic bounds, Muntz & Wong 1974)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from experiments.load.offered import Trial, Usage

FULL = 0.88  # of a budget: the rest is the quota's own granularity and what a tick rounds away


@dataclass(frozen=True)
class Bottleneck:
    """The server that is full first. `demand_s`: CPU seconds per request; `background`: cores without any."""

    server: str
    cores: float
    background: float
    demand_s: float

    @property
    def ceiling_hz(self) -> float:
        """No rate above this can be carried, however the rest is built."""
        return max(0.0, self.cores - self.background) / self.demand_s

    def __str__(self) -> str:
        free = f"({self.cores:.3f} − {self.background:.3f}) core"
        return f"{self.server}: {free} / {self.demand_s * 1e3:.2f} ms = {self.ceiling_hz:.0f}/s"


def demands(low: Trial, high: Trial) -> dict[str, Bottleneck]:
    """Server → what a request costs it, from two rates that the stage carries easily.

    The slope is the demand; what remains at no request at all is agents and health checks. A server whose
    use does not grow with the rate is left out.
    """
    more_hz = high.good_hz - low.good_hz
    found = {}
    for name, usage in high.usage.items():
        more_cores = usage.used_cores - low.usage[name].used_cores
        if more_hz > 0 and more_cores > 0:
            demand_s = more_cores / more_hz
            background = max(0.0, usage.used_cores - demand_s * high.good_hz)
            found[name] = Bottleneck(name, usage.cores, background, demand_s)
    return found


def bottleneck(low: Trial, high: Trial) -> Bottleneck | None:
    """The tightest of them; None when nothing was answered."""
    return min(demands(low, high).values(), key=lambda b: b.ceiling_hz, default=None)


def saturated(usage: Mapping[str, Usage]) -> str:
    """The servers that had used up their budgets, in words; "" when none had."""
    full = [(u.share, name, u) for name, u in usage.items() if u.share >= FULL]
    return ", ".join(
        f"{name} ({share:.0%} of {u.cores:.2f} core, held back {u.held_back_share:.0%} of the time)"
        for share, name, u in sorted(full, reverse=True)
    )


def closed_loop_bounds(users: int, ceiling_hz: float, idle_latency_s: float, think_s: float = 0.0) -> float:
    """The most that `users` can get answered per second who wait for each answer and then think."""
    return min(ceiling_hz, users / (idle_latency_s + think_s))
