"""A daemon on a host is a value: what it reads, how it is checked, how it starts, how one knows it is ready.

    render ──► check ──► prepare ──► start command ──► ready …… reload, stop

A service is a frozen dataclass with its configuration template beside it under the daemon's own file name.
Adding a daemon is one module and one template; nothing else lists daemons.
"""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

if TYPE_CHECKING:
    from services.credentials import Secrets


class Host(Protocol):
    """The little a service needs to know of where it runs."""

    name: str

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        """A TCP connection made inside the host's network. Raises OSError."""

    def connect_unix(self, path: str, timeout_s: float) -> socket.socket:
        """A connection to a UNIX socket in the host's own file system. Raises OSError."""

    def authority(self) -> str:
        """The PEM of the CA this host trusts."""

    def ask_udp(self, address: str, port: int, question: bytes, timeout_s: float) -> bytes:
        """Send one datagram from inside the host, return the answer. Raises OSError (also on time-out)."""


@dataclass(frozen=True)
class File:
    """One rendered file. A secret one is never copied into the results."""

    text: str
    mode: int = 0o644
    owner: str = "root:root"
    secret: bool = False


@dataclass(frozen=True)
class Directory:
    """A directory the daemon needs before it starts (systemd's RuntimeDirectory=, in its absence)."""

    owner: str = "root:root"
    mode: int = 0o755
    fresh: bool = False  # hide what the machine itself has there


@dataclass(frozen=True)
class Tree:
    """A directory of the project that is installed on the host, readable for every daemon there."""

    source: Path


#: What a daemon is told for "whatever addresses this host has".
EVERY_ADDRESS = "0.0.0.0"


@dataclass(frozen=True)
class Listener:
    """Where a daemon waits to be spoken to. `address` is the path of a UNIX socket; VRRP has no port."""

    protocol: Literal["tcp", "udp", "unix", "vrrp"]
    address: str
    port: int | None = None
    tls: bool = False  # whether it answers in TLS and nothing else
    operator: bool = False  # for whoever looks after the daemon, beside what it is there for

    def __str__(self) -> str:
        """ "tcp 10.0.1.21:80", "unix /run/gunicorn/gunicorn.sock" """
        where = self.address if self.port is None else f"{self.address}:{self.port}"
        return f"{self.protocol} {where}"

    @property
    def opening(self) -> str:
        """What it opens to other hosts, as flows say it: "tcp/443", "vrrp"; "UNIX socket" opens nothing."""
        if self.protocol == "unix":
            return "UNIX socket"
        return self.protocol if self.port is None else f"{self.protocol}/{self.port}"

    @property
    def reachable(self) -> bool:
        """Whether another host can get there at all, if no firewall stands in between."""
        return self.protocol != "unix" and not self.address.startswith("127.")


class Service:
    """Base of all services; subclasses are frozen dataclasses."""

    name: ClassVar[str]  # the daemon's own name: "haproxy"
    package: ClassVar[str]  # Debian's package that brings it; "" for none
    ready_timeout_s: ClassVar[float] = 20.0
    stop_timeout_s: ClassVar[float] = 5.0
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    reload_signal: ClassVar[signal.Signals | None] = None
    #: sysctls of the host's own network that the daemon relies on.
    sysctls: ClassVar[Mapping[str, str]] = {}
    #: Where the daemon keeps log files of its own (its standard output is kept anyway).
    log_files: ClassVar[tuple[str, ...]] = ()
    #: Where the daemon expects the project's virtual environment, if it runs Python.
    interpreter_at: ClassVar[str | None] = None
    #: Exists once `prepare` has been done; it is not done twice.
    prepared_mark: ClassVar[str | None] = None
    #: What its process finds in its environment; never a secret, which `ps e` would show.
    environment: ClassVar[Mapping[str, str]] = {}
    #: Its command ends by itself and leaves its effect in the kernel (systemd: Type=oneshot).
    oneshot: ClassVar[bool] = False
    #: The user of its processes that serve; a master that only starts them may keep root.
    runs_as: ClassVar[str] = "root"
    #: Daemons (by name, on any host) that must be ready before this one starts.
    after: tuple[str, ...] = ()

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        """Absolute path → file. Pure: the same service and secrets give the same text."""
        raise NotImplementedError

    def directories(self) -> Mapping[str, Directory]:
        return {}

    def trees(self) -> Mapping[str, Tree]:
        return {}

    def check(self) -> Sequence[Sequence[str]]:
        """The daemon's own syntax checks, run on the host before anything starts."""
        raise NotImplementedError

    def prepare(self) -> Sequence[Sequence[str]]:
        """Commands a package's maintainer scripts would have run: an empty database, for one."""
        return ()

    @property
    def command(self) -> Sequence[str]:
        """How the daemon starts; always in the foreground."""
        raise NotImplementedError

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Every socket on which it waits for others; one that is not named here is one too many."""
        raise NotImplementedError(f"{self.name} does not say where it listens")

    @property
    def program(self) -> str:
        """The executable that must be installed."""
        command = self.command
        return command[command.index("--") + 1] if command[0] == "setpriv" else command[0]

    def ready(self, host: Host) -> bool:
        """One attempt to get an answer in the daemon's own protocol. May raise OSError: not yet."""
        raise NotImplementedError


def as_user(user: str, *command: str) -> tuple[str, ...]:
    """The command line that becomes `command` as `user`, as a unit's User= would; the pid stays the same."""
    privileges = (f"--reuid={user}", f"--regid={user}", "--init-groups", "--no-new-privs")
    return ("setpriv", *privileges, "--", *command)


def template(path: Path, **values: Any) -> str:
    """Render the template at `path`. Raises jinja2.UndefinedError for a name nobody gave."""
    # Imported here so that a stage's wiring can be drawn by plain Mininet, whose Python has no jinja2.
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        autoescape=False,  # these are daemon configurations, not web pages
    )  # fmt: skip
    return environment.from_string(path.read_text()).render(**values)


def template_beside(module_file: str, name: str, **values: Any) -> str:
    """Render the template `name` that lies beside the calling module."""
    return template(Path(module_file).with_name(name), **values)


def http_status(
    connection: socket.socket,
    host_header: str,
    path: str,
    tls: ssl.SSLContext | None = None,
    limit: int = 65536,
) -> tuple[int, bytes]:
    """One HTTP/1.1 exchange over an open connection: (status, everything received up to `limit` bytes).

    Raises OSError (ssl.SSLError included) when the peer does not speak HTTP.
    """
    with connection as plain, tls.wrap_socket(plain, server_hostname=host_header) if tls else plain as stream:
        stream.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host_header}\r\n"
            "User-Agent: readiness\r\nConnection: close\r\n\r\n".encode()
        )
        received = bytearray()
        while len(received) < limit and (part := stream.recv(8192)):
            received += part
    words = bytes(received[:16]).split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        raise ConnectionError(f"{path}: the answer is not HTTP")
    return int(words[1]), bytes(received)
