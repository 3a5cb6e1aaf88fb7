"""Over a bad database the site says 503, quickly and without secrets, and recovers by itself."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pymysql
import pytest
from flask.testing import FlaskClient

from services.app import create_app
from services.app.config import Endpoint
from services.app.db import Pool, Unavailable
from tests.services.fake_mysql import CONFIG, ENDPOINT, ORDER, PASSWORD, FakeConnection, FakeServer

REPLICA = replace(ENDPOINT, host="10.0.2.12")


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def site(server: FakeServer) -> FlaskClient:
    return create_app(CONFIG, server.connect).test_client()


def use_at_once(pool: Pool, server: FakeServer, requests: int) -> None:
    """Each request needs a connection of its own: none ends before all have begun. All must succeed."""
    server.hold = threading.Event()
    before, rows = server.statements, []
    threads = [
        threading.Thread(target=lambda: rows.append(pool.execute("SELECT 1 AS one"))) for _ in range(requests)
    ]
    for thread in threads:
        thread.start()
    until(lambda: server.statements == before + requests, what="all statements to begin")
    server.hold.set()
    for thread in threads:
        thread.join()
    assert rows == [[{"one": 1}]] * requests


def until(condition: Callable[[], bool], what: str, timeout_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"waited {timeout_s} s for {what}"
        time.sleep(0.005)


# --- a bad database


def test_while_the_database_is_down_data_routes_say_503_and_the_rest_answers(
    site: FlaskClient, server: FakeServer
) -> None:
    server.alive = False
    for path in ("/", "/items/1", "/api/items", "/api/items/1", "/api/orders", ORDER, "/health/deep"):
        answer = site.get(path)
        assert (path, answer.status_code, answer.headers["Retry-After"]) == (path, 503, "1")
    assert site.put(ORDER, json={"item_id": 1, "quantity": 1}).status_code == 503
    for path in ("/health", "/login", "/compute?ms=1", "/static/site.css"):
        assert (path, site.get(path).status_code) == (path, 200)


def test_a_database_that_comes_back_is_used_again_without_a_restart(
    site: FlaskClient, server: FakeServer
) -> None:
    assert site.get("/api/items/1").status_code == 200
    server.alive = False
    assert site.get("/api/items/1").status_code == 503
    server.restart()
    assert [site.get("/api/items/1").status_code for _ in range(3)] == [200, 200, 200]


def test_connections_that_died_while_idle_are_replaced_unnoticed(
    site: FlaskClient, server: FakeServer
) -> None:
    assert site.get("/api/items/1").status_code == 200
    server.restart()
    time.sleep(0.11)  # longer than the pool trusts a connection without asking it
    assert site.get("/api/items/1").status_code == 200
    assert server.open_now == 1


@pytest.mark.parametrize("number", [1047, 1290])
def test_a_server_that_refuses_writes_is_left(site: FlaskClient, server: FakeServer, number: int) -> None:
    server.broken = pymysql.OperationalError(number, "a demoted primary, or a node outside its quorum")
    assert site.put(ORDER, json={"item_id": 1, "quantity": 1}).status_code == 503
    assert server.open_now == 0
    server.broken = None
    assert site.put(ORDER, json={"item_id": 1, "quantity": 1}).status_code == 201


def test_deep_health_says_what_failed(site: FlaskClient, server: FakeServer) -> None:
    assert site.get("/health/deep").json == {"status": "ok", "checks": {"primary": "ok"}}
    server.broken = pymysql.ProgrammingError(1146, "Table 'foobar.items' doesn't exist")
    assert site.get("/health/deep").json == {
        "status": "failed",
        "checks": {"primary": "failed (MySQL error 1146)"},
    }


@pytest.mark.parametrize(
    "error",
    [pymysql.OperationalError(1045, f"Access denied for user 'site'@'10.0.1.9' {PASSWORD}"),
     pymysql.ProgrammingError(1064, f"You have an error near '{PASSWORD}'")],
)  # fmt: skip
def test_no_answer_tells_what_the_database_said(
    site: FlaskClient, server: FakeServer, error: pymysql.MySQLError
) -> None:
    server.broken = error
    for path in ("/", "/api/items/1", "/health/deep"):
        answer = site.get(path)
        assert answer.status_code in (500, 503)
        assert not re.search(r"s3cr3t|10\.0\.|'site'", answer.text)


# --- the pool


def test_the_pool_opens_no_more_than_its_size_and_refuses_at_its_deadline(server: FakeServer) -> None:
    pool = Pool(ENDPOINT, 2, server.connect)
    server.hold = threading.Event()
    busy = [threading.Thread(target=pool.execute, args=("SELECT 1",)) for _ in range(2)]
    for thread in busy:
        thread.start()
    start_s = time.monotonic()
    with pytest.raises(Unavailable, match="all 2 database connections are busy"):
        pool.execute("SELECT 1")
    assert 0.2 <= time.monotonic() - start_s < 1
    server.hold.set()
    for thread in busy:
        thread.join()
    assert pool.execute("SELECT 1 AS one") == [{"one": 1}]
    assert server.opened == 2


def test_one_request_after_the_other_shares_one_connection(site: FlaskClient, server: FakeServer) -> None:
    for _ in range(20):
        site.get("/api/items/1")
    site.put(ORDER, json={"item_id": 3, "quantity": 2})
    site.put(ORDER, json={"item_id": 3, "quantity": 9})  # a refused statement costs no connection
    assert server.opened == 1


def test_failures_leak_no_slot_of_the_pool(server: FakeServer) -> None:
    pool = Pool(ENDPOINT, 2, server.connect)
    for error in (
        pymysql.OperationalError(2013),
        pymysql.IntegrityError(1062),
        pymysql.ProgrammingError(1064),
    ):
        for _ in range(3):
            server.broken = error
            with pytest.raises((Unavailable, pymysql.MySQLError)):
                pool.execute("SELECT 1")
    server.broken = None
    assert pool.execute("SELECT 1 AS one") == [{"one": 1}]
    assert server.open_now == 1


def test_while_one_request_waits_for_a_dead_host_the_others_do_not(server: FakeServer) -> None:
    attempts: list[Endpoint] = []
    answered = threading.Event()

    def connect(endpoint: Endpoint) -> FakeConnection:
        attempts.append(endpoint)
        if len(attempts) == 2:
            assert answered.wait(timeout=5)
        raise pymysql.OperationalError(2003, "timed out")

    pool = Pool(ENDPOINT, 8, connect)
    with pytest.raises(Unavailable, match="2003"):
        pool.execute("SELECT 1")

    def wait_for_the_host() -> None:
        with pytest.raises(Unavailable, match="2003"):
            pool.execute("SELECT 1")

    retry = threading.Thread(target=wait_for_the_host)
    retry.start()
    until(lambda: len(attempts) == 2, what="the retry to begin")
    with pytest.raises(Unavailable, match="another is being made"):
        pool.execute("SELECT 1")
    answered.set()
    retry.join()
    assert len(attempts) == 2


def test_a_lost_connection_takes_the_idle_ones_with_it(server: FakeServer) -> None:
    pool = Pool(ENDPOINT, 2, server.connect)
    use_at_once(pool, server, requests=2)
    assert server.open_now == 2
    server.broken = pymysql.OperationalError(2013, "Lost connection")
    with pytest.raises(Unavailable):
        pool.execute("SELECT 1")
    assert server.open_now == 0


def test_after_recovery_requests_connect_side_by_side_again(server: FakeServer) -> None:
    together = threading.Barrier(2, timeout=5)

    def connect(endpoint: Endpoint) -> FakeConnection:
        if server.opened > 0:  # the one that found the server alive again has connected
            together.wait()
        return server.connect(endpoint)

    pool = Pool(ENDPOINT, 2, connect)
    server.alive = False
    with pytest.raises(Unavailable):
        pool.execute("SELECT 1")
    server.restart()
    server.broken = pymysql.OperationalError(2013, "the first connection is lost again")
    with pytest.raises(Unavailable):
        pool.execute("SELECT 1")
    server.broken = None
    use_at_once(pool, server, requests=2)


def test_a_forked_process_opens_its_own_connections(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool(ENDPOINT, 2, server.connect)
    pool.execute("SELECT 1")
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    pool.execute("SELECT 1")
    assert server.opened == 2


# --- primary and replica


@pytest.fixture
def replica() -> FakeServer:
    return FakeServer()


@pytest.fixture
def pair(server: FakeServer, replica: FakeServer) -> FlaskClient:
    def connect(endpoint: Endpoint) -> FakeConnection:
        return (replica if endpoint == REPLICA else server).connect(endpoint)

    return create_app(replace(CONFIG, replica=REPLICA), connect).test_client()


def test_catalogue_reads_go_to_the_replica_and_orders_to_the_primary(
    pair: FlaskClient, server: FakeServer, replica: FakeServer
) -> None:
    assert pair.get("/api/items/1").status_code == 200
    assert (server.statements, replica.statements) == (0, 1)
    assert pair.put(ORDER, json={"item_id": 1, "quantity": 1}).status_code == 201
    assert pair.get(ORDER).status_code == 200
    assert replica.statements == 1


def test_each_answer_names_the_database_that_served_it_and_not_the_one_before(
    pair: FlaskClient, replica: FakeServer
) -> None:
    def served_by(path: str) -> str | None:
        return pair.get(path).headers.get("X-Database")

    order = pair.put(ORDER, json={"item_id": 1, "quantity": 1})
    assert order.headers["X-Database"] == "primary"
    assert [served_by(p) for p in ("/", "/health", ORDER, "/login", "/api/items/1")] == [
        "replica", None, "primary", None, "replica",
    ]  # fmt: skip
    assert pair.post("/login", data={"name": "x", "password": "y"}).headers["X-Database"] == "replica"
    replica.alive = False
    assert served_by("/api/items/1") == "primary"


def test_nothing_is_lost_with_the_replica(pair: FlaskClient, replica: FakeServer) -> None:
    replica.alive = False
    assert pair.get("/api/items/1").status_code == 200
    assert pair.put(ORDER, json={"item_id": 1, "quantity": 1}).status_code == 201
    assert pair.get("/health/deep").status_code == 200
    assert pair.get("/health/deep").json == {
        "status": "degraded",
        "checks": {"primary": "ok", "replica": "cannot connect (MySQL error 2003)"},
    }


def test_a_replica_that_failed_is_left_alone_for_a_while(pair: FlaskClient, replica: FakeServer) -> None:
    replica.broken = pymysql.OperationalError(2013, "Lost connection")
    assert [pair.get("/api/items/1").status_code for _ in range(5)] == [200] * 5
    assert replica.statements == 1


def test_reads_survive_the_loss_of_the_primary_and_writes_do_not(
    pair: FlaskClient, server: FakeServer
) -> None:
    server.alive = False
    assert pair.get("/api/items/1").status_code == 200
    assert pair.put(ORDER, json={"item_id": 1, "quantity": 1}).status_code == 503
    assert pair.get("/health/deep").status_code == 503
