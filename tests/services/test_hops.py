"""Each hop is plain or encrypted as declared and then verified; a replica has no history of its own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.harness.configs import parse_haproxy, parse_nginx_upstreams
from services.app.config import SiteConfig, read_config
from services.credentials import Certificate, Secrets
from services.gunicorn import CERTIFIED_NAME, Gunicorn
from services.mysql import MySQL
from services.nginx import Nginx
from services.service import File, Service
from tests.services.hops import (
    APP,
    PLAIN_LB,
    PRIMARY,
    PRIMARY_DB,
    REPLICA,
    REPLICA_DB,
    SERVICES,
    TLS_APP,
    TLS_LB,
    TLS_WEB,
)

SECRETS = Secrets()


def file(service: Service, name: str) -> File:
    """The one file of `service` that is called `name`."""
    [found] = [file for path, file in service.render(SECRETS).items() if path.endswith(f"/{name}")]
    return found


def lines(service: Service, name: str) -> list[str]:
    """What stands in it, without comments and indentation."""
    stripped = (line.strip() for line in file(service, name).text.splitlines())
    return [line for line in stripped if line and not line.startswith(("#", "--"))]


def names(service: Service) -> set[str]:
    return {Path(path).name for path in service.render(SECRETS)}


# --- load balancer


def test_a_plain_load_balancer_holds_no_key_and_sends_nobody_elsewhere() -> None:
    found = lines(PLAIN_LB, "haproxy.cfg")
    assert names(PLAIN_LB) == {"haproxy.cfg"}
    assert [line for line in found if line.startswith("bind 8.")] == ["bind 8.8.8.8:80"]
    assert not any("redirect" in line or "ssl" in line for line in found)
    assert "http-request set-header X-Forwarded-Proto http" in found


def test_a_load_balancer_with_tls_behind_it_verifies_every_server_and_keeps_its_checks() -> None:
    found = lines(TLS_LB, "haproxy.cfg")
    [verified] = [line for line in found if line.startswith("default-server ssl")]
    for words in ("verify required", "ca-file /etc/haproxy/certs/ca.pem", "sni str(www.foobar.com)",
                  "verifyhost www.foobar.com", "check-ssl"):  # fmt: skip
        assert words in verified
    assert found.index(verified) < found.index("server web1 10.0.1.21:443")
    assert file(TLS_LB, "ca.pem") == File(SECRETS.authority)
    [web] = [b for b in parse_haproxy(file(TLS_LB, "haproxy.cfg").text).backends if b.name == "web"]
    assert [(s.name, s.port, s.check, s.fall, s.inter_s) for s in web.servers] == [
        ("web1", 443, True, 3, 2.0),
        ("web2", 443, True, 3, 2.0),
    ]


def test_metrics_are_on_their_own_address_and_nothing_else_is() -> None:
    found = lines(TLS_LB, "haproxy.cfg")
    start = found.index("frontend metrics")
    assert found[start:] == [
        "frontend metrics",
        "bind 10.0.9.11:8405",
        "option dontlog-normal",
        "http-request use-service prometheus-exporter if { path /metrics }",
        "http-request return status 404",
    ]
    assert "frontend metrics" not in lines(PLAIN_LB, "haproxy.cfg")


# --- web server


@pytest.mark.parametrize(
    ("tls", "redirect", "ports"),
    [(False, True, [80]), (False, False, [80]), (True, True, [80, 443]), (True, False, [443])],
)
def test_nginx_listens_where_it_is_told_and_nowhere_else(tls: bool, redirect: bool, ports: list[int]) -> None:
    found = file(replace(TLS_WEB, tls=tls, redirect=redirect), "nginx.conf").text
    listens = re.findall(r"listen 10\.0\.1\.21:(\d+)( ssl)?;", found)
    assert [int(port) for port, _ in listens] == ports
    assert [bool(ssl) for _, ssl in listens] == [port == 443 for port in ports]
    assert ("return 301" in found) == (tls and redirect)


def test_nginx_verifies_the_application_server_by_a_name_in_its_certificate() -> None:
    found = lines(TLS_WEB, "nginx.conf")
    assert {"proxy_pass https://app;", "proxy_ssl_verify on;", f"proxy_ssl_name {CERTIFIED_NAME};"} <= {
        *found
    }
    assert file(TLS_WEB, "ca.pem") == File(SECRETS.authority)
    certificate = SECRETS.certificate(CERTIFIED_NAME, "app1")
    assert file(TLS_APP, "app.pem").text == certificate.certificate
    [upstream] = parse_nginx_upstreams(file(TLS_WEB, "nginx.conf").text)
    assert (upstream.name, [s.address for s in upstream.servers]) == ("app", [f"{APP}:8000"])


def test_nginx_gives_up_a_silent_application_server_before_haproxy_gives_up_nginx() -> None:
    [upstream] = parse_nginx_upstreams(file(TLS_WEB, "nginx.conf").text)
    [web] = [b for b in parse_haproxy(file(TLS_LB, "haproxy.cfg").text).backends if b.name == "web"]
    assert web.timeout_server_s is not None
    # One try for each of two application servers.
    assert 2 * upstream.read_timeout_s < web.timeout_server_s


@pytest.mark.parametrize(
    ("nginx", "scheme"),
    [
        (replace(TLS_WEB, trusted_proxies=()), "$scheme"),
        (TLS_WEB, "$http_x_forwarded_proto"),
        (replace(TLS_WEB, tls=False), "$http_x_forwarded_proto"),
    ],
)
def test_the_application_learns_the_scheme_the_client_used(nginx: Nginx, scheme: str) -> None:
    assert f"proxy_set_header X-Forwarded-Proto {scheme};" in lines(nginx, "nginx.conf")


def test_the_counters_of_nginx_are_for_its_own_host() -> None:
    assert "listen 127.0.0.1:8080;" in lines(TLS_WEB, "nginx.conf")
    assert "stub_status" not in file(replace(TLS_WEB, status=False), "nginx.conf").text


# --- application server


def site(service: Gunicorn, tmp_path: Path) -> SiteConfig:
    path = tmp_path / "site.toml"
    path.write_text(file(service, "site.toml").text)
    return read_config(path)


def test_the_site_reads_what_gunicorn_is_declared_with(tmp_path: Path) -> None:
    found = site(TLS_APP, tmp_path)
    assert found.replica is not None
    assert (found.primary.host, found.replica.host) == (PRIMARY, REPLICA)
    assert found.primary.tls_ca == found.replica.tls_ca == "/etc/foobar/ca.pem"
    assert file(TLS_APP, "ca.pem") == File(SECRETS.authority)
    plain = site(replace(TLS_APP, database_replica=None, database_tls=False), tmp_path)
    assert (plain.replica, plain.primary.tls_ca) == (None, None)


def test_the_key_of_an_application_server_is_its_own_and_for_its_workers() -> None:
    key = file(TLS_APP, "app.key")
    assert (key.owner, key.mode, key.secret) == ("root:www-data", 0o640, True)
    others = (replace(TLS_APP, host_name="app2"), TLS_WEB, TLS_LB)
    assert not any(key.text in f.text for service in others for f in service.render(SECRETS).values())


@pytest.mark.parametrize(
    "change", [{"bind": "unix:/run/gunicorn.sock"}, {"database": "/run/mysqld/mysqld.sock"}]
)
def test_tls_over_a_unix_socket_is_a_contradiction(change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"app1: TLS over the UNIX socket .*/run/"):
        replace(TLS_APP, **change)  # type: ignore[arg-type]


# --- database


@pytest.fixture(params=["mariadbd", "mysqld"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The machine has this server and not the other."""
    which: Callable[[str], str | None] = lambda name: name if name == request.param else None  # noqa: E731
    monkeypatch.setattr(shutil, "which", which)
    return str(request.param)


def test_a_replica_does_nothing_under_an_id_of_its_own(server: str) -> None:
    first, *others = lines(REPLICA_DB, "init.sql")
    assert first == "SET SESSION sql_log_bin = 0;"
    everything = "\n".join(others)
    assert not re.search(r"CREATE (DATABASE|TABLE)|INSERT|'site'|'replicator'@", everything)
    assert others[-1] == ("START SLAVE;" if server == "mariadbd" else "START REPLICA;")
    assert PRIMARY in everything
    assert "read_only = ON" in lines(REPLICA_DB, "my.cnf")
    assert "read_only = ON" not in lines(PRIMARY_DB, "my.cnf")


def test_each_server_is_spoken_to_in_its_own_words(server: str) -> None:
    text = "".join(f.text for s in (PRIMARY_DB, REPLICA_DB) for f in s.render(SECRETS).values())
    words = {
        "mariadbd": ("gtid_strict_mode", "MASTER_USE_GTID = slave_pos", "skip_slave_start", "SLAVE MONITOR"),
        "mysqld": (
            "enforce_gtid_consistency",
            "SOURCE_AUTO_POSITION = 1",
            "skip_replica_start",
            "super_read_",
        ),
    }
    for spoken_to, theirs in words.items():
        assert [word in text for word in theirs] == [spoken_to == server] * len(theirs)


def test_a_replica_verifies_its_primary_by_the_address_it_connects_to(server: str) -> None:
    found = file(REPLICA_DB, "init.sql").text
    assert re.search(
        r"_SSL = 1, \w+_SSL_CA = '/etc/mysql/certs/ca.pem', \w+_SSL_VERIFY_SERVER_CERT = 1;", found
    )
    assert file(PRIMARY_DB, "server.pem").text == SECRETS.certificate(PRIMARY).certificate
    assert "REQUIRE SSL" in file(PRIMARY_DB, "init.sql").text
    plain = (replace(PRIMARY_DB, tls=False), replace(REPLICA_DB, tls=False))
    assert not any("SSL" in f.text for s in plain for f in s.render(SECRETS).values())


def test_the_exporter_reads_counters_and_no_rows() -> None:
    grants = [line for line in lines(PRIMARY_DB, "init.sql") if "'exporter'" in line]
    assert grants[0].endswith("WITH MAX_USER_CONNECTIONS 3;")
    assert {re.sub(r".* ON (\S+) TO .*", r"\1", line) for line in grants[1:]} == {
        "*.*",
        "performance_schema.*",
    }
    assert not any("SELECT" in line and "*.*" in line for line in grants)
    without = replace(PRIMARY_DB, exporter=False)
    assert "exporter" not in file(without, "init.sql").text


@pytest.mark.parametrize("service", [PRIMARY_DB, REPLICA_DB], ids=["primary", "replica"])
def test_replication_without_a_server_id_is_a_contradiction(service: MySQL) -> None:
    with pytest.raises(ValueError, match="needs a server_id"):
        replace(service, server_id=None)


@pytest.mark.parametrize("listen", [None, "0.0.0.0", "*"])
def test_a_certificate_needs_an_address_to_name(listen: str | None) -> None:
    with pytest.raises(ValueError, match="needs a server_address"):
        replace(PRIMARY_DB, listen=listen, server_address=None)


# --- all of them


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())
def test_every_secret_is_in_files_for_its_daemon_alone(service: Service) -> None:
    secrets = Secrets()
    files = service.render(secrets)
    for found in files.values():
        holds = any(secret in found.text for secret in secrets.confidential)
        assert found.secret == holds
        assert not found.secret or found.mode & 0o007 == 0


def test_no_two_daemons_share_a_key_but_those_that_answer_to_the_site_name() -> None:
    holders: dict[str, list[str]] = {}
    for service in SERVICES.values():
        for found in service.render(SECRETS).values():
            for key in re.findall(r"-----BEGIN PRIVATE KEY-----[^-]+", found.text):
                holders.setdefault(key, []).append(service.name)
    assert sorted(holders.values()) == [["gunicorn"], ["haproxy", "nginx"], ["mysql"], ["mysql"]]


def certificate(*_: Any) -> Certificate:
    raise AssertionError("never asked for")


@pytest.mark.parametrize("service", [PLAIN_LB, replace(TLS_WEB, tls=False), replace(PRIMARY_DB, tls=False)])
def test_without_tls_no_certificate_is_made(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Secrets, "certificate", certificate)
    service.render(Secrets())
