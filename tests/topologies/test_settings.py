"""Sizes and timers that no stage can have are refused in one line that names them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from topologies.stage import BadSettings, Settings

NAMES = {
    "mode": "mode", "wiring": "wiring", "balancers": "balancers", "web_servers": "web servers",
    "app_servers": "app servers", "advert_int_s": "advert_int", "check_inter_s": "check inter",
    "check_fall": "check fall", "check_rise": "check rise", "server_cores": "server cores",
    "server_memory_mb": "server memory", "link_mbit": "link rate",
}  # fmt: skip


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
    ],
)
def test_the_bounds_themselves_are_accepted(name: str, values: list[Any]) -> None:
    for value in values:
        assert Settings(**{name: value}).as_dict()[name] == value


def test_every_setting_has_a_bound_tested_here() -> None:
    assert set(Settings.names()) == NAMES.keys()
