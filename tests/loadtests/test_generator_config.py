"""What a generator is told is checked before anything is sent, and what it will send follows from it."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from loadtests.connection import Lane, Place
from loadtests.generator_config import GeneratorConfig, KindConfig
from loadtests.json_config import ConfigError
from loadtests.schedule import Mix, Template, interleaved
from tests.loadtests.generating import ORDER, READ, config_of
from tests.loadtests.known_truth import HOST, ROOT


def due_times(count: int, **more: Any) -> list[float]:
    mix = Mix(config_of(80, **more), [Lane(Place(host=HOST, port=80, connect_to="127.0.0.1"))])
    mix.start(1000.0)
    return [mix.take().due_s for _ in range(count)]


def test_a_configuration_survives_json() -> None:
    config = config_of(8080, READ, ORDER, arrivals="poisson", ids=(3, 9), output="probes.csv", warmup_s=1)
    assert GeneratorConfig.from_json(config.to_json()) == config


READ_KIND = {"name": "read", "path": "/"}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kinds": []}, "kinds: at least one"),
        ({"kinds": [READ_KIND, READ_KIND]}, "names must differ"),
        ({"kinds": [{"name": "read"}]}, "a kind needs 'path'"),
        ({"kinds": [READ_KIND | {"path": "items"}]}, "kind read: path"),
        ({"kinds": [READ_KIND | {"path": "/items/{number}"}]}, "only {id} and {uuid}"),
        ({"kinds": [READ_KIND | {"path": "/a b"}]}, "plain ASCII"),
        ({"kinds": [READ_KIND | {"weight": 0}]}, "weight 0"),
        ({"kinds": [READ_KIND | {"weight": True}]}, "weight must be int"),
        ({"kinds": [READ_KIND | {"method": "DELETE"}]}, "GET, PUT, POST"),
        ({"kinds": [READ_KIND | {"body": "x"}]}, "a GET has no body"),
        ({"kinds": [READ_KIND | {"expect_status": []}]}, "expect_status"),
        ({"kinds": [READ_KIND | {"expect_status": ["200"]}]}, "expect_status must be tuple"),
        ({"kinds": [READ_KIND | {"expect_status": 200}]}, "expect_status must be tuple"),
        ({"kinds": [READ_KIND | {"content_type": "a\r\nb"}]}, "content_type"),
        ({"url": "http://www.foobar.com/items"}, "the path belongs to a kind"),
        ({"url": "https://www.foobar.com"}, "https needs ca_file"),
        ({"rate_hz": 0}, "rate_hz"),
        ({"rate_hz": float("nan")}, "rate_hz"),
        ({"duration_s": 0}, "duration_s"),
        ({"duration_s": 4000}, "at most 3600 s"),
        ({"warmup_s": -1}, "warmup_s"),
        ({"arrivals": "bursts"}, "uniform or poisson"),
        ({"ids": [5, 1]}, "ids"),
        ({"ids": [1]}, "ids"),
        ({"connect_to": ["lb1"]}, "not an IP address"),
        ({"connect_to": "127.0.0.1"}, "connect_to must be tuple"),
        ({"connect_to": []}, "connect_to or a nameserver"),
        ({"nameserver": "dns1"}, "nameserver"),
        ({"connections": 0}, "connections"),
        ({"retries": 3}, "no field 'retries'"),
    ],
)
def test_a_wrong_configuration_is_one_clear_line(changes: dict[str, Any], complaint: str) -> None:
    document = json.loads(config_of(8080).to_json()) | changes
    with pytest.raises(ConfigError, match=complaint) as raised:
        GeneratorConfig.from_json(json.dumps(document))
    assert "\n" not in str(raised.value)


def test_the_command_line_says_what_is_wrong_and_exits_2(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"kinds": []}')
    for config in (path, tmp_path / "missing.json"):
        done = subprocess.run(
            [sys.executable, "-m", "loadtests.generator", str(config)],
            cwd=ROOT, capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("generator: ")
        assert done.stderr.count("\n") == 1


# --- the mix


@pytest.mark.parametrize("weights", [(1,), (1, 1), (3, 1), (9, 3, 1), (70, 20, 10), (5, 5, 4, 1, 1)])
def test_every_cycle_has_the_exact_shares_and_no_part_of_it_strays_from_them(
    weights: tuple[int, ...],
) -> None:
    cycle = interleaved(weights)
    assert Counter(cycle) == Counter(dict(enumerate(weights)))
    for i, weight in enumerate(weights):
        for length in range(len(cycle)):
            assert abs(cycle[:length].count(i) - length * weight / sum(weights)) <= 1


def test_braces_that_are_no_place_to_fill_are_text() -> None:
    template = Template('{"item_id": {id}, "note": "{x}", "id": "{uuid}", "again": {id}}')
    assert template.fill(b"7", b"u-u") == b'{"item_id": 7, "note": "{x}", "id": "u-u", "again": 7}'
    assert template.names == {"{id}", "{uuid}"}


def test_uniform_arrivals_are_evenly_spaced_from_the_start() -> None:
    assert due_times(4, rate_hz=50.0) == pytest.approx([1000.0, 1000.02, 1000.04, 1000.06])


def test_poisson_gaps_are_exponential() -> None:
    times = due_times(20_001, rate_hz=400.0, arrivals="poisson")
    gaps = [b - a for a, b in pairwise(times)]
    mean_s = statistics.fmean(gaps)
    assert mean_s == pytest.approx(1 / 400, rel=0.03)  # four standard errors
    assert statistics.stdev(gaps) / mean_s == pytest.approx(1, abs=0.04)
    assert sum(gap > 2 / 400 for gap in gaps) / len(gaps) == pytest.approx(0.1353, abs=0.01)  # e^-2
    neighbours = statistics.correlation(gaps[:-1], gaps[1:])
    assert abs(neighbours) < 0.03


def test_arrivals_follow_from_the_seed_and_not_from_the_mix() -> None:
    mixed = {"arrivals": "poisson", "rate_hz": 10.0}
    assert due_times(50, seed=1, **mixed) == due_times(50, seed=1, **mixed)
    assert due_times(50, seed=1, **mixed) != due_times(50, seed=2, **mixed)


def test_the_seed_decides_the_numbers_and_where_the_cycle_begins_but_no_unique_id() -> None:
    def made(seed: int) -> list[tuple[str, bytes, str]]:
        kinds = (KindConfig("read", "/items/{id}", weight=3), ORDER)
        lane = Lane(Place(host=HOST, port=80, connect_to="127.0.0.1"))
        mix = Mix(config_of(80, *kinds, seed=seed, ids=(1, 1000)), [lane])
        mix.start(0.0)
        return [(r.kind.name, r.data, r.mark) for r in (mix.take() for _ in range(40))]

    one, same, other = made(1), made(1), made(2)
    assert [m[0] for m in one] == [m[0] for m in same]
    reads = [[m[1] for m in run if m[0] == "read"] for run in (one, same, other)]
    assert reads[0] == reads[1] != reads[2]
    marks = [m[2] for run in (one, same) for m in run if m[0] == "order"]
    assert len(set(marks)) == len(marks) == 20
