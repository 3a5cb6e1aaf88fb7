"""What the DNS experiment says: answers before the rendered zone, follow times before the TTL."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from experiments.harness import following
from experiments.harness.dig import Answer, Zone
from experiments.harness.figure_following import draw_following
from experiments.harness.findings import Findings
from experiments.harness.following import BUSY, DEAF, IN_STEP, LEVEL, SLACK_S, Followed, Prediction
from experiments.harness.kolmogorov import distance_from_uniform, p_value
from experiments.harness.model import Interval
from experiments.harness.verdict import interval
from topologies.stage import DOMAIN, RESOLVER

NOBODY = "nobody.foobar.com"
FOREIGN = "www.example.com"
USUAL_TTLS_S = (30, 300, 3600)
OTHER_LATE_MS = 100.0  # a look-up that begins later than this says more of us than of the TTL


def as_in_zone(answer: Answer, zone: Zone) -> list[str]:
    """What of an answer for the site is not as the zone says; nothing: everything is."""
    expected = {
        "status": ("NOERROR", answer.status),
        "authority": (True, "aa" in answer.flags),
        "resolver": (RESOLVER, answer.server),
        "name and type": ({(DOMAIN, "A")}, {(r.name, r.type) for r in answer.records}),
        "addresses": (zone.addresses, answer.values),
        "TTL": ({zone.ttl_s}, {r.ttl_s for r in answer.records}),
    }
    return [f"{what}: {_told(got)}" for what, (want, got) in expected.items() if want != got]


def _told(value: object) -> str:
    if isinstance(value, set | frozenset):
        return ", ".join(sorted(" ".join(v) if isinstance(v, tuple) else str(v) for v in value)) or "none"
    return str(value)


def answers(found: Findings, site: Answer, nobody: Answer, foreign: Answer, zone: Zone) -> None:
    """What a client is told: of the site, of a name that is not there, of a zone that is not ours."""
    off = as_in_zone(site, zone)
    found.claim(
        "0.4", f"{DOMAIN} is an A record to {', '.join(sorted(zone.addresses))}, told with authority",
        held=not off,
        reason=f"dig on a client: {len(site.records)} A records as in the zone, TTL {zone.ttl_s} s, flag aa"
        if not off else "; ".join(off),
        predicted=(0, 0), measured=len(off), unit="differences",
    )  # fmt: skip
    unknown = nobody.status == "NXDOMAIN" and "aa" in nobody.flags
    refused = foreign.status == "REFUSED" and not foreign.records and "ra" not in foreign.flags
    found.claim(
        "0.4", "a name that is not there is denied with authority, and another zone is refused",
        held=unknown and refused,
        reason=f"{NOBODY}: {nobody.status}; {FOREIGN}: {foreign.status}, recursion "
        f"{'available' if 'ra' in foreign.flags else 'not available'}",
        predicted=(0, 0), measured=(not unknown) + (not refused), unit="differences",
    )  # fmt: skip
    found.table(
        "What dig is told on a client",
        f"By the resolver of /etc/resolv.conf, {RESOLVER}.",
        ("question", "status", "flags", "answer", "TTL, s"),
        [_dug(name, one) for name, one in ((DOMAIN, site), (NOBODY, nobody), (FOREIGN, foreign))],
        ["deviated" if off else "held", "held" if unknown else "deviated", "held" if refused else "deviated"],
    )


def _dug(name: str, answer: Answer) -> tuple[str | None, ...]:
    records = ", ".join(f"{record.type} {record.value}" for record in answer.records) or None
    ttls = ", ".join(str(ttl) for ttl in sorted({record.ttl_s for record in answer.records})) or None
    return f"{name} A", answer.status, " ".join(sorted(answer.flags)), records, ttls


def follow_times(
    found: Findings,
    changes: Sequence[Sequence[Followed]],
    ttl_s: float,
    stale: int,
    watched_s: float,
    seed: int,
) -> None:
    """Claims over all changes of the zone; `watched_s` is the shortest time watched after one."""
    clients = [one for change in changes for one in change]
    times_s, deaf = following.times_of(BUSY, clients), following.never(BUSY, clients)
    prediction = Prediction(ttl_s, max(1, len(times_s)))
    slowest_s = max(times_s, default=0.0)
    found.claim(
        "0.4", "every client follows a change within the TTL",
        held=None if not times_s else not deaf and not stale and slowest_s <= ttl_s + SLACK_S,
        reason=f"{len(times_s)} of {len(times_s) + deaf} clients in {len(changes)} changes, the slowest "
        f"after {slowest_s:.2f} s; {stale} stale answers; shown: median, fastest, slowest",
        predicted=(0, ttl_s),
        measured=Interval(
            statistics.median(times_s) if times_s else None, min(times_s, default=None),
            max(times_s, default=None), len(times_s), "s",
        ),
    )  # fmt: skip
    distance = distance_from_uniform(times_s, 0, ttl_s) if times_s else None
    p = p_value(distance, len(times_s)) if distance is not None else None
    found.claim(
        "0.4", "follow times are spread evenly over the TTL",
        held=None if distance is None else distance <= prediction.distance,
        reason="no client followed" if p is None
        else f"Kolmogorov–Smirnov distance from U(0, {ttl_s:g} s), p = {p:.2g}; wrong below {LEVEL:g}",
        predicted=(0, prediction.distance), measured=distance,
    )  # fmt: skip
    low_s, high_s = prediction.median_s
    found.claim(
        "0.4", "half of the clients follow within half of the TTL",
        held=low_s <= statistics.median(times_s) <= high_s if times_s else None,
        reason=f"the median of {len(times_s)} even ones is {ttl_s / 2:g} s, give or take chance",
        predicted=(low_s, high_s), measured=interval(times_s, "s", seed),
    )  # fmt: skip
    _controls(found, clients, changes, ttl_s, watched_s)
    _tables(found, changes, ttl_s)
    found.figure(
        "following", "Clients follow the zone",
        f"{len(changes)} changes of the zone under {len(times_s) // max(1, len(changes))} caching clients. "
        "Who joined at a random moment is at a random moment of its TTL when the zone changes.",
        f"The share of clients that know the new address over the seconds since the change: predicted is a "
        f"straight line from 0 at 0 s to 100% at {ttl_s:g} s, with its band; measured are steps, the slowest "
        f"at {slowest_s:.2f} s. Clients in step jump at once, those that ignore the TTL stay at 0.",
        lambda: draw_following(changes, prediction, watched_s),
    )  # fmt: skip


def _controls(
    found: Findings,
    clients: Sequence[Followed],
    changes: Sequence[Sequence[Followed]],
    ttl_s: float,
    watched_s: float,
) -> None:
    late = [t for t in following.times_of(DEAF, clients) if t <= ttl_s + SLACK_S]
    waiting = following.never(DEAF, clients)
    found.control(
        "a cache that ignores the TTL", "does not follow within it", waiting > 0 and not late,
        f"{waiting} clients still at the old address after > {watched_s:.1f} s, {len(late)} followed",
    )  # fmt: skip
    together = following.times_of(IN_STEP, changes[0]) if changes else []
    p = p_value(distance_from_uniform(together, 0, ttl_s), len(together)) if together else 1.0
    found.control(
        "clients that all asked at the same moment", "not spread evenly", p < LEVEL,
        f"{len(together)} clients within {max(together) - min(together):.3f} s of each other, p = {p:.2g}"
        if together else "none followed",
    )  # fmt: skip


def _tables(found: Findings, changes: Sequence[Sequence[Followed]], ttl_s: float) -> None:
    rows = []
    for number, change in enumerate(changes, 1):
        times_s = sorted(following.times_of(BUSY, change))
        if times_s:
            last_tenth = times_s[min(len(times_s) - 1, int(0.95 * len(times_s)))]
            p = p_value(distance_from_uniform(times_s, 0, ttl_s), len(times_s))
            rows.append((str(number), len(times_s), statistics.median(times_s), last_tenth, times_s[-1], p))
    found.table(
        "Changes", "Seconds from the moment the change was in effect to a client's first new answer.",
        ("change", "clients", "median", "95%", "slowest", "p"), rows,
    )  # fmt: skip
    found.table(
        "Other TTLs",
        "Predicted, not measured: the same line over another TTL, and what it costs the name server.",
        ("TTL, s", "median, s", "95%, s", "slowest, s", "look-ups/s of 1000 busy clients"),
        [(str(ttl), ttl / 2, 0.95 * ttl, float(ttl), 1000 / ttl) for ttl in (round(ttl_s), *USUAL_TTLS_S)],
    )


def before_after(found: Findings, answer: Answer, before: Zone) -> None:
    """The control of the answers: after the change, dig must not agree with the zone as it was."""
    off = as_in_zone(answer, before)
    found.control(
        "dig after the change, held against the zone before it", "other addresses",
        any(text.startswith("addresses") for text in off), "; ".join(off) or "no difference",
    )  # fmt: skip


def reachable(found: Findings, statuses: Sequence[tuple[str, str]]) -> None:
    """(address, what came back): whoever still has the old address must not be turned away."""
    wrong = [f"{address}: {status}" for address, status in statuses if status != "200"]
    found.claim(
        "0.4", "the site answers at the address it moved to, and still at the one before",
        held=not wrong if statuses else None,
        reason="; ".join(wrong) or ", ".join(f"{address}: {status}" for address, status in statuses),
        predicted=(0, 0), measured=len(wrong), unit="failures",
    )  # fmt: skip
