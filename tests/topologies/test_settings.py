"""Sizes and timers that no stage can have are refused in one line that names them."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from topologies.stage import BadSettings, Settings
from topologies.stages import STAGES

NAMES = {
    "mode": "mode", "wiring": "wiring", "balancers": "balancers", "web_servers": "web servers",
    "app_servers": "app servers", "advert_int_s": "advert_int", "check_inter_s": "check inter",
    "check_fall": "check fall", "check_rise": "check rise", "server_cores": "server cores",
    "server_memory_mb": "server memory", "link_mbit": "link rate", "balance": "balance",
    "firewalls_off": "firewall", "scrape_interval_s": "scrape interval",
    "evaluation_interval_s": "evaluation interval", "alert_for_s": "alert for", "dns_ttl_s": "dns ttl",
}  # fmt: skip


SWITCHES = {"tls", "reencrypt", "agents"}  # yes or no


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mode", ["active", ""]),
        ("wiring", ["udp"]),
        ("balancers", [0, 10, -1]),
        ("web_servers", [0, 10]),
        ("app_servers", [0, 10]),
        ("advert_int_s", [0, 0.009, 40.01, 0.015, math.nan, math.inf]),
        ("check_inter_s", [0, 0.049, 60.1, math.nan]),
        ("check_fall", [0, 101]),
        ("check_rise", [0, 101]),
        ("server_cores", [0, 0.049, 64.1, math.nan, math.inf]),
        ("server_memory_mb", [127, (1 << 20) + 1]),
        ("link_mbit", [0, 0.09, 1000.1, math.nan]),
        ("balance", ["fair", ""]),
        ("firewalls_off", [("nonsense",), ("lb", "app"), ("",)]),
        ("scrape_interval_s", [0, 0.5, 1.5, 301, math.nan, math.inf]),
        ("evaluation_interval_s", [0, 0.5, 1.5, 301, math.nan, math.inf]),
        ("alert_for_s", [-1, 0.5, 3601, math.nan, math.inf]),
        ("dns_ttl_s", [-1, 86401]),
    ],
)
def test_what_no_stage_can_have_is_refused_in_one_line_that_names_it(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(BadSettings) as refused:
            Settings(**{name: value})
        message = str(refused.value)
        assert message.startswith(NAMES[name])
        assert "\n" not in message
        assert len(message) < 100


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("balancers", [1, 9]),
        ("advert_int_s", [0.01, 0.07, 0.29, 1.1, 40]),
        ("check_inter_s", [0.05, 60]),
        ("check_fall", [1, 100]),
        ("server_cores", [None, 0.05, 64]),
        ("server_memory_mb", [128]),
        ("link_mbit", [None, 0.1, 1000]),
        ("balance", ["roundrobin", "leastconn", "source"]),
        ("firewalls_off", [(), ("lb",), ("database", "web", "lb")]),
        ("scrape_interval_s", [1, 300]),
        ("evaluation_interval_s", [1, 300]),
        ("alert_for_s", [0, 3600]),
        ("dns_ttl_s", [0, 86400]),
    ],
)
def test_the_bounds_themselves_are_accepted(name: str, values: list[Any]) -> None:
    for value in values:
        assert Settings(**{name: value}).as_dict()[name] == value


def test_every_setting_has_a_bound_tested_here() -> None:
    assert set(Settings.names()) == NAMES.keys() | SWITCHES | {"flows"}


def test_encrypting_again_needs_something_that_is_encrypted() -> None:
    with pytest.raises(BadSettings, match=r"^reencrypt: .* without TLS$"):
        Settings(tls=False, reencrypt=True)


# -- what a stage does not have ----------------------------------------------------------------------

ALTERED: dict[str, dict[str, Any]] = {
    "tls": {"tls": False},
    "reencrypt": {"reencrypt": True},
    "agents": {"agents": False},
    "firewalls_off": {"firewalls_off": ("lb",)},
    "balance": {"balance": "source"},
}
LACKING = [(n, switch) for n, kind in STAGES.items() for switch in ALTERED if switch not in kind.offers]


@pytest.mark.parametrize(("number", "switch"), LACKING)
def test_a_switch_that_a_stage_does_not_have_is_refused_in_one_line(number: str, switch: str) -> None:
    with pytest.raises(BadSettings) as refused:
        STAGES[number](Settings(**ALTERED[switch]))
    assert re.fullmatch(rf"stage {number} has no [\w ]+", str(refused.value))


@pytest.mark.parametrize(
    ("number", "switch"), [(n, switch) for n, kind in STAGES.items() for switch in kind.offers]
)
def test_a_switch_that_a_stage_has_changes_what_it_declares(number: str, switch: str) -> None:
    plain, switched = STAGES[number](), STAGES[number](Settings(**ALTERED[switch]))
    assert switched.declared != plain.declared


def test_each_stage_has_the_switches_of_what_is_built_in_it() -> None:
    assert {number: set(kind.offers) for number, kind in STAGES.items()} == {
        "0": {"tls"}, "1": {"balance"}, "2": set(ALTERED), "3": set(ALTERED),
    }  # fmt: skip
