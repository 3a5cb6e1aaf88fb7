"""A server that fails for a known time and says when: the truth that the prober is held against.

    python flaky_server.py FAULT [--cert FILE --key FILE]
    stdin   fail            recover         (the end of it ends the server)
    stdout  {"port": 40123} {"between_s": [812.31, 812.32]} …     CLOCK_MONOTONIC

A thread per connection, so that one held answer holds no other.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import ssl
import struct
import sys
import threading
import time

FAULTS = ("none", "refuse", "503", "freeze", "freeze-and-drop", "wrong-body", "reset", "close-early")
BODY = b"hello from the site\n"


def answer(status: str, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nX-Served-By: app1\r\nX-Served-By: web1\r\n\r\n"
    )
    return head.encode() + body


class FlakyServer:
    """Good, but for the time between fail() and recover()."""

    def __init__(self, fault: str, tls: ssl.SSLContext | None) -> None:
        self._fault = fault
        self._tls = tls
        self._failing = False
        self._thawed = threading.Event()
        self._thawed.set()
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]

    def _listen(self, port: int) -> socket.socket:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(4096)
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return listener

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed: that is the refusal
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def fail(self) -> None:
        if self._fault == "refuse":
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            self._listener.close()
        elif self._fault.startswith("freeze"):
            self._thawed.clear()
        self._failing = self._fault != "none"

    def recover(self) -> None:
        self._failing = False
        if self._fault == "refuse":
            self._listener = self._listen(self.port)
        self._thawed.set()

    def _dropped(self) -> bool:
        """Waits while frozen; True if what came then is never answered."""
        if self._thawed.is_set():
            return False
        if self._fault == "freeze-and-drop":
            time.sleep(
                1
            )  # beyond the client's patience; all let go at once would delay the first good answer
            return True
        self._thawed.wait(timeout=5)
        return False

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            connection.settimeout(5)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                self._serve_all(connection)
            elif not self._dropped():  # a frozen server does not shake hands either
                with self._tls.wrap_socket(connection, server_side=True) as secured:
                    self._serve_all(secured)

    def _serve_all(self, connection: socket.socket) -> None:
        while self._serve_one(connection):
            pass

    def _serve_one(self, connection: socket.socket) -> bool:
        request = b""
        while b"\r\n\r\n" not in request:
            data = connection.recv(4096)
            if not data:
                return False
            request += data
        if self._dropped():
            return False
        fault = self._fault if self._failing else "none"
        if fault == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if fault == "close-early":
            connection.sendall(answer("200 OK", BODY)[:-5])
            return False
        status = "503 Service Unavailable" if fault == "503" else "200 OK"
        connection.sendall(answer(status, b"It works!\n" if fault == "wrong-body" else BODY))
        return b"connection: close" not in request.lower()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("fault", choices=FAULTS)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    args = parser.parse_args()
    tls = None
    if args.cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(args.cert, args.key)
    server = FlakyServer(args.fault, tls)
    print(json.dumps({"port": server.port}), flush=True)
    for line in sys.stdin:
        before_s = time.monotonic()
        if line.strip() == "fail":
            server.fail()
        else:
            server.recover()
        print(json.dumps({"between_s": [before_s, time.monotonic()]}), flush=True)


if __name__ == "__main__":
    main()
