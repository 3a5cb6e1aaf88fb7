"""What the generator asks for, and when: kinds interleaved by weight, at even or at random distances.

weights 3 and 1   a a b a │ a a b a │ …      every cycle has the exact shares, and no kind comes in bursts
two addresses     1 1 1 2 │ 2 2 2 1 │ …      each kind takes turns of its own, so each address gets half of it
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from loadtests.connection import Kind, Lane, Request
from loadtests.generator_config import GeneratorConfig, KindConfig
from loadtests.http1 import request_head

_PLACES: Final = re.compile(r"(\{id\}|\{uuid\})")


def interleaved(weights: Sequence[int]) -> tuple[int, ...]:
    """One cycle of indices, index i weights[i] times, each as evenly spread as the others allow.

    Smooth weighted round robin, as nginx and LVS spread requests over servers: who lags most behind its share
    is next, the first of those who lag alike.
    """
    total = sum(weights)
    credit = [0] * len(weights)
    cycle = []
    for _ in range(total):
        credit = [c + w for c, w in zip(credit, weights, strict=True)]
        chosen = credit.index(max(credit))
        credit[chosen] -= total
        cycle.append(chosen)
    return tuple(cycle)


class Template:
    """Text with places for {id} and {uuid}; all other braces are text, as JSON has them."""

    __slots__ = ("_parts", "names")

    def __init__(self, text: str) -> None:
        self._parts = tuple(part.encode() for part in _PLACES.split(text) if part)
        self.names = frozenset(_PLACES.findall(text))

    def fill(self, number: bytes, unique: bytes) -> bytes:
        return b"".join(
            number if part == b"{id}" else unique if part == b"{uuid}" else part for part in self._parts
        )


class Source:
    """Makes the requests of one kind, for each lane in turn."""

    def __init__(
        self, config: GeneratorConfig, kind: KindConfig, lanes: Sequence[Lane], first: int, ids: random.Random
    ) -> None:
        self._kind = Kind(
            name=kind.name,
            expect_status=frozenset(kind.expect_status),
            expect_text=kind.expect_text.encode(),
        )
        head = request_head(
            kind.method, config.authority, kind.path, keep_alive=config.keep_alive, user_agent="generator"
        )
        if kind.has_body:
            head += f"Content-Type: {kind.content_type}\r\nContent-Length: "
        self._head, self._body = Template(head), Template(kind.body)
        self._has_body = kind.has_body
        self._numbered = "{id}" in self._head.names | self._body.names
        self._unique = "{uuid}" in self._head.names | self._body.names
        self._same = None if self._numbered or self._unique else self._bytes(b"", b"")
        self._lanes, self._turn = lanes, first
        self._ids, (self._low, self._high) = ids, config.ids

    def request(self, k: int, due_s: float) -> Request:
        lane = self._lanes[self._turn % len(self._lanes)]
        self._turn += 1
        if self._same is not None:
            return Request(self._kind, lane, k, due_s, self._same)
        number = str(self._ids.randint(self._low, self._high)) if self._numbered else ""
        unique = str(uuid.uuid4()) if self._unique else ""
        return Request(self._kind, lane, k, due_s, self._bytes(number.encode(), unique.encode()), unique)

    def _bytes(self, number: bytes, unique: bytes) -> bytes:
        head = self._head.fill(number, unique)
        if not self._has_body:
            return head + b"\r\n"
        body = self._body.fill(number, unique)
        return b"%b%d\r\n\r\n%b" % (head, len(body), body)


class Mix:
    """The schedule of a whole configuration. `mark` of a request is its {uuid}, "" if it has none.

    Seeded: order of the kinds, {id} and Poisson gaps, each apart, so that another mix has the same arrivals.
    A {uuid} is never the same twice, whatever the seed: with the same seed the next trial writes anew.
    """

    def __init__(self, config: GeneratorConfig, lanes: Sequence[Lane]) -> None:
        self._sources = [
            Source(config, kind, lanes, first, random.Random(f"{config.seed} ids {kind.name}"))
            for first, kind in enumerate(config.kinds)
        ]
        cycle = interleaved([kind.weight for kind in config.kinds])
        turn = random.Random(f"{config.seed} order").randrange(len(cycle))
        self._cycle = cycle[turn:] + cycle[:turn]
        self._k = 0
        self._rate_hz = config.rate_hz
        self._t0_s = self.due_s = 0.0
        self._gap: Callable[[float], float] | None = None
        if config.arrivals == "poisson":
            self._gap = random.Random(f"{config.seed} arrivals").expovariate

    def start(self, t0_s: float) -> None:
        self._t0_s = self.due_s = t0_s
        if self._gap is not None:
            self.due_s += self._gap(self._rate_hz)

    def take(self) -> Request:
        k = self._k
        request = self._sources[self._cycle[k % len(self._cycle)]].request(k, self.due_s)
        self._k = k + 1
        if self._gap is None:
            self.due_s = self._t0_s + self._k / self._rate_hz
        else:
            self.due_s += self._gap(self._rate_hz)
        return request
