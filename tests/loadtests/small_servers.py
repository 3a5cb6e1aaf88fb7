"""Servers in threads of the test's own process, and an engine run against them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from loadtests.connection import Stream
from loadtests.engine import Engine
from loadtests.http1 import get_request
from loadtests.probes import Probe
from tests.loadtests.known_truth import HOST

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


def answering(*payloads: bytes) -> Handler:
    """One payload per request on a connection, then close."""

    def handle(connection: socket.socket) -> None:
        for payload in payloads:
            if not connection.recv(4096):
                return
            connection.sendall(payload)

    return handle


def silent(connection: socket.socket) -> None:
    threading.Event().wait(0.5)


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
