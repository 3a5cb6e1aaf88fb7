"""Each fault sets off the alerts that are meant for it, in its time, and the pager writes them down."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from services.credentials import Secrets
from services.pager import SCRIPT, Pager
from services.prometheus import RULES, Prometheus

SERVER = 'proxy="web", server="web1"'
#: Series, its values from the fault on (2 s apart, all well until then), and the alerts that are due.
FAULTS: list[tuple[str, str, str, set[str]]] = [
    ('up{job="node", host="web1"}', "1", "0", {"AgentDown"}),
    ('up{job="haproxy", host="lb1"}', "1", "0", {"AgentDown", "HAProxyDown"}),
    ("nginx_up", "1", "0", {"NginxDown"}),
    ("mysql_up", "1", "0", {"MySQLDown"}),
    (f'haproxy_server_status{{{SERVER}, state="UP"}}', "1", "0", {"BackendDown"}),
    (f'haproxy_server_status{{{SERVER}, state="DOWN"}}', "1", "0", set()),
    ('haproxy_server_status{proxy="other", server="web1", state="UP"}', "1", "0", set()),
    (f"haproxy_server_check_duration_seconds{{{SERVER}}}", "0.01", "0.4", {"SlowAnswers"}),
    (f"haproxy_server_check_duration_seconds{{{SERVER}}}", "0.01", "0.2", set()),
    ("mysql_slave_status_slave_sql_running", "1", "0", {"ReplicationStopped"}),
    ("mysql_slave_status_slave_io_running", "1", "0", {"ReplicationStopped"}),
]


@pytest.mark.parametrize(
    ("series", "well", "ill", "alerts"), FAULTS, ids=[f"{f[0]} = {f[2]}" for f in FAULTS]
)
def test_an_alert_fires_after_its_time_and_not_before(
    series: str, well: str, ill: str, alerts: set[str], tmp_path: Path
) -> None:
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed")
    service = Prometheus(host_name="monitor1", targets=(), alert_for_s=4.0)
    (tmp_path / "alerts.yml").write_text(service.render(Secrets())[RULES].text)
    # The fault is seen at 10 s: pending at 10 and 12, due at 14, over at 20.
    values = f"{well}x4 {ill}x4 {well}x5".replace("x", "+0x")
    due = [f'ALERTS{{alertname="{name}", alertstate="firing"}}' for name in sorted(alerts)]

    def firing(at: str, samples: list[str]) -> dict[str, object]:
        told = "count by (alertname, alertstate) (ALERTS{alertstate='firing'}) * 0"
        expected = [{"labels": sample.removeprefix("ALERTS"), "value": 0} for sample in samples]
        return {"expr": told, "eval_time": at, "exp_samples": expected}

    test = {
        "interval": "2s",
        "input_series": [{"series": series, "values": values}],
        "promql_expr_test": [firing("12s", []), firing("14s", due), firing("18s", due), firing("20s", [])],
    }
    case = {"rule_files": ["alerts.yml"], "evaluation_interval": "2s", "tests": [test]}
    (tmp_path / "case.yml").write_text(json.dumps(case))
    done = subprocess.run(
        ["promtool", "test", "rules", "case.yml"], cwd=tmp_path, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def pager(room: Path) -> Iterator[tuple[int, IO[bytes]]]:
    """The rendered script, running: its port and its standard output."""
    script = room / "pager"
    script.write_text(Pager(host_name="monitor1").render(Secrets())[SCRIPT].text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with subprocess.Popen(
        ["/usr/bin/python3", "-I", str(script), "127.0.0.1", str(port)], stdout=subprocess.PIPE
    ) as running:
        try:
            deadline_s = time.monotonic() + 10
            while time.monotonic() < deadline_s:
                with contextlib.suppress(ConnectionRefusedError):
                    if ask(port, "GET", "/alive") == 200:
                        break
            assert running.stdout
            yield port, running.stdout
        finally:
            running.send_signal(signal.SIGKILL)


def ask(port: int, method: str, path: str, body: bytes | None = None) -> int:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request(method, path, body)
        return connection.getresponse().status


@pytest.mark.skipif(not os.access("/usr/bin/python3", os.X_OK), reason="no /usr/bin/python3")
def test_the_pager_writes_down_each_alert_and_when_it_came(tmp_path: Path) -> None:
    labels = [{"alertname": "NginxDown", "host": host} for host in ("web1", "web2")]
    alerts = [{"status": "firing", "labels": each, "startsAt": "2026-01-02T03:04:05Z"} for each in labels]
    with pager(tmp_path) as (port, output):
        before_s = time.monotonic()
        assert ask(port, "POST", "/alerts", b"nonsense") == 400
        assert ask(port, "POST", "/alerts", b'{"alerts": [{}]}') == 400
        assert ask(port, "POST", "/alerts", json.dumps({"alerts": alerts}).encode()) == 200
        told = [json.loads(output.readline()) for _ in alerts]
        after_s = time.monotonic()
    assert [line["labels"] for line in told] == labels
    assert {line["status"] for line in told} == {"firing"}
    assert {line["starts_at"] for line in told} == {"2026-01-02T03:04:05Z"}
    assert all(before_s <= line["t_s"] <= after_s for line in told)
    assert all(set(line) == {"t_s", "status", "labels", "starts_at"} for line in told)
