"""One visitor's request is timed part by part, and a part that is slow is the one that says so."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import dns.message
import pytest

from loadtests.connection import verifying_context
from loadtests.fetch import PARTS, Visitor, fetch
from loadtests.lookup import NoAddress
from tests.loadtests.known_truth import HOST, certificate
from tests.loadtests.small_servers import GOOD, Handler, answering, tcp_server
from tests.loadtests.test_lookup import name_server, records

SLOW_S = 0.1
BIG = b"HTTP/1.1 200 OK\r\nX-Served-By: app1\r\nX-Served-By: lb1\r\nContent-Length: 200000\r\n\r\n"


def told(query: dns.message.Message) -> bytes:
    return records(query, "127.0.0.1")


def told_late(query: dns.message.Message) -> bytes:
    threading.Event().wait(SLOW_S)
    return told(query)


def visitor(nameserver: tuple[str, int], port: int, tls: ssl.SSLContext | None = None) -> Visitor:
    return Visitor(socket.socket, nameserver, tls, port, timeout_s=2.0)


def pausing(*payloads: bytes) -> Handler:
    """Waits SLOW_S before each payload of the one answer."""

    def handle(connection: socket.socket) -> None:
        connection.recv(4096)
        for payload in payloads:
            threading.Event().wait(SLOW_S)
            connection.sendall(payload)

    return handle


def test_the_parts_add_up_to_a_total_that_was_timed_by_itself() -> None:
    with name_server(told) as dns_at, tcp_server(answering(GOOD)) as port:
        seen = fetch(visitor(dns_at, port), HOST, "/")
    assert (seen.status, seen.body, seen.address, seen.certified) == (200, b"hello\n", "127.0.0.1", "")
    assert len(seen.parts_s) == len(PARTS)
    assert 0 <= seen.total_s - seen.sum_s < 0.005
    assert seen.parts_s[PARTS.index("tls")] == 0


@pytest.mark.parametrize(
    ("slow", "resolve", "handler"),
    [
        ("dns", told_late, answering(GOOD)),
        ("first byte", told, pausing(GOOD)),
    ],
)
def test_the_part_that_waits_is_the_part_that_is_long(slow: str, resolve: object, handler: Handler) -> None:
    with name_server(resolve) as dns_at, tcp_server(handler) as port:  # type: ignore[arg-type]
        seen = fetch(visitor(dns_at, port), HOST, "/")
    assert [part for part, length_s in zip(PARTS, seen.parts_s, strict=True) if length_s >= SLOW_S / 2] == [
        slow
    ]


def test_a_body_that_comes_late_is_no_part_of_the_first_byte() -> None:
    with name_server(told) as dns_at, tcp_server(pausing(BIG, b"x" * 200_000)) as port:
        seen = fetch(visitor(dns_at, port), HOST, "/")
    assert len(seen.body) == 200_000
    assert seen.served_by == "lb1>app1"
    assert seen.parts_s[PARTS.index("body")] >= SLOW_S / 2


def test_tls_is_verified_and_its_version_named(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "served", HOST)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)

    def handle(connection: socket.socket) -> None:
        with server.wrap_socket(connection, server_side=True) as stream:
            answering(GOOD)(stream)

    with name_server(told) as dns_at, tcp_server(handle) as port:
        seen = fetch(visitor(dns_at, port, verifying_context(str(cert))), HOST, "/")
        assert seen.certified.startswith("TLSv1.")
        assert seen.parts_s[PARTS.index("tls")] > 0
        with pytest.raises(ssl.SSLCertVerificationError):
            fetch(visitor(dns_at, port, ssl.create_default_context()), HOST, "/")


def test_what_is_no_whole_answer_is_an_error() -> None:
    for payload in (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel", b"SSH-2.0-x\r\n\r\n"):
        with (
            name_server(told) as dns_at,
            tcp_server(answering(payload)) as port,
            pytest.raises(ConnectionError),
        ):
            fetch(visitor(dns_at, port), HOST, "/")


def test_a_name_without_an_address_is_told_apart() -> None:
    def none(query: dns.message.Message) -> bytes:
        return dns.message.make_response(query).to_wire()

    with name_server(none) as dns_at, pytest.raises(NoAddress):
        fetch(visitor(dns_at, 1), HOST, "/")
