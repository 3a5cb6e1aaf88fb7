"""What watches the site passes its own checkers, is ready when it answers, and loses no line."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from services.alertmanager import Alertmanager
from services.credentials import Secrets
from services.mysqld_exporter import MysqldExporter
from services.nginx_exporter import NginxExporter
from services.node_exporter import NodeExporter
from services.pager import Pager
from services.prometheus import CONFIGURATION, SCRAPE_TIMEOUT_S, Prometheus, Target, duration
from services.rsyslog import Rsyslog
from services.service import Service
from services.ulogd import Ulogd
from tests.services import sandbox
from tests.services.test_readiness import FakeHost
from tests.services.test_readiness import http as answer

TARGETS = (
    Target("node", "lb1", "10.0.9.11", 9100, "lb"),
    Target("haproxy", "lb1", "10.0.9.11", 8405, "lb"),
    Target("node", "web1", "10.0.9.21", 9100, "web"),
    Target("nginx", "web1", "10.0.9.21", 9113, "web"),
    Target("mysql", "db1", "10.0.9.41", 9104, "database"),
)
NGINX_LOG = "/var/log/daemons/nginx.log"
PROMETHEUS = Prometheus(host_name="monitor1", targets=TARGETS)
ALERTMANAGER = Alertmanager(host_name="monitor1")
SHIPPER = Rsyslog(host_name="web1", sources=(("nginx", NGINX_LOG),), forward_to="10.0.9.51", listen=None)
STORE = Rsyslog(host_name="monitor1", sources=(), forward_to=None, listen="10.0.9.51")
AGENTS: tuple[Service, ...] = (
    NodeExporter(host_name="web1"),
    NginxExporter(host_name="web1"),
    MysqldExporter(host_name="db1"),
)
OVER_HTTP = (*AGENTS, PROMETHEUS, ALERTMANAGER, Pager(host_name="monitor1"))
HUNG_UP = (SHIPPER, STORE, Ulogd(host_name="web1"))
ACCEPTED = {
    "default": PROMETHEUS,
    "no targets": replace(PROMETHEUS, targets=()),
    "fractions of a second": replace(PROMETHEUS, scrape_interval_s=0.25, evaluation_interval_s=0.5),
    "alerts at once": replace(PROMETHEUS, alert_for_s=0.0),
    "alertmanager": ALERTMANAGER,
    "alertmanager with patience": replace(ALERTMANAGER, group_wait_s=1.5, group_interval_s=0.5),
    "shipper": SHIPPER,
    "store": STORE,
    "store with logs of its own": replace(STORE, sources=(("pager", "/var/log/daemons/pager.log"),)),
}
#: Service, file, what stands there, what is put in its place, and a word of the complaint.
BROKEN: list[tuple[Service, str, str, str, str]] = [
    (PROMETHEUS, "prometheus.yml", "scrape_timeout: 1s", "scrape_timeout: 3s", "scrape timeout greater"),
    (PROMETHEUS, "prometheus.yml", "evaluation_interval: 2s", "evaluation_interval: 2.5s", "2.5s"),
    (PROMETHEUS, "prometheus.yml", "job_name: nginx", "job_name: node", "multiple scrape configs"),
    (PROMETHEUS, "alerts.yml", "expr: mysql_up == 0", "expr: mysql_up = 0", "could not parse expression"),
    (ALERTMANAGER, "alertmanager.yml", "receiver: pager", "receiver: nobody", '"nobody"'),
    (ALERTMANAGER, "alertmanager.yml", "group_interval: 1s", "group_interval: 0s", "group_interval"),
    (SHIPPER, "rsyslog.conf", 'load="imfile"', 'load="imfiles"', "imfiles"),
    (SHIPPER, "rsyslog.conf", "resumeRetryCount", "resumeRetriesCount", "resumeRetriesCount"),
    (STORE, "rsyslog.conf", 'template="line"', 'template="word"', "'word'"),
]


def texts(service: Service) -> dict[str, str]:
    return {path: file.text for path, file in service.render(Secrets()).items()}


def checked(service: Service, files: Mapping[str, str], room: Path) -> tuple[int, str]:
    """Status and complaint of the service's own checker. Skips where there is none."""
    if missing := [command[0] for command in service.check() if not shutil.which(command[0])]:
        pytest.skip(f"{missing[0]} is not installed")
    if reason := sandbox.why_not():
        pytest.skip(f"no unprivileged namespaces here: {reason}")
    return sandbox.check(service, files, room)


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_checker_accepts_what_is_rendered(name: str, tmp_path: Path) -> None:
    status, said = checked(ACCEPTED[name], texts(ACCEPTED[name]), tmp_path)
    assert status == 0, said


@pytest.mark.parametrize(
    ("service", "file", "good", "bad", "complaint"),
    [pytest.param(*broken, id=f"{broken[1]}: {broken[3]}") for broken in BROKEN],
)
def test_the_checker_refuses_a_broken_file(
    service: Service, file: str, good: str, bad: str, complaint: str, tmp_path: Path
) -> None:
    intact = texts(service)
    assert any(path.endswith(file) and good in text for path, text in intact.items())
    broken = {p: t.replace(good, bad, 1) if p.endswith(file) else t for p, t in intact.items()}
    status, said = checked(service, broken, tmp_path)
    assert status != 0
    assert complaint in said


@pytest.mark.parametrize("service", OVER_HTTP, ids=lambda s: s.name)
def test_an_agent_that_answers_http_is_ready_with_200_and_nothing_else(service: Service) -> None:
    assert service.ready(FakeHost(answer(200)))
    assert not service.ready(FakeHost(answer(503)))
    with pytest.raises(OSError, match="not HTTP"):
        service.ready(FakeHost(b"SSH-2.0-OpenSSH_9.2\r\n"))


@dataclass
class FrozenHost(FakeHost):
    """The kernel accepts every connection; nobody ever reads, answers or hangs up."""

    _open: list[socket.socket] = field(default_factory=list)

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._open.append(theirs)
        ours.settimeout(0.05)
        return ours

    def __del__(self) -> None:
        for end in self._open:
            end.close()


@pytest.mark.parametrize("service", HUNG_UP, ids=("shipper", "store", "ulogd"))
def test_a_silent_daemon_is_ready_when_it_hangs_up_itself(service: Service) -> None:
    assert service.ready(FakeHost())
    assert not service.ready(FakeHost(b"hello"))
    with pytest.raises(TimeoutError):
        service.ready(FrozenHost())


def test_the_store_is_ready_only_where_the_others_ship_to() -> None:
    with pytest.raises(ConnectionRefusedError):
        STORE.ready(FakeHost(refused=frozenset({"10.0.9.51"})))


@pytest.mark.parametrize("service", OVER_HTTP, ids=lambda s: s.name)
def test_agents_run_as_prometheus_and_are_named_by_their_own_program(service: Service) -> None:
    assert "--reuid=prometheus" in service.command
    assert service.program in service.command
    assert service.program != "setpriv"


def test_only_the_exporter_may_read_its_password() -> None:
    secrets = Secrets()
    (file,) = MysqldExporter(host_name="db1").render(secrets).values()
    assert f"password = {secrets.password('mysql-exporter')}\n" in file.text
    assert (file.secret, file.mode, file.owner) == (True, 0o640, "root:prometheus")


def test_nginx_has_less_time_for_its_status_than_prometheus_waits() -> None:
    exporter = NginxExporter(host_name="web1")
    assert exporter.timeout_s <= SCRAPE_TIMEOUT_S / 2
    assert "-nginx.timeout=500ms" in exporter.command


@pytest.mark.parametrize(("forward_to", "listen"), [(None, None), ("10.0.9.51", "10.0.9.51")])
def test_rsyslog_either_forwards_or_listens(forward_to: str | None, listen: str | None) -> None:
    with pytest.raises(ValueError, match="web1"):
        Rsyslog(host_name="web1", sources=(), forward_to=forward_to, listen=listen)


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.0, "2s"), (0.25, "250ms"), (2.5, "2500ms"), (0.0, "0s"), (86400.0, "86400s")]
)
def test_durations_are_whole_numbers(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_every_target_is_asked_and_labelled_with_its_host_and_layer() -> None:
    configuration = PROMETHEUS.render(Secrets())[CONFIGURATION].text
    for t in TARGETS:
        labels = f"{{instance: {t.host}, host: {t.host}, layer: {t.layer}}}"
        assert f'["{t.address}:{t.port}"]\n        labels: {labels}\n' in configuration
    jobs = [line.split()[-1] for line in configuration.splitlines() if "job_name" in line]
    assert jobs == ["node", "haproxy", "nginx", "mysql", "prometheus", "alertmanager"]


def test_a_scrape_never_takes_longer_than_the_interval() -> None:
    eager = replace(PROMETHEUS, scrape_interval_s=0.5)
    assert "scrape_timeout: 500ms\n" in eager.render(Secrets())[CONFIGURATION].text


_LATE_STORE = """
rsyslogd -n -f /etc/shipper.conf -i /run/shipper.pid & shipper=$!
sleep 1.5
rsyslogd -n -f /etc/rsyslog.conf -i /run/store.pid & store=$!
for attempt in $(seq 100); do
  [ "$(grep -c . /var/log/remote/web1/nginx.log 2>/dev/null)" = "$1" ] && break
  sleep 0.1
done
kill "$shipper" "$store"
wait
cat /var/log/remote/web1/nginx.log >&3
"""


def test_lines_written_before_the_store_was_there_arrive_whole(tmp_path: Path) -> None:
    if not shutil.which("rsyslogd"):
        pytest.skip("rsyslogd is not installed")
    if reason := sandbox.why_not():
        pytest.skip(f"no unprivileged namespaces here: {reason}")
    lines = [
        "GET / 200", "a\ttab and  two spaces", "   indented", "<13>1 not a header", "ünïcode % \\ \"",
        "x" * 8000,
    ]  # fmt: skip
    apart = {"/run/rsyslogd": "/run/shipper", "/var/spool/rsyslog": "/var/spool/shipper"}
    shipper = next(iter(texts(SHIPPER).values()))
    for path, instead in apart.items():
        shipper = shipper.replace(path, instead)
        (tmp_path / instead[1:]).mkdir(parents=True)
    (tmp_path / "var/log/daemons").mkdir(parents=True)
    (tmp_path / NGINX_LOG[1:]).write_text("".join(f"{line}\n" for line in lines))
    sandbox.lay_out(STORE, {**texts(STORE), "/etc/shipper.conf": shipper}, tmp_path)
    command = ["sh", "-c", f"exec 3>&1 >/dev/null 2>&1; {_LATE_STORE}", "sh", str(len(lines))]
    status, said = sandbox.run(STORE, command, tmp_path)
    assert status == 0
    received = [line.partition(" ") for line in said.splitlines()]
    assert [line for _, _, line in received] == lines
    assert all(moment.endswith("+00:00") and moment[10] == "T" for moment, _, _ in received)
