"""Who listens where as whom: what a stage declares, beside what its hosts show.

services' listeners ──► Listening, …  ┐
                                       ├─► compare ──► as declared · missing · surplus · another user
sockets, processes ───► Listening, …  ┘
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from experiments.harness.model import Verdict
from experiments.harness.sockets import Socket
from services.service import Listener
from topologies.flows import Flow
from topologies.stage import Stage

Finding = Literal["as declared", "missing", "surplus", "another daemon", "another user"]


@dataclass(frozen=True)
class Holder:
    """A process that has a socket. `daemon` is the declared one that it belongs to; "" for none of them."""

    pid: int
    parent: int
    user: str
    program: str
    daemon: str


@dataclass(frozen=True)
class Listening:
    """One place where somebody waits. `listener` has its place only: sockets show neither TLS nor purpose."""

    host: str
    listener: Listener
    daemon: str
    user: str


@dataclass(frozen=True)
class Compared:
    """One place, declared, seen, or both."""

    declared: Listening | None
    seen: Listening | None
    finding: Finding

    @property
    def place(self) -> Listening:
        one = self.declared or self.seen
        assert one is not None, "somebody is there, or should be"
        return one

    @property
    def verdict(self) -> Verdict:
        return "held" if self.finding == "as declared" else "deviated"


def declared(stage: Stage) -> list[Listening]:
    """Every listener of every daemon of the stage."""
    return [
        Listening(host, replace(listener, tls=False, operator=False), service.name, service.runs_as)
        for host, services in stage.declared.items()
        for service in services
        for listener in service.listeners
    ]


def seen(sockets: Mapping[str, Sequence[Socket]], holders: Mapping[int, Holder]) -> list[Listening]:
    """Every place at which somebody waits, by host; a process nobody can name any more is a "?"."""
    found: dict[tuple[str, Listener], Listening] = {}
    for host, those in sockets.items():
        for socket in those:
            if (listener := socket.listener) is not None:
                serving = _serving([holders[pid] for pid in sorted(socket.pids) if pid in holders])
                daemon = ", ".join(dict.fromkeys(h.daemon or h.program for h in serving)) or "?"
                user = ", ".join(dict.fromkeys(h.user for h in serving)) or "?"
                found[host, listener] = Listening(host, listener, daemon, user)
    return list(found.values())


def _serving(holders: Sequence[Holder]) -> list[Holder]:
    """Those who take connections: a master holds the socket, too, but only to hand it to its workers."""
    masters = {holder.parent for holder in holders}
    return [holder for holder in holders if holder.pid not in masters]


def compare(expected: Iterable[Listening], found: Iterable[Listening]) -> list[Compared]:
    """Declared ones first, in their order; then whoever listens although nobody declared it."""
    left = {(one.host, one.listener): one for one in found}
    rows = []
    for one in expected:
        there = left.pop((one.host, one.listener), None)
        rows.append(Compared(one, there, _finding(one, there)))
    return rows + [Compared(None, one, "surplus") for one in left.values()]


def _finding(one: Listening, there: Listening | None) -> Finding:
    if there is None:
        return "missing"
    if there.daemon != one.daemon:
        return "another daemon"
    return "as declared" if there.user == one.user else "another user"


def unanswered(flows: Iterable[Flow], listening: Iterable[Listening]) -> list[Flow]:
    """The flows at whose end nobody listens."""
    open_ = {(one.host, one.listener.opening) for one in listening if one.listener.reachable}
    return [flow for flow in flows if (flow.destination, flow.opening) not in open_]
