"""Every rendered configuration passes the daemon's own checker, and a broken one does not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from services.credentials import Secrets
from services.keepalived import Keepalived
from services.service import Service
from tests.services import hops, sandbox
from tests.variants import VARIANTS, services_of
from topologies.stage import interface

SECRETS = Secrets()
#: One of each daemon per variant, without those that are the same in several.
DISTINCT: dict[Service, str] = {}
for _variant, _stage in VARIANTS.items():
    _first = {service.name: (host, service) for host, service in reversed(list(services_of(_stage)))}
    for _host, _service in _first.values():
        DISTINCT.setdefault(_service, f"{_service.name} on {_host} of {_variant}")
for _what, _service in hops.SERVICES.items():
    DISTINCT.setdefault(_service, _what)

#: Daemon, file, what stands there, what is put in its place, and a word of the complaint.
BROKEN = [
    ("named", "named.conf", "recursion no;", "recursion perhaps;", "perhaps"),
    ("named", "db.foobar.com", "        IN NS ", ";       IN NS ", "no NS records"),
    ("named", "db.foobar.com", "IN A    8.8.8.8", "IN A    8.8.8.888", "8.8.8.888"),
    ("haproxy", "haproxy.cfg", "balance roundrobin", "balance sideways", "balance only supports"),
    ("haproxy", "haproxy.cfg", "default_backend web", "default_backend nowhere", "'nowhere'"),
    ("haproxy", "www.foobar.com.pem", "-----BEGIN PRIVATE KEY-----", "", "No Private Key"),
    ("haproxy", "haproxy.cfg", "verify required", "verify perhaps", "perhaps"),
    ("haproxy", "haproxy.cfg", "use-service prometheus-exporter", "use-service thermometer", "thermometer"),
    ("haproxy", "certs/ca.pem", "-----BEGIN CERTIFICATE-----", "", "certs/ca.pem"),
    ("keepalived", "keepalived.conf", "virtual_router_id 51", "virtual_router_id 351", "'351'"),
    ("keepalived", "keepalived.conf", "priority 150", "priorty 150", "priorty"),
    ("keepalived", "keepalived.conf", "interface lb1-public", "interface lb1-nowhere", "lb1-nowhere"),
    ("nginx", "nginx.conf", "sendfile on;", "sendfile on", '"sendfile"'),
    ("nginx", "nginx.conf", "proxy_pass http://app;", "proxy_pass http://else;", '"else"'),
    ("nginx", "www.foobar.com.key", "-----BEGIN PRIVATE KEY-----", "", "cannot load certificate key"),
    ("nginx", "nginx.conf", "stub_status;", "status_stub;", "status_stub"),
    ("nginx", "nginx.conf", "proxy_pass https://app;", "proxy_pass https://else;", '"else"'),
    ("nginx", "certs/ca.pem", "-----BEGIN CERTIFICATE-----", "", "certs/ca.pem"),
    ("mysql", "my.cnf", "max_connections", "max_conections", "max_conections"),
    ("mysql", "my.cnf", "sync_binlog", "sync_binlogs", "sync_binlogs"),
    ("mysql", "my.cnf", "read_only", "read_onlyish", "read_onlyish"),
    ("mysql", "my.cnf", "require_secure_transport", "require_transport", "require_transport"),
    ("gunicorn", "gunicorn.conf.py", "workers = ", "workers = 'many' # ", "Invalid value for workers"),
    ("gunicorn", "gunicorn.conf.py", "def ssl_context(config, default_", "def ssl_context(default_", "arity"),
    ("gunicorn", "site.toml", 'user = "site"', "", "database.user is missing"),
    ("gunicorn", "site.toml", "[database.replica]", "[database.replicas]", "database.replicas"),
]


def texts(service: Service) -> dict[str, str]:
    return {path: file.text for path, file in service.render(SECRETS).items()}


def refused_by(service: Service, texts: dict[str, str], room: Path) -> str:
    """What the daemon's checker complains about; "" when it accepts the files. Skips where there is none."""
    for command in service.check():
        if not command[0].startswith("/") and not shutil.which(command[0]):
            pytest.skip(f"{command[0]} is not installed")
    as_root = service.name == "keepalived"
    if as_root and os.geteuid() != 0:
        pytest.skip("needs root")
    if not as_root and (reason := sandbox.why_not()):
        pytest.skip(f"no unprivileged namespaces here: {reason}")
    # keepalived refuses an interface that is not there.
    interfaces = [interface(service.host_name, "public")] if isinstance(service, Keepalived) else []
    status, said = sandbox.check(service, texts, room, interfaces, as_root=as_root)
    return (said or f"exit status {status}") if status else ""


def marks(daemon: str) -> Sequence[pytest.MarkDecorator]:
    return [pytest.mark.live] if daemon == "keepalived" else []


@pytest.mark.parametrize(
    "service", [pytest.param(s, id=name, marks=marks(s.name)) for s, name in DISTINCT.items()]
)
def test_the_daemon_accepts_what_is_rendered_for_it(service: Service, tmp_path: Path) -> None:
    assert refused_by(service, texts(service), tmp_path) == ""


@pytest.mark.parametrize(
    ("daemon", "file", "good", "bad", "complaint"),
    [
        pytest.param(*broken, id=f"{broken[1]}: {broken[3] or broken[2]}", marks=marks(broken[0]))
        for broken in BROKEN
    ],
)
def test_the_daemon_refuses_a_broken_file(
    daemon: str, file: str, good: str, bad: str, complaint: str, tmp_path: Path
) -> None:
    candidates = [(s, texts(s)) for s in DISTINCT if s.name == daemon]
    service, intact = next((s, t) for s, t in candidates if any(p.endswith(file) and good in t[p] for p in t))
    broken = {p: t.replace(good, bad) if p.endswith(file) else t for p, t in intact.items()}
    assert complaint in refused_by(service, broken, tmp_path)
