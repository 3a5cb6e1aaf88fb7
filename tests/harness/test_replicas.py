"""Two servers in memory, one of which follows the other: what the harness asks them, and makes of it."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest

from experiments import replication
from experiments.harness import ordering, replicas
from experiments.harness.replicas import Pair, pair_of
from services import mysql_client
from services.mysql import MySQL
from services.mysql_client import Refused
from topologies.stage0_simple import Stage0
from topologies.stage1_distributed import Stage1
from topologies.stage3_scaleup import Stage3
from topologies.testbed import Testbed
from topologies.waiting import CannotEmulate, CommandFailed, DaemonDied


class World:
    """A primary whose rows the replica has after it was asked `late` times."""

    def __init__(self, late: int = 0) -> None:
        self.rows: list[str] = []
        self.applied = 0
        self.late, self.asked = late, 0
        self.applying = True
        self.read_only = True
        self.said: list[tuple[str, str]] = []
        self.dead = False


class Session:
    def __init__(self, world: World, host: str) -> None:
        self.world, self.host, self.closed = world, host, False

    def ask(self, sql: str, values: Any = None) -> list[dict[str, Any]]:
        w = self.world
        w.said.append((self.host, sql))
        if w.dead:
            raise ConnectionError("database: Lost connection")
        if sql.startswith("INSERT"):
            if self.host == "server2" and w.read_only:
                raise Refused(1290, "read-only")
            w.rows.append(values[0])
            w.asked = 0
        if sql.startswith("SELECT 1"):
            w.asked += 1
            self._apply()
            return [{"1": 1}] if values[0] in w.rows[: w.applied] else []
        if "gtid" in sql:
            n = len(w.rows) if self.host == "server1" else w.applied
            return [{"value": f"0-1-{n}"}]
        if sql.startswith("SHOW GLOBAL STATUS"):
            return [{"Variable_name": values[0], "Value": "7"}]
        if sql == "SELECT id FROM orders":
            return [{"id": id} for id in w.rows[: w.applied]]
        if "SQL_THREAD" in sql:
            w.applying = sql.startswith("START")
            self._apply()
        if "read_only" in sql:
            w.read_only = sql.endswith("ON")
        return []

    def _apply(self) -> None:
        w = self.world
        if w.applying and w.asked > w.late:
            w.applied = len(w.rows)

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


PING = "20 packets transmitted\nrtt min/avg/max/mdev = 0.042/0.063/0.074/0.008 ms\n"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(MySQL, "program", "mariadbd")
    monkeypatch.setattr(mysql_client, "as_root", lambda host: Session(world, host.name))
    monkeypatch.setattr(mysql_client, "as_user", lambda *_: Session(world, "server2"))
    monkeypatch.setattr(replicas, "observe_until", lambda _moment_s: None)
    return world


def testbed_of(stage: Stage1) -> Testbed:
    def run(command: list[str]) -> Any:
        assert command[0] == "ping"
        assert command[-1] == "8.8.8.21"
        return SimpleNamespace(stdout=PING)

    hosts = {
        name: SimpleNamespace(name=name, run=run, connect=lambda *_, **__: None) for name in stage.addresses
    }
    mysql = {n: next(s for s in stage.declared[n] if s.name == "mysql") for n in ("server1", "server2")}
    return cast(
        "Testbed",
        SimpleNamespace(
            stage=stage, hosts=hosts, secrets=SimpleNamespace(password=lambda _user: "secret"),
            daemon=lambda host, _name: SimpleNamespace(service=mysql[host]),
        ),
    )  # fmt: skip


testbed_of.__test__ = False  # type: ignore[attr-defined]  # its name is not that of a test


@pytest.fixture
def pair(world: World) -> Pair:
    return Pair(testbed_of(Stage1()), "server1", "server2")


def test_stage_1_has_a_pair_and_others_have_none() -> None:
    assert pair_of(Stage1()) == ("server1", "server2")
    assert pair_of(Stage0()) is None
    assert pair_of(Stage3()) is None


def test_a_token_is_asked_for_until_it_is_there(world: World, pair: Pair) -> None:
    world.late = 3
    token = pair.token(give_up_s=5.0)
    assert token.seen_s is not None
    assert token.missed_s is not None
    assert token.acknowledged_s <= token.missed_s <= token.seen_s
    assert sum(sql.startswith("SELECT 1") for _, sql in world.said) == 4
    assert pair.acknowledged == {token.id}


def test_a_token_that_is_there_at_once_was_never_missed(pair: Pair) -> None:
    assert pair.token().missed_s is None


def test_a_replica_that_applies_nothing_shows_no_token_and_then_catches_up(world: World, pair: Pair) -> None:
    with pair.stopped():
        token = pair.token(give_up_s=0.02)
        assert pair.caught_up_after_s(0.05) is None
    assert token.seen_s is None
    assert token.least_s == pytest.approx(0.02)
    assert world.applying
    assert pair.caught_up_after_s(1.0) is not None


def test_tokens_follow_one_another(pair: Pair) -> None:
    tokens = pair.follow(20.0, 0.5)
    assert len(tokens) == len({t.id for t in tokens}) == 10
    assert [b.due_s - a.due_s for a, b in pairwise(tokens)] == pytest.approx([0.05] * 9)
    assert pair.orders("server2") == pair.acknowledged


def test_the_basis_of_a_prediction_is_measured(pair: Pair) -> None:
    basis = pair.basis(20, 1000.0)
    assert basis.round_trip_s == pytest.approx(63e-6)
    assert 0 < basis.commit_s <= basis.commit_p99_s
    assert len(basis.cores) == 2
    assert len(pair.acknowledged) == 20


def test_the_sites_write_is_refused_until_the_replica_is_made_writable(world: World, pair: Pair) -> None:
    assert pair.write_as_the_site().number == 1290
    with pair.writable():
        assert pair.write_as_the_site().number is None
    assert world.read_only
    assert not pair.attempted  # what was to be refused is no order


def test_a_server_that_is_lost_ends_the_run_and_a_refusal_does_too(world: World, pair: Pair) -> None:
    with pytest.raises(CommandFailed, match="server2: `INSERT"):
        pair.ask("server2", "INSERT INTO orders …", ("x",))
    world.dead = True
    with pytest.raises(DaemonDied, match="mysql on server1"):
        pair.token()


def test_another_server_than_mariadb_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MySQL, "program", "mysqld")
    with pytest.raises(CannotEmulate, match="MariaDB"):
        Pair(testbed_of(Stage1()), "server1", "server2")


def test_both_sessions_are_closed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Session] = []

    def as_root(host: Any) -> Session:
        made.append(Session(world, host.name))
        return made[-1]

    monkeypatch.setattr(mysql_client, "as_root", as_root)
    with Pair(testbed_of(Stage1()), "server1", "server2"):
        assert not any(s.closed for s in made)
    assert [s.closed for s in made] == [True, True]


def test_reads_are_counted_by_header_and_by_the_servers_own_counters(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replication, "databases_named", lambda _t, _c, paths: Counter(replica=len(paths)))
    reads = replication.reads_of(pair, testbed_of(Stage1()), "/api/items/1", ["/api/items/1"] * 3)
    assert (reads.asked, reads.named["replica"], reads.selects) == (3, 3, {"server1": 0, "server2": 0})


def test_x_database_is_read_from_the_head_alone() -> None:
    answer = b"HTTP/1.1 200 OK\r\nx-database: replica\r\n\r\nX-Database: primary\r\n"
    assert ordering.database_of(answer) == "replica"
    assert ordering.database_of(b"HTTP/1.1 200 OK\r\n\r\nX-Database: primary\r\n") == ""


@pytest.mark.parametrize("stage", ["0", "2", "3"])
def test_a_stage_without_a_replica_is_one_line_and_exit_status_2(
    stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        replication.main(["--stage", stage])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert f"stage {stage} has no replica" in said
    assert said.count("\n") == 1
