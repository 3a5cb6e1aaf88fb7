"""Orders in an open loop: each is sent once, when it is due, under an id of its own, and written down.

{"started_s": 8123.4}                     first line on stdout, when the first order is due
orders.csv                                k,id,due_s,sent_s,end_s,status: no status means nobody knows
{"sent": 1500, "acknowledged": 1500, …}   last line: after its time, or SIGTERM

Never sent again: what was not acknowledged may be there or not, and must not become a second attempt.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import http.client
import json
import signal
import socket
import ssl
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import urlsplit

from loadtests.connection import verifying_context
from loadtests.histogram import Histogram

EXIT_USAGE = 2
LEAD_S = 0.05  # between the last preparation and the first order
COLUMNS = ("k", "id", "due_s", "sent_s", "end_s", "status")
CREATED = 201
ORDER = json.dumps({"item_id": 1, "quantity": 1})


@dataclass(frozen=True)
class OrdersConfig:
    """`rate_hz` orders a second to `url`'s host for `duration_s`, over at most `connections` kept open.

    `connect_to` is the address to connect to. Raises ValueError for what has no bound.
    """

    url: str
    connect_to: str
    rate_hz: float
    duration_s: float
    output: str
    ca_file: str | None = None
    connections: int = 8
    timeout_s: float = 2.0

    def __post_init__(self) -> None:
        if not (0 < self.rate_hz <= 1000 and 0 < self.duration_s <= 600):
            raise ValueError(f"{self.rate_hz} orders/s for {self.duration_s} s: at most 1000/s, for 600 s")
        if not (1 <= self.connections <= 64 and 0 < self.timeout_s <= 30):
            raise ValueError(f"{self.connections} connections, {self.timeout_s} s: at most 64, and 30 s")
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise ValueError(f"url {self.url!r}: http or https, and a host")
        if urlsplit(self.url).scheme == "https" and self.ca_file is None:
            raise ValueError("https needs ca_file")

    @property
    def count(self) -> int:
        return round(self.rate_hz * self.duration_s)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


@dataclass(frozen=True)
class Order:
    """One row of orders.csv; times on CLOCK_MONOTONIC."""

    k: int
    id: str
    due_s: float
    sent_s: float
    end_s: float
    status: int | None

    @property
    def acknowledged(self) -> bool:
        return self.status == CREATED

    @property
    def lateness_s(self) -> float:
        """How late this process was: its own error, not the system's."""
        return self.sent_s - self.due_s


def read_orders(path: Path) -> list[Order]:
    """All rows of an orders.csv. Raises ValueError if the header is not ours."""
    with path.open(newline="") as text:
        rows = csv.reader(line for line in text if line.endswith("\n"))
        if tuple(next(rows, ())) != COLUMNS:
            raise ValueError(f"{path} is no orders.csv")
        return [
            Order(int(r[0]), r[1], float(r[2]), float(r[3]), float(r[4]), int(r[5]) if r[5] else None)
            for r in rows
        ]


class Line:
    """One connection, opened again after an error."""

    def __init__(self, config: OrdersConfig) -> None:
        self._config = config
        self._parts = urlsplit(config.url)
        self._tls: ssl.SSLContext | None = None
        if self._parts.scheme == "https" and config.ca_file is not None:
            self._tls = verifying_context(config.ca_file)
        self._http: http.client.HTTPConnection | None = None

    def put(self, order_id: str) -> int | None:
        """The status of the answer; None without one."""
        try:
            http_connection = self._http or self._open()
            headers = {"Content-Type": "application/json"}
            http_connection.request("PUT", f"/api/orders/{order_id}", ORDER, headers)
            answer = http_connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return None
        return answer.status

    def _open(self) -> http.client.HTTPConnection:
        host = self._parts.hostname or ""
        port = self._parts.port or (443 if self._tls else 80)
        connected = socket.create_connection((self._config.connect_to, port), self._config.timeout_s)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._http = http.client.HTTPConnection(host, port)
        self._http.sock = self._tls.wrap_socket(connected, server_hostname=host) if self._tls else connected
        return self._http

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
        self._http = None


class Writer:
    """All orders of a run: threads that each take the next one that is due."""

    def __init__(self, config: OrdersConfig, rows: TextIO, t0_s: float) -> None:
        self._config, self._t0_s = config, t0_s
        self._rows = csv.writer(rows, lineterminator="\n")
        self._rows.writerow(COLUMNS)
        self._next = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._lateness = Histogram()
        self._sent = self._acknowledged = self._unknown = 0

    def stop(self) -> None:
        """No further order is sent. Safe in a signal handler."""
        self._ended.set()

    def run(self) -> None:
        """Returns when the last order is answered or has timed out."""
        threads = [threading.Thread(target=self._work) for _ in range(self._config.connections)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        line = Line(self._config)
        try:
            while (k := self._take()) is not None:
                due_s = self._t0_s + k / self._config.rate_hz
                if self._ended.wait(max(0.0, due_s - time.monotonic())):
                    return
                order_id, sent_s = str(uuid.uuid4()), time.monotonic()
                status = line.put(order_id)
                self._record(Order(k, order_id, due_s, sent_s, time.monotonic(), status))
        finally:
            line.close()

    def _take(self) -> int | None:
        with self._lock:
            if self._next >= self._config.count:
                return None
            self._next += 1
            return self._next - 1

    def _record(self, o: Order) -> None:
        with self._lock:
            times = (f"{t:.6f}" for t in (o.due_s, o.sent_s, o.end_s))
            self._rows.writerow((o.k, o.id, *times, "" if o.status is None else o.status))
            self._lateness.add(max(0.0, o.lateness_s))
            self._sent += 1
            self._acknowledged += o.acknowledged
            self._unknown += o.status is None

    def summary(self) -> dict[str, Any]:
        return {
            "due": self._config.count, "sent": self._sent, "acknowledged": self._acknowledged,
            "unknown": self._unknown, "lateness_ms": self._lateness.summary_ms(),
        }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        (path,) = arguments
        config = OrdersConfig(**json.loads(Path(path).read_text()))
    except (ValueError, TypeError, OSError) as error:
        print(f"orders: CONFIG.json: {error}", file=sys.stderr)
        return EXIT_USAGE
    with Path(config.output).open("w", newline="") as rows:
        t0_s = time.monotonic() + LEAD_S
        writer = Writer(config, rows, t0_s)
        with contextlib.suppress(ValueError):  # in a thread of a test there are no signals to hear
            signal.signal(signal.SIGTERM, lambda _number, _frame: writer.stop())
        print(json.dumps({"started_s": t0_s}), flush=True)
        writer.run()
    print(json.dumps(writer.summary()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
