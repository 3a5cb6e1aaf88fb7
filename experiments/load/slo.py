"""What "the stage carries this rate" means: four criteria, all of which one trial must meet.

p95 from the intended time · share of errors · achieved / offered · no queue that grows from half to half
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

#: Two p95 of a few milliseconds differ by more than half through chance alone, and one bunch of Poisson
#: arrivals makes tens of them; a queue that grows does not stay below this.
SMALL_MS = 50.0


class Measured(Protocol):
    """The little of a trial that decides; times in milliseconds, None where nothing was good."""

    @property
    def offered_hz(self) -> float: ...
    @property
    def achieved_hz(self) -> float: ...
    @property
    def error_share(self) -> float: ...
    @property
    def p95_ms(self) -> float | None: ...
    @property
    def first_half_p95_ms(self) -> float | None: ...
    @property
    def second_half_p95_ms(self) -> float | None: ...


@dataclass(frozen=True)
class Slo:
    """Limits of a service level objective. Raises ValueError for limits that nothing or everything meets."""

    p95_ms: float = 200.0
    errors: float = 0.01
    achieved: float = 0.98
    growth: float = 1.5

    def __post_init__(self) -> None:
        if self.p95_ms <= 0:
            raise ValueError(f"SLO p95 {self.p95_ms:g} ms: above 0")
        if not 0 <= self.errors < 1:
            raise ValueError(f"SLO errors {self.errors:g}: a share from 0 to below 1")
        if not 0 < self.achieved <= 1:
            raise ValueError(f"SLO achieved {self.achieved:g}: a share above 0, at most 1")
        if self.growth < 1:
            raise ValueError(f"SLO growth {self.growth:g}: at least 1")

    def broken_by(self, trial: Measured) -> str:
        """Why the trial does not meet it, in one line; "" when it does."""
        if trial.p95_ms is None:
            return "no good answer"
        if trial.error_share > self.errors:
            return f"errors {trial.error_share:.1%} > {self.errors:.1%}"
        if trial.p95_ms > self.p95_ms:
            return f"p95 {trial.p95_ms:.0f} ms > {self.p95_ms:g} ms"
        if trial.achieved_hz < self.achieved * trial.offered_hz:
            return f"achieved {trial.achieved_hz / trial.offered_hz:.1%} of the offered rate"
        first, second = trial.first_half_p95_ms, trial.second_half_p95_ms
        if first is not None and second is not None and second > max(self.growth * first, SMALL_MS):
            return f"p95 grows from half to half: {first:.0f} → {second:.0f} ms"
        return ""

    def __str__(self) -> str:
        return f"p95 ≤ {self.p95_ms:g} ms, errors ≤ {self.errors:.1%}"
