"""The zone of a running stage is changed for real, and hundreds of caches on a client are there to notice.

zone(testbed) ──► change(addresses): serial + 1, checked, reloaded
caches start at random moments of one TTL ──► all know the name ──► change ──► one TTL and a little later
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from experiments.harness.following import BUSY, DEAF, IN_STEP, SLACK_S, Change
from experiments.harness.generators import observe_until
from loadtests.lookup import DNS_PORT
from loadtests.stub_cache import Lookup, StubCache, keep_asking
from services.haproxy import HAProxy
from services.named import Named
from topologies.stage import DOMAIN, NETWORKS, RESOLVER, interface
from topologies.testbed import Testbed
from topologies.waiting import wait_until

#: Where the site moves to: nobody's on the public network.
NEW_ADDRESS = "8.8.8.80"
AFTER_S = 1.0  # watched beyond the TTL
_TIMEOUT_S = 1.0  # of a look-up, as in every host's resolv.conf

Rename = Callable[[tuple[str, ...]], tuple[float, float]]


@contextlib.contextmanager
def zone(testbed: Testbed) -> Iterator[Rename]:
    """Yields what changes the addresses of the site: it returns when it began, and when it was in force.

    The serial grows every time, also when the block ends and the declared addresses come back. Raises
    CommandFailed or NotReady as Testbed.reload.
    """
    daemon = testbed.daemon(testbed.stage.hosts_of("named")[0], "named")
    declared = daemon.service
    assert isinstance(declared, Named)
    serial = declared.serial

    def rename(addresses: tuple[str, ...]) -> tuple[float, float]:
        nonlocal serial
        serial += 1
        begin_s = time.monotonic()
        testbed.reload(daemon, replace(declared, addresses=addresses, serial=serial))
        return begin_s, time.monotonic()

    try:
        yield rename
    finally:
        rename(declared.addresses)


@contextlib.contextmanager
def second_address(testbed: Testbed) -> Iterator[bool]:
    """The first load balancer answers at NEW_ADDRESS, too; yields False where there is none.

    nginx, the front of stage 0, is declared with a single address.
    """
    balancers = testbed.stage.hosts_of("haproxy")
    if not balancers:
        yield False
        return
    name = balancers[0]
    host, daemon = testbed.hosts[name], testbed.daemon(name, "haproxy")
    front = daemon.service
    assert isinstance(front, HAProxy)
    where = (f"{NEW_ADDRESS}/{NETWORKS['public'].partition('/')[2]}", "dev", interface(name, "public"))
    host.run(("ip", "addr", "add", *where))
    try:
        with testbed.reconfigured(daemon, replace(front, addresses=(*front.addresses, NEW_ADDRESS))):
            port = 443 if testbed.stage.scheme == "https" else 80
            client = testbed.hosts[testbed.stage.clients[0]]

            def accepts() -> bool:
                with client.connect(NEW_ADDRESS, port, 1.0):
                    return True

            wait_until(accepts, timeout_s=10, what=f"{daemon.where} to accept at {NEW_ADDRESS}")
            yield True
    finally:
        host.run(("ip", "addr", "del", *where))


@dataclass(frozen=True)
class Crowd:
    """How many clients of each kind."""

    busy: int
    in_step: int = 20
    deaf: int = 10

    def caches(self, start_s: float, ttl_s: float, rng: random.Random) -> list[StubCache]:
        """Those that begin at a random moment of one TTL, those that begin together, those that ask once."""
        together_s = start_s + rng.uniform(0, ttl_s)
        return [
            *(StubCache(start_s + rng.uniform(0, ttl_s), f"{BUSY}/{k}") for k in range(self.busy)),
            *(StubCache(together_s, f"{IN_STEP}/{k}") for k in range(self.in_step)),
            *(StubCache(start_s + rng.uniform(0, ttl_s), f"{DEAF}/{k}", False) for k in range(self.deaf)),
        ]


def watch_change(
    testbed: Testbed, rename: Rename, new: tuple[str, ...], crowd: Crowd, ttl_s: float, rng: random.Random
) -> tuple[Change, list[Lookup]]:
    """One change, and every look-up of the clients that were there to follow it.

    Raises TestbedError when the zone cannot be changed.
    """
    host = testbed.hosts[testbed.stage.clients[0]]
    stop = threading.Event()
    start_s = time.monotonic()
    caches = crowd.caches(start_s, ttl_s, rng)

    def ask(datagram: bytes) -> bytes:
        return host.ask_udp(RESOLVER, DNS_PORT, datagram, _TIMEOUT_S)

    with ThreadPoolExecutor(max_workers=1) as pool:
        asking = pool.submit(keep_asking, caches, DOMAIN, ask, stop)
        try:
            # Everybody has asked by then; the second is at random, or the change would have a phase, too.
            observe_until(start_s + ttl_s + rng.uniform(0.5, 1.5))
            asked_s, in_force_s = rename(new)
            end_s = in_force_s + ttl_s + SLACK_S + AFTER_S
            observe_until(end_s)
        finally:
            stop.set()
        lookups = asking.result()
    return Change(frozenset(new), asked_s, in_force_s, end_s), lookups
