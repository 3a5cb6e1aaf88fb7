"""Ready means an answer in the daemon's own protocol; an open port, a wrong answer and an error do not."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import dns.flags
import dns.message
import dns.rrset
import pytest

from services.credentials import Certificate, Secrets
from services.gunicorn import CERTIFIED_NAME, Gunicorn
from services.haproxy import HAProxy
from services.keepalived import Keepalived, VirtualAddress
from services.mysql import MySQL, replicates
from services.named import Named
from services.nginx import Nginx
from services.service import Service, http_status
from tests.services.hops import TLS_APP, TLS_WEB

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


@dataclass
class TLSHost(FakeHost):
    """Speaks TLS with `certificate`, whatever the port, to a client that trusts `trusted`."""

    certificate: Certificate | None = None
    trusted: str = ""
    directory: Path = Path()

    def authority(self) -> str:
        return self.trusted

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(timeout_s)
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return ours

    def _serve(self, end: socket.socket) -> None:
        assert self.certificate is not None
        pem = self.directory / "pair.pem"
        pem.write_text(self.certificate.chain_and_key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        # The client hangs up on a certificate it does not trust; it is the client that is tested.
        with end, contextlib.suppress(OSError), context.wrap_socket(end, server_side=True) as stream:
            stream.recv(8192)
            stream.sendall(self.said)


RUN, OTHER_RUN = Secrets(), Secrets()


@pytest.mark.parametrize(("service", "name"), [(TLS_APP, CERTIFIED_NAME), (TLS_WEB, "www.foobar.com")])
def test_a_service_with_tls_is_ready_when_it_proves_its_name(
    service: Service, name: str, tmp_path: Path
) -> None:
    def host(secrets: Secrets, name: str, status: int = 200) -> TLSHost:
        certificate = secrets.certificate(name)
        return TLSHost(http(status), certificate=certificate, trusted=RUN.authority, directory=tmp_path)

    assert service.ready(host(RUN, name))
    assert not service.ready(host(RUN, name, status=502))
    for impostor in (host(OTHER_RUN, name), host(RUN, "db.foobar.com")):
        with pytest.raises(ssl.SSLCertVerificationError):
            service.ready(impostor)


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


@dataclass
class StatusCursor:
    """Answers SHOW REPLICA STATUS with `row`."""

    row: dict[str, object] | None

    def execute(self, query: str) -> None:
        assert query == "SHOW REPLICA STATUS"

    def fetchone(self) -> dict[str, object] | None:
        return self.row


@pytest.mark.parametrize("word", ["Slave", "Replica"])
@pytest.mark.parametrize(
    ("fetching", "applying", "ready"),
    [("Yes", "Yes", True), ("Connecting", "Yes", False), ("Yes", "No", False), ("No", "No", False)],
)
def test_a_replica_is_ready_when_it_fetches_and_applies(
    word: str, fetching: str, applying: str, ready: bool
) -> None:
    row: dict[str, object] = {
        f"{word}_IO_State": "Waiting for source to send event", f"{word}_IO_Running": fetching,
        f"{word}_SQL_Running": applying, f"{word}_SQL_Running_State": "has read all relay log",
    }  # fmt: skip
    assert replicates(StatusCursor(row)) is ready


def test_a_server_that_was_never_told_its_primary_does_not_replicate() -> None:
    assert not replicates(StatusCursor(None))
