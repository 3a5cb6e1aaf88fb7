"""Requests from a host's own network, without curl: what is sent stands in no process list.

with visiting(client1, "https", "8.8.8.8") as visitor:
    visitor.ask("POST", "/login", form(name="student", password=secret))
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode

from topologies.host import EmulatedHost
from topologies.stage import DOMAIN

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Answer:
    """Header names are in lower case; those that came more than once have all their values."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    body: bytes

    @property
    def served_by(self) -> tuple[str, ...]:
        return self.headers.get("x-served-by", ())


class Visitor:
    """One kept-alive connection to the site."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection = connection

    def ask(self, method: str, path: str, body: str = "", kind: str = FORM) -> Answer:
        """One exchange. Raises OSError or http.client.HTTPException."""
        headers = {"Content-Type": kind} if body else {}
        self._connection.request(method, path, body or None, headers)
        answer = self._connection.getresponse()
        found: dict[str, tuple[str, ...]] = {}
        for name, value in answer.getheaders():
            found[name.lower()] = (*found.get(name.lower(), ()), value)
        return Answer(answer.status, found, answer.read())


@contextmanager
def visiting(host: EmulatedHost, scheme: str, address: str, timeout_s: float = 10.0) -> Iterator[Visitor]:
    """A connection to the site at `address`, verified as a browser would. Raises OSError."""
    port = 443 if scheme == "https" else 80
    stream = host.connect(address, port, timeout_s)
    with stream:
        if scheme == "https":
            context = ssl.create_default_context(cadata=host.authority())
            stream = context.wrap_socket(stream, server_hostname=DOMAIN)
        connection = http.client.HTTPConnection(DOMAIN, timeout=timeout_s)
        connection.auto_open = 0  # http.client itself would connect from the wrong network
        connection.sock = stream
        try:
            yield Visitor(connection)
        finally:
            connection.close()


def form(**fields: str) -> str:
    """The body of a form as browsers send it."""
    return urlencode(fields)
