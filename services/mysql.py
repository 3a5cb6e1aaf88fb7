"""MySQL keeps the rows: the server the distribution ships, MariaDB's mariadbd or else MySQL's mysqld.

    site ──INSERT──► primary ──binary log, by GTID──► replica ◄──SELECT── site

A replica starts empty and gets schema, users and rows from its primary's first transaction on. Nobody
waits for it: what the primary acknowledged in its last moments may be missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from services.gunicorn import SITE
from services.service import Directory, File, Host, Listener, Service, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

CONFIGURATION = "/etc/mysql/my.cnf"
INITIAL = "/etc/mysql/init.sql"
DATA = "/var/lib/mysql"
SOCKET = "/run/mysqld/mysqld.sock"
PORT = 3306
CERTIFICATE = "/etc/mysql/certs/server.pem"
KEY = "/etc/mysql/certs/server.key"
AUTHORITY = "/etc/mysql/certs/ca.pem"
NO_ADDRESS = (None, "0.0.0.0", "*", "::")  # nothing a certificate could name


@dataclass(frozen=True)
class MySQL(Service):
    """`listen` None: only the UNIX socket. `clients` are the addresses the site may connect from.

    With a `server_id` it keeps a binary log that `replicas` (addresses) may read. `replica_of` (an address)
    makes it such a replica: read-only, its users those of the primary, whatever `clients` says. With `tls`
    whoever comes over the network must use it, and can verify `server_address` (else `listen`). `exporter`
    lets the exporter on this host in, through the socket. Raises ValueError for replication without a
    `server_id`, and for TLS without an address that a certificate can name.
    """

    name: ClassVar[str] = "mysql"
    package: ClassVar[str] = "mariadb-server"
    runs_as: ClassVar[str] = "mysql"
    ready_timeout_s: ClassVar[float] = 30.0
    stop_timeout_s: ClassVar[float] = 10.0
    prepared_mark: ClassVar[str | None] = f"{DATA}/mysql"

    host_name: str
    listen: str | None
    clients: tuple[str, ...]
    server_id: int | None = None
    replicas: tuple[str, ...] = ()
    replica_of: str | None = None
    tls: bool = False
    server_address: str | None = None
    exporter: bool = False
    buffer_pool_mb: int = 64
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.replicas or self.replica_of) and self.server_id is None:
            raise ValueError(f"{self.host_name}: replication needs a server_id")
        if self.tls and (self.server_address or self.listen) in NO_ADDRESS:
            raise ValueError(f"{self.host_name}: TLS needs a server_address that clients can verify")

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        paths = {"socket": SOCKET, "initial": INITIAL, "certificate": CERTIFICATE, "key": KEY}
        values = {"service": self, "mariadb": self.server == "mariadbd", "authority": AUTHORITY}
        if self.replica_of or self.replicas:
            values["replicator_password"] = secrets.password("mysql-replicator")
        if self.exporter:
            values["exporter_password"] = secrets.password("mysql-exporter")
        if not self.replica_of:
            values["password"] = secrets.password("mysql-site")
            values["schema"] = "\n".join((SITE / name).read_text() for name in ("schema.sql", "seed.sql"))
        files = {
            CONFIGURATION: File(template_beside(__file__, "my.cnf", **values, **paths)),
            INITIAL: _for_mysql(template_beside(__file__, "init.sql", **values)),
        }
        if self.tls:
            pair = secrets.certificate(self.server_address or self.listen or "")
            files[CERTIFICATE] = File(pair.certificate)
            files[KEY] = _for_mysql(pair.key)
            files[AUTHORITY] = File(secrets.authority)
        return files

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

    @property
    def listeners(self) -> tuple[Listener, ...]:
        # TLS is agreed upon in MySQL's own protocol, after its greeting in plain text.
        network = (Listener("tcp", self.listen, PORT, tls=self.tls),) if self.listen else ()
        return (*network, Listener("unix", SOCKET, operator=bool(network)))

    def ready(self, host: Host) -> bool:
        """root, authenticated by the socket's peer credentials, counts the seeded rows; a replica runs."""
        import pymysql

        try:
            connection = pymysql.connect(
                user="root",
                database="foobar",
                defer_connect=True,
                read_timeout=2,
                write_timeout=2,
                cursorclass=pymysql.cursors.DictCursor,
                ssl_disabled=True,  # a UNIX socket needs none, and PyMySQL would use what the server offers
            )
            connection.connect(host.connect_unix(SOCKET, timeout_s=1.0))
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT COUNT(*) AS seeded FROM items")
                row = cursor.fetchone()
                filled = row is not None and row["seeded"] > 0
                return filled and (self.replica_of is None or replicates(cursor))
        # The latter: the table has not arrived yet.
        except (pymysql.err.OperationalError, pymysql.err.ProgrammingError) as not_yet:
            raise ConnectionError(str(not_yet)) from not_yet


def replicates(cursor: Any) -> bool:
    """Both threads run, the one that fetches and the one that applies: Slave_… in MariaDB, else Replica_…"""
    cursor.execute("SHOW REPLICA STATUS")
    status = cursor.fetchone() or {}
    running = [value for name, value in status.items() if name.endswith(("_IO_Running", "_SQL_Running"))]
    return running == ["Yes", "Yes"]


def _for_mysql(text: str) -> File:
    return File(text, mode=0o600, owner="mysql:mysql", secret=True)
