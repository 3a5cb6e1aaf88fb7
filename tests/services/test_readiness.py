"""Ready means an answer in the daemon's own protocol; an open port, a wrong answer and an error do not."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rrset
import pytest

from services.gunicorn import Gunicorn
from services.haproxy import HAProxy
from services.keepalived import Keepalived, VirtualAddress
from services.mysql import MySQL
from services.named import Named
from services.nginx import Nginx
from services.service import Service, http_status

VIPS = tuple(VirtualAddress(f"www_{n}", f"8.8.8.{n}/24", n, 100, "BACKUP") for n in (8, 9))
HTTP: list[tuple[Service, int]] = [
    (Gunicorn(host_name="app1", bind="10.0.1.31:8000", database="10.0.2.41"), 200),
    (Gunicorn(host_name="server1", bind="unix:/run/gunicorn.sock", database="10.0.2.41"), 200),
    (Nginx(host_name="web1", listen="10.0.1.21", upstreams=("10.0.1.31:8000",)), 200),
    (HAProxy(host_name="lb1", addresses=("8.8.8.8",), backends=()), 200),
    (Keepalived(host_name="lb1", interface="lb1-public", virtual_addresses=VIPS, alive_port=8404), 301),
]


@dataclass
class FakeHost:
    """Everybody on it gives the same answer; `refused` addresses accept no connection."""

    said: bytes = b""
    refused: frozenset[str] = frozenset()
    name: str = "fake"
    answer: Callable[[bytes], bytes] = bytes
    _kept: list[socket.socket] = field(default_factory=list)

    def __del__(self) -> None:
        for end in self._kept:
            end.close()

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        if address in self.refused:
            raise ConnectionRefusedError(f"{address}:{port}")
        ours, theirs = socket.socketpair()
        self._kept.append(theirs)
        theirs.sendall(self.said)
        theirs.shutdown(socket.SHUT_WR)
        ours.settimeout(timeout_s)
        return ours

    def connect_unix(self, path: str, timeout_s: float) -> socket.socket:
        return self.connect(path, 0, timeout_s)

    def authority(self) -> str:
        raise AssertionError("no TLS in here")

    def ask_udp(self, address: str, port: int, question: bytes, timeout_s: float) -> bytes:
        return self.answer(question)


def http(status: int) -> bytes:
    return b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % status


@pytest.mark.parametrize(("service", "expected"), HTTP)
def test_an_http_service_is_ready_with_the_expected_status(service: Service, expected: int) -> None:
    assert service.ready(FakeHost(http(expected)))
    assert not service.ready(FakeHost(http(503)))


@pytest.mark.parametrize(("service", "expected"), HTTP)
@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 "])
def test_what_is_not_http_is_not_yet_ready(service: Service, expected: int, said: bytes) -> None:
    with pytest.raises(OSError, match="not HTTP"):
        service.ready(FakeHost(said))


def test_keepalived_is_ready_only_when_all_its_addresses_answer() -> None:
    keepalived = HTTP[-1][0]
    with pytest.raises(ConnectionRefusedError):
        keepalived.ready(FakeHost(http(301), refused=frozenset({"8.8.8.9"})))


@pytest.mark.parametrize(
    ("addresses", "authoritative", "ready"),
    [
        (["8.8.8.9", "8.8.8.8"], True, True),
        (["8.8.8.8"], True, False),
        (["8.8.8.8", "8.8.8.9", "8.8.8.10"], True, False),
        ([], True, False),
        (["8.8.8.8", "8.8.8.9"], False, False),
    ],
)
def test_named_is_ready_with_exactly_the_declared_addresses_and_authority(
    addresses: list[str], authoritative: bool, ready: bool
) -> None:
    def answer(question: bytes) -> bytes:
        asked = dns.message.from_wire(question)
        reply = dns.message.make_response(asked)
        reply.flags |= dns.flags.AA if authoritative else 0
        if addresses:
            reply.answer.append(dns.rrset.from_text("www.foobar.com.", 30, "IN", "A", *addresses))
        return reply.to_wire()

    named = Named(listen="8.8.8.53", addresses=("8.8.8.8", "8.8.8.9"))
    assert named.ready(FakeHost(answer=answer)) is ready


def test_a_database_that_turns_connections_away_is_not_yet_ready() -> None:
    body = b"\xff\x10\x04#08004Too many connections"
    mysql = MySQL(host_name="db1", listen=None, clients=())
    with pytest.raises(ConnectionError, match="Too many connections"):
        mysql.ready(FakeHost(len(body).to_bytes(3, "little") + b"\0" + body))


def test_an_answer_is_read_to_its_limit_and_no_further() -> None:
    host = FakeHost(http(200) + b"x" * 20_000)
    status, received = http_status(host.connect("10.0.0.1", 80, 1.0), "www.foobar.com", "/", limit=1000)
    assert status == 200
    assert 1000 <= len(received) < 20_000
