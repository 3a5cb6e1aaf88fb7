"""Follow times count from the moment a change was in effect, for clients that were there before it."""

from __future__ import annotations

import random

import pytest

from experiments.harness.following import (
    BUSY,
    DEAF,
    IN_STEP,
    Change,
    Prediction,
    followed,
    in_effect_s,
    lateness_ms,
    never,
    stale,
    times_of,
)
from loadtests.stub_cache import Lookup

OLD, NEW = ("8.8.8.8",), ("8.8.8.80",)
CHANGE = Change(frozenset(NEW), asked_s=100.0, in_force_s=100.2, end_s=111.0)


def told(client: str, at_s: float, addresses: tuple[str, ...] = NEW) -> Lookup:
    return Lookup(client, at_s - 0.002, at_s - 0.001, at_s, addresses)


def test_a_client_follows_with_its_first_new_answer() -> None:
    rows = [told("a/1", 95, OLD), told("a/1", 105), told("a/1", 109)]
    (client,) = followed(CHANGE, rows)
    assert (client.client, client.group) == ("a/1", "a")
    assert client.after_s == pytest.approx(105 - 100.2)


def test_whoever_was_told_before_the_reload_was_seen_to_be_over_sets_the_moment() -> None:
    rows = [told("a/1", 95, OLD), told("a/2", 96, OLD), told("a/1", 100.1), told("a/2", 104.1)]
    assert in_effect_s(CHANGE, rows) == 100.1
    assert [one.after_s for one in followed(CHANGE, rows)] == pytest.approx([0.0, 4.0])


def test_one_that_is_told_the_old_address_again_has_not_followed() -> None:
    (client,) = followed(CHANGE, [told("a/1", 95, OLD), told("a/1", 100.05, OLD), told("a/1", 108)])
    assert client.after_s == pytest.approx(7.8)


def test_one_of_two_addresses_is_not_the_new_zone() -> None:
    both = Change(frozenset({"8.8.8.8", "8.8.8.9"}), 100.0, 100.2, 111.0)
    rows = [
        told("a/1", 95, NEW),
        told("a/1", 103, (*NEW, "8.8.8.8")),
        told("a/1", 106, ("8.8.8.9", "8.8.8.8")),
    ]
    (client,) = followed(both, rows)
    assert client.after_s == pytest.approx(5.8)


def test_one_that_never_asks_again_is_censored_and_one_that_came_later_does_not_count() -> None:
    clients = followed(CHANGE, [told(f"{DEAF}/1", 95, OLD), told(f"{BUSY}/9", 103)])
    assert never(DEAF, clients) == 1
    assert never(BUSY, clients) == 0
    assert times_of(DEAF, clients) == times_of(BUSY, clients) == []


def test_an_answer_that_did_not_come_is_neither_old_nor_new() -> None:
    rows = [told("a/1", 95, OLD), told("a/1", 103, ()), told("a/1", 104)]
    assert followed(CHANGE, rows)[0].after_s == pytest.approx(3.8)
    assert stale(CHANGE, rows) == 0


def test_an_old_answer_after_the_change_was_in_force_is_the_servers_fault() -> None:
    assert stale(CHANGE, [told("a/1", 100.1, OLD), told("a/1", 103, OLD), told("a/1", 104)]) == 1


# -- predictions -----------------------------------------------------------------------------------------


def test_the_median_is_predicted_around_half_of_the_ttl_the_closer_the_more_clients() -> None:
    low_s, high_s = Prediction(10.0, 100).median_s
    assert low_s + high_s == pytest.approx(10.0)
    assert high_s - 5.0 == pytest.approx(3.2905 * 10 / 20, rel=1e-3)
    assert Prediction(10.0, 10_000).median_s[0] > 4.8
    assert Prediction(10.0, 4).median_s == (0.0, 10.0)


def test_even_clients_stay_within_what_is_predicted() -> None:
    draw, prediction = random.Random(3), Prediction(10.0, 100)
    outside = 0
    for _ in range(500):
        sample = sorted(draw.uniform(0, 10) for _ in range(100))
        low_s, high_s = prediction.median_s
        outside += not low_s <= (sample[49] + sample[50]) / 2 <= high_s
    assert outside <= 4


def test_those_in_step_wait_for_each_other_and_do_not_count_as_late() -> None:
    late = Lookup(f"{BUSY}/1", 1.0, 1.03, 1.04, OLD)
    burst = Lookup(f"{IN_STEP}/1", 1.0, 9.0, 9.1, OLD)
    assert lateness_ms([late, burst]) == pytest.approx(30.0)
    assert lateness_ms([]) == 0.0
