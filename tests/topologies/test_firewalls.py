"""A host's rules are what the declared flows say of it: each flow an opening, no opening without a flow."""

from __future__ import annotations

import pytest

from services.nftables import Nftables, Rule
from services.ulogd import Ulogd
from tests.variants import VARIANTS, services_of
from topologies.firewalls import rules_of
from topologies.flows import parse_flow
from topologies.stage import LAYERS, BadSettings, Settings, Stage, interface
from topologies.stage1_distributed import Stage1
from topologies.stage2_secured import Stage2
from topologies.stage3_scaleup import Stage3
from topologies.stages import STAGES

EVERY = pytest.mark.parametrize("stage", VARIANTS.values(), ids=VARIANTS.keys())
LAYERED = pytest.mark.parametrize(
    "number", [n for n, kind in STAGES.items() if "firewalls_off" in kind.offers]
)


def rulesets(stage: Stage) -> dict[str, tuple[Rule, ...]]:
    """Host → the rules of its firewall, where it has one."""
    return {host: s.rules for host, s in services_of(stage) if isinstance(s, Nftables)}


def test_the_database_lets_in_both_servers_and_the_monitor() -> None:
    assert rules_of(Stage2(), "db1") == (
        Rule("db1-data", ("10.0.2.21", "10.0.2.22"), "tcp", 3306, "queries"),
        Rule("db1-monitoring", ("10.0.9.51",), "tcp", 9100, "metrics: node"),
        Rule("db1-monitoring", ("10.0.9.51",), "tcp", 9104, "metrics: mysql"),
    )


def test_a_server_of_stage_2_lets_in_the_balancer_and_the_monitor() -> None:
    assert rules_of(Stage2(), "server2") == (
        Rule("server2-app", ("10.0.1.11",), "tcp", 80, "requests and health checks"),
        Rule("server2-monitor", ("10.0.9.51",), "tcp", 9100, "metrics: node"),
        Rule("server2-monitor", ("10.0.9.51",), "tcp", 9113, "metrics: nginx"),
    )


def test_a_balancer_of_a_cluster_lets_in_everybody_and_the_other_balancer() -> None:
    """The Internet is not a list of addresses; the other balancer is one."""
    assert rules_of(Stage3(), "lb1") == (
        Rule("lb1-public", (), "tcp", 443, "the site"),
        Rule("lb1-public", (), "tcp", 80, "redirect to https"),
        Rule("lb1-public", ("8.8.8.12",), "vrrp", None, "who holds which address"),
        Rule("lb1-monitoring", ("10.0.9.51",), "tcp", 9100, "metrics: node"),
        Rule("lb1-monitoring", ("10.0.9.51",), "tcp", 8405, "metrics: haproxy"),
    )


def test_application_servers_are_asked_by_web_servers_only() -> None:
    (first, *others) = rules_of(Stage3(Settings(web_servers=3)), "app2")
    assert first == Rule("app2-app", ("10.0.1.21", "10.0.1.22", "10.0.1.23"), "tcp", 8000, "dynamic requests")
    assert {rule.interface for rule in others} == {"app2-monitoring"}


def test_without_tls_the_encrypted_port_is_closed_and_with_more_of_it_the_plain_one_is() -> None:
    def ports(settings: Settings, host: str) -> set[int | None]:
        return {r.port for r in rules_of(Stage2(settings), host) if "-monit" not in r.interface}

    assert ports(Settings(tls=False), "lb1") == {80}
    assert ports(Settings(reencrypt=True), "server1") == {443}
    assert ports(Settings(), "server1") == {80}


@EVERY
def test_every_flow_to_a_host_with_a_firewall_is_one_opening_and_there_is_no_other(stage: Stage) -> None:
    for host, rules in rulesets(stage).items():
        wanted = set()
        for flow in stage.flows:
            if flow.destination == host:
                way = stage.path(flow)
                assert way is not None
                wanted.add((interface(host, way[0]), way[1], flow.protocol, flow.port))
        opened = set()
        for rule in rules:
            # Only the public network has so many sources that nobody names them.
            assert rule.sources or rule.interface == interface(host, "public")
            public = [on["public"] for name, on in stage.addresses.items() if "public" in on and name != host]
            for source in rule.sources or public:
                opened.add((rule.interface, source, rule.protocol, rule.port))
        assert opened == wanted
        assert len(set(rules)) == len(rules)


@EVERY
def test_a_firewall_stands_on_every_host_of_a_layer_that_has_one_and_nowhere_else(stage: Stage) -> None:
    guarded = {
        h for layer, hosts in stage.layers.items() if layer not in stage.settings.firewalls_off for h in hosts
    }
    assert set(rulesets(stage)) == guarded
    for host, service in services_of(stage):
        if isinstance(service, Nftables):
            assert service.host_name == host
            assert host in stage.layers[service.layer]
    assert {host for host, s in services_of(stage) if isinstance(s, Ulogd)} == guarded


@LAYERED
@pytest.mark.parametrize("layer", LAYERS)
def test_a_firewall_that_is_off_is_missing_there_and_changes_no_other(number: str, layer: str) -> None:
    plain, weaker = STAGES[number](), STAGES[number](Settings(firewalls_off=(layer,)))
    removed = set(plain.layers[layer])
    assert removed
    assert rulesets(weaker) == {host: r for host, r in rulesets(plain).items() if host not in removed}
    for host in plain.addresses:
        if host not in removed:
            assert weaker.declared[host] == plain.declared[host]


@LAYERED
def test_the_layers_are_those_that_can_be_named_and_cover_every_server(number: str) -> None:
    stage = STAGES[number]()
    assert tuple(stage.layers) == LAYERS
    assert [host for hosts in stage.layers.values() for host in hosts] == stage.servers


def test_stage_1_has_no_firewall_at_all() -> None:
    assert rulesets(Stage1()) == {}
    assert Stage1().layers == {}


@pytest.mark.parametrize(
    ("stage", "text", "opening"),
    [
        ("2", "monitor1>db1:tcp/3306", Rule("db1-monitoring", ("10.0.9.51",), "tcp", 3306, "x")),
        ("2", "client1>lb1:tcp/22", Rule("lb1-public", ("8.8.8.101",), "tcp", 22, "x")),
        ("3", "web1>db1:udp/53", Rule("db1-monitoring", ("10.0.9.21",), "udp", 53, "x")),
        ("3", "app1>web2:tcp/80", Rule("web2-app", ("10.0.1.31",), "tcp", 80, "x")),
    ],
)
def test_a_further_flow_opens_exactly_one_rule_on_exactly_one_host(
    stage: str, text: str, opening: Rule
) -> None:
    flow = parse_flow(text)
    plain, more = rulesets(STAGES[stage]()), rulesets(STAGES[stage](Settings(flows=(flow,))))
    expected = Rule(opening.interface, opening.sources, opening.protocol, opening.port, flow.purpose)
    assert more.pop(flow.destination) == (*plain.pop(flow.destination), expected)
    assert more == plain


def test_a_flow_for_some_of_the_public_network_names_them() -> None:
    """Everybody but one is a list again."""
    stage = Stage2()
    gone = next(f for f in stage.flows if (f.source, f.opening) == ("dns1", "tcp/443"))
    stage.flows.remove(gone)
    (rule,) = (r for r in rules_of(stage, "lb1") if r.port == 443)
    assert rule.sources == ("8.8.8.101", "8.8.8.102")


def test_a_flow_that_no_network_carries_makes_no_rule() -> None:
    stage = Stage2()
    stage.flow("client1", "db1", "tcp", 3306, "a short cut")
    with pytest.raises(BadSettings, match="client1 and db1 share no network"):
        rules_of(stage, "db1")
