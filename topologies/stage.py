"""A stage is a Mininet Topo that only declares: segments, hosts with their services, flows.

    class Stage9(Stage):
        number = "9"
        def build(self, settings=Settings()):
            self.segment("public")
            self.server("server1", {"public": "8.8.8.8"}, services=(Nginx(...), Gunicorn(...)))

Nothing here starts anything; topologies.testbed makes it real.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal

from mininet.topo import Topo

from services.service import Service
from topologies.flows import Flow, Protocol

#: Segment → its network. They exist only inside the capsule.
NETWORKS = {"public": "8.8.8.0/24", "app": "10.0.1.0/24", "data": "10.0.2.0/24", "monitoring": "10.0.9.0/24"}
#: What the prober and Locust need at the rates of an outage measurement. Their group also goes before all
#: others when a processor is short, and the prober's own lateness says whether that was enough.
GENERATOR_CORES = 0.6
#: What Prometheus, Alertmanager and the log store need. Without a monitoring host nothing is kept back.
MONITOR_CORES = 0.1
LAYERS = ("lb", "web", "database")
Size = Literal["small", "large"]
WEIGHTS: dict[str, int] = {"small": 1, "large": 2}
_SWITCHES = {
    "tls": "TLS to switch off", "reencrypt": "TLS behind a load balancer", "agents": "monitoring agents",
    "firewalls_off": "firewall", "balance": "load balancer whose algorithm could be chosen",
}  # fmt: skip
DOMAIN = "www.foobar.com"
RESOLVER = "8.8.8.53"


class BadSettings(ValueError):
    """Raised for sizes, timers or switches that the stage cannot have; the message names the option."""


@dataclass(frozen=True)
class Settings:
    """Every size and timer of a stage. Defaults are production-like; predictions follow what is rendered."""

    mode: Literal["active-active", "active-passive"] = "active-active"
    wiring: Literal["unix", "tcp"] = "unix"  # stage 0: how nginx, gunicorn and MySQL reach each other
    balancers: int = 2
    web_servers: int = 2
    app_servers: int = 2
    server_cores: float | None = None  # CPU budget of each server; None: what the machine has, by role
    server_memory_mb: int = 768
    advert_int_s: float = 1.0
    check_inter_s: float = 2.0
    check_fall: int = 3
    check_rise: int = 2
    link_mbit: float | None = None  # None: as fast as the machine's virtual links are
    balance: Literal["roundrobin", "leastconn", "source"] = "roundrobin"
    tls: bool = True
    reencrypt: bool = False  # TLS behind the load balancer, too, on every hop
    agents: bool = True  # exporters and log shipping on the hosts of every layer
    firewalls_off: tuple[str, ...] = ()  # layers
    flows: tuple[Flow, ...] = ()  # declared beside those of the stage
    scrape_interval_s: float = 2.0
    evaluation_interval_s: float = 2.0
    alert_for_s: float = 4.0
    dns_ttl_s: int = 30

    def __post_init__(self) -> None:
        def need(condition: bool, message: str) -> None:
            if not condition:
                raise BadSettings(message)

        need(
            self.mode in ("active-active", "active-passive"),
            f"mode {self.mode!r}: active-active or active-passive",
        )
        need(self.wiring in ("unix", "tcp"), f"wiring {self.wiring!r}: unix or tcp")
        for name, most in (("balancers", 9), ("web_servers", 9), ("app_servers", 9)):
            value = getattr(self, name)
            need(1 <= value <= most, f"{name.replace('_', ' ')}: {value}; 1 to {most}")
        need(0.01 <= self.advert_int_s <= 40, f"advert_int {self.advert_int_s:g} s: VRRP allows 0.01 to 40 s")
        need(
            abs(self.advert_int_s * 100 - round(self.advert_int_s * 100)) < 1e-9,
            f"advert_int {self.advert_int_s:g} s: VRRPv3 counts in hundredths of a second",
        )
        need(0.05 <= self.check_inter_s <= 60, f"check inter {self.check_inter_s:g} s: 0.05 to 60 s")
        need(1 <= self.check_fall <= 100, f"check fall {self.check_fall}: 1 to 100")
        need(1 <= self.check_rise <= 100, f"check rise {self.check_rise}: 1 to 100")
        need(
            self.server_cores is None or 0.05 <= self.server_cores <= 64,
            f"server cores {self.server_cores}: 0.05 to 64",
        )
        need(
            128 <= self.server_memory_mb <= 1 << 20, f"server memory {self.server_memory_mb} MB: at least 128"
        )
        need(
            self.link_mbit is None or 0.1 <= self.link_mbit <= 1000,
            f"link rate {self.link_mbit} Mbit/s: 0.1 to 1000 (above it, Mininet shapes nothing)",
        )
        need(
            self.balance in ("roundrobin", "leastconn", "source"),
            f"balance {self.balance!r}: roundrobin, leastconn or source",
        )
        for layer in self.firewalls_off:
            need(layer in LAYERS, f"firewall {layer!r}: {', '.join(LAYERS)}")
        need(self.tls or not self.reencrypt, "reencrypt: there is nothing to encrypt again without TLS")
        for what, interval_s in (
            ("scrape interval", self.scrape_interval_s), ("evaluation interval", self.evaluation_interval_s)
        ):  # fmt: skip
            need(
                1 <= interval_s <= 300 and interval_s == int(interval_s),
                f"{what} {interval_s:g} s: whole seconds, 1 to 300",
            )
        need(
            0 <= self.alert_for_s <= 3600 and self.alert_for_s == int(self.alert_for_s),
            f"alert for {self.alert_for_s:g} s: whole seconds, 0 to 3600",
        )
        need(0 <= self.dns_ttl_s <= 86400, f"dns ttl {self.dns_ttl_s} s: 0 to 86400")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        return tuple(f.name for f in fields(cls))


class Stage(Topo):  # type: ignore[misc]  # mininet has no types
    """Base of all stages: the vocabulary they declare themselves in."""

    number: ClassVar[str]
    title: ClassVar[str]
    #: Addresses a client may use for the site, in the order of the A records.
    site_addresses: tuple[str, ...] = ()
    scheme: str = "https"
    #: Which of the classroom's switches it has: tls, reencrypt, agents, firewalls_off, balance.
    offers: ClassVar[frozenset[str]] = frozenset()
    #: What the failover experiment breaks when nobody says otherwise.
    default_target: ClassVar[str]

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.flows: list[Flow] = []
        self.addresses: dict[str, dict[str, str]] = {}  # host → segment → address
        self.roles: dict[str, str] = {}  # host → server, client, dns, monitor
        self.layers: dict[str, tuple[str, ...]] = {}  # layer → its hosts, for firewalls and monitoring
        self.declared: dict[str, tuple[Service, ...]] = {}
        self._instances: dict[str, Size] = {}
        self._require_switches()
        super().__init__()  # calls build()
        self._declare_further_flows()
        self._raise_firewalls()

    # -- the vocabulary --------------------------------------------------------------------------------------

    def segment(self, name: str) -> None:
        """A switch (Linux bridge) for one network."""
        self.addSwitch(name, dpid=f"{list(NETWORKS).index(name) + 1:x}")

    def server(
        self, name: str, on: dict[str, str], services: tuple[Service, ...], instance: Size = "small"
    ) -> None:
        """A host with a CPU budget. Where the settings name no size, a large one gets twice a small one's."""
        self._instances[name] = instance
        self._host(name, on, services, "server")

    def resolver(self, name: str, on: dict[str, str], services: tuple[Service, ...]) -> None:
        """A host that only answers DNS; small, but never short of CPU."""
        self._host(name, on, services, "dns")

    def monitor(self, name: str, on: dict[str, str], services: tuple[Service, ...]) -> None:
        """A host that watches the others, with a small budget of its own."""
        self._host(name, on, services, "monitor")

    def client(self, name: str, on: dict[str, str]) -> None:
        """A host that asks: no daemon, no budget but the generator's own core."""
        self._host(name, on, (), "client")

    def flow(self, source: str, destination: str, protocol: Protocol, port: int | None, purpose: str) -> None:
        self.flows.append(Flow(source, destination, protocol, port, purpose))

    def everybody(self, segment: str, destination: str, protocol: Protocol, port: int, purpose: str) -> None:
        """A flow from every other host on the segment: what is offered to the public."""
        for source in self._others_on(segment, destination):
            self.flow(source, destination, protocol, port, purpose)

    def layer(self, name: str, hosts: Iterable[str]) -> None:
        """Hosts behind one firewall: once all flows are declared, each gets the rules that follow."""
        self.layers[name] = tuple(hosts)

    def add(self, host: str, *services: Service) -> None:
        """More services on a host that is declared already."""
        self.declared[host] += services
        self.setNodeInfo(host, {**self.nodeInfo(host), "services": self.declared[host]})

    def _host(self, name: str, on: dict[str, str], services: tuple[Service, ...], role: str) -> None:
        self.addresses[name], self.declared[name], self.roles[name] = on, services, role
        # ip=None: Mininet would otherwise number the hosts in a network of its own.
        self.addHost(name, ip=None, services=services)
        for segment, address in on.items():
            prefix = NETWORKS[segment].partition("/")[2]
            self.addLink(
                name, segment, intfName1=interface(name, segment), intfName2=switch_port(segment, name),
                params1={"ip": f"{address}/{prefix}"},
            )  # fmt: skip

    # -- questions about the declaration ---------------------------------------------------------------------

    def cores_of(self, server: str, machine_cores: int) -> float:
        """The CPU budget of `server`: what the settings say, else its share of what the generator leaves."""
        if self.settings.server_cores is not None:
            return self.settings.server_cores
        weights = {name: WEIGHTS[size] for name, size in self._instances.items()}
        return min(1.0, (machine_cores - self.kept_back_cores) * weights[server] / sum(weights.values()))

    @property
    def kept_back_cores(self) -> float:
        """What no server gets: the generator's share, and the monitor's where there is one."""
        return GENERATOR_CORES + MONITOR_CORES * len(self.monitors)

    def path(self, flow: Flow) -> tuple[str, str, str] | None:
        """(segment, source's address, destination's address) of the first network both are on, if any.

        Measured traffic never takes the monitoring network where there is another.
        """
        there = self.addresses[flow.destination]
        for segment in NETWORKS:
            if segment in there and segment in self.addresses[flow.source]:
                return segment, self.addresses[flow.source][segment], there[segment]
        return None

    def _declare_further_flows(self) -> None:
        """Those of the settings. Raises BadSettings for hosts that are not there, or share no network."""
        for flow in self.settings.flows:
            for host in (flow.source, flow.destination):
                if host not in self.addresses:
                    there = ", ".join(self.addresses)
                    raise BadSettings(f"flow {flow}: stage {self.number} has no {host}; it has {there}")
            if self.path(flow) is None:
                raise BadSettings(f"flow {flow}: {flow.source} and {flow.destination} share no network")
            if flow not in self.flows:
                self.flows.append(flow)

    def _raise_firewalls(self) -> None:
        # Imported here: the firewalls are made of a declared stage, and so know this module.
        from topologies import firewalls

        for layer, hosts in self.layers.items():
            if layer not in self.settings.firewalls_off:
                for host in hosts:
                    self.add(host, *firewalls.services_of(self, layer, host))

    def _others_on(self, segment: str, host: str) -> list[str]:
        return [name for name, on in self.addresses.items() if segment in on and name != host]

    def _require_switches(self) -> None:
        """Raises BadSettings for a switch that this stage does not have."""
        default = Settings()
        for switch in ("tls", "reencrypt", "agents", "firewalls_off", "balance"):
            if getattr(self.settings, switch) != getattr(default, switch) and switch not in self.offers:
                raise BadSettings(f"stage {self.number} has no {_SWITCHES[switch]}")

    @property
    def servers(self) -> list[str]:
        return [host for host, role in self.roles.items() if role == "server"]

    @property
    def monitors(self) -> list[str]:
        return [host for host, role in self.roles.items() if role == "monitor"]

    @property
    def clients(self) -> list[str]:
        return [host for host, role in self.roles.items() if role == "client"]

    def hosts_of(self, daemon: str) -> list[str]:
        """The hosts that run `daemon`."""
        return [host for host, services in self.declared.items() if any(s.name == daemon for s in services)]

    @property
    def picture(self) -> str:
        """The ASCII diagram at the head of the stage's file."""
        module = __import__(type(self).__module__, fromlist=["__doc__"])
        return (module.__doc__ or "").strip()


def interface(host: str, segment: str) -> str:
    """The name of `host`'s interface on `segment`; Linux allows 15 characters."""
    return f"{host}-{segment}"[:15]


def switch_port(segment: str, host: str) -> str:
    """The name of the switch's end of that link; the host's name is kept whole."""
    return f"{segment[: 14 - len(host)]}-{host}"
