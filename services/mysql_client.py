"""A session with a database server, for whoever looks at it from outside: an operator, or an experiment.

as_root(host).ask("SHOW MASTER STATUS")                        over the UNIX socket, without a password
as_user(host.connect(address, 3306, timeout_s=1), "site", password).ask("INSERT …")
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from services.mysql import SOCKET
from services.service import Host

DATABASE = "foobar"
TIMEOUT_S = 5.0  # of one statement


class Refused(Exception):
    """The server understood the statement and did not do it: `number` is MySQL's error number."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"MySQL error {number}: {text}")
        self.number = number


class Session:
    """One connection; every statement is its own transaction. A context manager that closes it."""

    def __init__(self, connection: socket.socket, user: str, password: str = "") -> None:
        import pymysql

        self._pymysql = pymysql
        self._connection: Any = pymysql.connect(
            user=user, password=password, database=DATABASE, charset="utf8mb4", autocommit=True,
            defer_connect=True, read_timeout=TIMEOUT_S, write_timeout=TIMEOUT_S,
            cursorclass=pymysql.cursors.DictCursor, ssl_disabled=True,
        )  # fmt: skip
        with self._translated():
            self._connection.connect(connection)

    def ask(self, sql: str, values: Sequence[object] | None = None) -> list[dict[str, Any]]:
        """The rows of one statement. Raises Refused, and ConnectionError when the server is lost."""
        with self._translated(), self._connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    def value(self, sql: str) -> Any:
        """The first column of the first row. Raises what `ask` raises, and LookupError for no row."""
        for row in self.ask(sql):
            return next(iter(row.values()))
        raise LookupError(f"no row: {sql}")

    def close(self) -> None:
        if self._connection.open:
            self._connection.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """PyMySQL's errors as those of this module."""
        try:
            yield
        except self._pymysql.MySQLError as error:
            number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            text = str(error.args[-1]) if error.args else str(error)
            if number == 0 or 2000 <= number < 3000:  # the client library's own numbers: the line is dead
                raise ConnectionError(f"database: {text}") from error
            raise Refused(number, text) from error


def as_root(host: Host) -> Session:
    """A session as root on `host`, who is known by the UNIX socket's peer credentials. Raises OSError."""
    return Session(host.connect_unix(SOCKET, timeout_s=2.0), "root")


def as_user(connection: socket.socket, user: str, password: str) -> Session:
    """A session over an open connection. Raises Refused, for a wrong password too, and ConnectionError."""
    return Session(connection, user, password)
