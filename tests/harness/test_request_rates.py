"""Four sources agree once what only some of them count is known, and disagree when it is not."""

from __future__ import annotations

import math

import pytest

from experiments.harness.prometheus_api import Sample
from experiments.harness.request_rates import (
    TOLERANCE,
    Count,
    Window,
    counter_window,
    expected,
    rates,
    residual,
    worst,
)
from topologies.waiting import TestbedError


def samples(start: int, each: int) -> list[Sample]:
    """Every two seconds, `each` more."""
    return [Sample(2.0 * n, start + each * n) for n in range(8)]


def test_a_counter_is_read_between_the_outermost_samples_of_the_window() -> None:
    window, counted = counter_window(samples(100, 62), 1.0, 11.0)
    assert (window.start_s, window.end_s, counted) == (2.0, 10.0, 4 * 62)


@pytest.mark.parametrize(("start_s", "end_s"), [(1.0, 3.0), (20.0, 30.0)])
def test_one_sample_is_no_difference(start_s: float, end_s: float) -> None:
    with pytest.raises(TestbedError, match="no difference"):
        counter_window(samples(0, 1), start_s, end_s)


def test_a_daemon_that_started_anew_is_noticed() -> None:
    with pytest.raises(TestbedError, match="reset"):
        counter_window([Sample(0, 90), Sample(2, 100), Sample(4, 7)], 0, 4)


def test_an_edge_belongs_to_one_window_only() -> None:
    moments = [0.0, 1.0, 2.0]
    assert Window(0.0, 1.0).count(moments) + Window(1.0, 2.0).count(moments) == 2


def test_two_balancers_check_twice_as_often() -> None:
    assert expected(1, 2.0, 2.0).checks_hz == 0.5
    assert expected(2, 2.0, 4.0) == expected(1, 1.0, 4.0)


WINDOW = Window(0.0, 10.0)


def counts(clients: int) -> list[Count]:
    """Two web servers, each with half of the clients, five checks and five scrapes."""
    half = clients // 2
    nginx = [Count("nginx", web, WINDOW, half + 10, 10.0, half) for web in ("web1", "web2")]
    logs = [Count("log", web, WINDOW, half + 5, 5.0, half) for web in ("web1", "web2")]
    return [*nginx, *logs, Count("haproxy", "lb1", WINDOW, clients, 0.0, clients)]


def test_servers_add_up_and_the_sources_agree() -> None:
    found = rates(counts(600))
    assert [rate.source for rate in found] == ["nginx", "log", "haproxy"]
    assert [rate.clients_hz for rate in found] == [60.0, 60.0, 60.0]
    assert [rate.raw_hz for rate in found] == [62.0, 61.0, 60.0]
    assert worst(found) == pytest.approx(0.0)


def test_at_few_requests_checks_and_scrapes_are_what_makes_the_difference() -> None:
    nginx, *_ = rates(counts(100))
    assert nginx.raw_residual == pytest.approx(0.2)
    assert nginx.raw_residual > TOLERANCE > abs(nginx.residual)


def test_one_source_that_lost_requests_is_the_worst() -> None:
    lossy = [*counts(600), Count("lossy", "web1", WINDOW, 540, 0.0, 600)]
    assert worst(rates(lossy)) == pytest.approx(0.1)


def test_a_generator_that_did_nothing_agrees_with_nobody() -> None:
    assert residual(1.0, 0.0) == math.inf
    assert worst([]) == math.inf
