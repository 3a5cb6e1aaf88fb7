"""Orders from a client while a block runs, and which database server answered which question of the site.

with ordering(client, config, results) as orders: …        the load: open loop, bounded, written down
orders.rows, orders.summary                                 afterwards
"""

from __future__ import annotations

import json
import ssl
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loadtests import launch
from loadtests.orders import Order, OrdersConfig, read_orders
from services.service import http_status
from topologies.host import EmulatedHost
from topologies.stage import DOMAIN
from topologies.testbed import Testbed
from topologies.waiting import CommandFailed, DaemonDied, wait_until


@dataclass
class Orders:
    """What the writer did; empty until it has ended."""

    rows: list[Order] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def attempted(self) -> set[str]:
        return {o.id for o in self.rows}

    @property
    def acknowledged(self) -> set[str]:
        return {o.id for o in self.rows if o.acknowledged}


@contextmanager
def ordering(host: EmulatedHost, config: OrdersConfig, results: Path, name: str) -> Iterator[Orders]:
    """Write from `host` while the block runs, and until all that is due is answered. `name`: of its files.

    Raises DaemonDied when the writer ends without a word, NotReady when it does not begin or end in time.
    """
    config = replace(config, output=str(launch.RESULTS / f"{name}.csv"))
    (results / f"{name}.json").write_text(config.to_json())
    process = host.spawn(name, launch.orders(f"{name}.json"), launch.ENVIRONMENT)
    orders = Orders()

    def begun() -> bool:
        process.assert_running()
        return "started_s" in process.log.read_text()

    try:
        wait_until(begun, timeout_s=15, what=f"the writer on {host.name} to send its first order")
        yield orders
        process.wait(config.duration_s + config.timeout_s + 5)
    finally:
        process.stop(timeout_s=config.timeout_s + 1)
    orders.rows = read_orders(results / f"{name}.csv")
    lines = [line for line in process.log.read_text().splitlines() if line.startswith("{")]
    if len(lines) < 2:
        raise DaemonDied(f"the writer on {host.name} left no summary:\n{process.last_lines()}")
    orders.summary = json.loads(lines[-1])


@dataclass(frozen=True)
class Reads:
    """`asked` questions of one kind: how often the site named which server, and how many SELECTs each did."""

    route: str
    asked: int
    named: Counter[str]  # X-Database: primary or replica
    selects: dict[str, int]  # host → Com_select, the difference


def database_of(answer: bytes) -> str:
    """The value of X-Database in a raw answer; "" without one."""
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    fields = (line.partition(":") for line in head.split("\r\n")[1:])
    return next((value.strip() for name, _, value in fields if name.strip().lower() == "x-database"), "")


def databases_named(testbed: Testbed, client: str, paths: Sequence[str]) -> Counter[str]:
    """GET each path once from `client`; who the site says it asked. Raises CommandFailed for no 200."""
    host, site = testbed.hosts[client], testbed.stage.site_addresses[0]
    https = testbed.stage.scheme == "https"
    tls = ssl.create_default_context(cadata=host.authority()) if https else None
    named: Counter[str] = Counter()
    for path in paths:
        try:
            connection = host.connect(site, 443 if https else 80, timeout_s=3.0)
            status, answer = http_status(connection, DOMAIN, path, tls)
        except OSError as error:
            raise CommandFailed(f"{client}: {path}: {error}") from error
        if status != 200:
            raise CommandFailed(f"{client}: {path}: status {status}")
        named[database_of(answer)] += 1
    return named
