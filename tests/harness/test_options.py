"""A wrong option is a usage error: exit code 2, nothing on stdout, and a last line that names the option."""

from __future__ import annotations

import argparse
from pathlib import Path

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
    last = err.splitlines()[-1]
    assert last.startswith("testbed failover: error: ")
    assert named in last
    assert "Traceback" not in err


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
        "--link-mbit 50"
    )
    stage = options.stage_of(p, p.parse_args(line.split()))
    assert stage.number == "3"
    assert stage.settings.as_dict() == {
        "mode": "active-passive", "wiring": "tcp", "advert_int_s": 0.1, "check_inter_s": 0.5, "check_fall": 2,
        "check_rise": 1, "balancers": 3, "web_servers": 4, "app_servers": 5, "server_cores": 0.2,
        "server_memory_mb": 256, "link_mbit": 50.0,
    }  # fmt: skip


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
