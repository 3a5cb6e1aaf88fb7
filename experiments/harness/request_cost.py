"""CPU time of one request, server by server: what the groups have used over a batch, less what they use anyway.

    idle      ───────  checks, scrapes, the database's own chores: seconds per second
    batch     ▁▂▂▂▂▁   `requests` one after another on one connection
    cost      (used − idle · lasted) / requests
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.harness.generators import observe_until
from experiments.harness.visit import visiting
from topologies.testbed import Testbed

#: A page from rows and its JSON: what crosses every hop, in both directions.
PATHS = ("/", "/api/items/1", "/api/items?limit=20")


@dataclass(frozen=True)
class Batch:
    """What each server used, in CPU seconds, in `lasted_s`."""

    requests: int
    lasted_s: float
    used_s: Mapping[str, float]


def idle(testbed: Testbed, seconds: float) -> Batch:
    """Nobody asks anything."""
    start_s, before = time.monotonic(), _used(testbed)
    observe_until(start_s + seconds)
    return Batch(0, time.monotonic() - start_s, _since(before, testbed))


def batches(testbed: Testbed, client: str, count: int, requests: int) -> list[Batch]:
    """`count` times `requests`, spread over the site's addresses. Raises OSError when one is not answered."""
    found = []
    for number in range(count):
        address = testbed.stage.site_addresses[number % len(testbed.stage.site_addresses)]
        with visiting(testbed.hosts[client], testbed.stage.scheme, address) as visitor:
            visitor.ask("GET", PATHS[0])  # the handshake is another question
            start_s, before = time.monotonic(), _used(testbed)
            for one in range(requests):
                answer = visitor.ask("GET", PATHS[one % len(PATHS)])
                if answer.status != 200:
                    raise ConnectionError(f"{PATHS[one % len(PATHS)]} answered {answer.status}")
            found.append(Batch(requests, time.monotonic() - start_s, _since(before, testbed)))
    return found


def per_request_s(busy: Sequence[Batch], quiet: Batch) -> dict[str, list[float]]:
    """Server → its CPU seconds for one request, batch by batch."""
    return {
        host: [(b.used_s[host] - quiet.used_s[host] / quiet.lasted_s * b.lasted_s) / b.requests for b in busy]
        for host in quiet.used_s
    }


def total_s(costs: Mapping[str, Sequence[float]]) -> list[float]:
    """All servers together, batch by batch."""
    return [sum(some) for some in zip(*costs.values(), strict=True)]


def _used(testbed: Testbed) -> dict[str, float]:
    groups = {name: testbed.hosts[name].group for name in testbed.stage.servers}
    return {name: group.used_s() for name, group in groups.items() if group is not None}


def _since(before: Mapping[str, float], testbed: Testbed) -> dict[str, float]:
    return {name: used_s - before[name] for name, used_s in _used(testbed).items()}
