"""One request as a new visitor makes it, and where its time goes.

    │ DNS │ TCP │ TLS │ request → first byte │ body │
    └──────────────────── total ────────────────────┘

Each part has a watch of its own, and so has the whole: that they add up is a finding, not arithmetic.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from loadtests.http1 import Answer, MalformedAnswer, get_request
from loadtests.lookup import Question

#: Makes a socket in the client's network.
MakeSocket = Callable[[socket.AddressFamily, socket.SocketKind], socket.socket]
PARTS = ("dns", "tcp", "tls", "first byte", "body")
_READ_BYTES = 65536
_clock = time.monotonic


@dataclass(frozen=True)
class Visitor:
    """Who asks: from where, which name server, whom it trusts. `tls` None: plain HTTP."""

    make_socket: MakeSocket
    nameserver: tuple[str, int]
    tls: ssl.SSLContext | None
    port: int | None = None  # None: the usual one
    timeout_s: float = 5.0


@dataclass(frozen=True)
class Fetched:
    """Seconds of each part in the order of PARTS (TLS is 0 without TLS), and of the whole."""

    parts_s: tuple[float, ...]
    total_s: float
    address: str
    status: int
    served_by: str
    body: bytes
    certified: str  # TLS version; "" without

    @property
    def sum_s(self) -> float:
        return sum(self.parts_s)


def fetch(visitor: Visitor, host: str, target: str) -> Fetched:
    """GET `target` of `host` on a new connection, the name looked up first, no session resumed.

    Raises OSError (ssl.SSLError included), also when the answer is no HTTP or ends early, and
    loadtests.lookup.NoAddress when the name server has no address.
    """
    question = Question(host)
    request = get_request(host, target, keep_alive=False)
    with (
        visitor.make_socket(socket.AF_INET, socket.SOCK_DGRAM) as asker,
        visitor.make_socket(socket.AF_INET, socket.SOCK_STREAM) as plain,
    ):
        for each in (asker, plain):
            each.settimeout(visitor.timeout_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port = visitor.port or (443 if visitor.tls else 80)
        begin_s = _clock()

        start_s = _clock()
        address = _resolve(asker, visitor.nameserver, question)
        dns_s = _clock() - start_s

        start_s = _clock()
        plain.connect((address, port))
        tcp_s = _clock() - start_s

        start_s = _clock()
        stream = visitor.tls.wrap_socket(plain, server_hostname=host) if visitor.tls else plain
        tls_s = _clock() - start_s if visitor.tls else 0.0

        with stream:
            start_s = _clock()
            stream.sendall(request)
            received = stream.recv(_READ_BYTES)
            first_byte_s = _clock() - start_s

            start_s = _clock()
            answer = _rest(stream, received)
            body_s = _clock() - start_s

            total_s = _clock() - begin_s
            version = stream.version() if isinstance(stream, ssl.SSLSocket) else None
    return Fetched(
        (dns_s, tcp_s, tls_s, first_byte_s, body_s), total_s, address, answer.status or 0, answer.served_by,
        bytes(answer.body), version or "",
    )  # fmt: skip


def _resolve(asker: socket.socket, nameserver: tuple[str, int], question: Question) -> str:
    asker.connect(nameserver)
    number, datagram = question.ask()
    asker.send(datagram)
    while True:
        address = question.first_address(asker.recv(_READ_BYTES), number)
        if address is not None:
            return address


def _rest(stream: socket.socket, received: bytes) -> Answer:
    answer = Answer()
    try:
        while received:
            if answer.feed(received):
                return answer
            received = stream.recv(_READ_BYTES)
    except MalformedAnswer as error:
        raise ConnectionError(str(error)) from error
    if not answer.end_of_stream():
        raise ConnectionError("the answer ends early")
    return answer
