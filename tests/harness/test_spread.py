"""Counting who chose whom, and the shares that algorithms promise."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from experiments.harness import spread
from experiments.harness.spread import Choice, no_worse_than_chance, slow_share, taking_turns
from tests.harness.synthetic_spread import LAYOUT, phase, probe, turns


def test_each_hop_is_the_choice_of_the_one_before() -> None:
    probes = [probe(k, way) for k, way in enumerate(["lb1>web1>app2", "lb1>web2>app2", "lb2>web1>app1"])]
    assert spread.chosen_at(probes, 0, ("web1", "web2")) == {
        "lb1": {"web1": 1, "web2": 1}, "lb2": {"web1": 1, "web2": 0}
    }  # fmt: skip
    assert spread.chosen_at(probes, 1, ("app1", "app2")) == {
        "web1": {"app1": 1, "app2": 1}, "web2": {"app1": 0, "app2": 1}
    }  # fmt: skip


def test_a_server_nobody_declared_is_counted_too() -> None:
    (counts,) = spread.chosen_at([probe(0, "lb1>web9>app1")], 0, ("web1", "web2")).values()
    assert counts == {"web1": 0, "web2": 0, "web9": 1}


def test_an_answer_that_came_from_half_way_is_left_out() -> None:
    assert spread.chosen_at([probe(0, "lb1"), probe(1, "", outcome="refused")], 0, ("web1",)) == {}


def test_turns_give_each_its_part_give_or_take_one_and_one_at_the_edge() -> None:
    low, high = taking_turns(("a", "b"), 320)["a"]
    assert [low * 320, high * 320] == pytest.approx([158, 162])


def test_strangers_who_take_turns_may_all_have_met_the_same_server() -> None:
    low, high = taking_turns(("a", "b"), 320, strangers=10, streams=2)["a"]
    assert low * 320 == pytest.approx(320 / 2 + 5 - 1 - 10 - 2)
    assert high * 320 == pytest.approx(320 / 2 + 5 + 1 + 2)


@pytest.mark.parametrize(("checks", "servers"), [(0, 2), (7, 2), (10, 3), (23, 4)])
def test_turns_shared_with_health_checks_stay_within_what_is_predicted(checks: int, servers: int) -> None:
    """nginx's own turns, played: 317 requests of ours among them, the checks wherever they do most harm."""
    names = [f"app{n}" for n in range(servers)]
    for victim in range(servers):
        counts, turn, left = dict.fromkeys(names, 0), 0, checks
        for _ in range(317):
            while left and turn % servers == victim:
                turn, left = turn + 1, left - 1  # a check takes the turn that was the victim's
            counts[names[turn % servers]] += 1
            turn += 1
        for name, (low, high) in taking_turns(names, 317, strangers=checks).items():
            assert low <= counts[name] / 317 <= high


def test_fair_coins_stay_within_their_interval_and_a_bent_one_does_not() -> None:
    low, high = no_worse_than_chance(("a", "b"), 400)["a"]
    assert low == pytest.approx(0.5 - 2.576 * 0.025 - 1 / 400, abs=1e-4)
    assert high == pytest.approx(1 - low)
    assert not low <= 2 / 3 <= high


def leastconn(rate_hz: float, fast_s: float, slow_s: float, servers: int, n: int = 4000) -> float:
    """HAProxy's leastconn, played: fewest connections first, turns among equals. The slow one's share."""
    busy: list[list[float]] = [[] for _ in range(servers)]
    order, chosen_slow = list(range(servers)), 0
    for k in range(n):
        now_s = k / rate_hz
        busy = [[end_s for end_s in ends if end_s > now_s] for ends in busy]
        best = min(order, key=lambda server: len(busy[server]))
        order.remove(best)
        order.append(best)
        busy[best].append(now_s + (slow_s if best == servers - 1 else fast_s))
        chosen_slow += best == servers - 1
    return chosen_slow / n


@pytest.mark.parametrize("servers", [2, 3, 5])
@pytest.mark.parametrize("slow_s", [0.05, 0.2, 0.7, 3.0])
@pytest.mark.parametrize("fast_s", [0.001, 0.007, 0.024])
def test_a_played_leastconn_leaves_the_slow_server_what_little_says(
    servers: int, slow_s: float, fast_s: float
) -> None:
    low, high = spread.widened(slow_share(40.0, fast_s, slow_s, servers), 4000)
    assert low <= leastconn(40.0, fast_s, slow_s, servers) <= high


def test_the_share_of_the_slow_server_is_narrow_enough_to_be_wrong() -> None:
    low, high = slow_share(40.0, 0.007, 0.707, 2)
    assert [low, high] == pytest.approx([1 / 30.28, 1.28 / 28.56])
    assert high < 0.05 < 0.5


@pytest.mark.parametrize(
    ("rate_hz", "fast_s", "slow_s", "servers"), [(40, 0.03, 0.7, 2), (40, 0.7, 0.007, 2), (40, 0.007, 0.7, 1)]
)
def test_where_the_model_does_not_apply_there_is_no_prediction(
    rate_hz: float, fast_s: float, slow_s: float, servers: int
) -> None:
    with pytest.raises(ValueError, match=r"fast"):
        slow_share(rate_hz, fast_s, slow_s, servers)
    with pytest.raises(ValueError, match=r"fast"):
        slow_share(rate_hz, math.nan, math.nan, servers)


def test_turns_hold_and_are_more_even_than_chance() -> None:
    choices = spread.web_choices(LAYOUT, phase("roundrobin", turns()), "roundrobin")
    assert [c.words for c in choices] == [
        "lb1: web1 80, web2 80 (p = 1.00)", "lb2: web1 80, web2 80 (p = 1.00)"
    ]  # fmt: skip
    assert all(c.held for c in choices)
    apps = spread.app_choices(LAYOUT, phase("roundrobin", turns()))
    assert [c.chooser for c in apps] == ["nginx on web1", "nginx on web2"]
    assert all(c.held for c in apps)


def test_three_requests_too_many_are_no_turns_though_chance_would_allow_them() -> None:
    ways = ["lb1>web1>app1"] * 163 + ["lb1>web2>app1"] * 157
    (choice,) = spread.web_choices(LAYOUT, phase("roundrobin", ways), "roundrobin")
    assert choice.p is not None
    assert choice.p > 0.5
    assert choice.held is False
    (choice,) = spread.web_choices(LAYOUT, phase("leastconn", ways), "leastconn")
    assert choice.held


def test_two_to_one_is_no_round_robin() -> None:
    ways = ["lb1>web1>app1", "lb1>web2>app1", "lb1>web1>app2"] * 50
    (choice,) = spread.web_choices(LAYOUT, phase("weights", ways), "roundrobin")
    assert choice.held is False
    assert choice.p is not None
    assert choice.p < 0.001


def test_source_means_one_server_and_no_other() -> None:
    (choice,) = spread.web_choices(LAYOUT, phase("source", ["lb1>web2>app1"] * 100), "source")
    assert choice.held
    ways = ["lb1>web2>app1"] * 99 + ["lb1>web1>app1"]
    (choice,) = spread.web_choices(LAYOUT, phase("source", ways), "source")
    assert choice.held is False


def test_where_nginx_has_one_upstream_it_has_no_choice() -> None:
    assert spread.app_choices(replace(LAYOUT, apps=()), phase("roundrobin", turns())) == []


def test_who_chose_nothing_neither_held_nor_deviated() -> None:
    nothing = Choice("lb1", {"web1": 0, "web2": 0}, {"web1": (0.4, 0.6)}, {"web1": 0.5, "web2": 0.5})
    assert (nothing.held, nothing.p, nothing.shares) == (None, None, {})


def test_health_checks_of_every_balancer_come_to_every_nginx() -> None:
    assert LAYOUT.strangers(8.0) == 10


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(n) for n in range(1, 101)]
    assert spread.percentile_s(values, 0.95) == 95.0
    assert spread.percentile_s([3.0, 1.0], 0.5) == 1.0
    with pytest.raises(ValueError, match="no percentile"):
        spread.percentile_s([], 0.5)


def test_the_mean_time_counts_from_the_connection_and_failures_not_at_all() -> None:
    rows = phase("even", ["lb1>web1>app1", "lb1>web2>app1"], {"web1": 0.004, "web2": 0.008})
    assert spread.mean_served_s([rows]) == pytest.approx(0.006)
    assert math.isnan(spread.mean_served_s([]))
