"""gunicorn runs the Flask site in worker processes that outlive any single request."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from services.service import Directory, File, Host, Listener, Service, Tree, http_status, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

SITE = Path(__file__).with_name("app")
SITE_ROOT = "/var/www/foobar"
CONFIGURATION = "/etc/gunicorn/gunicorn.conf.py"
SITE_CONFIGURATION = "/etc/foobar/site.toml"
SITE_AUTHORITY = "/etc/foobar/ca.pem"  # who signs the database servers
CERTIFICATE = "/etc/gunicorn/certs/app.pem"
KEY = "/etc/gunicorn/certs/app.key"
#: What every application server is called in its certificate. Not the site's own name: that key is only where
#: clients arrive.
CERTIFIED_NAME = "app.foobar.com"


@dataclass(frozen=True)
class Gunicorn(Service):
    """`bind` is "address:port" or "unix:/path"; `database` is an address, or a socket's path ("/run/…").

    Catalogue reads go to `database_replica`, if there is one. `tls` and `database_tls` are for TCP; a UNIX
    socket never leaves the host. Raises ValueError for TLS over one.
    """

    name: ClassVar[str] = "gunicorn"
    package: ClassVar[str] = ""  # comes with the project's virtual environment
    runs_as: ClassVar[str] = "www-data"
    reload_signal: ClassVar[signal.Signals | None] = signal.SIGHUP
    interpreter_at: ClassVar[str | None] = f"{SITE_ROOT}/venv"

    host_name: str
    bind: str
    database: str
    database_replica: str | None = None
    database_tls: bool = False
    tls: bool = False
    workers: int = 1
    threads: int = 8
    graceful_timeout_s: int = 4  # below stop_timeout_s, so that a stop is graceful to its end
    answer_delay_ms: int = 0  # every answer waits that long, as after a bad release
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for tls, where in ((self.tls, self.bind), (self.database_tls, self.database)):
            if tls and where.startswith(("unix:", "/")):
                raise ValueError(f"{self.host_name}: TLS over the UNIX socket {where}")

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        password = secrets.password("mysql-site")
        values = {"service": self, "certificate": CERTIFICATE, "key": KEY}
        site = template_beside(
            __file__, "site.toml", service=self, password=password, authority=SITE_AUTHORITY
        )
        files = {
            CONFIGURATION: File(template_beside(__file__, "gunicorn.conf.py.j2", **values)),
            SITE_CONFIGURATION: _for_workers(site),
        }
        if self.tls:
            pair = secrets.certificate(CERTIFIED_NAME, self.host_name)
            files[CERTIFICATE] = File(pair.certificate)
            files[KEY] = _for_workers(pair.key)
        if self.database_tls:
            files[SITE_AUTHORITY] = File(secrets.authority)
        return files

    def directories(self) -> Mapping[str, Directory]:
        return {"/run/gunicorn": Directory("www-data:www-data")}

    def trees(self) -> Mapping[str, Tree]:
        return {f"{SITE_ROOT}/app": Tree(SITE)}

    def check(self) -> Sequence[Sequence[str]]:
        return ((*self.command, "--check-config"),)

    @property
    def command(self) -> Sequence[str]:
        return (
            f"{self.interpreter_at}/bin/python", "-m", "gunicorn", "--config", CONFIGURATION,
            "--chdir", SITE_ROOT, "app:create_app()",
        )  # fmt: skip

    @property
    def listeners(self) -> tuple[Listener, ...]:
        if self.bind.startswith("unix:"):
            return (Listener("unix", self.bind.removeprefix("unix:")),)
        address, _, port = self.bind.rpartition(":")
        return (Listener("tcp", address, int(port), tls=self.tls),)

    def ready(self, host: Host) -> bool:
        """The shallow health check answers 200; the database has its own readiness."""
        if self.bind.startswith("unix:"):
            connection = host.connect_unix(self.bind.removeprefix("unix:"), timeout_s=1.0)
        else:
            address, _, port = self.bind.rpartition(":")
            connection = host.connect(address, int(port), timeout_s=1.0)
        if not self.tls:
            status, _ = http_status(connection, "www.foobar.com", "/health")
            return status == 200
        import ssl

        context = ssl.create_default_context(cadata=host.authority())
        status, _ = http_status(connection, CERTIFIED_NAME, "/health", context)
        return status == 200


def _for_workers(text: str) -> File:
    """A secret that the worker processes read, which are www-data."""
    return File(text, mode=0o640, owner="root:www-data", secret=True)
