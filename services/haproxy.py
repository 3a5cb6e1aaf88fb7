"""HAProxy ends TLS on the virtual addresses and spreads requests over web servers that pass its checks.

    client ──TLS, or HTTP──► :443, :80 ──HTTP, or TLS that verifies the name──► backends

With `backend_tls` both hops are encrypted, and it still reads every request between them: not end to end.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.service import Directory, File, Host, Listener, Service, http_status, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

CONFIGURATION = "/etc/haproxy/haproxy.cfg"
CERTIFICATE = "/etc/haproxy/certs/www.foobar.com.pem"
AUTHORITY = "/etc/haproxy/certs/ca.pem"
ADMIN_SOCKET = "/run/haproxy/admin.sock"
STATS_PORT = 8404  # on 127.0.0.1: operator and keepalived
METRICS_PORT = 8405  # on `metrics_address`: /metrics and nothing else


@dataclass(frozen=True)
class HAProxy(Service):
    """`backends` are (name, address, port) of the web servers; `addresses` the virtual addresses it binds.

    Without `tls` it answers plain HTTP on port 80 and redirects nobody. With `backend_tls` the web servers
    must show a certificate of the run's CA for `server_name`. `balance` is HAProxy's name of an algorithm.
    """

    name: ClassVar[str] = "haproxy"
    package: ClassVar[str] = "haproxy"
    runs_as: ClassVar[str] = "haproxy"
    # In master-worker mode SIGUSR2 starts a new worker on the same listeners; the old one finishes its work.
    reload_signal: ClassVar[signal.Signals | None] = signal.SIGUSR2
    # Both balancers bind both virtual addresses, whoever holds them now.
    sysctls: ClassVar[Mapping[str, str]] = {"net.ipv4.ip_nonlocal_bind": "1"}

    host_name: str
    addresses: tuple[str, ...]
    backends: tuple[tuple[str, str, int], ...]
    tls: bool = True
    backend_tls: bool = False
    metrics_address: str | None = None
    balance: str = "roundrobin"
    check_inter_s: float = 2.0
    check_fall: int = 3
    check_rise: int = 2
    connect_timeout_s: float = 0.25
    server_name: str = "www.foobar.com"
    after: tuple[str, ...] = ("nginx",)

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        values = {"certificate": CERTIFICATE, "authority": AUTHORITY}
        ports = {"stats_port": STATS_PORT, "metrics_port": METRICS_PORT}
        files = {
            CONFIGURATION: File(template_beside(__file__, "haproxy.cfg", service=self, **values, **ports))
        }
        if self.tls:
            # Read by the master before it drops its privileges, so root alone may read it.
            pem = secrets.certificate(self.server_name).chain_and_key
            files[CERTIFICATE] = File(pem, mode=0o600, secret=True)
        if self.backend_tls:
            files[AUTHORITY] = File(secrets.authority)
        return files

    def directories(self) -> Mapping[str, Directory]:
        return {"/run/haproxy": Directory("haproxy:haproxy", 0o750)}

    def check(self) -> Sequence[Sequence[str]]:
        return (("haproxy", "-c", "-f", CONFIGURATION),)

    @property
    def command(self) -> Sequence[str]:
        return ("haproxy", "-W", "-db", "-f", CONFIGURATION)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        ports = ((443, True), (80, False)) if self.tls else ((80, False),)
        site = tuple(Listener("tcp", address, port, tls) for address in self.addresses for port, tls in ports)
        local = (Listener("tcp", "127.0.0.1", STATS_PORT), Listener("unix", ADMIN_SOCKET, operator=True))
        metrics = (Listener("tcp", self.metrics_address, METRICS_PORT),) if self.metrics_address else ()
        return (*site, *local, *metrics)

    def ready(self, host: Host) -> bool:
        """The local monitor answers. To HAProxy a web server is up until it fails its checks."""
        connection = host.connect("127.0.0.1", STATS_PORT, timeout_s=1.0)
        status, _ = http_status(connection, "127.0.0.1", "/alive")
        return status == 200
