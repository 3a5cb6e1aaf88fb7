"""What a server shows to whoever comes in TLS: a handshake, verified from the client's side of the hop."""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import dataclass
from typing import Any

from experiments.harness.links import Hop
from services.service import Host
from topologies.stage import DOMAIN
from topologies.testbed import Testbed

_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class Presented:
    """A verified certificate and what the two sides agreed upon."""

    subject: str
    names: tuple[str, ...]  # its subject alternative names
    issuer: str
    protocol: str
    cipher: str


def handshake(host: Host, address: str, port: int, name: str, *, mysql: bool = False) -> Presented:
    """Connect from `host`, trusting its CA alone, to whoever must be `name` (a DNS name or an address).

    `mysql`: TLS is asked for in MySQL's own protocol. Raises OSError: ssl.SSLCertVerificationError for a
    certificate that does not convince, other ssl.SSLError and ConnectionError where nobody speaks TLS.
    """
    context = ssl.create_default_context(cadata=host.authority())
    with host.connect(address, port, _TIMEOUT_S) as plain:
        if mysql:
            _ask_mysql_for_tls(plain)
        with context.wrap_socket(plain, server_hostname=name) as stream:
            certificate: dict[str, Any] = dict(stream.getpeercert() or {})
            cipher = stream.cipher()
            return Presented(
                subject=_common_name(certificate.get("subject", ())),
                names=tuple(value for _, value in certificate.get("subjectAltName", ())),
                issuer=_common_name(certificate.get("issuer", ())),
                protocol=stream.version() or "",
                cipher=cipher[0] if cipher else "",
            )


@dataclass(frozen=True)
class Shown:
    """What a hop shows: a certificate or, in words, why there is none; and whether that was declared."""

    certificate: Presented | None
    words: str
    as_declared: bool


def shown_on(testbed: Testbed, hop: Hop) -> Shown:
    """Try TLS from the asking side of `hop`, whether it is declared to be encrypted or not."""
    if hop.port is None:
        return Shown(None, "UNIX socket", not hop.certified)
    mysql = hop.link.daemon == "mysql"
    name = hop.certified or DOMAIN
    try:
        found = handshake(testbed.hosts[hop.link.source], hop.address, hop.port, name, mysql=mysql)
    except ssl.SSLCertVerificationError as error:
        # MySQL may offer TLS to whoever asks; the site asks only where it is told to.
        asked = bool(hop.certified) or not mysql
        words = (
            f"not to be trusted: {error.verify_message}"
            if asked
            else "plain text; TLS on offer, not asked for"
        )
        return Shown(None, words, not asked)
    except (ssl.SSLError, ConnectionError, TimeoutError) as error:
        reason = error.reason if isinstance(error, ssl.SSLError) else str(error)
        return Shown(None, f"no TLS ({reason})" if hop.certified else "plain text", not hop.certified)
    return Shown(found, f"{found.protocol}, {found.cipher}", bool(hop.certified))


def _common_name(name: Any) -> str:
    return next((value for part in name for key, value in part if key == "commonName"), "")


def _ask_mysql_for_tls(plain: socket.socket) -> None:
    """Take the greeting and answer with SSLRequest (MySQL client/server protocol, connection phase).

    Raises ConnectionError when the server does not offer TLS.
    """
    offers_tls, protocol_41, secure_connection = 0x800, 0x200, 0x8000
    length = int.from_bytes(_exactly(plain, 4)[:3], "little")
    greeting = _exactly(plain, length)
    end = greeting.find(b"\0", 1)  # protocol version, server version
    if greeting[0] != 10 or end < 0 or len(greeting) < end + 16:
        raise ConnectionError(f"no greeting of MySQL's: {greeting[:40]!r}")
    # thread id (4), first part of the challenge (8), a zero, then what the server can do
    (capabilities,) = struct.unpack_from("<H", greeting, end + 1 + 4 + 8 + 1)
    if not capabilities & offers_tls:
        raise ConnectionError("the server does not offer TLS")
    wanted = offers_tls | protocol_41 | secure_connection
    request = struct.pack("<IIB23x", wanted, 1 << 24, 45)
    plain.sendall(len(request).to_bytes(3, "little") + b"\x01" + request)


def _exactly(stream: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        part = stream.recv(size - len(received))
        if not part:
            raise ConnectionError("closed in the middle of a packet")
        received += part
    return bytes(received)
