"""Orders are sent when they are due, once each, and what became of them is written down."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from loadtests import orders
from loadtests.orders import Order, OrdersConfig, Writer, read_orders


class Shop(ThreadingHTTPServer):
    """Answers as it is told, and remembers the orders it got, with the moment."""

    daemon_threads = True

    def __init__(self, status: int | None, delay_s: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.delay_s = status, delay_s
        self.got: list[tuple[str, bytes, float]] = []
        self.connections = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Shop

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, body, time.monotonic()))
        threading.Event().wait(self.server.delay_s)
        if self.server.status is None:
            self.close_connection = True
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def shop(status: int | None = 201, delay_s: float = 0.0) -> Iterator[Shop]:
    with Shop(status, delay_s) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def config(server: Shop, **more: Any) -> OrdersConfig:
    values = {"rate_hz": 50.0, "duration_s": 0.4, "output": "", "connections": 4, "timeout_s": 1.0, **more}
    return OrdersConfig(f"http://www.foobar.com:{server.server_port}", "127.0.0.1", **values)


def written(asked: OrdersConfig) -> tuple[list[dict[str, str]], dict[str, Any]]:
    rows = StringIO()
    writer = Writer(asked, rows, time.monotonic() + 0.02)
    writer.run()
    header, *lines = rows.getvalue().splitlines()
    return [dict(zip(header.split(","), x.split(","), strict=True)) for x in lines], writer.summary()


def test_every_order_is_sent_once_under_an_id_of_its_own() -> None:
    with shop() as server:
        rows, summary = written(config(server))
    assert len(server.got) == len({path for path, _, _ in server.got}) == 20
    assert {f"/api/orders/{row['id']}" for row in rows} == {path for path, _, _ in server.got}
    assert json.loads(server.got[0][1]) == {"item_id": 1, "quantity": 1}
    assert (summary["due"], summary["sent"], summary["acknowledged"], summary["unknown"]) == (20, 20, 20, 0)
    assert server.connections <= 4


def test_orders_are_due_in_even_steps_and_none_is_early() -> None:
    with shop() as server:
        rows, _ = written(config(server))
    due = sorted(float(row["due_s"]) for row in rows)
    assert [b - a for a, b in pairwise(due)] == pytest.approx([0.02] * 19, abs=1e-5)
    assert all(float(row["sent_s"]) >= float(row["due_s"]) for row in rows)


def test_a_slow_shop_does_not_slow_the_orders_down_as_long_as_there_are_lines() -> None:
    with shop(delay_s=0.1) as server:
        rows, _ = written(config(server, connections=16))
    late_s = sorted(float(row["sent_s"]) - float(row["due_s"]) for row in rows)
    assert late_s[len(late_s) // 2] < 0.05


def test_without_a_free_line_an_order_is_late_and_says_so() -> None:
    with shop(delay_s=0.1) as server:
        _, summary = written(config(server, connections=1, duration_s=0.2))
    assert summary["sent"] == 10
    assert summary["lateness_ms"]["max"] > 500


def test_what_was_refused_is_not_acknowledged() -> None:
    with shop(503) as server:
        rows, summary = written(config(server))
    assert {row["status"] for row in rows} == {"503"}
    assert (summary["acknowledged"], summary["unknown"]) == (0, 0)


def test_of_what_has_no_answer_nobody_knows_and_it_is_not_sent_again() -> None:
    with shop(None) as server:
        rows, summary = written(config(server))
    assert {row["status"] for row in rows} == {""}
    assert summary["unknown"] == 20
    assert len(server.got) == 20


def test_a_shop_that_is_closed_leaves_no_acknowledgment() -> None:
    with shop() as server:
        gone = config(server)
    _, summary = written(gone)
    assert (summary["sent"], summary["unknown"]) == (20, 20)


def test_stopping_ends_it_at_once() -> None:
    with shop() as server:
        writer = Writer(config(server, duration_s=60.0), StringIO(), time.monotonic())
        timer = threading.Timer(0.2, writer.stop)
        timer.start()
        start_s = time.monotonic()
        writer.run()
    assert time.monotonic() - start_s < 1.5
    assert 0 < writer.summary()["sent"] < 100


def test_the_program_writes_rows_that_can_be_read_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with shop() as server:
        asked = config(server, output=str(tmp_path / "orders.csv"))
        (tmp_path / "orders.json").write_text(asked.to_json())
        assert orders.main([str(tmp_path / "orders.json")]) == 0
    started, summary = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    rows = read_orders(tmp_path / "orders.csv")
    assert len(rows) == summary["acknowledged"] == 20
    assert all(o.acknowledged and o.lateness_s >= 0 for o in rows)
    assert min(o.due_s for o in rows) == pytest.approx(started["started_s"], abs=1e-3)


def test_another_file_is_no_list_of_orders(tmp_path: Path) -> None:
    (tmp_path / "probes.csv").write_text("stream,k\n")
    with pytest.raises(ValueError, match=r"no orders\.csv"):
        read_orders(tmp_path / "probes.csv")


def test_an_order_without_a_status_is_read_back_as_unknown(tmp_path: Path) -> None:
    text = "k,id,due_s,sent_s,end_s,status\n0,a,1.0,1.001,1.5,\n1,b,1.0,1.0,1.0,201\n2,c,1."
    (tmp_path / "orders.csv").write_text(text)
    rows = read_orders(tmp_path / "orders.csv")  # the last line is still being written
    assert rows == [Order(0, "a", 1.0, 1.001, 1.5, None), Order(1, "b", 1.0, 1.0, 1.0, 201)]
    assert [o.acknowledged for o in rows] == [False, True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_hz": 0.0}, {"rate_hz": 5000.0}, {"duration_s": 10_000.0}, {"connections": 0},
        {"timeout_s": 0.0}, {"url": "ftp://www.foobar.com"}, {"url": "https://www.foobar.com"},
    ],
)  # fmt: skip
def test_what_has_no_bound_or_no_sense_is_refused(wrong: dict[str, Any], tmp_path: Path) -> None:
    good = {"url": "http://www.foobar.com", "connect_to": "127.0.0.1", "rate_hz": 1.0, "duration_s": 1.0}
    values = {**good, "output": str(tmp_path / "o.csv"), **wrong}
    with pytest.raises(ValueError, match=r"orders/s|connections|url|https"):
        OrdersConfig(**values)
    (tmp_path / "c.json").write_text(json.dumps(values))
    assert orders.main([str(tmp_path / "c.json")]) == 2
    assert not (tmp_path / "o.csv").exists()
