"""What the monitor's daemons answer becomes values; what they refuse becomes an error that says why."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from experiments.harness.blocks import ConfigError
from experiments.harness.prometheus_api import (
    Alertmanager,
    Prometheus,
    Rule,
    Sample,
    ScrapedTarget,
    group_wait_of,
    rules_of,
    series_of,
    targets_of,
)
from services.alertmanager import Alertmanager as AlertmanagerService
from services.credentials import Secrets
from topologies.waiting import CommandFailed

VECTOR = {
    "resultType": "vector",
    "result": [{"metric": {"__name__": "up", "job": "node"}, "value": [1795490124.008, "1"]}],
}
MATRIX = {
    "resultType": "matrix",
    "result": [{"metric": {"host": "server1"}, "values": [[10.5, "14"], [12.5, "16"]]}],
}


@dataclass
class Server:
    """Answers everything with `status` and `answer`, and remembers what it was asked."""

    answer: Any = None
    status: int = 200
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    port: int = 0


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            made.asked.append((self.command, self.path, json.loads(body) if body else None))
            said = b"" if made.answer is None else json.dumps(made.answer).encode()
            self.send_response(made.status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_POST = do_DELETE = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        made.port = http.server_address[1]
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield made
        http.shutdown()
        thread.join(5)


@dataclass
class FakeHost:
    """Whatever port is asked for, the server above answers."""

    server: Server
    name: str = "monitor1"

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        assert address == "127.0.0.1"
        return socket.create_connection(("127.0.0.1", self.server.port), timeout_s)


def prometheus(server: Server) -> Prometheus:
    return Prometheus(FakeHost(server), timeout_s=2.0)  # type: ignore[arg-type]


def alertmanager(server: Server) -> Alertmanager:
    return Alertmanager(FakeHost(server), timeout_s=2.0)  # type: ignore[arg-type]


def test_a_query_is_sent_as_it_is_and_its_samples_come_back(server: Server) -> None:
    server.answer = {"data": MATRIX}
    (found,) = prometheus(server).raw('nginx_up{host="server1"}', 10.0, 12.5)
    assert found.samples == (Sample(10.5, 14), Sample(12.5, 16))
    assert found.labels == {"host": "server1"}
    path = urlsplit(server.asked[0][1])
    assert parse_qs(path.query) == {"query": ['nginx_up{host="server1"}[2500ms]'], "time": ["12.500"]}


def test_a_range_is_asked_with_its_step(server: Server) -> None:
    server.answer = {"data": MATRIX}
    prometheus(server).range("up", 1.0, 2.0, 0.5)
    path = urlsplit(server.asked[0][1])
    assert path.path == "/api/v1/query_range"
    assert parse_qs(path.query)["step"] == ["0.5"]


def test_a_vector_has_one_sample_for_each_series_and_a_scalar_none() -> None:
    (found,) = series_of(VECTOR)
    assert (found.labels["job"], found.samples) == ("node", (Sample(1795490124.008, 1.0),))
    with pytest.raises(ValueError, match="scalar"):
        series_of({"resultType": "scalar", "result": [1, "1"]})


def test_a_refused_query_says_why(server: Server) -> None:
    server.status, server.answer = 400, {"error": "parse error: unexpected end"}
    with pytest.raises(CommandFailed, match=r"monitor1.*400.*unexpected end"):
        prometheus(server).instant("up{")


def test_a_server_that_is_gone_is_an_error_of_its_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        gone = Server(port=taken.getsockname()[1])
    with pytest.raises(CommandFailed, match=r"monitor1: GET :9090/api/v1/query"):
        prometheus(gone).instant("up")


def test_a_server_that_is_silent_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = FakeHost(Server(port=silent.getsockname()[1]))
        with pytest.raises(CommandFailed, match="timed out"):
            Prometheus(host, timeout_s=0.1).instant("up")  # type: ignore[arg-type]


def test_timers_are_those_of_the_target_and_of_the_group_that_evaluates() -> None:
    target = {"labels": {"job": "nginx", "host": "web1"}, "scrapeInterval": "2s", "scrapeTimeout": "500ms"}
    assert targets_of({"data": {"activeTargets": [target]}}) == [ScrapedTarget("nginx", "web1", 2.0, 0.5)]
    rule = {"name": "NginxDown", "query": "nginx_up == 0", "duration": 4}
    groups = {"data": {"groups": [{"interval": 2, "rules": [rule]}]}}
    assert rules_of(groups) == {"NginxDown": Rule("NginxDown", "nginx_up == 0", 4.0, 2.0)}


def test_group_wait_is_read_from_what_alertmanager_has_in_force() -> None:
    rendered = AlertmanagerService(host_name="monitor1", group_wait_s=1.5).render(Secrets())
    (file,) = rendered.values()
    assert group_wait_of(file.text) == 1.5
    assert group_wait_of("route:\n  group_wait: 0s\n") == 0.0
    for wrong in ("route: {}\n", "  group_wait: 1s\n  group_wait: 2s\n"):
        with pytest.raises(ConfigError, match="group_wait"):
            group_wait_of(wrong)


def test_a_silence_ends_with_its_block_whatever_happens(server: Server) -> None:
    server.answer = {"silenceID": "abc"}
    with (
        pytest.raises(KeyboardInterrupt),
        alertmanager(server).silence({"alertname": "AgentDown", "host": "db1"}, 60.0, "a control"),
    ):
        raise KeyboardInterrupt
    (method, _, wanted), (undo, path, _) = server.asked
    assert (method, undo, path) == ("POST", "DELETE", "/api/v2/silence/abc")
    assert {m["name"]: m["value"] for m in wanted["matchers"]} == {"alertname": "AgentDown", "host": "db1"}
    assert not any(m["isRegex"] for m in wanted["matchers"])
    assert wanted["startsAt"] < wanted["endsAt"]
