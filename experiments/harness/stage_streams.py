"""A stage declares dozens of flows; people think of a few streams: "requests", "queries", "metrics".

lb1>web1:tcp/80, lb1>web2:tcp/80, lb2>web1:tcp/80, lb2>web2:tcp/80
    ──►  4   lb1, lb2 → web1, web2   tcp/80   requests and health checks
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from topologies.flows import Flow
from topologies.listening import listeners
from topologies.monitoring import SEGMENT as MONITORING
from topologies.stage import NETWORKS, Stage

#: request: what serves the site. watch: metrics and logs. further: what somebody added to the declaration.
Kind = Literal["request", "watch", "further"]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Stream:
    """Flows between the same hosts for the same end; numbered as the stage declares them, from 1."""

    number: int
    kind: Kind
    pairs: tuple[Pair, ...]  # (source, destination)
    openings: tuple[str, ...]  # "tcp/443"
    purpose: str
    tls: tuple[str, ...]  # those of its openings where TLS begins
    public: str = ""  # the network, where everybody on it may

    @property
    def sources(self) -> str:
        return f"everybody on {self.public}" if self.public else named(p[0] for p in self.pairs)

    @property
    def destinations(self) -> str:
        mutual = len(self.pairs) > 1 and {p[0] for p in self.pairs} == {p[1] for p in self.pairs}
        return "each other" if mutual else named(p[1] for p in self.pairs)

    @property
    def ports(self) -> str:
        """ "443, 80"; VRRP has none."""
        numbers = (opening.rpartition("/")[2] for opening in self.openings)
        return ", ".join("VRRP" if n == "vrrp" else n for n in dict.fromkeys(numbers))


def streams_of(stage: Stage) -> tuple[Stream, ...]:
    """Every declared flow is in exactly one stream; flows of the settings stay apart from the stage's own."""
    alike: dict[tuple[str, ...], list[Flow]] = {}
    for flow in stage.flows:
        alike.setdefault(_likeness(stage, flow), []).append(flow)
    merged: dict[tuple[bool, frozenset[Pair]], list[Flow]] = {}
    for flows in alike.values():
        pairs = frozenset((f.source, f.destination) for f in flows)
        merged.setdefault((flows[0] in stage.settings.flows, pairs), []).extend(flows)
    return tuple(_stream(stage, n, flows) for n, flows in enumerate(merged.values(), 1))


def _likeness(stage: Stage, flow: Flow) -> tuple[str, ...]:
    """What flows of one stream have in common; "metrics: node" and "metrics: nginx" are both metrics."""
    if flow in stage.settings.flows:
        return ("further", str(flow))
    heading, colon, _ = flow.purpose.partition(":")
    return (heading,) if colon else (flow.purpose, flow.opening)


def _stream(stage: Stage, number: int, flows: list[Flow]) -> Stream:
    pairs = tuple(dict.fromkeys((f.source, f.destination) for f in flows))
    return Stream(
        number,
        _kind(stage, flows[0]),
        pairs,
        openings=tuple(dict.fromkeys(f.opening for f in flows)),
        purpose=_purpose(flows),
        tls=tuple(dict.fromkeys(f.opening for f in flows if _is_tls(stage, f))),
        public=_public(stage, pairs),
    )


def _kind(stage: Stage, flow: Flow) -> Kind:
    if flow in stage.settings.flows:
        return "further"
    way = stage.path(flow)
    return "watch" if way is not None and way[0] == MONITORING else "request"


def _purpose(flows: list[Flow]) -> str:
    """ "the site; redirect to https", "names; long answers", "metrics: node, nginx"."""
    purposes = list(dict.fromkeys(f.purpose for f in flows))
    heading, colon, _ = purposes[0].partition(": ")
    if colon and all(p.startswith(heading + colon) for p in purposes):
        return heading + colon + ", ".join(p.removeprefix(heading + colon) for p in purposes)
    return "; ".join(p.removeprefix(f"{purposes[0]}, ") for p in purposes)


def _is_tls(stage: Stage, flow: Flow) -> bool:
    return any(
        listener.tls and listener.opening == flow.opening
        for service in stage.declared[flow.destination]
        for listener in listeners(service)
    )


def _public(stage: Stage, pairs: tuple[Pair, ...]) -> str:
    """ "public" where, for each destination, every other host there is a source."""
    there = {host for host, on in stage.addresses.items() if "public" in on}
    destinations = {p[1] for p in pairs}
    everybody = {(source, d) for d in destinations for source in there - {d}}
    return "public" if len(there) > 2 and set(pairs) == everybody else ""


def networks_of(stage: Stage) -> list[str]:
    """From the outside in; Mininet keeps its switches in alphabetical order."""
    return [name for name in NETWORKS if name in stage.switches()]


def named(hosts: Iterable[str]) -> str:
    """ "lb1, lb2"; three or more in a row are "web1–web9"."""
    runs: list[list[str]] = []
    for host in dict.fromkeys(hosts):
        if runs and _follows(runs[-1][-1], host):
            runs[-1].append(host)
        else:
            runs.append([host])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs)


def _follows(first: str, second: str) -> bool:
    parts = [re.fullmatch(r"(.*?)(\d+)", host) for host in (first, second)]
    if parts[0] is None or parts[1] is None:
        return False
    return parts[0][1] == parts[1][1] and int(parts[1][2]) == int(parts[0][2]) + 1


def span(addresses: tuple[str, ...]) -> str:
    """One address, or "10.0.1.21–29" for consecutive ones."""
    last = [int(a.rpartition(".")[2]) for a in addresses]
    if len(addresses) > 1 and all(b == a + 1 for a, b in pairwise(last)):
        return f"{addresses[0]}–{last[-1]}"
    return ", ".join(addresses)
