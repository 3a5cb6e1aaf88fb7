"""What a stage says it listens on is what its flows need, and what nobody declared is named."""

from __future__ import annotations

import ipaddress

import pytest

from services.credentials import Secrets
from services.service import Service
from tests.variants import VARIANTS, services_of
from topologies.listening import EVERY_ADDRESS, LOOPBACK, Exposure, Listener, exposed, listeners
from topologies.stage import LAYERS, NETWORKS, Settings, Stage
from topologies.stage0_simple import Stage0
from topologies.stage1_distributed import Stage1
from topologies.stage2_secured import Stage2
from topologies.stage3_scaleup import Stage3

EVERY = pytest.mark.parametrize("stage", VARIANTS.values(), ids=VARIANTS.keys())


def lies_in(address: str, segment: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(NETWORKS[segment])


@EVERY
def test_it_is_said_of_every_daemon_where_it_listens(stage: Stage) -> None:
    for host, service in services_of(stage):
        for listener in listeners(service):
            if listener.protocol == "unix":
                assert listener.address.startswith("/run/")
            elif listener.protocol != "vrrp":
                own = {*stage.addresses[host].values(), *stage.site_addresses, LOOPBACK, EVERY_ADDRESS}
                assert listener.address in own, f"{service.name} on {host}"


def test_a_daemon_of_which_it_is_not_said_is_an_error_that_names_it() -> None:
    class Unheard(Service):
        name = "unheard-of"

    with pytest.raises(NotImplementedError, match="unheard-of"):
        listeners(Unheard())


@EVERY
def test_two_daemons_of_a_host_never_want_the_same_port(stage: Stage) -> None:
    for host, services in stage.declared.items():
        taken: set[tuple[str, str, int]] = set()
        for listener in (one for service in services for one in listeners(service)):
            if listener.port is None:
                continue
            everywhere = (*stage.addresses[host].values(), *stage.site_addresses, LOOPBACK)
            on = everywhere if listener.address == EVERY_ADDRESS else (listener.address,)
            places = {(listener.protocol, address, listener.port) for address in on}
            assert not places & taken, f"{host}: {places & taken}"
            taken |= places


@EVERY
def test_every_flow_finds_somebody_who_listens_where_it_arrives(stage: Stage) -> None:
    for flow in stage.flows:
        silent = flow in stage.settings.flows or (
            not stage.settings.agents and flow.purpose.startswith("metrics")
        )
        way = stage.path(flow)
        assert way is not None
        found = [
            one for service in stage.declared[flow.destination] for one in listeners(service)
            if one.opening == flow.opening
            and (one.protocol == "vrrp" or one.address == EVERY_ADDRESS or lies_in(one.address, way[0]))
        ]  # fmt: skip
        assert found or silent, f"nobody listens for {flow}"


@EVERY
def test_a_port_that_is_said_stands_in_a_configuration_or_on_a_command_line(stage: Stage) -> None:
    """So that a port changed in a template cannot leave picture and scan behind."""
    secrets = Secrets()
    for _, service in services_of(stage):
        text = " ".join(service.command) + "".join(f.text for f in service.render(secrets).values())
        for listener in listeners(service):
            if listener.port == 53:
                continue  # BIND's default is in no file
            word = listener.address if listener.protocol == "unix" else str(listener.port or "vrrp_instance")
            assert word in text, f"{service.name} does not say {word}"


def test_what_stage_1_leaves_open_is_its_databases_and_its_web_servers() -> None:
    assert exposed(Stage1()) == (Exposure("public", ("server1", "server2"), ("tcp/3306", "tcp/80")),)


@pytest.mark.parametrize("stage", [Stage0(), Stage2(), Stage3(), Stage3(Settings(reencrypt=True))])
def test_a_stage_with_all_its_firewalls_or_one_server_leaves_nothing_open(stage: Stage) -> None:
    assert exposed(stage) == ()


def test_a_firewall_that_is_off_leaves_open_what_only_it_closed() -> None:
    assert exposed(Stage2(Settings(firewalls_off=("database",)))) == (
        Exposure("data", ("db1",), ("tcp/9100", "tcp/9104")),
        Exposure("monitoring", ("db1",), ("tcp/3306", "tcp/9100", "tcp/9104")),
    )
    everything_off = exposed(Stage2(Settings(firewalls_off=LAYERS)))
    assert {host for gap in everything_off for host in gap.hosts} == {"lb1", "server1", "server2", "db1"}


def test_openings_are_written_as_flows_write_them() -> None:
    assert Listener("tcp", "8.8.8.8", 443, tls=True).opening == "tcp/443"
    assert Listener("vrrp", "224.0.0.18").opening == "vrrp"
    assert not Listener("tcp", LOOPBACK, 9090).reachable
    assert not Listener("unix", "/run/x.sock").reachable
