"""MySQL keeps the rows: the server the distribution ships, MariaDB's mariadbd or else MySQL's mysqld."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.gunicorn import SITE
from services.service import Directory, File, Host, Service, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

CONFIGURATION = "/etc/mysql/my.cnf"
INITIAL = "/etc/mysql/init.sql"
DATA = "/var/lib/mysql"
SOCKET = "/run/mysqld/mysqld.sock"


@dataclass(frozen=True)
class MySQL(Service):
    """`listen` None: only the UNIX socket. `clients` are the addresses the site may connect from."""

    name: ClassVar[str] = "mysql"
    package: ClassVar[str] = "mariadb-server"
    ready_timeout_s: ClassVar[float] = 30.0
    stop_timeout_s: ClassVar[float] = 10.0
    prepared_mark: ClassVar[str | None] = f"{DATA}/mysql"

    host_name: str
    listen: str | None
    clients: tuple[str, ...]
    buffer_pool_mb: int = 64
    after: tuple[str, ...] = ()

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        schema = "\n".join((SITE / name).read_text() for name in ("schema.sql", "seed.sql"))
        initial = template_beside(
            __file__, "init.sql", service=self, password=secrets.password("mysql-site"), schema=schema
        )
        return {
            CONFIGURATION: File(
                template_beside(__file__, "my.cnf", service=self, socket=SOCKET, initial=INITIAL)
            ),
            INITIAL: File(initial, mode=0o600, owner="mysql:mysql", secret=True),
        }

    def directories(self) -> Mapping[str, Directory]:
        # The machine's own databases never shine through: the run starts from an empty directory.
        return {"/run/mysqld": Directory("mysql:mysql"), DATA: Directory("mysql:mysql", 0o700, fresh=True)}

    def check(self) -> Sequence[Sequence[str]]:
        return ((self.server, f"--defaults-file={CONFIGURATION}", "--user=mysql", "--help", "--verbose"),)

    def prepare(self) -> Sequence[Sequence[str]]:
        if self.server == "mysqld":
            return (
                (self.server, f"--defaults-file={CONFIGURATION}", "--user=mysql", "--initialize-insecure"),
            )
        return (
            (
                "mariadb-install-db", f"--defaults-file={CONFIGURATION}", "--user=mysql", "--skip-test-db",
                "--auth-root-authentication-method=socket", "--skip-name-resolve",
            ),
        )  # fmt: skip

    @property
    def server(self) -> str:
        """What this machine has. MariaDB often answers to mysqld, too, so its own name goes first."""
        return "mariadbd" if shutil.which("mariadbd") else "mysqld"

    @property
    def command(self) -> Sequence[str]:
        return (self.server, f"--defaults-file={CONFIGURATION}", "--user=mysql")

    def ready(self, host: Host) -> bool:
        """root, authenticated by the socket's peer credentials, counts the seeded rows."""
        import pymysql

        try:
            connection = pymysql.connect(
                user="root",
                database="foobar",
                defer_connect=True,
                read_timeout=2,
                write_timeout=2,
                ssl_disabled=True,  # a UNIX socket needs none, and PyMySQL would use what the server offers
            )
            connection.connect(host.connect_unix(SOCKET, timeout_s=1.0))
        except pymysql.err.OperationalError as not_yet:
            raise ConnectionError(str(not_yet)) from not_yet
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM items")
            row = cursor.fetchone()
        return row is not None and row[0] > 0
