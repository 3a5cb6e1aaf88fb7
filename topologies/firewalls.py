"""From declared flows to one host's rules: who may come in, over which network, to which port.

flow web1>app1:tcp/8000 ──► on app1:  iifname "app1-app" ip saddr { 10.0.1.21 } tcp dport 8000 accept
"""

from __future__ import annotations

from services.nftables import Nftables, Rule
from services.service import Service
from services.ulogd import Ulogd
from topologies.flows import Flow
from topologies.stage import BadSettings, Stage, interface


def services_of(stage: Stage, layer: str, host: str) -> tuple[Service, ...]:
    """The firewall of `host`, and the daemon that writes down what it denies."""
    return Nftables(host_name=host, layer=layer, rules=rules_of(stage, host)), Ulogd(host_name=host)


def rules_of(stage: Stage, host: str) -> tuple[Rule, ...]:
    """One rule for each network, port and purpose. Raises BadSettings for a flow that no network carries.

    Where every other host of a network may come in, the rule names none of them: the Internet is not a list.
    """
    sources: dict[tuple[str, str, int | None, str], list[str]] = {}
    for flow in stage.flows:
        if flow.destination == host:
            segment, source, _ = _way(stage, flow)
            sources.setdefault((segment, flow.protocol, flow.port, flow.purpose), []).append(source)
    return tuple(
        Rule(
            interface=interface(host, segment),
            sources=() if _everybody(stage, segment, host, addresses) else tuple(addresses),
            protocol=protocol, port=port, purpose=purpose,
        )
        for (segment, protocol, port, purpose), addresses in sources.items()
    )  # fmt: skip


def _everybody(stage: Stage, segment: str, host: str, sources: list[str]) -> bool:
    if segment != "public":
        return False
    others = {on[segment] for name, on in stage.addresses.items() if segment in on and name != host}
    return others == set(sources)


def _way(stage: Stage, flow: Flow) -> tuple[str, str, str]:
    way = stage.path(flow)
    if way is None:
        raise BadSettings(f"flow {flow}: {flow.source} and {flow.destination} share no network")
    return way
