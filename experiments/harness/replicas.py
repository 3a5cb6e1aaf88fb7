"""A primary and its replica on a running stage, asked as an operator would: as root, over their UNIX sockets.

    with Pair.of(testbed) as pair:
        pair.follow(20.0, 10.0)          tokens written to one and looked for on the other
        with pair.stopped(): …           the replica receives, and applies nothing

Why tokens and no MASTER_GTID_WAIT: a row that a SELECT finds is what a reader of the replica sees, and any
MySQL answers it. Why straight into the primary: the site reads each order back before it answers, and in that
time the replica has it, too; nothing would be left to measure.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from experiments.harness.generators import observe_until
from experiments.harness.replication import Basis, Token
from experiments.harness.spread import percentile_s
from services import mysql_client
from services.mysql import MySQL
from services.mysql_client import Refused, Session
from topologies.stage import Stage
from topologies.testbed import Testbed
from topologies.waiting import CannotEmulate, CommandFailed, DaemonDied, NotReady, wait_until

PORT = 3306
GIVE_UP_S = 2.0
NEW = (
    "INSERT INTO orders (id, item_id, quantity, created_at, node) "
    "VALUES (%s, 1, 1, UTC_TIMESTAMP(6), 'token')"
)
THERE = "SELECT 1 FROM orders WHERE id = %s"
PINGS = 20


def pair_of(stage: Stage) -> tuple[str, str] | None:
    """(primary, replica), by their hosts' names; None where nothing is replicated."""
    hosts = {address: host for host, on in stage.addresses.items() for address in on.values()}
    for host, services in stage.declared.items():
        for service in services:
            if isinstance(service, MySQL) and service.replica_of is not None:
                return hosts[service.replica_of], host
    return None


@dataclass(frozen=True)
class Refusal:
    """What the replica made of a statement that writes; `number` None: it did it."""

    number: int | None
    text: str


class Pair:
    """Sessions with both servers. A context manager. Raises CannotEmulate for another server than MariaDB."""

    def __init__(self, testbed: Testbed, primary: str, replica: str) -> None:
        self.primary, self.replica = primary, replica
        self.attempted: set[str] = set()  # orders that were written here, by id
        self.acknowledged: set[str] = set()
        self._testbed = testbed
        if testbed.daemon(primary, "mysql").service.program != "mariadbd":
            raise CannotEmulate("positions are compared in MariaDB's form; install mariadb-server")
        self._sessions = {host: self._session(host) for host in (primary, replica)}

    def __enter__(self) -> Pair:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            session.close()

    def _session(self, host: str) -> Session:
        try:
            return mysql_client.as_root(self._testbed.hosts[host])
        except (OSError, Refused) as error:
            raise DaemonDied(f"mysql on {host}: {error}") from error

    def ask(self, host: str, sql: str, values: Sequence[object] | None = None) -> list[dict[str, Any]]:
        """The rows of one statement. Raises CommandFailed if it is refused, DaemonDied without an answer."""
        try:
            return self._sessions[host].ask(sql, values)
        except Refused as error:
            raise CommandFailed(f"mysql on {host}: `{sql}`: {error}") from error
        except OSError as error:
            raise DaemonDied(f"mysql on {host}: {error}") from error

    def text(self, host: str, variable: str) -> str:
        """A system variable."""
        (row,) = self.ask(host, f"SELECT @@{variable} AS value")
        return str(row["value"])

    # -- before the load --------------------------------------------------------------------------------

    def basis(self, count: int, rate_hz: float) -> Basis:
        """What a prediction rests on: `count` commits and questions, and round trips, at leisure."""
        commits, questions = [], []
        start_s = time.monotonic()
        for k in range(count):
            observe_until(start_s + k / rate_hz)
            sent_s = time.monotonic()
            self._write()
            done_s = time.monotonic()
            self.ask(self.replica, THERE, (str(uuid.uuid4()),))  # one that nobody will find
            commits.append(done_s - sent_s)
            questions.append(time.monotonic() - done_s)
        testbed, cores = self._testbed, os.cpu_count() or 1
        return Basis(
            commit_s=percentile_s(commits, 0.5),
            commit_p99_s=percentile_s(commits, 0.99),
            question_s=percentile_s(questions, 0.5),
            question_p99_s=percentile_s(questions, 0.99),
            round_trip_s=self.round_trip_s(),
            cores=tuple(testbed.stage.cores_of(host, cores) for host in (self.primary, self.replica)),
        )

    def _write(self) -> str:
        """A new order on the primary; its id once it is acknowledged."""
        id = str(uuid.uuid4())
        self.attempted.add(id)
        self.ask(self.primary, NEW, (id,))
        self.acknowledged.add(id)
        return id

    def round_trip_s(self) -> float:
        """The average of some pings from the replica to its primary. Raises CommandFailed."""
        service = self._testbed.daemon(self.replica, "mysql").service
        address = service.replica_of if isinstance(service, MySQL) else None
        ping = ["ping", "-n", "-q", "-c", str(PINGS), "-i", "0.06", "-W", "1", str(address)]
        said = self._testbed.hosts[self.replica].run(ping).stdout
        found = re.search(r"= [\d.]+/([\d.]+)/", said)
        if found is None:
            raise CommandFailed(f"{self.replica}: ping says no round trip: {said.strip()[-200:]}")
        return float(found[1]) / 1e3

    # -- tokens -----------------------------------------------------------------------------------------

    def follow(self, rate_hz: float, seconds: float) -> list[Token]:
        """A token every 1/rate for so long, each as soon as it is due and the one before is over."""
        start_s = time.monotonic()
        tokens = []
        for k in range(round(rate_hz * seconds)):
            observe_until(start_s + k / rate_hz)
            tokens.append(self.token(start_s + k / rate_hz))
        return tokens

    def token(self, due_s: float | None = None, give_up_s: float = GIVE_UP_S) -> Token:
        """Write one to the primary and ask the replica until it is there, or for `give_up_s`."""
        sent_s = time.monotonic()
        id = self._write()
        acknowledged_s = time.monotonic()
        missed_s, until_s = None, acknowledged_s + give_up_s
        while True:
            asked_s = time.monotonic()
            if asked_s >= until_s:
                seen_s = None
                break
            if self.ask(self.replica, THERE, (id,)):
                seen_s = time.monotonic()
                break
            missed_s = asked_s
        return Token(id, due_s or sent_s, sent_s, acknowledged_s, missed_s, seen_s, until_s)

    def caught_up_after_s(self, timeout_s: float) -> float | None:
        """Seconds until the replica is where the primary is now; None if it is not in time."""
        position = self.text(self.primary, "gtid_binlog_pos")
        try:
            return wait_until(
                lambda: self.text(self.replica, "gtid_slave_pos") == position, timeout_s=timeout_s,
                what=f"{self.replica} to reach {self.primary}'s position {position}",
            )  # fmt: skip
        except NotReady:
            return None

    def orders(self, host: str) -> set[str]:
        return {row["id"] for row in self.ask(host, "SELECT id FROM orders")}

    # -- what they are asked, and what they refuse --------------------------------------------------------

    def counted(self, host: str, command: str = "Com_select") -> int:
        """How many statements of a kind the server has executed since its start; asking adds none."""
        (row,) = self.ask(host, "SHOW GLOBAL STATUS LIKE %s", (command,))
        return int(row["Value"])

    def write_as_the_site(self) -> Refusal:
        """The site's own user, from the primary's host, writes an order to the replica."""
        testbed = self._testbed
        address = next(iter(testbed.stage.addresses[self.replica].values()))
        password = testbed.secrets.password("mysql-site")
        try:
            connection = testbed.hosts[self.primary].connect(address, PORT, timeout_s=2.0)
            with mysql_client.as_user(connection, "site", password) as site:
                site.ask(NEW, (str(uuid.uuid4()),))
        except Refused as error:
            return Refusal(error.number, str(error))
        except OSError as error:
            raise DaemonDied(f"mysql on {self.replica}: {error}") from error
        return Refusal(None, "accepted")

    # -- wrong on purpose ---------------------------------------------------------------------------------

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The replica goes on receiving, and applies nothing."""
        self.ask(self.replica, "STOP REPLICA SQL_THREAD")
        try:
            yield
        finally:
            self.ask(self.replica, "START REPLICA SQL_THREAD")

    @contextmanager
    def writable(self) -> Iterator[None]:
        """The replica takes writes from everybody."""
        self.ask(self.replica, "SET GLOBAL read_only = OFF")
        try:
            yield
        finally:
            self.ask(self.replica, "SET GLOBAL read_only = ON")
