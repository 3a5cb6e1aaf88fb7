"""One file configures the site; a mistake in it is named, and the password is not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest

from services.app import create_app
from services.app.config import ConfigError, read_config
from tests.services.fake_mysql import CONFIG, ENDPOINT, PASSWORD, FakeServer

REPLICA = replace(ENDPOINT, host="10.0.2.12")
GOOD_FILE = """
host_name = "app1"
[database]
host = "10.0.2.11"
user = "site"
password = "s3cr3t-of-the-database"
name = "foobar"
pool_size = 2
connect_timeout_s = 0.2
"""


def test_the_file_gives_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "site.toml"
    path.write_text(GOOD_FILE + "[database.replica]\nhost = '10.0.2.12'\n")
    assert read_config(path) == replace(CONFIG, replica=REPLICA)
    monkeypatch.setenv("FOOBAR_CONFIG", str(path))
    assert create_app().test_client().get("/health").headers["X-Served-By"] == "app1"


def test_a_replica_is_trusted_by_the_same_authority(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(GOOD_FILE + "[database.replica]\nhost = '10.0.2.12'\n[database.tls]\nca = '/ca.pem'\n")
    site = read_config(path)
    assert site.primary == replace(ENDPOINT, tls_ca="/ca.pem")
    assert site.replica == replace(REPLICA, tls_ca="/ca.pem")


def test_a_release_is_slow_only_when_the_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(GOOD_FILE)
    assert read_config(path).answer_delay_ms == 0
    path.write_text("answer_delay_ms = 300\n" + GOOD_FILE)
    assert read_config(path) == replace(CONFIG, answer_delay_ms=300)


@pytest.mark.parametrize(
    ("change", "message"),
    [(("host_name", "hostname"), "host_name is missing"),
     (('password = "s3cr3t-of-the-database"', "password = 3"), "database.password must be of type str"),
     (("pool_size", "poolsize"), "unknown key database.poolsize"),
     (("pool_size = 2", "pool_size = 0"), "database.pool_size must be a positive"),
     (('host = "10.0.2.11"', ""), "either host or unix_socket"),
     (("host_name", "answer_delay_ms = -1\nhost_name"), "answer_delay_ms must be a whole number from 0"),
     (("host_name", "answer_delay_ms = 60001\nhost_name"), "answer_delay_ms must be a whole number from 0"),
     (("host_name", "answer_delay_ms = true\nhost_name"), "answer_delay_ms must be a whole number from 0"),
     (("host_name", "answer_delay_ms = 0.5\nhost_name"), "answer_delay_ms must be of type int"),
     (("[database]", "[database"), "not TOML")],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_the_key_and_without_the_password(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = tmp_path / "site.toml"
    path.write_text(GOOD_FILE.replace(*change))
    with pytest.raises(ConfigError, match=re.escape(message)) as refused:
        read_config(path)
    assert str(path) in str(refused.value)
    assert "s3cr3t" not in str(refused.value)


def test_the_password_is_in_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = FakeServer()
    site = create_app(CONFIG, server.connect).test_client()
    server.alive = False
    site.get("/api/items/1")
    server.restart()
    server.broken = pymysql.ProgrammingError(1146, "no such table")
    site.get("/api/items/1")
    assert "10.0.2.11" in caplog.text
    assert "1146" in caplog.text
    assert PASSWORD not in caplog.text + repr(CONFIG)
