"""What stands in the box of a host: its name and role, daemons with their ports, addresses and agents.

    ┌─────────────────────────┐
    │ lb1              server │
    │ haproxy  :443 :80 :8405 │
    │ keepalived         VRRP │
    │ VIP 8.8.8.8      master │
    │─────────────────────────│
    │ node-exporter     :9100 │   agents
    │ monitoring    10.0.9.11 │
    └─────────────────────────┘

Many hosts of one kind share one box, and are drawn as a pile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from experiments.harness.drawing import width_of
from experiments.harness.stage_signs import NAME, SMALL, TEXT
from experiments.harness.stage_streams import named, span
from services.keepalived import Keepalived
from services.nftables import Nftables
from services.service import Service
from services.ulogd import Ulogd
from topologies.listening import Listener, listeners
from topologies.monitoring import AGENTS
from topologies.monitoring import SEGMENT as MONITORING
from topologies.stage import Stage

MOST_ALONE = 3  # more hosts of one kind become a pile
PILE = 10.0  # how far the boxes behind look out
FIREWALL = (Nftables.name, Ulogd.name)
_PAD, _BETWEEN = 14.0, 22.0


@dataclass(frozen=True)
class Row:
    left: str
    right: str
    size: float
    bold: bool = False

    @property
    def height(self) -> float:
        return self.size * 1.34


@dataclass
class Cell:
    """One box. Its place is decided later."""

    hosts: tuple[str, ...]
    rows: tuple[Row, ...]  # the first is the name
    agents: tuple[Row, ...]  # below a line
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0

    def __post_init__(self) -> None:
        every = (*self.rows, *self.agents)
        self.width = 2 * _PAD + max(
            width_of(r.left, r.size, r.bold) + width_of(r.right, r.size) + (_BETWEEN if r.right else 0)
            for r in every
        )
        self.height = 2 * _PAD + sum(r.height for r in every) + (10 if self.agents else 0)

    @property
    def pile(self) -> bool:
        return len(self.hosts) > 1

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def centre(self) -> float:
        return self.x + self.width / 2

    def lines(self) -> Iterator[tuple[float, Row]]:
        """(baseline, row), from top to bottom."""
        y = self.y + _PAD
        for number, row in enumerate((*self.rows, *self.agents)):
            if self.agents and number == len(self.rows):
                y += 10
            yield y + row.size * 1.05, row
            y += row.height

    @property
    def agents_from(self) -> float:
        """Where the line above the agents is drawn."""
        return self.y + _PAD + sum(r.height for r in self.rows) + 5

    @property
    def left_edge(self) -> float:
        return self.x + _PAD

    @property
    def right_edge(self) -> float:
        return self.right - _PAD


def cells_of(stage: Stage, hosts: tuple[str, ...]) -> tuple[Cell, ...]:
    """A box for each of these hosts, which run the same; or a pile for all of them."""
    if len(hosts) > MOST_ALONE:
        return (_cell(stage, hosts),)
    return tuple(_cell(stage, (host,)) for host in hosts)


def _cell(stage: Stage, hosts: tuple[str, ...]) -> Cell:
    first = hosts[0]
    role = stage.roles[first] if len(hosts) == 1 else f"{len(hosts)} {stage.roles[first]}s"
    monitored = stage.roles[first] != "monitor"
    agents = [s for s in stage.declared[first] if monitored and s.name in AGENTS]
    serving = [s for s in stage.declared[first] if s not in agents and s.name not in FIREWALL]
    rows = [Row(named(hosts), role, NAME, bold=True)]
    rows += [Row(s.name, ports_of(s), TEXT) for s in (_outermost_first(serving) if monitored else serving)]
    rows += [Row(f"VIP {vip}", state, TEXT, bold=True) for vip, state in _virtual_addresses(stage, hosts)]
    below = [
        Row(s.name, ports_of(s) if any(x.reachable for x in listeners(s)) else "", SMALL) for s in agents
    ]
    if MONITORING in stage.addresses[first]:
        below.append(Row(MONITORING, span(tuple(stage.addresses[h][MONITORING] for h in hosts)), SMALL))
    return Cell(hosts, tuple(rows), tuple(below))


def _outermost_first(services: list[Service]) -> list[Service]:
    """Stages declare a server from its rows up to what clients see. Who only moves addresses goes last."""
    seen = [s for s in reversed(services) if not isinstance(s, Keepalived)]
    return seen + [s for s in services if isinstance(s, Keepalived)]


def ports_of(service: Service) -> str:
    """ ":443 :80": where other hosts get in; else where its own host does."""
    found = listeners(service)
    reachable = [one for one in found if one.reachable]
    return " ".join(dict.fromkeys(map(_short, reachable or found)))


def _short(listener: Listener) -> str:
    if listener.port is None:
        return "UNIX socket" if listener.protocol == "unix" else listener.protocol.upper()
    return f":{listener.port}" if listener.reachable else f"{listener.address}:{listener.port}"


def _virtual_addresses(stage: Stage, hosts: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(address, what these hosts are to it at first)."""
    told = {host: s for host in hosts for s in stage.declared[host] if isinstance(s, Keepalived)}
    if not told:
        return
    for which, vip in enumerate(told[hosts[0]].virtual_addresses):
        masters = [h for h, s in told.items() if s.virtual_addresses[which].state == "MASTER"]
        alone = "master" if masters else "standby"
        yield vip.address.partition("/")[0], f"master {named(masters)}" if len(hosts) > 1 else alone
