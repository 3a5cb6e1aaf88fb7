"""What the generator sends, what it does when it must not or cannot, and what it says of it."""

from __future__ import annotations

import json
import re
import signal
import socket
import struct
import threading
import uuid
from collections import Counter
from pathlib import Path

import pytest

from loadtests.generator_config import KindConfig
from tests.loadtests.generating import (
    CREATED,
    ORDER,
    READ,
    Remembering,
    command_of,
    config_of,
    generate,
    read,
    receive,
)  # fmt: skip
from tests.loadtests.known_truth import HOST, certificate, flaky_server, let_time_pass, line_from, running
from tests.loadtests.small_servers import GOOD, answering, closed_port, silent, tcp_server


def test_a_write_has_an_id_of_its_own_in_path_and_body(tmp_path: Path) -> None:
    server = Remembering(CREATED)
    with tcp_server(server) as port:
        for _ in range(2):  # the same seed
            config = config_of(port, ORDER, ids=(1, 5), acknowledged=str(tmp_path / "writes.csv"))
            seen = generate(config, tmp_path)
            assert (seen.summary["good"], seen.summary["bad"]) == (30, {})
    ids, items = [], []
    for head, body in server.requests:
        line = re.match(rb"PUT /api/orders/([0-9a-f-]{36}) HTTP/1\.1\r\n", head)
        assert line is not None
        assert b"\r\nContent-Type: application/json\r\n" in head
        document = json.loads(body)
        assert document["order"] == line[1].decode() == str(uuid.UUID(document["order"]))
        ids.append(document["order"])
        items.append(document["item_id"])
    assert len(set(ids)) == len(ids) == 60
    assert set(items) == {1, 2, 3, 4, 5}
    assert items[:30] == items[30:] or sorted(items[:30]) == sorted(items[30:])  # of the seed
    assert set(seen.fates) == set(ids[30:])
    assert set(seen.fates.values()) == {"acknowledged"}


def test_kinds_are_sent_in_their_exact_shares_and_keep_to_their_own_right_answers(tmp_path: Path) -> None:
    def handle(connection: socket.socket) -> None:
        while request := receive(connection):
            connection.sendall(CREATED if request[0].startswith(b"PUT") else GOOD)

    kinds = (KindConfig("read", "/items/{id}", weight=7, expect_text="hello"), ORDER, KindConfig("new", "/"))
    with tcp_server(handle) as port:
        config = config_of(port, *kinds, rate_hz=180.0, duration_s=0.5, output=str(tmp_path / "p.csv"))
        seen = generate(config, tmp_path)
    assert {name: k["offered"] for name, k in seen.summary["kinds"].items()} == {
        "read": 70,
        "order": 10,
        "new": 10,
    }
    assert (seen.summary["good"], seen.summary["bad"]) == (90, {})
    names = "".join(p.stream[0] for p in seen.rows)
    assert max(len(run) for run in names.split("o") if run) <= 9  # never a burst, never a drought
    assert "rrrrrr" not in names


def test_one_of_several_expected_statuses_is_right(tmp_path: Path) -> None:
    answers = [CREATED, GOOD] * 50
    with tcp_server(answering(*answers)) as port:
        either = KindConfig("order", "/api/orders/{uuid}", method="PUT", body="{}", expect_status=(200, 201))
        assert generate(config_of(port, either), tmp_path).summary["bad"] == {}
    with tcp_server(answering(*answers)) as port:
        bad = generate(config_of(port, READ, connections=1), tmp_path).summary["bad"]
    assert bad == {"http-201": 15}


# --- nothing is sent twice, nothing is hidden


def test_a_server_that_resets_is_reported_and_never_asked_again(tmp_path: Path) -> None:
    """Locust's FastHttpUser sends an idempotent request again, and reports one success for five resets."""
    seen_by_server: list[bytes] = []

    def handle(connection: socket.socket) -> None:
        while request := receive(connection):
            seen_by_server.append(request[0].split()[1])
            if len(seen_by_server) % 3 == 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            connection.sendall(CREATED)

    with tcp_server(handle) as port:
        config = config_of(port, ORDER, acknowledged=str(tmp_path / "writes.csv"), connections=1)
        seen = generate(config, tmp_path)
    assert (seen.summary["good"], seen.summary["bad"]) == (20, {"reset": 10})
    assert len(seen_by_server) == len(set(seen_by_server)) == 30
    assert Counter(seen.fates.values()) == {"acknowledged": 20, "indeterminate": 10}


@pytest.mark.parametrize(
    ("answer", "fate"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "indeterminate"),
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", "failed"),
        (CREATED[:-1], "indeterminate"),
        (b"", "indeterminate"),
    ],
    ids=["503", "400", "half an answer", "no answer"],
)
def test_only_a_whole_right_answer_acknowledges_a_write(answer: bytes, fate: str, tmp_path: Path) -> None:
    with tcp_server(answering(answer)) as port:
        seen = generate(config_of(port, ORDER, acknowledged=str(tmp_path / "writes.csv")), tmp_path)
    assert Counter(seen.fates.values()) == {fate: 30}
    assert seen.summary["good"] == 0


def test_a_write_that_was_never_sent_failed(tmp_path: Path) -> None:
    config = config_of(closed_port(), ORDER, acknowledged=str(tmp_path / "writes.csv"))
    seen = generate(config, tmp_path)
    assert (seen.summary["bad"], seen.summary["completed"]) == ({"refused": 30}, 0)
    assert Counter(seen.fates.values()) == {"failed": 30}


def test_with_all_connections_busy_a_request_waits_for_one_and_says_so(tmp_path: Path) -> None:
    def handle(connection: socket.socket) -> None:
        while connection.recv(4096):
            threading.Event().wait(0.025)  # two of these can do 80 a second, and 100 are asked
            connection.sendall(GOOD)

    with tcp_server(handle) as port:
        s = generate(config_of(port, connections=2, duration_s=0.5), tmp_path).summary
    assert (s["offered"], s["sent"], s["good"], s["connections_opened"]) == (50, 50, 50, 2)
    assert s["pool_wait_ms"]["waited"] > 30
    assert s["latency_ms"]["max"] >= s["pool_wait_ms"]["max"] + 25 > 100  # the wait is in the latency
    assert s["lateness_ms"]["p50"] < 10  # but is none of the generator's


def test_a_wait_for_a_connection_ends_with_the_timeout(tmp_path: Path) -> None:
    def hold(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    with tcp_server(hold) as port:
        config = config_of(
            port,
            ORDER,
            connections=3,
            timeout_s=0.5,
            duration_s=0.3,
            acknowledged=str(tmp_path / "writes.csv"),
        )
        with running(*command_of(config, tmp_path)) as process:
            assert process.stdout is not None
            line_from(process.stdout, "the generator to start")
            let_time_pass(0.35)
            process.send_signal(signal.SIGSTOP)  # else each is sent just before its time is over, too
            let_time_pass(0.6)
            process.send_signal(signal.SIGCONT)
            out, _ = process.communicate(timeout=10)
    seen = read(config, out)
    s = seen.summary
    assert (s["offered"], s["sent"]) == (30, 3)
    assert s["bad"] == {"queue-timeout": 27, "read-timeout": 3}
    assert s["good"] == s["completed"] == 0
    assert s["latency_ms"]["p95"] is None
    assert Counter(seen.fates.values()) == {"indeterminate": 3, "failed": 27}


def test_every_request_is_sent_while_a_server_is_silent(tmp_path: Path) -> None:
    """Even those that had to wait for a connection: what a frozen server does with them is its own affair."""
    server = Remembering(b"")
    with tcp_server(server) as port:
        s = generate(config_of(port, ORDER, connections=3, timeout_s=0.2, duration_s=0.5), tmp_path).summary
    assert (s["offered"], s["sent"], s["bad"]) == (50, 50, {"read-timeout": 50})
    assert len(server.requests) == 50


def test_the_in_flight_cap_is_the_generators_own_fault_and_not_hidden(tmp_path: Path) -> None:
    with tcp_server(silent) as port:
        s = generate(config_of(port, timeout_s=0.4, max_in_flight=4), tmp_path).summary
    assert s["own_faults"] == {"in-flight-cap": 26}
    assert (s["offered"], s["sent"], s["in_flight_max"]) == (30, 4, 4)
    assert s["bad"] == {"in-flight-cap": 26, "read-timeout": 4}


def test_the_warm_up_is_recorded_but_not_summed_up(tmp_path: Path) -> None:
    with tcp_server(answering(*[GOOD] * 100)) as port:
        config = config_of(port, warmup_s=0.4, duration_s=0.3, output=str(tmp_path / "probes.csv"))
        seen = generate(config, tmp_path)
    assert len(seen.rows) == 70
    s = seen.summary
    assert s["offered"] == s["good"] == sum(half["offered"] for half in s["halves"]) == 30
    from_s, until_s = s["window_s"]
    assert until_s - from_s == pytest.approx(0.3)
    assert sum(p.due_s < from_s - 1e-6 for p in seen.rows) == 40
    assert s["connections_opened"] == 0  # it was warm
    assert sum(s["series"]["offered"]) == sum(s["series"]["good"]) == sum(s["series"]["answered"]) == 70


# --- how it ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_the_summary_of_what_was_done(number: signal.Signals, tmp_path: Path) -> None:
    with flaky_server() as server:
        config = config_of(server.port, duration_s=60.0)
        with running(*command_of(config, tmp_path)) as process:
            assert process.stdout is not None
            started = line_from(process.stdout, "the generator to start")
            let_time_pass(0.5)
            process.send_signal(number)
            out, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    s = read(config, out).summary
    assert s["stopped_early"]
    assert s["window_s"][0] == started["measured_from_s"] == started["started_s"]
    assert 40 <= s["offered"] < 200
    assert s["offered"] == s["good"] == s["halves"][0]["offered"]
    assert s["achieved_hz"] == pytest.approx(100, rel=0.1)
    assert s["halves"][1]["latency_ms"]["p95"] is None
    assert len(s["series"]["offered"]) <= 2


def test_it_says_what_it_took(tmp_path: Path) -> None:
    with flaky_server() as server:
        s = generate(config_of(server.port, duration_s=0.5), tmp_path).summary
    assert not s["stopped_early"]
    assert 0 < s["cpu_share"] < 1
    assert 0 <= s["run_queue_wait_share"] < 1
    assert s["served_by"] == {"web1>app1": 50}
    assert s["in_flight_max"] >= 1
    assert s["wall_s"] == pytest.approx(0.5, abs=0.2)


# --- TLS


@pytest.mark.parametrize(
    ("host_in_certificate", "trusted", "outcome"),
    [(HOST, True, None), ("www.example.com", True, "tls"), (HOST, False, "tls")],
    ids=["right", "wrong-host", "unknown-ca"],
)
def test_https_is_verified_and_its_connections_are_kept(
    host_in_certificate: str, trusted: bool, outcome: str | None, tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path, "served", host_in_certificate)
    ca, _ = (cert, key) if trusted else certificate(tmp_path, "another", HOST)
    with flaky_server("none", "--cert", str(cert), "--key", str(key)) as server:
        s = generate(config_of(server.port, ca_file=str(ca)), tmp_path).summary
    assert s["bad"] == ({} if outcome is None else {outcome: 30})
    if outcome is None:
        assert s["connections_opened"] < 15
