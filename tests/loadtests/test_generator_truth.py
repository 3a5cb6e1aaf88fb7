"""The generator against servers whose capacity, freezes and addresses are known."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtests.generator_config import KindConfig
from loadtests.histogram import Histogram, merged
from tests.loadtests.generating import Generated, command_of, config_of, generate, read, single_worker
from tests.loadtests.known_truth import flaky_server, let_time_pass, line_from, running
from tests.loadtests.small_servers import GOOD, answering, tcp_server
from tests.loadtests.test_lookup import name_server, records, refuse

SERVICE_MS = 5.0
CAPACITY_HZ = 1e3 / SERVICE_MS


def at_load(load: float, tmp_path: Path, **more: Any) -> Generated:
    """A trial that the machine starved does not count and is repeated, as trials are."""
    for _ in range(3):
        with single_worker(SERVICE_MS) as port:
            config = config_of(port, rate_hz=load * CAPACITY_HZ, warmup_s=0.2, duration_s=2.0, **more)
            seen = generate(config, tmp_path)
        if seen.summary["lateness_ms"]["p99"] < 5:
            break
    return seen


def test_at_half_load_the_latency_is_the_service_time(tmp_path: Path) -> None:
    s = at_load(0.5, tmp_path).summary
    assert s["offered"] == s["sent"] == s["completed"] == s["good"] == 200
    assert SERVICE_MS <= s["latency_ms"]["p50"] < SERVICE_MS + 2.5
    assert s["achieved_hz"] == pytest.approx(s["offered_hz"], rel=0.02)
    first, second = (half["latency_ms"]["p50"] for half in s["halves"])
    assert second < 1.5 * first


def test_beyond_capacity_the_queue_grows_and_the_achieved_rate_is_the_capacity(tmp_path: Path) -> None:
    s = at_load(1.2, tmp_path).summary
    first, second = (half["latency_ms"]["p95"] for half in s["halves"])
    assert second > 1.5 * first
    assert s["offered_hz"] == pytest.approx(1.2 * CAPACITY_HZ, rel=0.01)
    assert s["achieved_hz"] == pytest.approx(CAPACITY_HZ, rel=0.03)
    # After t seconds (1.2 - 1) * t of work is left: 2.2 s end with 440 ms of it.
    assert s["latency_ms"]["max"] == pytest.approx(0.2 * 2200, rel=0.15)
    assert s["good"] == s["offered"]  # late, but all of them came


def test_poisson_arrivals_wait_as_queueing_theory_says(tmp_path: Path) -> None:
    """M/D/1 at load 0.5: mean wait = 0.5 * service / (2 * 0.5) by Pollaczek and Khinchine. Uniform: none."""
    seen = at_load(
        0.5, tmp_path, arrivals="poisson", output=str(tmp_path / "probes.csv"), connections=64, seed=5
    )
    measured = [p.latency_s * 1e3 for p in seen.rows]
    assert len(measured) == pytest.approx(220, abs=50)
    mean_wait_ms = sum(measured) / len(measured) - SERVICE_MS
    assert 1.0 < mean_wait_ms < 6.0  # 2.5, of few requests and on a busy machine
    assert seen.summary["latency_ms"]["p95"] > 2 * SERVICE_MS


def test_a_freeze_is_seen_by_everyone_who_would_have_come(tmp_path: Path) -> None:
    """Who is due t before the thaw waits t: a straight ramp. A closed loop would have one slow request."""
    with flaky_server("freeze") as server:
        config = config_of(server.port, rate_hz=200.0, duration_s=1.0, output=str(tmp_path / "probes.csv"))
        with running(*command_of(config, tmp_path)) as process:
            assert process.stdout is not None
            line_from(process.stdout, "the generator to start")
            let_time_pass(0.3)
            frozen_s = server.fail()[1]
            let_time_pass(0.3)
            thaw_s, thawed_s = server.recover()
            out, _ = process.communicate(timeout=10)
    seen = read(config, out)
    held = [p for p in seen.rows if frozen_s <= p.due_s < thaw_s - 0.01]
    assert len(held) == pytest.approx((thaw_s - frozen_s) * 200, abs=4)
    for p in held:
        assert p.latency_s >= thaw_s - p.due_s - 0.002
    slowest = sorted(thawed_s - p.due_s - p.latency_s for p in held)
    assert abs(slowest[len(slowest) // 2]) < 0.05
    assert seen.summary["bad"] == {}
    assert seen.summary["latency_ms"]["max"] >= 1e3 * (thaw_s - frozen_s) - 15
    assert seen.summary["latency_ms"]["p90"] > 100  # 60 of 200 were held, the 20th longest for 200 ms
    assert [p.k for p in seen.rows] == list(range(200))


def test_a_generator_that_was_stopped_skips_nothing_and_hides_nothing(tmp_path: Path) -> None:
    """Its own pause is in the latency, which counts from due; lateness says whose pause it was."""
    with flaky_server() as server:
        config = config_of(server.port, rate_hz=200.0, duration_s=1.0)
        with running(*command_of(config, tmp_path)) as process:
            assert process.stdout is not None
            line_from(process.stdout, "the generator to start")
            let_time_pass(0.3)
            process.send_signal(signal.SIGSTOP)
            let_time_pass(0.3)
            process.send_signal(signal.SIGCONT)
            out, _ = process.communicate(timeout=10)
    s = read(config, out).summary
    assert (s["offered"], s["good"]) == (200, 200)
    assert s["lateness_ms"]["max"] == pytest.approx(300, abs=60)
    assert s["latency_ms"]["max"] >= s["lateness_ms"]["max"] >= s["lateness_ms"]["p99"] > 200
    assert s["latency_ms"]["p95"] > 150  # of 200, the tenth most delayed: 250 ms


def test_halves_and_kinds_merge_into_the_whole(tmp_path: Path) -> None:
    kinds = (KindConfig("a", "/a", weight=3), KindConfig("b", "/b"))
    with tcp_server(answering(*[GOOD] * 100)) as port:
        s = generate(config_of(port, *kinds, duration_s=0.4), tmp_path).summary
    for parts in (s["halves"], s["kinds"].values()):
        whole = merged(Histogram.from_document(part["histogram"]) for part in parts)
        assert whole.percentiles_ms() == s["latency_ms"]
        assert sum(part["offered"] for part in parts) == s["offered"] == 40
    assert {name: kind["offered"] for name, kind in s["kinds"].items()} == {"a": 30, "b": 10}


@pytest.mark.parametrize("keep_alive", [True, False])
def test_each_address_of_the_dns_answer_gets_half_of_every_kind(keep_alive: bool, tmp_path: Path) -> None:
    kinds = (KindConfig("a", "/a"), KindConfig("b", "/b"))  # in step with the two addresses
    with (
        tcp_server(answering(*[GOOD] * 100)) as port,
        tcp_server(answering(*[GOOD] * 100), "127.0.0.2", port),
        name_server(lambda query: records(query, "127.0.0.2", "127.0.0.1")) as (ip, dns_port),
    ):
        config = config_of(
            port, *kinds, connect_to=(), nameserver=f"{ip}:{dns_port}", duration_s=0.4,
            keep_alive=keep_alive, output=str(tmp_path / "probes.csv"),
        )  # fmt: skip
        seen = generate(config, tmp_path)
    assert seen.summary["addresses"] == {"127.0.0.1": 20, "127.0.0.2": 20}
    for name in ("a", "b"):
        mine = [p.address for p in seen.rows if p.stream == name]
        assert mine.count("127.0.0.1") == mine.count("127.0.0.2") == 10
    if not keep_alive:
        assert seen.summary["connections_opened"] == 40


def test_a_name_without_an_address_is_one_line_and_exit_2(tmp_path: Path) -> None:
    with name_server(refuse) as (ip, dns_port):
        config = replace(config_of(80), connect_to=(), nameserver=f"{ip}:{dns_port}")
        with running(*command_of(config, tmp_path)) as process:
            out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (2, "")
