"""Requests that wait at the database for a lock, so that their sockets can be looked at under way.

client ─► HAProxy ─► nginx ─► gunicorn ─► MySQL: LOCK TABLES …          look, look, look; then it goes on
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from experiments.harness.links import Connection, Hop, Link, undeclared
from experiments.harness.looking import look
from experiments.harness.visit import Answer, Visitor, visiting
from services import mysql
from topologies.process import Process
from topologies.testbed import Testbed
from topologies.waiting import TestbedError, wait_until

#: Below the time after which the site gives up on its database, and nginx on the site.
HELD_S = 0.8
LOOKS = 3  # at each request: it takes some milliseconds to get where it is held
_LOCK = f"LOCK TABLES items WRITE, orders WRITE; SELECT 'locked'; SELECT SLEEP({HELD_S});"


@dataclass
class Carried:
    """Which hop carried a request (the path of the first that it carried), and what else was connected."""

    hops: dict[Link, str] = field(default_factory=dict)
    requests: int = 0
    connections: set[Link] = field(default_factory=set)  # everybody's, not only those of requests
    undeclared: set[Connection] = field(default_factory=set)


def follow(testbed: Testbed, hops: Sequence[Hop], rng: random.Random) -> Carried:
    """Hold reads and writes until every one of `hops` has carried one, or chance had its chances.

    A hop has carried a request when it was connected while one was held, and both its hosts served it.
    Raises TestbedError when a request fails.
    """
    stage, carried = testbed.stage, Carried()
    round_of = len(stage.site_addresses) * len(stage.hosts_of("nginx"))
    for k in range(6 * round_of):
        address = stage.site_addresses[k % len(stage.site_addresses)]
        reads = k // round_of % 2 == 0
        _hold_one(
            testbed, hops, carried, address, None if reads else uuid.UUID(int=rng.getrandbits(128), version=4)
        )
        if all(hop.link in carried.hops for hop in hops):
            break
    return carried


def _hold_one(
    testbed: Testbed, hops: Sequence[Hop], carried: Carried, address: str, order: uuid.UUID | None
) -> None:
    stage, client = testbed.stage, testbed.hosts[testbed.stage.clients[0]]
    try:
        with (
            visiting(client, stage.scheme, address) as visitor,
            held_at_the_database(testbed),
            ThreadPoolExecutor(max_workers=1) as pool,
        ):
            asked = pool.submit(_ask, visitor, order)
            looks = [look(testbed) for _ in range(LOOKS)]
            late, answer = asked.done(), asked.result()
    except (OSError, http.client.HTTPException) as error:
        raise TestbedError(f"a request held at the database failed: {error!r}") from error
    if late or answer.status not in (200, 201):
        raise TestbedError(
            f"a request to be held at the database was {'not held' if late else answer.status}"
        )
    carried.requests += 1
    served = {client.name, *answer.served_by, *stage.hosts_of("mysql")}
    for one in looks:
        links = {c.link for c in one.connections}
        carried.connections |= links
        carried.undeclared |= set(undeclared(one.connections, stage))
        for hop in hops:
            if hop.link in links and {hop.link.source, hop.link.destination} <= served:
                carried.hops.setdefault(hop.link, " ← ".join(answer.served_by))


def _ask(visitor: Visitor, order: uuid.UUID | None) -> Answer:
    if order is None:
        return visitor.ask("GET", "/items/3")
    body = json.dumps({"item_id": 3, "quantity": 1})
    return visitor.ask("PUT", f"/api/orders/{order}", body, "application/json")


@contextlib.contextmanager
def held_at_the_database(testbed: Testbed) -> Iterator[None]:
    """For HELD_S from the beginning of the block every statement of the site waits for a lock.

    Leaves when the locks are gone. Raises NotReady when they cannot be had.
    """
    locks = [_lock(testbed, host) for host in testbed.stage.hosts_of("mysql")]
    try:
        for lock in locks:
            _wait_for(lock)
        yield
        for lock in locks:
            lock.wait(HELD_S + 5)
    finally:
        for lock in locks:
            lock.kill()


def _lock(testbed: Testbed, host: str) -> Process:
    """The operator's own client, as root, who is known by the socket; a lock ends with its connection."""
    command = (
        "mariadb", "--no-defaults", f"--socket={mysql.SOCKET}", "--user=root", "--batch", "--unbuffered",
        "--execute", _LOCK, "foobar",
    )  # fmt: skip
    log = testbed.results / "hosts" / host / "lock.log"
    log.unlink(missing_ok=True)
    return testbed.hosts[host].spawn("lock", command)


def _wait_for(lock: Process) -> None:
    def locked() -> bool:
        if "locked" in lock.log.read_text():
            return True
        lock.assert_running()
        return False

    wait_until(locked, timeout_s=5, what=f"the tables on {lock.host} to be locked")
