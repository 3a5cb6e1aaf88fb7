"""A bounded pool of database connections that survives the death and return of the database.

    request ──► Database ─┬─ write, read_latest ──► Pool ──► primary
                          └─ read ────────────────► Pool ──► replica, or the primary if that fails

What a request may meet, and what becomes of it:
    a connection that died while idle     found by a ping, replaced, not noticed
    a connection that dies in use         Unavailable (503), and every idle one is dropped with it
    a database that is down               Unavailable at once, except for the one request that tries again
    all connections busy                  Unavailable after connect_timeout_s
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Literal, Protocol

import pymysql
from pymysql.cursors import DictCursor

from .config import Endpoint, SiteConfig

log = logging.getLogger(__name__)

Row = dict[str, Any]
Role = Literal["primary", "replica"]

#: A connection used this recently is trusted without a ping: no database restarts faster than that, so
#: under load a ping per request would only double the round trips.
TRUSTED_FOR_S = 0.1

#: How long reads avoid a replica that failed. Without it each read would first wait for a dead host.
REPLICA_RETRY_S = 2.0


class Unavailable(Exception):
    """The database cannot be used just now. The text is safe to show: no host, no user, no password."""


class Cursor(Protocol):
    def execute(self, query: str, args: Sequence[object], /) -> object: ...
    def fetchall(self) -> Sequence[Row]: ...


class Connection(Protocol):
    """The little of a PyMySQL connection that the pool uses."""

    def cursor(self) -> AbstractContextManager[Cursor]: ...
    def ping(self, reconnect: bool) -> object: ...
    def close(self) -> object: ...


Connect = Callable[[Endpoint], Connection]


def connect_mysql(endpoint: Endpoint) -> Connection:
    """A new connection, every statement its own transaction. Raises pymysql.MySQLError."""
    server: dict[str, Any]
    if endpoint.unix_socket:
        server = {"unix_socket": endpoint.unix_socket}
    else:
        server = {"host": endpoint.host, "port": endpoint.port}
    if endpoint.tls_ca:
        server |= {"ssl_ca": endpoint.tls_ca, "ssl_verify_identity": True}
    else:
        # Otherwise PyMySQL encrypts when the server offers it and checks nothing: protection against
        # nobody who is on the path, and 20 ms to load the system's CAs for each connection.
        server |= {"ssl_disabled": True}
    connection: Connection = pymysql.connect(
        user=endpoint.user,
        password=endpoint.password,
        database=endpoint.name,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=endpoint.connect_timeout_s,
        read_timeout=endpoint.read_timeout_s,
        write_timeout=endpoint.read_timeout_s,
        cursorclass=DictCursor,
        **server,
    )
    return connection


class _Slots:
    """The connections of one process: `free` counts those that may still be taken, `idle` keeps open ones."""

    def __init__(self, size: int) -> None:
        self.pid = os.getpid()
        self.free = threading.BoundedSemaphore(size)
        self.down = False  # since the last attempt to connect
        self.retry = threading.Lock()  # held by the one request that tries again
        self.idle: deque[tuple[Connection, float]] = deque()  # with the moment of last use; newest right

    def close(self, connection: Connection | None) -> None:
        if connection is not None:
            with suppress(pymysql.MySQLError):  # closed already, by the error that brought us here
                connection.close()

    def close_idle(self) -> None:
        with suppress(IndexError):  # emptied; another thread may be taking from it too
            while True:
                self.close(self.idle.pop()[0])


class Pool:
    """At most `size` connections to one server for each process; safe to share between threads."""

    def __init__(self, endpoint: Endpoint, size: int, connect: Connect = connect_mysql) -> None:
        self._endpoint = endpoint
        self._size = size
        self._connect = connect
        self._slots = _Slots(size)

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Run one statement and return its rows.

        Raises Unavailable when the server cannot be reached, is lost or refuses to work (read-only after
        a failover, not yet in its cluster); other pymysql.MySQLError when the statement is at fault.
        """
        with self._connection() as connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        slots = self._slots_of_this_process()
        if not slots.free.acquire(timeout=self._endpoint.connect_timeout_s):
            raise Unavailable(f"all {self._size} database connections are busy")
        connection: Connection | None = None
        try:
            connection = self._open_connection(slots)
            yield connection
        except pymysql.IntegrityError:
            # The statement was refused and the connection is as good as before.
            raise
        except (pymysql.OperationalError, pymysql.InterfaceError) as error:
            slots.close(connection)
            connection = None
            slots.close_idle()  # they share the fate of this one
            log.warning("database %s: %s", self._endpoint.address, error)
            raise Unavailable(_reason(error)) from error
        except BaseException:
            slots.close(connection)  # in an unknown state: its answer may still be on the way
            connection = None
            raise
        finally:
            if connection is not None:
                slots.idle.append((connection, time.monotonic()))
            slots.free.release()

    def _open_connection(self, slots: _Slots) -> Connection:
        try:
            connection, used_s = slots.idle.pop()
        except IndexError:
            return self._new_connection(slots)
        if time.monotonic() - used_s < TRUSTED_FOR_S:
            return connection
        try:
            connection.ping(reconnect=False)
        except pymysql.MySQLError:
            slots.close(connection)
            slots.close_idle()
            return self._new_connection(slots)
        return connection

    def _new_connection(self, slots: _Slots) -> Connection:
        # A dead host refuses nothing: it costs connect_timeout_s to find out. If every request did that,
        # all threads would be waiting, and pages and checks that need no database would fail with it.
        retrying = slots.down
        if retrying and not slots.retry.acquire(blocking=False):
            raise Unavailable("it did not answer the last attempt, and another is being made")
        try:
            connection = self._connect(self._endpoint)
        except pymysql.MySQLError:
            slots.down = True
            raise
        finally:
            if retrying:
                slots.retry.release()
        slots.down = False
        return connection

    def _slots_of_this_process(self) -> _Slots:
        # A forked worker must not speak on its parent's connections, nor wait for a lock whose owner
        # stayed behind in the parent.
        if self._slots.pid != os.getpid():
            self._slots = _Slots(self._size)
        return self._slots


def _reason(error: pymysql.MySQLError) -> str:
    """The error's number in plain words. The server's own text would name its users and hosts."""
    number = error.args[0] if error.args else 0
    words = {
        1040: "too many connections",
        1044: "access denied",
        1045: "access denied",
        1047: "not ready in its cluster",
        1049: "no such database",
        1205: "lock wait timeout",
        1213: "deadlock",
        1290: "read-only",
        2003: "cannot connect",
        2006: "connection lost",
        2013: "connection lost or too slow",
    }.get(number, "failed")
    return f"{words} (MySQL error {number})"


class Database:
    """Statements to where they may go: a read that may be a moment old to the replica, if there is one.

    `served` is told which server a statement succeeded on.
    """

    def __init__(
        self,
        config: SiteConfig,
        connect: Connect = connect_mysql,
        served: Callable[[Role], object] = lambda role: None,
    ) -> None:
        self._served = served
        self._pools: dict[Role, Pool] = {"primary": Pool(config.primary, config.pool_size, connect)}
        if config.replica:
            self._pools["replica"] = Pool(config.replica, config.pool_size, connect)
        self._avoid_replica_until_s = 0.0

    def read(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Rows that may lag behind the last write. Raises Unavailable when neither server answers."""
        if "replica" in self._pools and time.monotonic() >= self._avoid_replica_until_s:
            try:
                return self._execute_on("replica", sql, values)
            except Unavailable:
                self._avoid_replica_until_s = time.monotonic() + REPLICA_RETRY_S
        return self._execute_on("primary", sql, values)

    def read_latest(self, sql: str, values: Sequence[object] = ()) -> list[Row]:
        """Rows that include every acknowledged write. Raises Unavailable."""
        return self._execute_on("primary", sql, values)

    def write(self, sql: str, values: Sequence[object] = ()) -> None:
        """One statement on the primary. Raises Unavailable, or pymysql.IntegrityError."""
        self._execute_on("primary", sql, values)

    def failures(self, sql: str) -> dict[Role, str | None]:
        """By server: None if it answers `sql`, else what it failed with."""
        return {role: _failure(pool, sql) for role, pool in self._pools.items()}

    def _execute_on(self, role: Role, sql: str, values: Sequence[object]) -> list[Row]:
        rows = self._pools[role].execute(sql, values)
        self._served(role)
        return rows


def _failure(pool: Pool, sql: str) -> str | None:
    try:
        pool.execute(sql)
    except Unavailable as error:
        return str(error)
    except pymysql.MySQLError as error:
        return _reason(error)
    return None
