"""Names are asked for before every connection, and a name server that fails is a failure of its own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import dns.message
import dns.rcode
import dns.rrset
import pytest

from loadtests.engine import Engine
from loadtests.lookup import NoAddress, Question, nameserver_endpoint
from tests.loadtests.known_truth import HOST
from tests.loadtests.small_servers import GOOD, answering, closed_port, outcomes, run, stream, tcp_server


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


def records(query: dns.message.Message, *addresses: str) -> bytes:
    response = dns.message.make_response(query)
    response.answer.append(dns.rrset.from_text(query.question[0].name, 30, "IN", "A", *addresses))
    return response.to_wire(want_shuffle=False)  # else dnspython shuffles them


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
