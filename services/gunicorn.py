"""gunicorn runs the Flask site in worker processes that outlive any single request."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from services.service import Directory, File, Host, Service, Tree, http_status, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

SITE = Path(__file__).with_name("app")
SITE_ROOT = "/var/www/foobar"
CONFIGURATION = "/etc/gunicorn/gunicorn.conf.py"
SITE_CONFIGURATION = "/etc/foobar/site.toml"


@dataclass(frozen=True)
class Gunicorn(Service):
    """`bind` is "address:port" or "unix:/path"; `database` is an address, or a socket's path ("/run/…")."""

    name: ClassVar[str] = "gunicorn"
    package: ClassVar[str] = ""  # comes with the project's virtual environment
    reload_signal: ClassVar[signal.Signals | None] = signal.SIGHUP
    interpreter_at: ClassVar[str | None] = f"{SITE_ROOT}/venv"

    host_name: str
    bind: str
    database: str
    workers: int = 1
    threads: int = 8
    graceful_timeout_s: int = 4  # below stop_timeout_s, so that a stop is graceful to its end
    after: tuple[str, ...] = ()

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        password = secrets.password("mysql-site")
        return {
            CONFIGURATION: File(template_beside(__file__, "gunicorn.conf.py.j2", service=self)),
            SITE_CONFIGURATION: File(
                template_beside(__file__, "site.toml", service=self, password=password),
                mode=0o640, owner="root:www-data", secret=True,
            ),
        }  # fmt: skip

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

    def ready(self, host: Host) -> bool:
        """The shallow health check answers 200; the database has its own readiness."""
        if self.bind.startswith("unix:"):
            connection = host.connect_unix(self.bind.removeprefix("unix:"), timeout_s=1.0)
        else:
            address, _, port = self.bind.rpartition(":")
            connection = host.connect(address, int(port), timeout_s=1.0)
        status, _ = http_status(connection, "www.foobar.com", "/health")
        return status == 200
