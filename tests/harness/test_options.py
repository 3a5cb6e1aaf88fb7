"""A wrong option is a usage error: exit code 2, nothing on stdout, and a last line that names the option."""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest.mock import ANY

import pytest

from experiments import failover
from experiments.harness import options
from topologies.stage import Settings


def parser() -> argparse.ArgumentParser:
    p = options.parser("failover", "The claim.", "  sudo ./testbed failover --repeat 3\n")
    options.add_common(p, repeat=3)
    options.add_sizes(p)
    return p


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--repeat 0", "--repeat"), ("--repeat 1001", "--repeat"), ("--repeat two", "'two' is not a number"),
        ("--repeat 1.5", "--repeat"), ("--seed -1", "--seed"), ("--stage 7", "--stage"),
        ("--stag 3", "--stag"), ("--nonsense", "--nonsense"), ("left over", "left"),
        ("--results /etc/passwd", "/etc/passwd is a file"), ("--results", "--results"),
        ("--mode both", "--mode"), ("--wiring udp", "--wiring"), ("--advert-int x", "--advert-int"),
        ("--advert-int 0.015", "advert_int"), ("--advert-int nan", "advert_int"),
        ("--balancers 0", "balancers"), ("--web-servers 99", "web servers"),
        ("--app-servers 99", "app servers"),
        ("--check-inter 0", "check inter"), ("--check-fall 0", "check fall"),
        ("--check-rise 0", "check rise"), ("--server-cores 0", "server cores"),
        ("--server-memory 1", "server memory"), ("--link-mbit 0", "link rate"),
        ("--balance fair", "--balance"), ("--dns-ttl -1", "dns ttl"), ("--dns-ttl soon", "--dns-ttl"),
        ("--scrape-interval 0.5", "scrape interval"), ("--scrape-interval nan", "scrape interval"),
        ("--evaluation-interval 301", "evaluation interval"), ("--alert-for -1", "alert for"),
        ("--firewall-off nonsense", "firewall 'nonsense': lb, web, database"),
        ("--firewall-off lb --firewall-off public", "firewall 'public'"),
        ("--flow garbage", "flow 'garbage': must look like client1>lb1:tcp/443"),
        ("--flow client1>lb1:tcp/99999", "port 99999"),
        ("--flow client1>nowhere:tcp/80", "stage 3 has no nowhere"),
        ("--flow client1>db1:tcp/3306", "client1 and db1 share no network"),
        ("--no-tls --reencrypt", "reencrypt"),
        ("--stage 0 --reencrypt", "stage 0 has no TLS behind a load balancer"),
        ("--stage 1 --reencrypt", "stage 1 has no TLS behind a load balancer"),
        ("--stage 1 --no-tls", "stage 1 has no TLS"), ("--stage 1 --no-agents", "stage 1 has no monitoring"),
        ("--stage 1 --firewall-off web", "stage 1 has no firewall"),
        ("--stage 0 --balance source", "stage 0 has no load balancer"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_named_in_one_line(
    line: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    p = parser()
    with pytest.raises(SystemExit) as refused:
        options.stage_of(p, p.parse_args(line.split()))
    assert refused.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    (only,) = err.splitlines()
    assert only.startswith("testbed failover: error: ")
    assert named in only


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--fault meteorite", "--fault"), ("--rate 0", "--rate"), ("--rate nan", "--rate"),
        ("--users -1", "--users"), ("--watch 0", "--watch"), ("--target lb9", "'lb9'"),
        ("--target client1", "it has dns1, lb1"),
        ("--target lb1/haproxy", "host-crash hits a whole host"),
        ("--fault process-kill --target db1/nginx", "db1 runs mysql"),
        ("--fault link-down --target web1/public", "web1 is on app"),
    ],
)  # fmt: skip
def test_the_failover_experiment_refuses_what_it_cannot_do_before_anything_is_built(
    line: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        failover.main(line.split())
    assert refused.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]


def test_the_options_become_the_settings_of_the_stage() -> None:
    p = parser()
    line = (
        "--stage 3 --mode active-passive --wiring tcp --advert-int 0.1 --check-inter 0.5 --check-fall 2 "
        "--check-rise 1 --balancers 3 --web-servers 4 --app-servers 5 --server-cores 0.2 --server-memory 256 "
        "--link-mbit 50 --balance leastconn --reencrypt --no-agents --firewall-off web --firewall-off lb "
        "--flow client1>lb1:tcp/22 --flow monitor1>db1:tcp/3306 --scrape-interval 1 --evaluation-interval 3 "
        "--alert-for 0 --dns-ttl 5"
    )
    stage = options.stage_of(p, p.parse_args(line.split()))
    assert stage.number == "3"
    flows = [
        {"source": source, "destination": destination, "protocol": "tcp", "port": port, "purpose": ANY}
        for source, destination, port in (("client1", "lb1", 22), ("monitor1", "db1", 3306))
    ]
    assert stage.settings.as_dict() == {
        "mode": "active-passive", "wiring": "tcp", "advert_int_s": 0.1, "check_inter_s": 0.5, "check_fall": 2,
        "check_rise": 1, "balancers": 3, "web_servers": 4, "app_servers": 5, "server_cores": 0.2,
        "server_memory_mb": 256, "link_mbit": 50.0, "balance": "leastconn", "tls": True, "reencrypt": True,
        "agents": False, "firewalls_off": ("web", "lb"), "flows": tuple(flows), "scrape_interval_s": 1.0,
        "evaluation_interval_s": 3.0, "alert_for_s": 0.0, "dns_ttl_s": 5,
    }  # fmt: skip


@pytest.mark.parametrize("number", ["0", "2", "3"])
def test_the_site_can_be_had_without_tls(number: str) -> None:
    p = parser()
    stage = options.stage_of(p, p.parse_args(["--stage", number, "--no-tls"]))
    assert stage.scheme == "http"
    assert options.stage_of(p, p.parse_args(["--stage", number])).scheme == "https"


def test_every_setting_has_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--help"])
    shown = capsys.readouterr().out
    spelled = {
        "tls": "no-tls", "agents": "no-agents", "firewalls_off": "firewall-off", "flows": "flow",
        "server_memory_mb": "server-memory", "dns_ttl_s": "dns-ttl",
    }  # fmt: skip
    for name in Settings.names():
        assert f"--{spelled.get(name, name.removesuffix('_s').replace('_', '-'))}" in shown, name


def test_defaults_are_those_of_the_stage_and_the_seed_is_new_every_time() -> None:
    first, second = parser().parse_args([]), parser().parse_args([])
    assert options.stage_of(parser(), first).settings == Settings()
    assert (first.stage, first.repeat, first.json, first.quiet) == ("3", 3, False, False)
    assert first.seed != second.seed
    assert Path(first.results).is_absolute()


def test_help_shows_the_claim_examples_and_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as helped:
        failover.main(["--help"])
    assert helped.value.code == 0
    shown = capsys.readouterr().out
    assert "examples:\n  sudo python experiments/failover.py" in shown
    for option in ("--stage", "--repeat", "--seed", "--results", "--json", "--quiet", "--fault", "--target"):
        assert option in shown
