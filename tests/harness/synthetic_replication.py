"""Tokens whose lag is known, and a run that found nothing wrong."""

from __future__ import annotations

from collections import Counter
from typing import Any

from experiments.harness.ordering import Orders, Reads
from experiments.harness.replicas import Refusal
from experiments.harness.replication import Basis, Compared, Token
from experiments.harness.replication_report import READ_ONLY, Seen, State

BASIS = Basis(
    commit_s=0.0006, commit_p99_s=0.003, question_s=0.0003, question_p99_s=0.0006, round_trip_s=0.00006,
    cores=(0.56, 0.56),
)  # fmt: skip
SUMMARY: dict[str, Any] = {
    "due": 2000, "sent": 2000, "acknowledged": 2000, "unknown": 0,
    "lateness_ms": {"p50": 0.1, "p99": 0.9, "max": 3.0},
}  # fmt: skip


def token(at_s: float, lag_ms: float | None, missed_ms: float | None = None) -> Token:
    """Acknowledged half a millisecond after `at_s`, seen `lag_ms` later (None: never, within two seconds)."""
    ack_s = at_s + 0.0005
    return Token(
        f"t{at_s}", at_s, at_s, ack_s,
        None if missed_ms is None else ack_s + missed_ms / 1e3,
        None if lag_ms is None else ack_s + lag_ms / 1e3, ack_s + 2.0,
    )  # fmt: skip


def tokens(lag_ms: float, n: int = 100, *, slow: int = 0, slow_ms: float = 5.0) -> list[Token]:
    """`n` of which the last `slow` are late; each was missed at two thirds of its lag."""
    lags = [lag_ms] * (n - slow) + [slow_ms] * slow
    return [token(10 + k / 20, lag, lag * 2 / 3) for k, lag in enumerate(lags)]


def good() -> Seen:
    return Seen(
        basis=BASIS, idle=tokens(0.4), loaded=tokens(0.5, 400, slow=8),
        orders=[Orders([], dict(SUMMARY))], writing=[(15.0, 35.0)], stopwatch_wait_share=0.01,
        compared=Compared(2500, (), ()), state=State("0-1-2512", "0-1-2512", ()),
        reads=[
            (Reads("/api/items/1", 100, Counter(replica=100), {"server1": 0, "server2": 100}), "replica"),
            (Reads("/api/orders/UUID", 100, Counter(primary=100), {"server1": 100, "server2": 0}), "primary"),
        ],
        refusal=Refusal(READ_ONLY, "MySQL error 1290: read-only"), unseen=token(40.0, None, 1999.0),
        caught_up_s=0.02, accepted=Refusal(None, "accepted"),
        state_after=State("0-1-2513", "0-2-2514", ("0-2-2514",)),
    )  # fmt: skip
