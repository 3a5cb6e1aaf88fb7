"""ulogd writes what the host's firewall refuses into a file: a packet, a line."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.nftables import LOG_GROUP
from services.service import Directory, File, Host, Listener, Service, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

CONFIGURATION = "/etc/ulogd.conf"
LOG = "/var/log/ulog/firewall.log"
SOCKET = "/run/ulog/ulogd.sock"


@dataclass(frozen=True)
class Ulogd(Service):
    """It binds the kernel's log group as root and goes on as ulog."""

    name: ClassVar[str] = "ulogd"
    package: ClassVar[str] = "ulogd2"
    runs_as: ClassVar[str] = "ulog"
    log_files: ClassVar[tuple[str, ...]] = (LOG,)

    host_name: str
    after: tuple[str, ...] = ()

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        values = {"service": self, "group": LOG_GROUP, "log": LOG, "socket": SOCKET}
        return {CONFIGURATION: File(template_beside(__file__, "ulogd.conf", **values))}

    def directories(self) -> Mapping[str, Directory]:
        return {
            "/run/ulog": Directory("ulog:ulog", 0o750),
            "/var/log/ulog": Directory("ulog:adm", 0o750, fresh=True),
        }

    def check(self) -> Sequence[Sequence[str]]:
        return ()  # it has no checker; a bad file ends it at once

    @property
    def command(self) -> Sequence[str]:
        return ("ulogd", "-c", CONFIGURATION, "-u", "ulog")

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return (Listener("unix", SOCKET, operator=True),)

    def ready(self, host: Host) -> bool:
        """Whoever hangs up is hung up on. By then it has the log group: stacks start in their order."""
        with host.connect_unix(SOCKET, timeout_s=1.0) as connection:
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(1) == b""
