"""Clients that keep what they were told of a name for as long as they were told to, and then ask again.

told, TTL 10 s ──────── kept ────────► asks again ──────── kept ────────► asks again …  (RFC 1035 §3.2.1)
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from loadtests.lookup import NoAddress, Question, Records

#: One datagram to the name server and back. Raises OSError, TimeoutError included.
Ask = Callable[[bytes], bytes]
#: libc asks again after a second (resolv.conf(5): timeout, here set to 1).
RETRY_S = 1.0
_clock = time.monotonic


@dataclass(frozen=True)
class Lookup:
    """One question of one client, on CLOCK_MONOTONIC. No addresses: no answer, or none with an address."""

    client: str
    due_s: float
    asked_s: float
    told_s: float
    addresses: tuple[str, ...]


@dataclass(order=True)
class StubCache:
    """A client that always needs the name: it asks the moment that what it knows expires.

    One that does not honour the TTL asks once and never again, as some run-time libraries do.
    """

    due_s: float
    name: str = field(compare=False)
    honours_ttl: bool = field(default=True, compare=False)

    def look_up(self, question: Question, ask: Ask) -> Lookup:
        """Ask, remember until when the answer is good, and say what happened."""
        due_s, asked_s = self.due_s, _clock()
        records = _asked(question, ask)
        told_s = _clock()
        if records is None:
            self.due_s = told_s + RETRY_S
        else:
            self.due_s = told_s + records.ttl_s if self.honours_ttl else math.inf
        return Lookup(self.name, due_s, asked_s, told_s, records.addresses if records else ())


def _asked(question: Question, ask: Ask) -> Records | None:
    number, datagram = question.ask()
    try:
        return question.records(ask(datagram), number)
    except (OSError, NoAddress):
        return None


def keep_asking(caches: Sequence[StubCache], host: str, ask: Ask, stop: threading.Event) -> list[Lookup]:
    """Every client asks when it is due, until `stop` is set; returns all look-ups in order.

    They ask one after the other: a look-up takes a millisecond, so that a hundred clients with a TTL of
    seconds are hardly ever in each other's way, and Lookup says how late each was.
    """
    question, waiting, made = Question(host), list(caches), list[Lookup]()
    heapq.heapify(waiting)
    while waiting and not stop.is_set():
        wait_s = min(waiting[0].due_s - _clock(), 1.0)
        if wait_s > 0:
            stop.wait(wait_s)
            continue
        cache = heapq.heappop(waiting)
        made.append(cache.look_up(question, ask))
        heapq.heappush(waiting, cache)
    return made
