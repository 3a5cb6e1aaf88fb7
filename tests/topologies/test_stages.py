"""What a stage declares fits together before anything is built: addresses, names, flows, budgets, VRRP."""

from __future__ import annotations

import ipaddress
import subprocess
from collections import Counter
from pathlib import Path
from typing import TypeVar

import pytest

from services.gunicorn import Gunicorn
from services.haproxy import HAProxy
from services.keepalived import Keepalived, VirtualAddress
from services.mysql import MySQL
from services.named import Named
from services.nginx import Nginx
from services.service import Service
from tests.variants import VARIANTS, services_of
from topologies.stage import GENERATOR_CORES, MONITOR_CORES, NETWORKS, Stage, interface, switch_port
from topologies.stages import STAGES

S = TypeVar("S", bound=Service)
CHECKOUT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("stage", VARIANTS.values(), ids=VARIANTS.keys())
CLUSTERED = {name: stage for name, stage in VARIANTS.items() if stage.hosts_of("keepalived")}
CLUSTERS = pytest.mark.parametrize("stage", CLUSTERED.values(), ids=CLUSTERED.keys())


def of(stage: Stage, kind: type[S]) -> dict[str, S]:
    """Host → its service of this kind."""
    return {host: service for host, service in services_of(stage) if isinstance(service, kind)}


def same_network(stage: Stage, host: str, address: str) -> str:
    """The address from which `host` speaks to `address`."""
    network = next(n for n in NETWORKS.values() if ipaddress.ip_address(address) in ipaddress.ip_network(n))
    return next(a for s, a in stage.addresses[host].items() if NETWORKS[s] == network)


def instances(stage: Stage) -> dict[str, dict[str, VirtualAddress]]:
    """Virtual address → balancer → what that balancer's keepalived says of it."""
    found: dict[str, dict[str, VirtualAddress]] = {}
    for host, keepalived in of(stage, Keepalived).items():
        for vip in keepalived.virtual_addresses:
            found.setdefault(vip.address.partition("/")[0], {})[host] = vip
    return found


# -- addresses and names -----------------------------------------------------------------------------


@EVERY
def test_addresses_are_unique_and_lie_in_their_networks(stage: Stage) -> None:
    declared = [(s, a) for on in stage.addresses.values() for s, a in on.items()]
    for segment, address in declared:
        assert ipaddress.ip_address(address) in ipaddress.ip_network(NETWORKS[segment])
    virtual = list(instances(stage))
    assert max(Counter([a for _, a in declared] + virtual).values()) == 1
    for vip in virtual:
        assert ipaddress.ip_address(vip) in ipaddress.ip_network(NETWORKS["public"])


@EVERY
def test_interface_names_are_unique_and_fit_into_15_characters(stage: Stage) -> None:
    names = [
        name for *_, link in stage.links(withInfo=True) for name in (link["intfName1"], link["intfName2"])
    ]
    names += [*stage.switches(), *stage.hosts()]
    assert max(len(name) for name in names) <= 15
    assert max(Counter(names).values()) == 1
    hosts = {interface(host, segment) for host, on in stage.addresses.items() for segment in on}
    assert hosts <= set(names)


def test_long_names_keep_the_host_apart_from_its_neighbours() -> None:
    """ "monitoring" and "server1" together are three letters too long."""
    assert interface("server1", "monitoring") == "server1-monitor"
    assert interface("monitor1", "monitoring") == "monitor1-monito"
    assert switch_port("monitoring", "server1") == "monitor-server1"
    assert switch_port("monitoring", "monitor1") == "monito-monitor1"
    names = {
        "monitor1",
        "dns1",
        *(f"{kind}{n}" for kind in ("server", "web", "app", "lb", "db") for n in range(1, 10)),
    }
    ends = [(interface(host, s), switch_port(s, host)) for host in names for s in NETWORKS]
    assert len({name for pair in ends for name in pair}) == 2 * len(ends)


@EVERY
def test_the_names_and_the_picture_say_what_is_there(stage: Stage) -> None:
    assert set(stage.hosts()) == set(stage.addresses) == set(stage.roles) == set(stage.declared)
    assert stage.picture.startswith(f"Stage {stage.number}")
    assert stage.default_target in stage.servers
    assert len(stage.clients) == 2, "one for the prober, one for Locust"
    for host in stage.clients:
        assert stage.declared[host] == ()


# -- who speaks to whom ------------------------------------------------------------------------------


@EVERY
def test_both_ends_of_every_flow_exist_and_share_a_segment(stage: Stage) -> None:
    assert stage.flows
    for flow in stage.flows:
        ends = stage.addresses[flow.source], stage.addresses[flow.destination]
        assert ends[0].keys() & ends[1].keys(), f"{flow} has no way"
        assert flow.source != flow.destination
        assert flow.purpose
        assert (flow.port is None) == (flow.protocol == "vrrp")
        assert flow.port is None or 0 < flow.port < 65536
        assert stage.declared[flow.destination], f"nobody runs there for {flow}"
    assert max(Counter(stage.flows).values()) == 1


@EVERY
def test_every_connection_that_a_configuration_makes_is_a_declared_flow(stage: Stage) -> None:
    flows = {(f.source, f.destination, f.port) for f in stage.flows}
    at = {address: host for host, on in stage.addresses.items() for address in on.values()}
    for host, haproxy in of(stage, HAProxy).items():
        assert {(host, at[address], port) for _, address, port in haproxy.backends} <= flows
        assert all(at[address] == name for name, address, _ in haproxy.backends)
    for host, nginx in of(stage, Nginx).items():
        away = [u.partition(":") for u in nginx.upstreams if not u.startswith(("unix:", "127."))]
        assert {(host, at[address], int(port)) for address, _, port in away} <= flows
        site = 443 if nginx.tls else 80
        in_front = {source for source, destination, port in flows if (destination, port) == (host, site)}
        # Whom everybody may ask believes nobody's word about where a request comes from.
        public = set(stage.clients) <= in_front
        assert {at[proxy] for proxy in nginx.trusted_proxies} == (set() if public else in_front)
    for host, gunicorn in of(stage, Gunicorn).items():
        databases = [a for a in (gunicorn.database, gunicorn.database_replica) if a in at]
        for address in databases:
            assert at[address] == host or (host, at[address], 3306) in flows
            # A replica's users are those of its primary.
            primary = of(stage, MySQL)[at[gunicorn.database]]
            assert same_network(stage, host, address) in primary.clients
    for host, mysql in of(stage, MySQL).items():
        if mysql.replica_of is not None:
            assert (host, at[mysql.replica_of], 3306) in flows
            primary = of(stage, MySQL)[at[mysql.replica_of]]
            assert same_network(stage, host, mysql.replica_of) in primary.replicas
            assert primary.server_id != mysql.server_id
    for client in stage.clients:
        assert any((client, resolver, 53) in flows for resolver in stage.hosts_of("named"))


@EVERY
def test_the_name_server_and_the_front_agree_on_the_addresses_of_the_site(stage: Stage) -> None:
    assert all(named.addresses == stage.site_addresses for named in of(stage, Named).values())
    balancers = of(stage, HAProxy)
    for host, haproxy in balancers.items():
        # And its own, by which an operator asks one balancer, whoever holds the virtual addresses.
        own = stage.addresses[host]["public"]
        assert haproxy.addresses == tuple(dict.fromkeys((*stage.site_addresses, own)))
        assert haproxy.tls == (stage.scheme == "https")
    if not balancers:
        fronts = of(stage, Nginx).values()
        assert {(nginx.listen,) for nginx in fronts} == {stage.site_addresses}
        assert {nginx.tls for nginx in fronts} == {stage.scheme == "https"}


@EVERY
def test_both_ends_of_a_hop_agree_whether_it_is_encrypted(stage: Stage) -> None:
    at = {address: host for host, on in stage.addresses.items() for address in on.values()}
    nginx, gunicorn, mysql = of(stage, Nginx), of(stage, Gunicorn), of(stage, MySQL)
    for haproxy in of(stage, HAProxy).values():
        assert {nginx[name].tls for name, _, _ in haproxy.backends} == {haproxy.backend_tls}
        assert {port for _, _, port in haproxy.backends} == {443 if haproxy.backend_tls else 80}
    for web in nginx.values():
        away = [u.partition(":")[0] for u in web.upstreams if not u.startswith(("unix:", "127."))]
        assert {gunicorn[at[address]].tls for address in away} <= {web.upstream_tls}
    for app in gunicorn.values():
        if app.database in at:
            server = mysql[at[app.database]]
            assert server.tls == app.database_tls
            # The certificate names the address by which it is asked.
            assert not server.tls or (server.server_address or server.listen) == app.database
    behind = [h.backend_tls for h in of(stage, HAProxy).values()] + [
        a.database_tls for a in gunicorn.values()
    ]
    assert set(behind) <= {stage.settings.reencrypt}


@EVERY
def test_clients_only_know_the_site_and_its_names(stage: Stage) -> None:
    """What a client may do is what the stage offers to everybody, and what the settings add."""
    own = [flow for flow in stage.flows if flow not in stage.settings.flows]
    ports = {flow.opening for flow in own if flow.source in stage.clients}
    assert ports == {"udp/53", "tcp/53", "tcp/80"} | ({"tcp/443"} if stage.scheme == "https" else set())
    one, other = ({(f.destination, f.opening) for f in own if f.source == c} for c in stage.clients)
    assert one == other


# -- budgets -----------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("cores", [1, 2, 4, 8, 64])
def test_budgets_leave_the_generator_and_the_monitor_their_share_of_the_machine(
    stage: Stage, cores: int
) -> None:
    budgets = [stage.cores_of(server, cores) for server in stage.servers]
    assert min(budgets) > 0
    if stage.settings.server_cores is None:
        kept_back = GENERATOR_CORES + MONITOR_CORES * ("monitor1" in stage.addresses)
        assert sum(budgets) + kept_back <= cores + 1e-9
        assert max(budgets) <= 1
    else:
        assert set(budgets) == {stage.settings.server_cores}


# -- load balancer clusters --------------------------------------------------------------------------


@CLUSTERS
def test_every_virtual_address_has_one_master_and_strictly_ordered_standbys(stage: Stage) -> None:
    for vip, on in instances(stage).items():
        assert set(on) == set(stage.hosts_of("keepalived")), f"{vip} is unknown to a balancer"
        ranked = sorted(on.values(), key=lambda i: i.priority, reverse=True)
        assert len({i.priority for i in ranked}) == len(ranked)
        assert [i.state for i in ranked] == ["MASTER"] + ["BACKUP"] * (len(ranked) - 1)
        assert all(1 <= i.priority <= 254 for i in ranked)


@CLUSTERS
def test_each_virtual_address_has_a_router_id_of_its_own(stage: Stage) -> None:
    ids = [{i.router_id for i in on.values()} for on in instances(stage).values()]
    assert all(len(known) == 1 for known in ids)
    assert len(set.union(*ids)) == len(ids)


@CLUSTERS
def test_in_a_cluster_of_two_each_is_master_of_exactly_one_address_or_of_the_only_one(stage: Stage) -> None:
    masters = [host for on in instances(stage).values() for host, i in on.items() if i.state == "MASTER"]
    if stage.settings.mode == "active-active" and len(stage.hosts_of("keepalived")) > 1:
        assert stage.site_addresses == ("8.8.8.8", "8.8.8.9")
        assert masters == ["lb1", "lb2"]
    else:
        assert stage.site_addresses == ("8.8.8.8",)
        assert masters == ["lb1"]


@CLUSTERS
def test_vrrp_has_the_version_that_can_count_the_interval(stage: Stage) -> None:
    for keepalived in of(stage, Keepalived).values():
        assert keepalived.advert_int_s == stage.settings.advert_int_s
        assert keepalived.vrrp_version == (2 if stage.settings.advert_int_s in (1, 2, 3) else 3)


# -- plain Mininet -----------------------------------------------------------------------------------

_PLAIN = """
import importlib, sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("jinja2", "pymysql", "dns", "cryptography", "rich", "locust"):
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Nothing())
topo = importlib.import_module(sys.argv[1]).topos[sys.argv[2]]()
print(*topo.hosts())
"""


@pytest.mark.parametrize("number", STAGES)
def test_plain_mininet_can_draw_a_stage_without_the_virtual_environment(number: str) -> None:
    stage = STAGES[number]()
    plain = ["/usr/bin/python3", "-c"]
    environment = {"PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}
    if subprocess.run(
        [*plain, "import mininet"], env=environment, capture_output=True, check=False
    ).returncode:
        pytest.skip("/usr/bin/python3 has no mininet")
    done = subprocess.run(
        [*plain, _PLAIN, type(stage).__module__, f"stage{number}"],
        env=environment, cwd="/", capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == stage.hosts()
