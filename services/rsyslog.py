"""rsyslog follows the logs of every daemon on a host and ships each line to the host that keeps them all.

file ──every second──► queue in memory ──TCP 514, RFC 5424──► /var/log/remote/HOST/TAG.log
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.service import Directory, File, Host, Listener, Service, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

PORT = 514
CONFIGURATION = "/etc/rsyslog.conf"
SOCKET = "/run/rsyslogd/rsyslogd.sock"
#: HOST/TAG.log below it, a line for a line: when it was received (RFC 3339 in UTC, to the microsecond), one
#: space, then the line as the daemon wrote it. Empty lines are left out.
STORE = "/var/log/remote"


@dataclass(frozen=True)
class Rsyslog(Service):
    """`sources` are (tag, absolute path on the host) of the files it follows, never its own log.

    With `forward_to` (an address) it ships them; with `listen` it is the store, for its own host's, too.
    Raises ValueError unless it is exactly one of the two.
    """

    name: ClassVar[str] = "rsyslog"
    package: ClassVar[str] = "rsyslog"

    host_name: str
    sources: tuple[tuple[str, str], ...]
    forward_to: str | None
    listen: str | None
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.forward_to) == bool(self.listen):
            raise ValueError(f"rsyslog on {self.host_name} either forwards or listens")

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        values = {"service": self, "port": PORT, "socket": SOCKET, "store": STORE}
        return {CONFIGURATION: File(template_beside(__file__, "rsyslog.conf", **values))}

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
        return (Listener("tcp", self.listen, PORT) if self.listen else Listener("unix", SOCKET),)

    def ready(self, host: Host) -> bool:
        """Syslog answers nothing (RFC 6587 §3); but whoever hangs up is hung up on, by the daemon itself."""
        if self.listen:
            connection = host.connect(self.listen, PORT, timeout_s=1.0)
        else:
            connection = host.connect_unix(SOCKET, timeout_s=1.0)
        with connection:
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(1) == b""
