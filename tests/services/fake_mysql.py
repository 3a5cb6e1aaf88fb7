"""A MySQL server in memory, behind the one seam the site has: the function that opens a connection."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import pymysql

from services.app.config import Endpoint, SiteConfig
from services.app.db import Row
from services.app.passwords import hash_password

PASSWORD = "s3cr3t-of-the-database"
ENDPOINT = Endpoint("site", PASSWORD, "foobar", host="10.0.2.11", connect_timeout_s=0.2)
CONFIG = SiteConfig("app1", ENDPOINT, pool_size=2)
ORDER = "/api/orders/123e4567-e89b-42d3-a456-426614174000"
TABLES = """
    CREATE TABLE items (id INTEGER PRIMARY KEY, name, description, price_cents);
    CREATE TABLE orders (id PRIMARY KEY, item_id REFERENCES items (id), quantity, created_at TIMESTAMP, node);
    CREATE TABLE users (name PRIMARY KEY, password_hash);
    PRAGMA foreign_keys = ON;
"""


@dataclass
class FakeServer:
    """A database server in memory: SQLite runs the site's own SQL, errors are those of MySQL.

    `alive` False: connections break and new ones are refused. `broken`: every statement fails with it.
    """

    alive: bool = True
    broken: pymysql.MySQLError | None = None
    opened: int = 0
    open_now: int = 0
    oldest: int = 0  # connections up to this number have died
    statements: int = 0
    hold: threading.Event | None = None  # statements wait for it
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.store = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self.store.executescript(TABLES)
        self.store.create_function("UTC_TIMESTAMP", 1, lambda _: "2026-01-02 03:04:05.678901")
        self.store.executemany(
            "INSERT INTO items VALUES (?, ?, 'A <b>part</b>.', 390)",
            [(n, f"part {n}") for n in range(1, 101)],
        )
        stored = hash_password("blue-elephant-42", salt=bytes(16))
        self.store.execute("INSERT INTO users VALUES ('student', ?)", (stored,))

    def connect(self, endpoint: Endpoint) -> FakeConnection:
        if not self.alive:
            raise pymysql.OperationalError(2003, f"Can't connect to MySQL server on '{endpoint.host}'")
        with self.lock:
            self.opened += 1
            self.open_now += 1
        return FakeConnection(self, number=self.opened)

    def restart(self) -> None:
        """Come back. Connections from before are dead, whether or not anybody noticed."""
        self.alive = True
        self.oldest = self.opened


@dataclass
class FakeConnection:
    server: FakeServer
    number: int
    rows: list[Row] = field(default_factory=list)

    def ping(self, reconnect: bool) -> None:
        assert not reconnect
        if not self.server.alive or self.number <= self.server.oldest:
            raise pymysql.OperationalError(2013, "Lost connection to MySQL server during query")

    def close(self) -> None:
        self.server.open_now -= 1

    @contextmanager
    def cursor(self) -> Iterator[FakeConnection]:
        yield self

    def fetchall(self) -> list[Row]:
        return self.rows

    def execute(self, query: str, args: Sequence[object], /) -> None:
        self.server.statements += 1
        if self.server.hold:
            assert self.server.hold.wait(timeout=5)
        self.ping(reconnect=False)
        if self.server.broken:
            raise self.server.broken
        with self.server.lock:
            try:
                cursor = self.server.store.execute(query.replace("%s", "?"), args)
            except sqlite3.IntegrityError as error:
                raise pymysql.IntegrityError(1452 if "FOREIGN" in str(error) else 1062, str(error)) from error
            names = [column[0] for column in cursor.description or ()]
            self.rows = [dict(zip(names, row, strict=True)) for row in cursor]
        for row in self.rows:
            if "created_at" in row:
                row["created_at"] = datetime.fromisoformat(row["created_at"])
