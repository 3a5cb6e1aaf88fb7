"""From tokens, orders, counters and refusals to the claims, controls, tables and figure of replication."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from experiments.harness import replication
from experiments.harness.findings import Findings
from experiments.harness.model import Interval
from experiments.harness.ordering import Orders, Reads
from experiments.harness.phases import RUN_QUEUE_WAIT_LIMIT
from experiments.harness.replicas import Refusal
from experiments.harness.replication import Basis, Compared, LagPrediction, Quantile, Token, quantile
from experiments.harness.spread import percentile_s
from experiments.harness.trials import LATENESS_LIMIT_MS

CLAIM = "1.3"
CATCH_UP_S = 10.0  # for the backlog of some seconds
READ_ONLY = 1290  # ER_OPTION_PREVENTS_STATEMENT, MySQL's and MariaDB's
ENOUGH = 0.98  # of the offered writes must be acknowledged


@dataclass(frozen=True)
class State:
    """Where both servers are, in MariaDB's GTIDs, and what the replica has that its primary never had."""

    primary: str  # gtid_binlog_pos
    replica: str  # gtid_slave_pos
    errant: tuple[str, ...]


@dataclass
class Seen:
    """All that a run found, as far as it came."""

    basis: Basis | None = None
    idle: list[Token] = field(default_factory=list)
    loaded: list[Token] = field(default_factory=list)
    orders: list[Orders] = field(default_factory=list)
    writing: list[tuple[float, float]] = field(default_factory=list)  # CLOCK_MONOTONIC
    stopwatch_wait_share: float | None = None
    compared: Compared | None = None
    state: State | None = None
    reads: list[tuple[Reads, str]] = field(default_factory=list)  # with the role that was predicted
    refusal: Refusal | None = None
    unseen: Token | None = None  # while the replica applied nothing
    caught_up_s: float | None = None
    accepted: Refusal | None = None  # with read_only off
    state_after: State | None = None


def say(found: Findings, seen: Seen, primary: str, replica: str) -> None:
    """Tell `found` everything that `seen` supports, and nothing of what was not reached."""
    if seen.basis is not None:
        _lag(found, seen, replication.predict(seen.basis))
        found.keep("basis", seen.basis)
    if seen.compared is not None and seen.state is not None:
        _complete(found, seen.compared, seen.state, replica)
    for reads, role in seen.reads:
        _reads(found, reads, role, {"primary": primary, "replica": replica})
    if seen.refusal is not None:
        found.claim(
            CLAIM, "the replica refuses the site's writes", held=seen.refusal.number == READ_ONLY,
            reason=seen.refusal.text, predicted=(READ_ONLY, READ_ONLY), measured=seen.refusal.number,
            unit="MySQL error",
        )  # fmt: skip
    _controls(found, seen, replica)
    _tables(found, seen, primary, replica)
    _fidelity(found, seen)


# -- claims ---------------------------------------------------------------------------------------------


def _lag(found: Findings, seen: Seen, predicted: LagPrediction) -> None:
    if not seen.loaded or seen.basis is None:
        return
    resolution = seen.basis.question_s, seen.basis.question_p99_s
    for q, limit_s, resolution_s, words in (
        (0.5, predicted.median_s, resolution[0], "half of all acknowledged writes are on the replica after a "
         "round trip and a commit"),
        (0.99, predicted.p99_s, resolution[1], "99 of 100 are there after a rare commit and a CPU slice"),
    ):  # fmt: skip
        lag = quantile(seen.loaded, q)
        found.claim(
            CLAIM, f"under write load, {words}", held=replication.within(lag, limit_s, resolution_s),
            reason=f"{lag.words} for {len(seen.loaded)} tokens; {predicted.because}; a question to the "
            f"replica takes {resolution_s * 1e3:.2f} ms, which is no lag",
            predicted=(0.0, limit_s * 1e3), measured=_bracket_ms(lag, len(seen.loaded)),
        )  # fmt: skip


def _bracket_ms(lag: Quantile, n: int) -> Interval:
    """Its longest as the measurement: the least is what the resolution leaves open."""
    high = lag.high_s * 1e3 if lag.high_s != float("inf") else None
    return Interval(high, lag.low_s * 1e3, high, n, "ms")


def _complete(found: Findings, compared: Compared, state: State, replica: str) -> None:
    differences = len(compared.missing) + len(compared.unexpected)
    found.claim(
        CLAIM, "after the load the replica has every acknowledged write, and nothing that nobody wrote",
        held=differences == 0, predicted=(0, 0), measured=differences, unit="orders",
        reason=f"{compared.acknowledged} acknowledged, {len(compared.missing)} missing on {replica}, "
        f"{len(compared.unexpected)} unexpected",
    )  # fmt: skip
    apart = state.primary != state.replica
    found.claim(
        CLAIM, "both are at the same transaction, and the replica has none of its own",
        held=not apart and not state.errant, predicted=(0, 0), measured=apart + len(state.errant),
        unit="differences", reason=f"primary at {state.primary}, replica at {state.replica}, "
        f"{len(state.errant)} errant",
    )  # fmt: skip


def _reads(found: Findings, reads: Reads, role: str, hosts: dict[str, str]) -> None:
    other = next(name for name in hosts if name != role)
    mine, others = reads.selects[hosts[role]], reads.selects[hosts[other]]
    what = (
        "the catalogue is read from the replica" if role == "replica" else "orders are read from the primary"
    )
    found.claim(
        CLAIM, what, held=reads.named[role] == reads.asked and mine == reads.asked and others == 0,
        predicted=(1.0, 1.0), measured=reads.named[role] / reads.asked if reads.asked else None, unit="share",
        reason=f"{reads.asked} × {reads.route}: X-Database says {role} {reads.named[role]} times; "
        f"Com_select on {hosts[role]} +{mine}, on {hosts[other]} +{others}",
    )  # fmt: skip


# -- wrong on purpose -------------------------------------------------------------------------------------


def _controls(found: Findings, seen: Seen, replica: str) -> None:
    if seen.unseen is not None:
        token = seen.unseen
        again = "" if seen.caught_up_s is None else f"; caught up {seen.caught_up_s:.2f} s after its start"
        found.control(
            f"SQL thread of {replica} stopped", "the token is not found", token.seen_s is None,
            (f"> {token.least_s:.1f} s" if token.seen_s is None else f"after {token.lag_s:.3f} s") + again,
        )  # fmt: skip
        found.claim(
            CLAIM, "a replica that stood still catches up once it goes on", held=seen.caught_up_s is not None,
            reason="it reached the primary's position" if seen.caught_up_s is not None else "it did not in "
            f"{CATCH_UP_S:g} s", predicted=(0.0, CATCH_UP_S), measured=seen.caught_up_s, unit="s",
        )  # fmt: skip
    if seen.accepted is not None:
        found.control(
            f"read_only off on {replica}", "the site's write is accepted", seen.accepted.number is None,
            seen.accepted.text,
        )  # fmt: skip
    if seen.state_after is not None:
        found.control(
            f"an order written to {replica} alone", "an errant transaction", bool(seen.state_after.errant),
            ", ".join(seen.state_after.errant) or "none found",
        )  # fmt: skip


# -- tables, figure, fidelity -----------------------------------------------------------------------------


def _tables(found: Findings, seen: Seen, primary: str, replica: str) -> None:
    rows = [
        (name, len(tokens), *(quantile(tokens, q).words for q in (0.5, 0.95, 0.99, 1.0)))
        for name, tokens in (("no load", seen.idle), ("write load", seen.loaded))
        if tokens
    ]
    if rows:
        found.table(
            "Lag",
            "From the primary's acknowledgment to the last question that did not find the row on the replica "
            "(the least that it can have been), and to the first answer that did (the most).",
            ("condition", "tokens", "p50", "p95", "p99", "max"), rows,
        )  # fmt: skip
    if seen.reads:
        found.table(
            "Who answered which reads", "What the site says, and what the servers counted meanwhile.",
            ("route", "asked", "X-Database", f"SELECTs on {primary}", f"SELECTs on {replica}"),
            [
                (reads.route, reads.asked, ", ".join(f"{name} {n}" for name, n in reads.named.items()),
                 *reads.selects.values())
                for reads, _ in seen.reads
            ],
        )  # fmt: skip
    if seen.basis is not None and rows:
        _picture(found, seen, replication.predict(seen.basis))


def _picture(found: Findings, seen: Seen, predicted: LagPrediction) -> None:
    # Imported late: matplotlib takes a second that a usage error should not wait for.
    from experiments.harness import figure_replication

    unseen = [seen.unseen] if seen.unseen is not None else []
    series = {"no load": seen.idle, "write load": seen.loaded, "control: SQL thread stopped": unseen}
    found.figure(
        "lag", "How late the replica is",
        "Left: the share of tokens seen within a lag; each counts as late as it can have been. Hatched: "
        "where half and 99% of them had to be at the latest. Right: each token when it was written.",
        "Cumulative distribution of replication lag without and with write load, and lag over time.",
        lambda: figure_replication.draw_lags(
            {name: tokens for name, tokens in series.items() if tokens}, predicted, seen.writing
        ),
    )  # fmt: skip


def _fidelity(found: Findings, seen: Seen) -> None:
    """How late the writer and the tokens were, and whether the load was what it should be."""
    for number, orders in enumerate(seen.orders, 1):
        summary = orders.summary
        found.check("writer" if number == 1 else f"writer {number}", summary)
        late_ms = summary["lateness_ms"]["p99"]
        found.check("writer_lateness_p99_ms", late_ms)
        if late_ms is not None and late_ms > LATENESS_LIMIT_MS:
            found.doubt(f"the writer was late: p99 {late_ms:.1f} ms > {LATENESS_LIMIT_MS:g} ms")
        if summary["acknowledged"] < ENOUGH * summary["due"]:
            found.fail(f"only {summary['acknowledged']} of {summary['due']} orders were acknowledged")
    if seen.loaded:
        found.check("token_lateness_p99_ms", _late_ms(seen.loaded))
    if seen.stopwatch_wait_share is not None:
        found.check("stopwatch_run_queue_wait_share", seen.stopwatch_wait_share)
        if seen.stopwatch_wait_share > RUN_QUEUE_WAIT_LIMIT:
            found.fail(f"the stopwatch waited for a CPU {seen.stopwatch_wait_share:.1%} of the time")


def _late_ms(tokens: Sequence[Token]) -> float:
    return round(percentile_s([t.sent_s - t.due_s for t in tokens], 0.99) * 1e3, 3)
