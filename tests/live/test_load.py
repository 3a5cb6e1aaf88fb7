"""A stage under load: every row adds up, visitors spread, faults need the token, and nothing is left."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loadtests.histogram import RELATIVE_ERROR
from tests.live.left import Traces, pids
from tests.live.test_operate import ROOT, TESTBED, command
from topologies import capsule
from topologies.waiting import wait_until

pytestmark = pytest.mark.live

INTERRUPTED = 130


def load(results: Path, stage: str, *options: str) -> dict[str, Any]:
    """A headless load that runs to its end; its summary."""
    done = subprocess.run(
        [*TESTBED, "load", stage, "--json", "--quiet", "--results", str(results), *options], cwd=ROOT,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def rows(results: Path) -> list[dict[str, str]]:
    with (results / "latest" / "requests.csv").open(newline="") as text:
        return list(csv.DictReader(text))


def share(summary: dict[str, Any], layer: str) -> dict[str, float]:
    return {row["host"]: row["share"] for row in summary["served"] if row["layer"] == layer}


def test_a_headless_load_is_counted_request_by_request(tmp_path: Path) -> None:
    summary = load(tmp_path, "0", "--users", "5", "--duration", "5")
    recorded = rows(tmp_path)
    assert summary["requests"] == len(recorded) >= 10
    assert (summary["failures"], summary["failed"]) == (0, {}), (
        "TLS is verified, and with the host's own trust"
    )
    assert {row["outcome"] for row in recorded} == {"ok"}
    by_name = Counter(f"{row['method']} {row['name']}" for row in recorded)
    assert {each["name"]: each["requests"] for each in summary["names"]} == by_name
    latencies_ms = sorted(float(row["latency_ms"]) for row in recorded)
    middle = latencies_ms[(len(latencies_ms) + 1) // 2 - 1]
    assert middle <= summary["p50_ms"] <= middle * (1 + RELATIVE_ERROR)
    assert 0 < summary["p50_ms"] <= summary["p95_ms"] <= summary["p99_ms"] <= summary["max_ms"]
    assert share(summary, "web server") == {"server1": 1.0}
    seconds = (tmp_path / "latest" / "load.csv").read_text().splitlines()
    assert seconds[0] == "t_s,users,rps,failures_per_s,p50_ms,p95_ms"
    assert max(int(line.split(",")[1]) for line in seconds[1:]) == 5
    kept = json.loads((tmp_path / "latest" / "summary.json").read_text())
    assert kept == summary
    stage = json.loads((tmp_path / "latest" / "stage.json").read_text())
    assert stage["addresses"] == [{"address": "8.8.8.8", "held_by": ["server1"]}]
    server = next(host for host in stage["hosts"] if host["name"] == "server1")
    assert {daemon["state"] for daemon in server["daemons"]} == {"running"}


@pytest.mark.slow
def test_workers_on_both_clients_spread_over_both_addresses_and_all_servers(tmp_path: Path) -> None:
    summary = load(
        tmp_path, "3", "--users", "40", "--duration", "8", "--workers", "2", "--scenario", "browse"
    )
    assert summary["failures"] == 0
    assert summary["requests"] == len(rows(tmp_path)) >= 150
    # Each visitor looks the name up itself, and the name server turns its two records round.
    for layer in ("load balancer", "web server", "application"):
        shares = share(summary, layer)
        assert len(shares) == 2
        assert all(0.35 < each < 0.65 for each in shares.values()), (layer, shares)
    hosts = tmp_path / "latest" / "hosts"
    assert sorted(path.name for path in hosts.glob("client*/locust*.log")) == [
        "locust-worker-1.log", "locust-worker-2.log", "locust.log"
    ]  # fmt: skip
    ordered = [float(row["end_s"]) for row in rows(tmp_path)]
    assert ordered == sorted(ordered)


def test_ctrl_c_ends_a_load_with_130_a_summary_and_nothing_left(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*TESTBED, "load", "0", "--users", "5", "--duration", "60", "--json", "--results", str(tmp_path)],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(lambda: _requests(tmp_path) > 5, timeout_s=40, what="requests to flow", interval_s=0.2)
        (run,) = [run for run in capsule.running() if run.supervisor == process.pid]
        traces = Traces.of(run)
        process.send_signal(signal.SIGINT)
        out, complaint = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == INTERRUPTED, complaint
    summary = json.loads(out)
    assert summary["interrupted"] is True
    assert summary["requests"] > 5
    wait_until(lambda: not traces.left(), timeout_s=15, what="everything to be gone")


def _requests(results: Path) -> int:
    return sum(
        int(json.loads(path.read_text())["load"]["requests"])
        for path in results.glob("load-stage*/*/stage.json")
    )


# -- the web UI --------------------------------------------------------------------------------------


@dataclass
class WebLoad:
    """A load with a web UI, as its terminal tells it."""

    process: subprocess.Popen[str]
    url: str
    token: str
    said: list[str]

    def ask(self, path: str, **form: str) -> tuple[int, Any]:
        """Status and JSON; a form makes it a POST."""
        data = urllib.parse.urlencode(form).encode() if form else None
        try:
            with urllib.request.urlopen(f"{self.url}{path}", data, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def break_it(self, action: str, fault: str, target: str) -> str:
        """Ask with the right token; what is said of it in the end."""
        status, asked = self.ask("stage/fault", action=action, fault=fault, target=target, token=self.token)
        assert status == 202
        said: list[str] = []

        def decided(stage: dict[str, Any]) -> bool:
            mine = [order["said"] for order in stage["orders"] if order["id"] == asked["request"]]
            said[:] = [words for words in mine if words not in ("waiting", "injecting", "healing")]
            return bool(said)

        self.until(decided, "an answer")
        return said[0]

    def until(self, true_of: Any, what: str, timeout_s: float = 30.0) -> None:
        def seen() -> bool:
            status, stage = self.ask("stage.json")
            return status == 200 and bool(true_of(stage))

        wait_until(seen, timeout_s=timeout_s, what=what, interval_s=0.3)


@contextlib.contextmanager
def web_load(results: Path, stage: str, *options: str) -> Iterator[WebLoad]:
    process = subprocess.Popen(
        [*TESTBED, "load", stage, "--web", "--quiet", "--results", str(results), *options],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said: list[str] = []

    def listen() -> None:
        assert process.stderr is not None
        said.extend(process.stderr)  # grows line by line

    threading.Thread(target=listen, daemon=True).start()
    try:

        def told() -> bool:
            assert process.poll() is None, "".join(said)
            return "it stays until" in "".join(said)

        wait_until(told, timeout_s=60, what="the web UI to be announced", interval_s=0.1)
        text = "".join(said)
        url = re.search(r"open (http://127\.0\.0\.1:\d+/) and start", text)
        token = re.findall(r"token for faults: (\S+)", text)
        assert url is not None
        assert len(token) == 1
        yield WebLoad(process, url[1], token[0], said)
    finally:
        process.terminate()
        try:
            process.wait(40)
        finally:
            process.kill()


def test_through_the_web_ui_a_load_is_started_and_a_fault_injected_only_with_the_token(
    tmp_path: Path,
) -> None:
    with web_load(tmp_path, "0") as web:
        for refused in ({"token": "wrong"}, {}):
            order = {"action": "inject", "fault": "hang", "target": "server1/nginx"}
            assert web.ask("stage/fault", **order, **refused)[0] == 403
        assert web.ask("swarm", user_count="501", spawn_rate="10")[1]["success"] is False
        assert web.ask("swarm", user_count="5", spawn_rate="10")[1]["success"] is True
        web.until(lambda stage: stage["load"]["requests"] > 10, "requests to flow")
        assert web.ask("stage.json")[1]["orders"] == [], "what had no token was not even heard"

        assert "refused: stage 0 has no 'client1'" in web.break_it("inject", "hang", "client1")
        assert "injected" in web.break_it("inject", "hang", "server1/nginx")
        web.until(lambda stage: stage["faults"], "the fault to be shown")
        _, stage = web.ask("stage.json")
        assert (stage["faults"][0]["fault"], stage["faults"][0]["target"]) == ("hang", "server1/nginx")
        server = next(host for host in stage["hosts"] if host["name"] == "server1")
        assert {"name": "nginx", "state": "paused"} in server["daemons"]
        assert "healed, and every daemon answers" in web.break_it("heal", "hang", "server1/nginx")

        _token_is_nowhere(tmp_path, web)
        down = command("down", "--run", next(tmp_path.glob("load-*/*")).name)
        assert down.returncode == 0
        assert web.process.wait(30) == 0
    _token_is_nowhere(tmp_path, web)
    events = (tmp_path / "latest" / "events.csv").read_text()
    assert [line.split(",")[1] for line in events.splitlines()[1:]] == [
        "inject",
        "injected",
        "heal",
        "healed",
    ]
    summary = json.loads((tmp_path / "latest" / "summary.json").read_text())
    assert summary["interrupted"] is False
    assert summary["requests"] == len(rows(tmp_path))


def _token_is_nowhere(results: Path, web: WebLoad) -> None:
    """Not in a file of the results, a command line or an environment; on the terminal it was said once."""
    secret = web.token.encode()
    for path in results.rglob("*"):
        if path.is_file():
            assert secret not in path.read_bytes(), path
    for pid in pids():
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):  # it ended while we looked
                assert secret not in Path(f"/proc/{pid}/{name}").read_bytes() or pid == os.getpid()
    assert "".join(web.said).count(web.token) == 1


def test_what_is_broken_when_the_load_ends_is_healed(tmp_path: Path) -> None:
    with web_load(tmp_path, "0") as web:
        assert "injected" in web.break_it("inject", "process-kill", "server1/gunicorn")
        web.process.send_signal(signal.SIGINT)
        assert web.process.wait(40) == INTERRUPTED
    assert (tmp_path / "latest" / "events.csv").read_text().count("healed") == 1
