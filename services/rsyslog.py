"""rsyslog follows the logs of every daemon on a host and ships each line to the host that keeps them all.

file ──every second──► queue in memory ──TCP 514, RFC 5424──► /var/log/remote/HOST/TAG.log
                                          or TLS 6514, RFC 5425: an access log has every path in it
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.service import Directory, File, Host, Listener, Service, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

PORT, TLS_PORT = 514, 6514
CONFIGURATION = "/etc/rsyslog.conf"
CERTIFICATE = "/etc/rsyslog-certs/store.pem"
KEY = "/etc/rsyslog-certs/store.key"
AUTHORITY = "/etc/rsyslog-certs/ca.pem"
STORE_NAME = "logs.foobar.com"  # what the store's certificate says, and shippers ask for
SOCKET = "/run/rsyslogd/rsyslogd.sock"
#: HOST/TAG.log below it, a line for a line: when it was received (RFC 3339 in UTC, to the microsecond), one
#: space, then the line as the daemon wrote it. Empty lines are left out.
STORE = "/var/log/remote"


@dataclass(frozen=True)
class Rsyslog(Service):
    """`sources` are (tag, absolute path on the host) of the files it follows, never its own log.

    With `forward_to` (an address) it ships them; with `listen` it is the store, for its own host's, too. With
    `tls` lines travel encrypted, to a store that proves its name (needs the package rsyslog-openssl). Raises
    ValueError unless it is exactly one of the two.
    """

    name: ClassVar[str] = "rsyslog"
    package: ClassVar[str] = "rsyslog"

    host_name: str
    sources: tuple[tuple[str, str], ...]
    forward_to: str | None
    listen: str | None
    tls: bool = False
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.forward_to) == bool(self.listen):
            raise ValueError(f"rsyslog on {self.host_name} either forwards or listens")

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        values = {
            "service": self, "port": self.port, "socket": SOCKET, "store": STORE, "store_name": STORE_NAME,
            "certificate": CERTIFICATE, "key": KEY, "authority": AUTHORITY,
        }  # fmt: skip
        files = {CONFIGURATION: File(template_beside(__file__, "rsyslog.conf", **values))}
        if self.tls:
            files[AUTHORITY] = File(secrets.authority)
        if self.tls and self.listen:
            pair = secrets.certificate(STORE_NAME)
            files[CERTIFICATE] = File(pair.certificate)
            files[KEY] = File(pair.key, mode=0o600, secret=True)
        return files

    @property
    def port(self) -> int:
        return TLS_PORT if self.tls else PORT

    def directories(self) -> Mapping[str, Directory]:
        needed = {
            "/run/rsyslogd": Directory(mode=0o700),
            # How far it has read each file: what the machine's own rsyslog has there is about other files.
            "/var/spool/rsyslog": Directory(mode=0o700, fresh=True),
        }
        return {**needed, STORE: Directory(fresh=True)} if self.listen else needed

    def check(self) -> Sequence[Sequence[str]]:
        return (("rsyslogd", "-N1", "-f", CONFIGURATION),)

    @property
    def command(self) -> Sequence[str]:
        return ("rsyslogd", "-n", "-f", CONFIGURATION, "-i", "/run/rsyslogd/rsyslogd.pid")

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return (Listener("tcp", self.listen, self.port) if self.listen else Listener("unix", SOCKET),)

    def ready(self, host: Host) -> bool:
        """Syslog answers nothing (RFC 6587 §3); but whoever hangs up is hung up on, by the daemon itself.

        A store with TLS shows a certificate for its name.
        """
        if not self.listen:
            return _hangs_up(host.connect_unix(SOCKET, timeout_s=1.0))
        connection = host.connect(self.listen, self.port, timeout_s=1.0)
        if not self.tls:
            return _hangs_up(connection)
        import ssl

        context = ssl.create_default_context(cadata=host.authority())
        with connection, context.wrap_socket(connection, server_hostname=STORE_NAME):
            return True


def _hangs_up(connection: socket.socket) -> bool:
    with connection:
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(1) == b""
