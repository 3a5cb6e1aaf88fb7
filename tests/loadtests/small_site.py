"""A site that fits into a test: the routes that scenarios ask for, and a list of all that was asked."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from services.credentials import Certificate

#: (method, path, how many times this has been asked) → status; 0: reset the connection instead.
Decide = Callable[[str, str, int], int]


@dataclass
class Site:
    """What it has seen, and what it answers."""

    port: int = 0
    decide: Decide = lambda _method, _path, _times: 200
    asked: list[tuple[str, str, Any]] = field(default_factory=list)  # method, path, JSON body
    by_connection: dict[tuple[str, int], list[str]] = field(default_factory=dict)  # client → its paths
    orders: dict[str, Any] = field(default_factory=dict)

    def count(self, method: str, path: str) -> int:
        return sum(1 for m, p, _ in self.asked if (m, p) == (method, path))

    def paths(self, method: str = "GET") -> list[str]:
        return [path for m, path, _ in self.asked if m == method]


@contextmanager
def small_site(certificate: Certificate | None = None, decide: Decide | None = None) -> Iterator[Site]:
    """The site on 127.0.0.1, with TLS where there is a certificate."""
    site = Site()
    if decide is not None:
        site.decide = decide

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5
        disable_nagle_algorithm = True  # head and body are two writes

        def do_GET(self) -> None:
            self._answer(None)

        def do_PUT(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            site.asked.append((self.command, self.path, body))
            site.by_connection.setdefault(self.client_address[:2], []).append(self.path)
            status = site.decide(self.command, self.path, site.count(self.command, self.path))
            if status == 0:
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # SO_LINGER 0 resets when the last reference goes; shutdown would say goodbye first.
                self.connection.close()
                return
            text = json.dumps(self._document(body)).encode()
            self.send_response(status)
            for host in ("app1", "web2", "lb1"):
                self.send_header("X-Served-By", host)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _document(self, body: Any) -> Any:
            kind, _, order_id = self.path.rpartition("/")
            if kind == "/api/orders" and body is not None:
                site.orders[order_id] = {"id": order_id, **body}
            return site.orders.get(order_id, {})

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the list says it all."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def finish_request(self, request: Any, client_address: Any) -> None:
            with suppress(OSError):  # the client refused the certificate, or was reset
                if context is not None:
                    request = context.wrap_socket(request, server_side=True)
                super().finish_request(request, client_address)

        def shutdown_request(self, request: Any) -> None:
            with suppress(OSError):
                super().shutdown_request(request)

    context = server_context(certificate) if certificate else None
    with Server(("127.0.0.1", 0), Handler) as server:
        site.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield site
        finally:
            server.shutdown()


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """Python reads certificates from files only."""
    import tempfile

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(certificate.chain_and_key)
        file.flush()
        context.load_cert_chain(file.name)
    return context
