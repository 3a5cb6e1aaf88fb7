"""One scan of a running stage beside what it was to find: what claims, controls and report share."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from experiments.harness.ports import common_ports
from experiments.harness.reachability import Comparison, Door, compare, named
from experiments.harness.scan import Pace, State
from experiments.harness.survey import Survey, ask_all
from services.nftables import Nftables
from topologies.stage import Stage
from topologies.testbed import Testbed

MYSQL_PORT = 3306
#: Often open elsewhere and never here: tried in every scan, and by nmap for a second opinion.
NEVER_HERE = (22, 25, MYSQL_PORT, 8404, 9090)


@dataclass(frozen=True)
class Scanned:
    """`guarded`: the hosts of every layer, whether their firewall is up or not."""

    known: Survey
    declared: frozenset[Door]
    guarded: tuple[str, ...]
    seen: Mapping[Door, State]

    @property
    def compared(self) -> Comparison:
        return compare(self.seen, self.declared, self.known.listening, self.guarded)

    def again(self, testbed: Testbed, tcp_ports: Collection[int], hosts: Collection[str]) -> Comparison:
        """These hosts alone, scanned once more as they are now, against the same declaration."""
        seen = ask_all(testbed, self.known, tcp_ports, self.declared, Pace(), hosts)
        meant = {door for door in self.declared if door.destination in hosts}
        return compare(seen, meant, self.known.listening, self.guarded)


def ports_of(stage: Stage, known: Survey, common: int) -> list[int]:
    """TCP ports to try: the most common ones, and whatever is declared or listened on anywhere."""
    listened = {port for some in known.listening.values() for protocol, _, port in some if protocol == "tcp"}
    declared = {flow.port for flow in stage.flows if flow.protocol == "tcp" and flow.port is not None}
    return sorted({*common_ports(common), *listened, *declared, *NEVER_HERE})


def walls_of(stage: Stage) -> dict[str, str]:
    """Host → layer, where a firewall is up."""
    up = set(stage.hosts_of(Nftables.name))
    return {host: layer for layer, hosts in stage.layers.items() for host in hosts if host in up}


def amiss(compared: Comparison) -> int:
    """Openings that are missing or surplus."""
    return len(compared.missing) + len(compared.surplus)


def in_words(compared: Comparison) -> str:
    """ "28 open as declared, 0 missing, 1 surplus (db1 tcp/3306 from monitor1)" """
    said = [f"{len(compared.as_declared)} open as declared"]
    for what, doors in (("missing", compared.missing), ("surplus", compared.surplus)):
        said.append(f"{len(doors)} {what}" + (f" ({named(doors)})" if doors else ""))
    if compared.leaking:
        said.append(f"{len(compared.leaking)} let through to where nobody listens")
    if compared.unserved:
        said.append(f"{len(compared.unserved)} declared where nobody listens ({named(compared.unserved)})")
    return ", ".join(said)
