"""How far a replica is behind, token by token, and whether it has everything and nothing else.

    primary   INSERT ──► acknowledged
                                 │◄────────── lag ──────────►│
    replica   SELECT … not yet ──► not yet ─────────────────► there
                     missed                                  seen
              ◄─────────────── became visible somewhere here ─►

The truth lies between `least_s` (the last question that did not find it) and `lag_s` (the first that did).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from topologies.cgroup import PERIOD_US


@dataclass(frozen=True)
class Token:
    """One row written to the primary and looked for on the replica; seconds on CLOCK_MONOTONIC.

    `missed_s`: when the last question that did not find it was asked; None: the first one found it.
    `seen_s`: when the first answer with it came; None: never, until `until_s` (a censored observation).
    """

    id: str
    due_s: float
    sent_s: float
    acknowledged_s: float
    missed_s: float | None
    seen_s: float | None
    until_s: float

    @property
    def lag_s(self) -> float:
        """The longest that it can have been; infinite where it was not seen."""
        return math.inf if self.seen_s is None else max(0.0, self.seen_s - self.acknowledged_s)

    @property
    def least_s(self) -> float:
        """The least that it can have been."""
        missed_s = self.until_s if self.seen_s is None else self.missed_s
        return 0.0 if missed_s is None else max(0.0, missed_s - self.acknowledged_s)

    @property
    def commit_s(self) -> float:
        return self.acknowledged_s - self.sent_s


@dataclass(frozen=True)
class Quantile:
    """A percentile of lags as a bracket, in seconds; `high_s` infinite: that many were not seen in time."""

    low_s: float
    high_s: float

    @property
    def words(self) -> str:
        low, high = self.low_s * 1e3, self.high_s * 1e3
        return f"> {low:.2f} ms" if math.isinf(high) else f"{low:.2f}–{high:.2f} ms"


def quantile(tokens: Sequence[Token], q: float) -> Quantile:
    """The nearest-rank percentile of both bounds. Raises ValueError for no tokens."""
    if not tokens:
        raise ValueError("no tokens, no percentile")
    rank = max(0, math.ceil(q * len(tokens)) - 1)
    return Quantile(
        sorted(t.least_s for t in tokens)[rank], sorted(t.lag_s for t in tokens)[rank]
    )  # fmt: skip


# -- prediction ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Basis:
    """Measured before the load: a commit on the primary and one question to the replica (each median and 99th
    percentile), and a round trip between the two. `cores` are the CPU budgets of primary and replica.
    """

    commit_s: float
    commit_p99_s: float
    question_s: float
    question_p99_s: float
    round_trip_s: float
    cores: tuple[float, ...]

    @property
    def slices_s(self) -> float:
        """How long a transaction may wait, once on each host, for a budget that is used up.

        A budget of c cores is c·T of CPU time in each period T; whoever has used it waits for the next, at
        most (1 − c)·T (kernel: sched-bwc.rst). One core or more: nobody waits.
        """
        return sum(max(0.0, 1 - c) * PERIOD_US / 1e6 for c in self.cores)


@dataclass(frozen=True)
class LagPrediction:
    median_s: float  # at most
    p99_s: float  # at most
    because: str


def predict(basis: Basis) -> LagPrediction:
    """At most one round trip and one commit after the acknowledgment, the median transaction is visible.

    When the primary acknowledges, the transaction is in its binary log, and its dump thread pushes what is
    there: the replica need not ask (MariaDB Knowledge Base, "Replication Overview"). It crosses the link, and
    is committed again by the same software. The rare one waits for what a rare commit waits for, and for the
    next CPU slice on either host.
    """
    median_s = basis.round_trip_s + basis.commit_s
    p99_s = basis.round_trip_s + basis.commit_p99_s + basis.slices_s
    return LagPrediction(
        median_s,
        p99_s,
        f"median: round trip {basis.round_trip_s * 1e3:.2f} + commit {basis.commit_s * 1e3:.2f} = "
        f"{median_s * 1e3:.2f} ms; p99: round trip + rare commit {basis.commit_p99_s * 1e3:.2f} + CPU slices "
        f"{basis.slices_s * 1e3:.2f} = {p99_s * 1e3:.2f} ms",
    )


def within(seen: Quantile, limit_s: float, resolution_s: float) -> bool | None:
    """Whether a percentile keeps to its limit. None: it may, but one question more or less would decide.

    What the replica had when it began to answer is seen when the answer has come: later by up to a question.
    That is `resolution_s`, and the lag is not charged with it.
    """
    if seen.low_s > limit_s:
        return False
    return True if seen.high_s <= limit_s + resolution_s else None


# -- everything, and nothing else ------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """Ids that were acknowledged and are not there, and ids that are there though nobody wrote them."""

    acknowledged: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def compare(attempted: Collection[str], acknowledged: Collection[str], found: Collection[str]) -> Compared:
    """lost = acknowledged − found; unexpected = found − attempted. In between is what nobody knows."""
    return Compared(
        len(acknowledged),
        tuple(sorted(set(acknowledged) - set(found))),
        tuple(sorted(set(found) - set(attempted))),
    )


def positions(gtids: str) -> dict[tuple[int, int], int]:
    """MariaDB's "0-1-1234,0-2-7": (domain, server) → sequence number. Raises ValueError for anything else."""
    found: dict[tuple[int, int], int] = {}
    for text in filter(None, (part.strip() for part in gtids.split(","))):
        numbers = text.split("-")
        if len(numbers) != 3:
            raise ValueError(f"{text!r} is no MariaDB GTID")
        domain, server, sequence = map(int, numbers)
        found[domain, server] = sequence
    return found


def errant(replica_state: str, primary_state: str) -> tuple[str, ...]:
    """Transactions of the replica's own history that its primary never had: gtid_binlog_state of both.

    Per domain and server of origin the state keeps the highest number: one that the primary has not reached
    is errant (MariaDB Knowledge Base, "Global Transaction ID", gtid_binlog_state).
    """
    primary = positions(primary_state)
    return tuple(
        f"{domain}-{server}-{sequence}"
        for (domain, server), sequence in sorted(positions(replica_state).items())
        if sequence > primary.get((domain, server), 0)
    )
