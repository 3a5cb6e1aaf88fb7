"""A certificate is shown, verified and described; one of another name or authority is refused."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from experiments.harness.certificates import handshake
from services.credentials import Secrets
from tests.loadtests.small_servers import Handler, answering, tcp_server
from topologies.waiting import wait_until

SECRETS = Secrets()
NAME = "www.foobar.com"
#: Protocol 10, version, thread id, challenge, a zero, capabilities: TLS among them, or not.
GREETING = b"\x0a5.5.5-MariaDB\0" + b"\x07\0\0\0" + b"challeng" + b"\0"
WITH_TLS, WITHOUT_TLS = (GREETING + struct.pack("<H", 0x8200 | tls) + b"\0" * 20 for tls in (0x800, 0))


class Client:
    """As much of a host as a handshake needs, on this machine."""

    name = "client1"

    def __init__(self, authority: str) -> None:
        self._authority = authority

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        return socket.create_connection((address, port), timeout_s)

    def connect_unix(self, path: str, timeout_s: float) -> socket.socket:
        raise NotImplementedError

    def ask_udp(self, address: str, port: int, question: bytes, timeout_s: float) -> bytes:
        raise NotImplementedError

    def authority(self) -> str:
        return self._authority


@contextmanager
def serving_tls(directory: Path, name: str, after: Handler | None = None) -> Iterator[int]:
    """A server with a certificate for `name`; `after` is what it says before TLS."""
    pem = directory / "pair.pem"
    pem.write_text(SECRETS.certificate(name).chain_and_key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def handle(connection: socket.socket) -> None:
        if after is not None:
            after(connection)
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as stream:
            stream.recv(1)

    with tcp_server(handle) as port:
        yield port


def greet(greeting: bytes, requests: list[bytes]) -> Handler:
    """The server's side of MySQL's connection phase, up to TLS; `requests` gets what the client sent."""

    def handle(connection: socket.socket) -> None:
        connection.sendall(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
        requests.append(connection.recv(36, socket.MSG_WAITALL))

    return handle


def test_a_certificate_of_our_authority_is_described(tmp_path: Path) -> None:
    with serving_tls(tmp_path, NAME) as port:
        shown = handshake(Client(SECRETS.authority), "127.0.0.1", port, NAME)
    assert (shown.subject, shown.names, shown.issuer) == (NAME, (NAME,), "Foobar testbed CA")
    assert shown.protocol.startswith("TLSv1.")
    assert shown.cipher


def test_an_address_can_be_certified_too(tmp_path: Path) -> None:
    with serving_tls(tmp_path, "10.0.2.41") as port:
        assert handshake(Client(SECRETS.authority), "127.0.0.1", port, "10.0.2.41").names == ("10.0.2.41",)


def test_another_name_and_another_authority_are_refused(tmp_path: Path) -> None:
    with serving_tls(tmp_path, NAME) as port:
        for authority, name in ((SECRETS.authority, "www.example.com"), (Secrets().authority, NAME)):
            with pytest.raises(ssl.SSLCertVerificationError):
                handshake(Client(authority), "127.0.0.1", port, name)


def test_plain_http_is_no_tls() -> None:
    with tcp_server(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)) as refused:
            handshake(Client(SECRETS.authority), "127.0.0.1", port, NAME)
        assert not isinstance(refused.value, ssl.SSLCertVerificationError)


def test_mysql_is_asked_for_tls_in_its_own_protocol(tmp_path: Path) -> None:
    requests: list[bytes] = []
    with serving_tls(tmp_path, "10.0.2.41", greet(WITH_TLS, requests)) as port:
        shown = handshake(Client(SECRETS.authority), "127.0.0.1", port, "10.0.2.41", mysql=True)
    assert shown.subject == "10.0.2.41"
    (request,) = requests
    assert request[:4] == b"\x20\0\0\x01", "32 bytes, the second packet"
    assert struct.unpack_from("<I", request, 4)[0] & 0x800, "TLS"


@pytest.mark.parametrize("greeting", [WITHOUT_TLS, b"\xffHost is blocked", b"\x0ashort\0"])
def test_a_mysql_without_tls_or_without_sense_is_a_connection_error(tmp_path: Path, greeting: bytes) -> None:
    requests: list[bytes] = []
    with serving_tls(tmp_path, "10.0.2.41", greet(greeting, requests)) as port:
        with pytest.raises(ConnectionError, match=r"TLS|greeting"):
            handshake(Client(SECRETS.authority), "127.0.0.1", port, "10.0.2.41", mysql=True)
        wait_until(lambda: requests == [b""], timeout_s=2, what="the client to hang up without a word")
