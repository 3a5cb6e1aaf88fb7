"""The engine against small servers in threads of this process: what it sends, when, and what it calls it."""

from __future__ import annotations

import gc
import resource
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from loadtests.connection import Stream
from loadtests.engine import Engine
from loadtests.http1 import get_request
from loadtests.lookup import NoAddress, Question, nameserver_endpoint
from loadtests.probes import Probe
from loadtests.wire import verifying_context
from tests.loadtests.known_truth import HOST, certificate, flaky_server

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"
Handler = Callable[[socket.socket], None]


@contextmanager
def tcp_server(handler: Handler, address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Calls `handler` in a thread per connection, and closes it after."""

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(5)
            handler(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server((address, port), backlog=128) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes accept()


@contextmanager
def name_server(answer: Callable[[dns.message.Message], bytes | None]) -> Iterator[tuple[str, int]]:
    def serve() -> None:
        with suppress(OSError):
            while True:
                datagram, client = sock.recvfrom(512)
                if not datagram:
                    return
                reply = answer(dns.message.from_wire(datagram))
                if reply is not None:
                    sock.sendto(reply, client)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield sock.getsockname()
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", sock.getsockname())
            thread.join(timeout=2)


def answering(*payloads: bytes) -> Handler:
    """One payload per request on a connection, then close."""

    def handle(connection: socket.socket) -> None:
        for payload in payloads:
            if not connection.recv(4096):
                return
            connection.sendall(payload)

    return handle


def stream(port: int, rate_hz: float = 100.0, *, keep_alive: bool = False, **more: object) -> Stream:
    request = get_request(HOST, "/", keep_alive=keep_alive)
    how: dict[str, object] = {"expect_text": b"hello", "connect_to": "127.0.0.1", "name": "s"} | more
    return Stream(host=HOST, port=port, request=request, rate_hz=rate_hz, keep_alive=keep_alive, **how)  # type: ignore[arg-type]


def run(*streams: Stream, for_s: float, timeout_s: float = 0.5, **options: object) -> list[Probe]:
    probes: list[Probe] = []
    engine = Engine(streams, probes.append, timeout_s=timeout_s, slo_s=0.5, **options)  # type: ignore[arg-type]
    t0_s = time.monotonic()
    engine.run(t0_s, t0_s + for_s)
    assert engine.in_flight == 0
    return sorted(probes, key=lambda p: (p.stream, p.k))


def outcomes(probes: list[Probe]) -> set[str]:
    return {p.outcome for p in probes}


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_probe_k_is_due_k_periods_after_the_first() -> None:
    with tcp_server(answering(GOOD)) as port:
        probes = run(stream(port, 100, name="a"), stream(port, 30, name="b"), for_s=0.3)
    for name, rate_hz, count in (("a", 100, 30), ("b", 30, 9)):
        mine = [p for p in probes if p.stream == name]
        assert [p.k for p in mine] == list(range(count))
        assert [p.due_s - mine[0].due_s for p in mine] == pytest.approx([k / rate_hz for k in range(count)])
    assert outcomes(probes) == {"ok"}
    assert all(p.sent_s >= p.due_s for p in probes)


@pytest.mark.parametrize(
    ("payload", "outcome", "status"),
    [
        (GOOD, "ok", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "ok", 200),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", "ok", 200),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "http-502", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\noops", "wrong-body", 200),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n", "wrong-body", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhel", "closed-early", 200),
        (b"", "closed-early", None),
    ],
)
def test_an_answer_has_one_outcome(payload: bytes, outcome: str, status: int | None) -> None:
    with tcp_server(answering(payload)) as port:
        probes = run(stream(port), for_s=0.05)
    assert {(p.outcome, p.status) for p in probes} == {(outcome, status)}


def test_a_large_answer_arrives_whole() -> None:
    body = b"x" * 3_000_000 + b"hello"
    payload = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    with tcp_server(answering(payload)) as port:
        assert outcomes(run(stream(port, 20), for_s=0.1, timeout_s=2)) == {"ok"}


def test_a_closed_port_is_refused_at_once() -> None:
    probes = run(stream(closed_port()), for_s=0.05)
    assert outcomes(probes) == {"refused"}
    assert max(p.latency_s for p in probes) < 0.1


def test_a_full_accept_queue_is_a_connect_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with (
            socket.create_connection(address),
            suppress(TimeoutError),
        ):  # the queue of one is full: SYNs are dropped
            with socket.create_connection(address, timeout=0.1):
                pass
        probes = run(stream(address[1]), for_s=0.05, timeout_s=0.2)
    assert "connect-timeout" in outcomes(probes)
    for p in probes:
        if p.outcome == "connect-timeout":
            assert p.connected_s is None
            assert p.end_s - p.sent_s == pytest.approx(0.2, abs=0.02)


def test_a_server_that_says_nothing_is_a_read_timeout() -> None:
    with tcp_server(lambda connection: threading.Event().wait(0.5) and None) as port:
        probes = run(stream(port), for_s=0.05, timeout_s=0.2)
    assert outcomes(probes) == {"read-timeout"}
    assert all(p.end_s - p.sent_s == pytest.approx(0.2, abs=0.02) for p in probes)


def test_an_answer_after_the_slo_is_slow() -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(4096)
        threading.Event().wait(0.6)
        connection.sendall(GOOD)

    with tcp_server(handle) as port:
        assert outcomes(run(stream(port), for_s=0.05, timeout_s=2)) == {"slow"}


# --- kept-alive connections


def test_a_kept_alive_connection_is_used_again() -> None:
    with tcp_server(answering(*[GOOD] * 100)) as port:
        probes = run(stream(port, keep_alive=True), for_s=0.3)
    assert outcomes(probes) == {"ok"}
    assert [p.connected_s is not None for p in probes] == [True] + [False] * 29


def test_a_connection_closed_while_idle_is_replaced_without_an_error() -> None:
    with tcp_server(answering(GOOD, GOOD)) as port:  # closes after two, without saying so
        probes = run(stream(port, keep_alive=True), for_s=0.2)
    assert outcomes(probes) == {"ok"}
    assert sum(p.connected_s is not None for p in probes) == 10


def test_a_connection_that_fails_in_a_request_is_an_error_and_never_retried() -> None:
    with tcp_server(answering(GOOD, b"")) as port:  # takes the second request and closes
        probes = run(stream(port, keep_alive=True), for_s=0.2)
    assert Counter(p.outcome for p in probes) == {"ok": 10, "closed-early": 10}


def test_another_connection_is_opened_when_none_is_idle() -> None:
    def handle(connection: socket.socket) -> None:
        while connection.recv(4096):
            threading.Event().wait(0.045)
            connection.sendall(GOOD)

    with tcp_server(handle) as port:
        probes = run(stream(port, keep_alive=True), for_s=0.3)
    assert outcomes(probes) == {"ok"}
    assert 5 <= sum(p.connected_s is not None for p in probes) <= 8


# --- names


def records(query: dns.message.Message, *addresses: str) -> bytes:
    response = dns.message.make_response(query)
    response.answer.append(dns.rrset.from_text(query.question[0].name, 30, "IN", "A", *addresses))
    return response.to_wire()


def test_every_new_connection_asks_and_takes_the_first_address() -> None:
    turns = [("127.0.0.1", "127.0.0.2"), ("127.0.0.2", "127.0.0.1")] * 10

    def rotate(query: dns.message.Message) -> bytes:
        assert str(query.question[0].name) == f"{HOST}."
        return records(query, *turns.pop())

    with (
        tcp_server(answering(GOOD)) as port,
        tcp_server(answering(GOOD), "127.0.0.2", port),
        name_server(rotate) as asked,
    ):
        probes = run(stream(port, connect_to=None), for_s=0.1, nameserver=asked)
    assert outcomes(probes) == {"ok"}
    assert [p.address for p in probes] == ["127.0.0.2", "127.0.0.1"] * 5


def refuse(query: dns.message.Message) -> bytes:
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.NXDOMAIN)
    return response.to_wire()


@pytest.mark.parametrize("answer", [refuse, lambda query: b"\x00" * 3, lambda query: None])
def test_a_name_without_an_address_is_a_dns_failure(
    answer: Callable[[dns.message.Message], bytes | None],
) -> None:
    with name_server(answer) as asked:
        probes = run(
            stream(80, connect_to=None), for_s=0.03, timeout_s=0.3, dns_timeout_s=0.1, nameserver=asked
        )
    assert {(p.outcome, p.address) for p in probes} == {("dns", "")}
    assert all(p.latency_s < 0.2 for p in probes)


def test_a_name_server_that_is_not_there_is_a_dns_failure() -> None:
    probes = run(stream(80, connect_to=None), for_s=0.03, nameserver=("127.0.0.1", closed_port()))
    assert outcomes(probes) == {"dns"}


def test_a_met_dns_deadline_leaves_the_rest_of_the_time_for_the_answer() -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(4096)
        threading.Event().wait(0.15)
        connection.sendall(GOOD)

    with tcp_server(handle) as port, name_server(lambda q: records(q, "127.0.0.1")) as asked:
        probes = run(stream(port, connect_to=None), for_s=0.03, dns_timeout_s=0.1, nameserver=asked)
    assert outcomes(probes) == {"ok"}


def test_an_answer_to_another_question_is_not_taken() -> None:
    question = Question(HOST)
    question_id, datagram = question.ask()
    answer = records(dns.message.from_wire(datagram), "8.8.8.8")
    assert question.first_address(answer, question_id) == "8.8.8.8"
    assert question.first_address(answer, question_id ^ 1) is None
    other_id, other = Question("example.com").ask()
    assert question.first_address(records(dns.message.from_wire(other), "8.8.8.8"), other_id) is None
    with pytest.raises(NoAddress, match="NXDOMAIN"):
        question.first_address(refuse(dns.message.from_wire(datagram)), question_id)


def test_a_name_server_has_a_port_of_its_own_only_when_given() -> None:
    assert nameserver_endpoint("8.8.8.53") == ("8.8.8.53", 53)
    assert nameserver_endpoint("127.0.0.1:5353") == ("127.0.0.1", 5353)
    with pytest.raises(ValueError, match="name server"):
        Engine([stream(80, connect_to=None)], print, timeout_s=1, slo_s=1)


# --- the engine's own limits


def test_the_in_flight_cap_is_recorded_and_not_hidden() -> None:
    with tcp_server(lambda connection: threading.Event().wait(0.5) and None) as port:
        probes = run(stream(port), for_s=0.1, timeout_s=0.3, max_in_flight=4)
    assert [p.outcome for p in probes] == ["read-timeout"] * 4 + ["in-flight-cap"] * 6


def test_no_descriptor_left_is_the_probers_own_fault() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with tcp_server(answering(GOOD)) as port:
        engine_probes: list[Probe] = []
        engine = Engine([stream(port)], engine_probes.append, timeout_s=0.5, slo_s=0.5)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            t0_s = time.monotonic()
            engine.run(t0_s, t0_s + 0.03)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert outcomes(engine_probes) == {"local-error"}


def test_stop_lets_those_in_flight_finish_and_sends_no_more() -> None:
    probes: list[Probe] = []

    def stop_at_five(p: Probe) -> None:
        probes.append(p)
        if len(probes) == 5:
            engine.stop()

    with tcp_server(answering(GOOD)) as port:
        engine = Engine([stream(port)], stop_at_five, timeout_s=0.5, slo_s=0.5)
        t0_s = time.monotonic()
        engine.run(t0_s, t0_s + 5)
    assert len(probes) == 5
    assert time.monotonic() - t0_s < 1


@pytest.mark.parametrize("keep_alive", [False, True])
@pytest.mark.parametrize("secured", [False, True])
def test_finished_probes_leave_nothing_for_the_garbage_collector(
    secured: bool, keep_alive: bool, tmp_path: Path
) -> None:
    """The prober switches the cyclic collector off for an hour, so nothing may need it."""
    cert, key = certificate(tmp_path, "served", HOST)
    tls = verifying_context(str(cert)) if secured else None
    with flaky_server("none", *(("--cert", str(cert), "--key", str(key)) if secured else ())) as server:
        served = stream(server.port, 200, keep_alive=keep_alive, tls=tls)
        refused = stream(closed_port(), 200, name="refused")
        seen: Counter[str] = Counter()
        engine = Engine([served, refused], lambda p: seen.update([p.outcome]), timeout_s=0.05, slo_s=0.5)
        gc.collect()
        gc.disable()
        try:
            t0_s = time.monotonic()
            engine.run(t0_s, t0_s + 0.5)
            unreachable = gc.collect()
        finally:
            gc.enable()
    assert seen["refused"] == 100
    assert seen["ok"] > 50
    assert unreachable < 20
