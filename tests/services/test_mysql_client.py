"""A session tells a refusal from a lost server, and closes what it opened."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest

from services.mysql_client import Refused, as_root, as_user


class Scripted:
    """A PyMySQL connection that answers every statement with rows, or with an error."""

    def __init__(self, answer: list[dict[str, Any]] | pymysql.MySQLError) -> None:
        self.answer, self.asked, self.open = answer, list[tuple[str, Any]](), False

    def connect(self, _sock: socket.socket) -> None:
        self.open = True

    def close(self) -> None:
        self.open = False

    @contextmanager
    def cursor(self) -> Iterator[Scripted]:
        yield self

    def execute(self, sql: str, values: Sequence[object] | None = None) -> None:
        self.asked.append((sql, values))
        if isinstance(self.answer, pymysql.MySQLError):
            raise self.answer

    def fetchall(self) -> list[dict[str, Any]]:
        assert not isinstance(self.answer, pymysql.MySQLError)
        return self.answer


class Host:
    name = "db1"

    def connect_unix(self, path: str, timeout_s: float) -> socket.socket:
        assert path == "/run/mysqld/mysqld.sock"
        ours, theirs = socket.socketpair()
        theirs.close()
        return ours

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        raise NotImplementedError

    def authority(self) -> str:
        raise NotImplementedError

    def ask_udp(self, address: str, port: int, question: bytes, timeout_s: float) -> bytes:
        raise NotImplementedError


def scripted(
    monkeypatch: pytest.MonkeyPatch, answer: list[dict[str, Any]] | pymysql.MySQLError
) -> tuple[Scripted, dict[str, Any]]:
    connection, options = Scripted(answer), dict[str, Any]()

    def connect(**given: Any) -> Scripted:
        options.update(given)
        return connection

    monkeypatch.setattr(pymysql, "connect", connect)
    return connection, options


def test_root_needs_no_password_and_gets_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    connection, options = scripted(monkeypatch, [{"a": 1, "b": 2}])
    with as_root(Host()) as session:
        assert session.ask("SELECT a, b", (3,)) == [{"a": 1, "b": 2}]
        assert session.value("SELECT a") == 1
    assert connection.asked[0] == ("SELECT a, b", (3,))
    assert (options["user"], options["password"]) == ("root", "")
    assert options["autocommit"]
    assert not connection.open


def test_no_row_has_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [])
    with as_root(Host()) as session, pytest.raises(LookupError, match="no row"):
        session.value("SELECT 1 FROM orders")


def test_a_refused_statement_has_mysqls_number(monkeypatch: pytest.MonkeyPatch) -> None:
    error = pymysql.OperationalError(1290, "running with the --read-only option")
    scripted(monkeypatch, error)
    with as_user(Host().connect_unix("/run/mysqld/mysqld.sock", 1), "site", "secret") as session:
        with pytest.raises(Refused, match="MySQL error 1290: running with") as refused:
            session.ask("INSERT …")
        assert refused.value.number == 1290


@pytest.mark.parametrize(
    "error", [pymysql.OperationalError(2013, "Lost connection"), pymysql.InterfaceError()]
)
def test_a_lost_server_is_a_broken_connection(
    monkeypatch: pytest.MonkeyPatch, error: pymysql.MySQLError
) -> None:
    scripted(monkeypatch, error)
    with as_root(Host()) as session, pytest.raises(ConnectionError, match="database"):
        session.ask("SELECT 1")


def test_whoever_answers_without_being_mysql_is_a_broken_connection() -> None:
    with pytest.raises(ConnectionError, match="database"):
        as_root(Host())
