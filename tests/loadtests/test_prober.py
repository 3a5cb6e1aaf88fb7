"""The prober against a server whose failures are known to the millisecond, on the same clock."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from experiments.harness.outages import episodes
from loadtests.probes import Probe, read_probes
from tests.loadtests.known_truth import (
    HOST,
    PERIOD_S,
    RATE_HZ,
    certificate,
    config_for,
    flaky_server,
    let_time_pass,
    prober,
)  # fmt: skip


@dataclass
class Measured:
    """The true duration of a fault lies between `shortest_s` and `longest_s`."""

    shortest_s: float
    longest_s: float
    probes: list[Probe]
    summary: dict[str, Any]

    @property
    def is_right(self) -> bool:
        """One outage, as long as the server knows it was."""
        found = episodes(self.probes, PERIOD_S)
        return len(found) == 1 and self.agrees_with(found[0].outage_s)

    def agrees_with(self, measured_s: float | None) -> bool:
        """Within two probe periods of the truth."""
        assert measured_s is not None
        return self.shortest_s - 2 * PERIOD_S <= measured_s <= self.longest_s + 2 * PERIOD_S


def measure(fault: str, for_s: float, tmp_path: Path, *, keep_alive: bool = False) -> Measured:
    """A run that the machine starved does not count and is repeated once, as trials are."""
    for _ in range(2):
        with ExitStack() as stack:
            server = stack.enter_context(flaky_server(fault))
            watching = stack.enter_context(prober(config_for(server.port, tmp_path, keep_alive=keep_alive)))
            let_time_pass(0.15)
            fail_s = server.fail()
            let_time_pass(for_s)
            recover_s = server.recover()
            let_time_pass(0.15)
            probes, summary = watching.finish()
        if summary["streams"]["new"]["lateness_ms"]["p99"] < 5:
            break
    return Measured(recover_s[0] - fail_s[1], recover_s[1] - fail_s[0], probes, summary)


def two_of_three(fault: str, for_s: float, tmp_path: Path) -> Measured:
    """The median of three runs is within the bound; the first alone decides where it is already right.

    The server shares two noisy cores with the prober: now and then it is itself late to break or to answer.
    """
    runs = [measure(fault, for_s, tmp_path)]
    if not runs[0].is_right:
        runs += [measure(fault, for_s, tmp_path) for _ in range(2)]
    right = [run for run in runs if run.is_right]
    assert 2 * len(right) > len(runs), [episodes(run.probes, PERIOD_S) for run in runs]
    return right[0]


@pytest.mark.parametrize(
    ("fault", "for_s", "outcome", "at_the_edges"),
    [
        ("refuse", 0.25, "refused", {"reset"}),
        ("503", 0.25, "http-503", set()),
        ("wrong-body", 0.25, "wrong-body", set()),
        ("reset", 0.25, "reset", set()),
        ("close-early", 0.25, "closed-early", set()),
        ("freeze", 0.7, "read-timeout", {"slow"}),
        ("freeze-and-drop", 0.7, "read-timeout", set()),
    ],
)
def test_a_known_outage_is_measured_within_two_probe_periods(
    fault: str, for_s: float, outcome: str, at_the_edges: set[str], tmp_path: Path
) -> None:
    m = two_of_three(fault, for_s, tmp_path)
    (outage,) = episodes(m.probes, PERIOD_S)
    assert outage.upper_s is not None
    assert outage.lower_s - PERIOD_S <= m.longest_s
    assert outage.upper_s + PERIOD_S >= m.shortest_s
    # A door that closes resets whom it had let in but not yet served; who waits exactly as long as the
    # timeout, and was sent a little late, is answered in time and yet slow.
    assert set(outage.errors) - at_the_edges == {outcome}
    assert m.summary["streams"]["new"]["bad"] == outage.errors


def test_answers_held_back_for_less_than_the_slo_are_no_outage(tmp_path: Path) -> None:
    m = measure("freeze", 0.25, tmp_path)
    assert episodes(m.probes, PERIOD_S) == []
    assert max(p.latency_s for p in m.probes) >= m.shortest_s - 2 * PERIOD_S  # they were held, though


def test_a_server_without_fault_shows_no_outage(tmp_path: Path) -> None:
    m = measure("none", 0.3, tmp_path)
    probes, summary = m.probes, m.summary
    assert episodes(probes, PERIOD_S) == []
    assert {p.outcome for p in probes} == {"ok"}
    assert [p.k for p in probes] == list(range(len(probes)))
    assert {p.served_by for p in probes} == {"web1>app1"}
    assert {p.address for p in probes} == {"127.0.0.1"}
    for p in probes:
        assert p.connected_s is not None
        assert p.first_byte_s is not None
        assert p.due_s <= p.sent_s <= p.connected_s <= p.first_byte_s <= p.end_s
    assert probes[-1].due_s - probes[0].due_s == pytest.approx((len(probes) - 1) * PERIOD_S, abs=1e-5)
    stream = summary["streams"]["new"]
    assert (stream["sent"], stream["good"], stream["bad"]) == (len(probes), len(probes), {})
    assert 0 < summary["cpu_share"] < 1
    assert summary["in_flight_max"] >= 1


def test_kept_alive_connections_see_the_same_outage(tmp_path: Path) -> None:
    m = measure("503", 0.25, tmp_path, keep_alive=True)
    (outage,) = episodes(m.probes, PERIOD_S)
    assert m.agrees_with(outage.outage_s)
    assert sum(p.connected_s is not None for p in m.probes) < len(m.probes) / 10  # the others had no need to


def test_a_stopped_prober_skips_nothing_and_says_how_late_it_was(tmp_path: Path) -> None:
    with flaky_server() as server, prober(config_for(server.port, tmp_path)) as p:
        let_time_pass(0.2)
        stopped_s = time.monotonic()
        p.process.send_signal(signal.SIGSTOP)
        let_time_pass(0.3)
        continued_s = time.monotonic()
        p.process.send_signal(signal.SIGCONT)
        let_time_pass(0.2)
        probes, summary = p.finish()
    assert [row.k for row in probes] == list(range(len(probes)))
    late = [row for row in probes if stopped_s + 0.01 < row.due_s < continued_s]
    assert len(late) == pytest.approx(0.29 * RATE_HZ, abs=4)
    for row in late:
        assert row.sent_s >= continued_s - 0.001
        assert row.lateness_s == pytest.approx(continued_s - row.due_s, abs=0.05)
    assert summary["streams"]["new"]["lateness_ms"]["max"] == pytest.approx(300, abs=60)
    assert episodes(probes, PERIOD_S) == []  # its own pause is lateness, not an outage


def test_rows_are_on_disk_while_it_runs(tmp_path: Path) -> None:
    with flaky_server() as server, prober(config_for(server.port, tmp_path)) as p:
        let_time_pass(0.5)
        now_s = time.monotonic()
        newest_s = max(row.end_s for row in read_probes(p.output))
        assert (
            now_s - newest_s < 0.1 + 2 * PERIOD_S + 0.05
        )  # a tick, a period, and the scheduler of a busy machine
        p.finish()


def test_it_ends_by_itself_after_its_duration(tmp_path: Path) -> None:
    with flaky_server() as server:
        config = replace(config_for(server.port, tmp_path), duration_s=0.25)
        with prober(config) as p:
            probes, _ = p.wait()
    assert len(probes) == 50


def test_probes_in_flight_at_the_end_are_waited_for(tmp_path: Path) -> None:
    with flaky_server("freeze") as server, prober(config_for(server.port, tmp_path)) as p:
        let_time_pass(0.2)
        server.fail()
        let_time_pass(0.1)
        before_s = time.monotonic()
        probes, _ = p.finish()
        assert 0.3 < time.monotonic() - before_s < 2
    assert probes[-1].outcome == "read-timeout"
    assert [row.k for row in probes] == list(range(len(probes)))


@pytest.mark.parametrize(
    ("host_in_certificate", "trusted", "outcome"),
    [(HOST, True, "ok"), ("www.example.com", True, "tls"), (HOST, False, "tls")],
    ids=["right", "wrong-host", "unknown-ca"],
)
@pytest.mark.parametrize("keep_alive", [False, True])
def test_https_is_verified_against_the_given_ca_and_the_host(
    host_in_certificate: str, trusted: bool, outcome: str, keep_alive: bool, tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path, "served", host_in_certificate)
    ca, _ = (cert, key) if trusted else certificate(tmp_path, "another", HOST)
    with flaky_server("none", "--cert", str(cert), "--key", str(key)) as server:
        config = config_for(server.port, tmp_path, ca_file=str(ca), keep_alive=keep_alive)
        with prober(replace(config, duration_s=0.2)) as p:
            probes, _ = p.wait()
    assert {row.outcome for row in probes} == {outcome}
    assert len(probes) == 40
    if not keep_alive or outcome == "tls":
        assert all(row.connected_s is not None for row in probes)


def test_a_silent_tls_handshake_is_a_read_timeout(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "served", HOST)
    with flaky_server("freeze", "--cert", str(cert), "--key", str(key)) as server:
        server.fail()
        config = config_for(server.port, tmp_path, ca_file=str(cert))
        with prober(replace(config, duration_s=0.1, timeout_s=0.2)) as p:
            probes, _ = p.wait()
    assert {row.outcome for row in probes} == {"read-timeout"}
    assert all(row.connected_s is not None and row.first_byte_s is None for row in probes)
