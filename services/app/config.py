"""The site's only configuration is one TOML file, and the only place where the database password is.

host_name = "app1"                   # what X-Served-By says
answer_delay_ms = 300                # optional: every answer waits that long, as after a bad release
[database]
host = "10.0.2.11"                   # or: unix_socket = "/run/mysqld/mysqld.sock"
port = 3306
user = "site"
password = "…"                       # hence mode 0640, root:www-data
name = "foobar"
pool_size = 4                        # per worker process
connect_timeout_s = 1.0              # to get a connection, from the pool or a new one
read_timeout_s = 3.0                 # for the answer to one statement
[database.replica]                   # optional: catalogue reads go there
host = "10.0.2.12"
connect_timeout_s = 0.1              # both timeouts: as above where they are not given
[database.tls]                       # optional: then the server must prove its name
ca = "/etc/foobar/ca.crt"
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

LONGEST_DELAY_MS = 60_000


class ConfigError(Exception):
    """The file is missing, is not TOML, or a key in it is wrong. Names file and key, never a value."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One MySQL server and how to log in to it. `password` stays out of the repr, so out of every log."""

    user: str
    password: str = field(repr=False)
    name: str  # of the database
    host: str | None = None
    port: int = 3306
    unix_socket: str | None = None  # exactly one of host and unix_socket
    connect_timeout_s: float = 1.0
    read_timeout_s: float = 3.0
    tls_ca: str | None = None

    @property
    def address(self) -> str:
        return self.unix_socket or f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SiteConfig:
    host_name: str
    primary: Endpoint
    replica: Endpoint | None = None
    pool_size: int = 4  # connections per server and worker process
    answer_delay_ms: int = 0


def read_config(path: Path) -> SiteConfig:
    """The configuration in `path`, checked. Raises ConfigError with one line that names the key."""
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    try:
        return _site(tables)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _site(tables: dict[str, Any]) -> SiteConfig:
    top = _Table("", tables)
    host_name = top.take("host_name", str)
    answer_delay_ms = top.take("answer_delay_ms", int, 0)
    if isinstance(answer_delay_ms, bool) or not 0 <= answer_delay_ms <= LONGEST_DELAY_MS:
        raise ConfigError(f"answer_delay_ms must be a whole number from 0 to {LONGEST_DELAY_MS}")
    database = _Table("database.", top.take("database", dict))
    top.finish()

    replica = _Table("database.replica.", database.take("replica", dict, {}))
    tls = _Table("database.tls.", database.take("tls", dict, {}))
    host = database.take("host", str, None)
    unix_socket = database.take("unix_socket", str, None)
    if (host is None) == (unix_socket is None):
        raise ConfigError("[database] needs either host or unix_socket")
    tls_ca = tls.take("ca", str, None)
    if tls_ca and unix_socket:
        raise ConfigError("[database.tls] is for host, a unix_socket never leaves the machine")

    user, password, name = (database.take(key, str) for key in ("user", "password", "name"))
    connect_timeout_s = database.take_positive("connect_timeout_s", 1.0)
    read_timeout_s = database.take_positive("read_timeout_s", 3.0)

    def endpoint(own: _Table, host: str | None, port: int, unix_socket: str | None = None) -> Endpoint:
        # A replica may be given up sooner than the primary, which there is no other way around.
        connect_s = own.take_positive("connect_timeout_s", connect_timeout_s)
        read_s = own.take_positive("read_timeout_s", read_timeout_s)
        return Endpoint(user, password, name, host, port, unix_socket, connect_s, read_s, tls_ca)

    port = database.take("port", int, 3306)
    site = SiteConfig(
        host_name=host_name,
        primary=endpoint(database, host, port, unix_socket),
        replica=endpoint(replica, replica.take("host", str), replica.take("port", int, port))
        if replica.keys
        else None,
        pool_size=int(database.take_positive("pool_size", 4)),
        answer_delay_ms=answer_delay_ms,
    )
    for table in (database, replica, tls):
        table.finish()
    return site


class _Table:
    """A TOML table whose keys are taken one by one; what nobody took is a typing error."""

    def __init__(self, prefix: str, keys: dict[str, Any]) -> None:
        self.keys = keys
        self._prefix = prefix
        self._left = set(keys)

    def take(self, key: str, kind: type[T], default: Any = ...) -> Any:
        """The value of `key`, which must be a `kind`. Raises ConfigError if it is not, or is missing."""
        self._left.discard(key)
        value = self.keys.get(key, default)
        if value is ...:
            raise ConfigError(f"{self._prefix}{key} is missing")
        if value is not default and not isinstance(value, kind):
            raise ConfigError(f"{self._prefix}{key} must be of type {kind.__name__}")
        return value

    def take_positive(self, key: str, default: float) -> float:
        value = self.take(key, object, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
            raise ConfigError(f"{self._prefix}{key} must be a positive number")
        return value

    def finish(self) -> None:
        if self._left:
            raise ConfigError(f"unknown key {self._prefix}{sorted(self._left)[0]}")
