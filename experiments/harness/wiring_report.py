"""What the wiring experiment says: listeners, hops and the waterfall, each before what was declared."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence

from experiments.harness import waterfall
from experiments.harness.certificates import Shown
from experiments.harness.figure_waterfall import waterfall as draw
from experiments.harness.findings import Findings
from experiments.harness.held import Carried
from experiments.harness.links import Hop, Link, forbidden
from experiments.harness.listening import Compared, compare, declared, unanswered
from experiments.harness.looking import Look
from experiments.harness.model import Interval
from experiments.harness.timed_visits import PAGE, Visits
from experiments.harness.verdict import interval
from loadtests.fetch import PARTS, Fetched
from topologies.stage import Stage

#: Between the parts the client reads its clock and goes on; nobody else is waited for.
ADDS_UP_MS = 0.05
#: Two clients in two languages, one of them a new process each time, on a shared machine.
CURL_MS = 1.0
#: A handful of messages through the same kernel, a few hundredths of a millisecond each.
WIRINGS_MS = 1.0


def listeners(found: Findings, look: Look, wired: str) -> list[Compared]:
    """Who listens where, and whether every flow ends at somebody. `wired`: "", or which variant it was."""
    stage = look.testbed.stage
    rows = compare(declared(stage), look.listening)
    counts = Counter(row.finding for row in rows)
    surplus = [row for row in rows if row.finding == "surplus"]
    expected = len(declared(stage))
    off = expected - counts["as declared"]
    found.claim(
        "0.5", f"every daemon listens where it was declared, as its own user{wired}", held=off == 0,
        reason=f"{counts['as declared']} of {expected} listeners on {len(stage.addresses)} hosts as declared"
        + _named([row for row in rows if row.finding not in ("as declared", "surplus")]),
        predicted=(0, 0), measured=off, unit="listeners",
    )  # fmt: skip
    found.claim(
        "0.5", f"nobody else listens{wired}", held=not surplus,
        reason=f"{len(look.listening)} listeners in all, {len(surplus)} of them undeclared" + _named(surplus),
        predicted=(0, 0), measured=len(surplus), unit="listeners",
    )  # fmt: skip
    silent = unanswered(stage.flows, look.listening)
    predicted = len(unanswered(stage.flows, declared(stage)))
    found.claim(
        "0.5", f"every declared flow ends at a listener{wired}", held=len(silent) == predicted,
        reason=f"{len(stage.flows) - len(silent)} of {len(stage.flows)} declared flows end at a listener"
        + (f"; nobody at {', '.join(str(flow) for flow in silent[:5])}" if silent else ""),
        predicted=(predicted, predicted), measured=len(silent), unit="flows",
    )  # fmt: skip
    found.table(
        f"Listeners{wired}",
        "One line per address, port or UNIX socket: who was declared to wait there, and who does.",
        ("host", "socket", "declared", "seen", "finding"),
        [_listener_row(row) for row in rows],
        [row.verdict for row in rows],
    )
    return rows


def _named(rows: Sequence[Compared]) -> str:
    return "".join(f"; {row.finding}: {row.place.listener} on {row.place.host}" for row in rows[:5])


def _listener_row(row: Compared) -> tuple[str, str, str | None, str | None, str]:
    who = [None if one is None else f"{one.daemon} as {one.user}" for one in (row.declared, row.seen)]
    return row.place.host, str(row.place.listener), who[0], who[1], row.finding


def hops(
    found: Findings,
    stage: Stage,
    all_hops: Sequence[Hop],
    carried: Carried,
    shown: Mapping[Link, Shown],
    wired: str,
) -> None:
    """Which hops requests took, over which sockets, and who proved to be whom on them."""
    idle = [hop for hop in all_hops if hop.link not in carried.hops]
    outside = forbidden(all_hops, stage.flows)
    found.claim(
        "0.5", f"requests take the declared hops, over the declared sockets{wired}", held=not idle,
        reason=f"{len(all_hops) - len(idle)} of {len(all_hops)} hops seen; {carried.requests} requests held "
        "at the database" + "".join(f"; not {hop.link}" for hop in idle[:3]),
        predicted=(0, 0), measured=len(idle), unit="hops",
    )  # fmt: skip
    found.claim(
        "0.5", f"no connection between hosts that no flow declares{wired}",
        held=not carried.undeclared and not outside,
        reason=f"{len(carried.connections)} kinds of connection, {len(carried.undeclared)} undeclared"
        + "".join(f"; {one.link}" for one in list(carried.undeclared)[:3])
        + "".join(f"; no flow for {hop.link}" for hop in outside[:3]),
        predicted=(0, 0), measured=len(carried.undeclared) + len(outside), unit="connections",
    )  # fmt: skip
    wrong = [hop for hop in all_hops if not shown[hop.link].as_declared]
    certified = sum(bool(hop.certified) for hop in all_hops)
    found.claim(
        "0.5", f"TLS where it was declared, under the declared name, and plain text elsewhere{wired}",
        held=not wrong,
        reason=f"{certified} of {len(all_hops)} hops in TLS, the others without"
        + "".join(f"; {hop.link}: {shown[hop.link].words}" for hop in wrong[:3]),
        predicted=(0, 0), measured=len(wrong), unit="hops",
    )  # fmt: skip
    found.table(
        f"Hops of a request{wired}",
        "Each was connected while a request was held at the database by a lock; the certificate is what a "
        "handshake from the asking host showed, verified against the run's CA.",
        ("from", "to", "socket", "declared", "shown", "certificate", "answered by"),
        [_hop_row(hop, carried, shown[hop.link]) for hop in all_hops],
        ["deviated" if hop in (*idle, *wrong, *outside) else "held" for hop in all_hops],
    )  # fmt: skip


def _hop_row(hop: Hop, carried: Carried, shown: Shown) -> tuple[str | None, ...]:
    link, certificate = hop.link, shown.certificate
    names = None if certificate is None else f"{', '.join(certificate.names)} (by {certificate.issuer})"
    return (
        f"{link.source} {link.source_daemon}".rstrip(), f"{link.destination} {link.daemon}", link.socket,
        f"TLS as {hop.certified}" if hop.certified else "plain", shown.words, names, carried.hops.get(link),
    )  # fmt: skip


def visits(found: Findings, made: Visits, seed: int, wired: str) -> None:
    """The waterfall: whether it adds up, whether inner times fit into outer ones, and what curl says."""
    seen = [request.seen for request in made.requests]
    gaps = interval([abs(one.total_s - one.sum_s) * 1e3 for one in seen], "ms", seed)
    found.claim(
        "0.7", f"the parts of a request add up to its total{wired}", held=_below(gaps, ADDS_UP_MS),
        reason=f"{len(seen)} requests; sum and total differ by what the client does in between",
        predicted=(0, ADDS_UP_MS), measured=gaps,
    )  # fmt: skip
    behind = [request for request in made.requests if request.web is not None]
    misfits = [text for request in behind for text in waterfall.misfits(request)]
    found.claim(
        "0.7", f"what the daemons logged of a request fits into what its client saw{wired}",
        held=None if not behind else not misfits,
        reason=f"{len(behind)} of {len(seen)} requests found in the logs, to the millisecond"
        + "".join(f"; {text}" for text in misfits[:3]),
        predicted=(0, 0), measured=len(misfits), unit="misfits",
    )  # fmt: skip
    ours = waterfall.part_medians([one.parts_s for one in seen], seed)
    curls = waterfall.part_medians(made.curl_s, seed)
    apart_ms = [abs((a.median or 0) - (b.median or 0)) for a, b in zip(ours, curls, strict=True)]
    worst = max(range(len(PARTS)), key=lambda k: apart_ms[k])
    found.claim(
        "0.7", f"curl, another client, sees the same parts{wired}",
        held=_near(ours[worst], curls[worst], CURL_MS),
        reason=f"medians differ most in {PARTS[worst]}; {len(made.curl_s)} transfers in between",
        predicted=(0, CURL_MS), measured=apart_ms[worst], unit="ms",
    )  # fmt: skip
    total = interval([one.total_s * 1e3 for one in seen], "ms", seed)
    curls_total = interval([sum(parts_s) * 1e3 for parts_s in made.curl_s], "ms", seed)
    found.table(
        f"Where the time of a request goes{wired}",
        f"GET {PAGE}, a new connection each time, medians in ms with their 95% intervals over requests. "
        "curl: the second transfer of a process, which finds its libraries loaded.",
        ("part", "our client", "interval", "curl", "interval "),
        [
            (part, a.median, _span(a), b.median, _span(b))
            for part, a, b in zip(PARTS, ours, curls, strict=True)
        ] + [("total", total.median, _span(total), curls_total.median, _span(curls_total))],
    )  # fmt: skip
    example = waterfall.typical(made.requests)
    found.figure(
        f"waterfall{wired.replace(' ', '-').strip(',')}", f"One request{wired}",
        "The request whose total is the median of all. Below the client stands what those behind logged of "
        "this very request; only lengths are logged, so each row begins at the earliest possible moment.",
        f"Bars one after the other: {', '.join(_parts_in_words(example.seen))}.",
        lambda: draw(example, f"GET {PAGE}, answered by {example.seen.served_by.replace('>', ' → ')}"),
    )  # fmt: skip


def _parts_in_words(seen: Fetched) -> list[str]:
    lengths = [*zip(PARTS, seen.parts_s, strict=True), ("total", seen.total_s)]
    return [f"{what} {length_s * 1e3:.2f} ms" for what, length_s in lengths]


def wirings(found: Findings, made: Mapping[str, Sequence[Visits]], seed: int) -> None:
    """Stage 0 only: the same requests with TCP and with UNIX sockets between the daemons, in turns.

    Each pair of turns is one observation: requests of one bring-up are more alike than those of two.
    """
    medians = {wiring: [_first_byte_ms(turn) for turn in turns] for wiring, turns in made.items()}
    pairs = list(zip(medians["tcp"], medians["unix"], strict=True))
    apart = interval([tcp - unix for tcp, unix in pairs], "ms", seed)
    found.claim(
        "0.5", "TCP instead of UNIX sockets between the daemons costs less than a millisecond",
        held=_within(apart, WIRINGS_MS),
        reason=f"TCP minus UNIX sockets, medians from request to first byte in {len(pairs)} pairs of turns: "
        f"{statistics.median(medians['tcp']):.3f} ms and {statistics.median(medians['unix']):.3f} ms",
        predicted=(-WIRINGS_MS, WIRINGS_MS), measured=apart,
    )  # fmt: skip
    found.table(
        "UNIX sockets and TCP in turns",
        "Median from request to first byte in ms; the stage was brought up anew for each figure.",
        ("pair", "TCP", "UNIX sockets", "difference"),
        [(str(k), tcp, unix, tcp - unix) for k, (tcp, unix) in enumerate(pairs, 1)],
    )


def _first_byte_ms(turn: Visits) -> float:
    return statistics.median(request.seen.parts_s[3] for request in turn.requests) * 1e3


def _below(measured: Interval, limit: float) -> bool | None:
    return None if measured.median is None else measured.median <= limit


def _near(a: Interval, b: Interval, limit: float) -> bool | None:
    """Whether two medians are at most `limit` apart; None when only chance may have moved them further."""
    if None in (a.median, b.median, a.low, a.high, b.low, b.high):
        return None
    (a_low, a_high), (b_low, b_high) = (a.low or 0.0, a.high or 0.0), (b.low or 0.0, b.high or 0.0)
    if abs((a.median or 0.0) - (b.median or 0.0)) <= limit:
        return True
    return False if max(a_low - b_high, b_low - a_high) > limit else None


def _within(measured: Interval, limit: float) -> bool | None:
    """True or False only if the whole interval says so."""
    if measured.low is None or measured.high is None:
        return None
    if -limit <= measured.low and measured.high <= limit:
        return True
    return False if measured.low > limit or measured.high < -limit else None


def _span(one: Interval) -> str | None:
    return None if one.low is None or one.high is None else f"{one.low:.3f}–{one.high:.3f}"
