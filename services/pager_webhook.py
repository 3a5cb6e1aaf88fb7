#!/usr/bin/python3
"""Writes down what Alertmanager says: per alert one line of JSON with the moment of its receipt.

{"t_s": 5012.25, "status": "firing", "labels": {"alertname": "NginxDown", …}, "starts_at": "2026-01-02T03:…"}

t_s is CLOCK_MONOTONIC in seconds, which all hosts of the machine share. Usage: pager ADDRESS PORT
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webhook(BaseHTTPRequestHandler):
    """POST of Alertmanager's notification (its webhook format, version 4): 200. GET /alive: 200."""

    protocol_version = "HTTP/1.1"  # Alertmanager keeps its connection open

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/alive" else 404)

    def do_POST(self) -> None:
        received_s = time.monotonic()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            lines = told(json.loads(body), received_s)
        except (ValueError, KeyError, TypeError):
            self._answer(400)
            return
        # One write for the whole notification, so that two never mix.
        os.write(sys.stdout.fileno(), "".join(lines).encode())
        self._answer(200)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing but alerts goes into the log."""

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def told(notification: dict[str, list[dict[str, object]]], received_s: float) -> list[str]:
    """A line per alert. Raises KeyError or TypeError for what is no notification."""
    return [
        json.dumps(
            {
                "t_s": received_s,
                "status": alert["status"],
                "labels": alert["labels"],
                "starts_at": alert["startsAt"],
            }
        )
        + "\n"
        for alert in notification["alerts"]
    ]


def main(address: str, port: str) -> None:
    with ThreadingHTTPServer((address, int(port)), Webhook) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
