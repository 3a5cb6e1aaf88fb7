"""nginx serves the static files itself and passes the rest to the application servers."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.gunicorn import CERTIFIED_NAME, SITE, SITE_ROOT
from services.service import Directory, File, Host, Listener, Service, Tree, http_status, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

CONFIGURATION = "/etc/nginx/nginx.conf"
CERTIFICATE = "/etc/nginx/certs/www.foobar.com.pem"
KEY = "/etc/nginx/certs/www.foobar.com.key"
AUTHORITY = "/etc/nginx/certs/ca.pem"
STATUS_PORT = 8080  # on 127.0.0.1


@dataclass(frozen=True)
class Nginx(Service):
    """`upstreams` are "address:port" or "unix:/path". With `tls` it listens on 443 and redirects 80 to it.

    Without `redirect`, port 80 stays closed: behind a load balancer nobody comes there by mistake. With
    `upstream_tls` it speaks TLS to the upstreams and verifies them. `status` shows its counters to the host.
    """

    name: ClassVar[str] = "nginx"
    package: ClassVar[str] = "nginx-light"
    runs_as: ClassVar[str] = "www-data"
    stop_signal: ClassVar[signal.Signals] = signal.SIGQUIT  # graceful: finishes the requests it has
    reload_signal: ClassVar[signal.Signals | None] = signal.SIGHUP
    log_files: ClassVar[tuple[str, ...]] = ("/var/log/nginx/access.log",)

    host_name: str
    listen: str
    upstreams: tuple[str, ...]
    tls: bool = False
    redirect: bool = True
    upstream_tls: bool = False
    status: bool = False
    trusted_proxies: tuple[str, ...] = ()  # whose X-Forwarded-For is believed
    connect_timeout_s: float = 0.25
    fail_timeout_s: int = 10
    read_timeout_s: int = 5
    server_name: str = "www.foobar.com"
    after: tuple[str, ...] = ("gunicorn",)

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        paths = {"certificate": CERTIFICATE, "key": KEY, "authority": AUTHORITY, "site_root": SITE_ROOT}
        values = {"service": self, "upstream_name": CERTIFIED_NAME, "status_port": STATUS_PORT}
        files = {CONFIGURATION: File(template_beside(__file__, "nginx.conf", **values, **paths))}
        if self.tls:
            pair = secrets.certificate(self.server_name)
            files[CERTIFICATE] = File(pair.certificate)
            files[KEY] = File(pair.key, mode=0o600, secret=True)
        if self.upstream_tls:
            files[AUTHORITY] = File(secrets.authority)
        return files

    def directories(self) -> Mapping[str, Directory]:
        # What the machine's own nginx once logged is nobody's request here.
        return {"/var/log/nginx": Directory("root:adm", fresh=True)}

    def trees(self) -> Mapping[str, Tree]:
        return {f"{SITE_ROOT}/app/static": Tree(SITE / "static")}

    def check(self) -> Sequence[Sequence[str]]:
        return (("nginx", "-t", "-q", "-c", CONFIGURATION),)

    @property
    def command(self) -> Sequence[str]:
        return ("nginx", "-c", CONFIGURATION)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        site = [Listener("tcp", self.listen, 443 if self.tls else 80, tls=self.tls)]
        if self.tls and self.redirect:
            site.append(Listener("tcp", self.listen, 80))
        return (*site, Listener("tcp", "127.0.0.1", STATUS_PORT)) if self.status else tuple(site)

    def ready(self, host: Host) -> bool:
        """The application's health comes through (where TLS ends here: certificate and name verified)."""
        connection = host.connect(self.listen, 443 if self.tls else 80, timeout_s=1.0)
        context = None
        if self.tls:
            import ssl

            # The host trusts the run's CA; this process reads it from the host's own file.
            context = ssl.create_default_context(cadata=host.authority())
        status, _ = http_status(connection, self.server_name, "/health", context)
        return status == 200
