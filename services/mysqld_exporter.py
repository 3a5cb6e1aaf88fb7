"""The MySQL exporter logs in over the UNIX socket and reads the server's status and its replication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.mysql import SOCKET
from services.service import (
    EVERY_ADDRESS,
    File,
    Host,
    Listener,
    Service,
    as_user,
    http_status,
    template_beside,
)

if TYPE_CHECKING:
    from services.credentials import Secrets

PORT = 9104
CONFIGURATION = "/etc/prometheus/mysqld-exporter.my.cnf"
USER = "exporter"
PASSWORD = "mysql-exporter"  # the name under which the run's secrets keep it
#: What it asks: one SHOW each. The others that come switched on read information_schema for InnoDB's
#: compression, which nobody uses here, and the variables are in the configuration anyway.
COLLECTORS = ("global_status", "slave_status")
SKIPPED = (
    "global_variables",
    "info_schema.innodb_cmp",
    "info_schema.innodb_cmpmem",
    "info_schema.query_response_time",
)


@dataclass(frozen=True)
class MysqldExporter(Service):
    """The database must know `exporter`@localhost, who needs nothing but the right to see its replication.

    That right is REPLICATION CLIENT to MySQL; MariaDB 10.5 and later call it SLAVE MONITOR.
    """

    name: ClassVar[str] = "mysqld-exporter"
    package: ClassVar[str] = "prometheus-mysqld-exporter"
    runs_as: ClassVar[str] = "prometheus"
    environment: ClassVar[Mapping[str, str]] = {"GOMAXPROCS": "1"}

    host_name: str
    after: tuple[str, ...] = ("mysql",)

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        password = secrets.password(PASSWORD)
        text = template_beside(
            __file__, "mysqld-exporter.my.cnf", service=self, user=USER, password=password, socket=SOCKET
        )
        return {CONFIGURATION: File(text, mode=0o640, owner="root:prometheus", secret=True)}

    def check(self) -> Sequence[Sequence[str]]:
        return ()

    @property
    def command(self) -> Sequence[str]:
        return as_user(
            "prometheus", "prometheus-mysqld-exporter", f"--web.listen-address=:{PORT}",
            f"--config.my-cnf={CONFIGURATION}",
            *(f"--collect.{name}" for name in COLLECTORS), *(f"--no-collect.{name}" for name in SKIPPED),
        )  # fmt: skip

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return (Listener("tcp", EVERY_ADDRESS, PORT),)

    def ready(self, host: Host) -> bool:
        """It hands out its metrics, of which mysql_up may be 0: that is its news, not its failure."""
        status, _ = http_status(host.connect("127.0.0.1", PORT, timeout_s=1.0), "127.0.0.1", "/metrics")
        return status == 200
