"""A password and an order are sent while every switch listens: what was read of them, hop by hop.

client1 ──POST /login──► … ──PUT /api/orders/ID──► …        hop → secret → occurrences in plain text
"""

from __future__ import annotations

import random
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.harness.capture import capturing
from experiments.harness.generators import observe_until
from experiments.harness.hops import LOGS, ORDER, OUTSIDE, PASSWORD, Hop, count, hops_of
from experiments.harness.pcap import VRRP, Packet, streams
from experiments.harness.progress import Progress
from experiments.harness.reachability import Addresses
from experiments.harness.visit import form, visiting
from topologies import capsule
from topologies.stage import NETWORKS
from topologies.testbed import Testbed

#: Sent by the careless: a form that goes to http:// before anything can redirect it.
CARELESS = "password sent to http://"
#: Sent by nobody: what finds it counts what is not there.
DECOY = "text nobody sent"
#: To each address of the site; round robin brings them past every server.
ROUNDS = 6
#: What was written lies in a log a second later, and is on its way to the log store.
AFTERWARDS_S = 1.5
#: Enough for several advertisements of VRRP, and no more than anybody waits for.
LONGEST_LISTENING_S = 6.0
AS_IT_IS, REENCRYPTED = "as it is", "re-encrypted"
JSON = "application/json"


@dataclass(frozen=True)
class Overheard:
    """What was counted on one running stage. `served`: hosts that made the answers."""

    variant: str
    hops: tuple[Hop, ...]
    counted: Mapping[str, Mapping[str, int]]  # hop, or "elsewhere" → secret → occurrences
    served: frozenset[str]
    adverts: Mapping[tuple[str, str], int]  # (segment, sender) → VRRP advertisements
    dropped: int

    @property
    def outside(self) -> list[Hop]:
        """In front of the first server."""
        return [hop for hop in self.hops if hop.name in OUTSIDE]

    @property
    def behind(self) -> list[Hop]:
        """What a request takes behind it."""
        return [hop for hop in self.hops if hop.name not in (*OUTSIDE, LOGS)]

    @property
    def logs(self) -> list[Hop]:
        return [hop for hop in self.hops if hop.name == LOGS]

    def read(self, hops: Sequence[Hop]) -> int:
        """Occurrences of whatever travels on these hops."""
        return sum(self.counted[hop.name][secret] for hop in hops for secret in hop.secrets)

    def least(self, hops: Sequence[Hop], *secrets: str) -> int:
        """Of these secrets (default: all), the one that was read least often where it travels."""
        return min(
            self.counted[hop.name][secret]
            for hop in hops
            for secret in hop.secrets
            if not secrets or secret in secrets
        )

    def idle(self, hops: Sequence[Hop]) -> list[str]:
        """Hosts that had no part in any answer, and so brought nothing onto their hop."""
        return sorted({name for hop in hops for name in hop.sources if name and name not in self.served})

    def listed(self, hops: Sequence[Hop], *secrets: str) -> str:
        """ "LB–web: password 6, order id 12; …" """
        said = []
        for hop in hops:
            some = [s for s in hop.secrets if not secrets or s in secrets]
            if some:
                said.append(f"{hop.name}: " + ", ".join(f"{s} {self.counted[hop.name][s]}" for s in some))
        return "; ".join(said)


def overhear(testbed: Testbed, addresses: Addresses, seed: int, progress: Progress) -> Overheard:
    """Send the secrets while every switch listens. Raises OSError when the site does not answer."""
    stage = testbed.stage
    draw = random.Random(seed)
    secrets = {name: f"{draw.getrandbits(128):032x}" for name in (PASSWORD, CARELESS, DECOY)}
    secrets[ORDER] = str(uuid.UUID(int=draw.getrandbits(128), version=4))
    hops = hops_of(stage, addresses, _replication_ports(testbed))
    segments = [name for name in NETWORKS if any(name in on for on in stage.addresses.values())]
    listening_s = AFTERWARDS_S
    if stage.hosts_of("keepalived"):
        listening_s = min(LONGEST_LISTENING_S, max(AFTERWARDS_S, 2.5 * stage.settings.advert_int_s))
    with (
        progress.waiting(f"sending secrets and listening on {', '.join(segments)}"),
        # In the capsule's own file system, which goes with it whatever happens.
        tempfile.TemporaryDirectory(prefix="captures-", dir=capsule.STATE.parent) as directory,
        capturing(segments, Path(directory)) as capture,
    ):
        served = _send(testbed, secrets)
        observe_until(time.monotonic() + listening_s)
    found = {segment: streams(some) for segment, some in capture.packets.items()}
    return Overheard(
        variant=REENCRYPTED if stage.settings.reencrypt else AS_IT_IS,
        hops=tuple(hops),
        counted=count(hops, found, secrets),
        served=frozenset(served),
        adverts=_adverts(capture.packets),
        dropped=capture.dropped,
    )


def _send(testbed: Testbed, secrets: Mapping[str, str]) -> set[str]:
    """Logins and orders from the first client; returns the hosts that answered."""
    stage, client = testbed.stage, testbed.hosts[testbed.stage.clients[0]]
    path, order = f"/api/orders/{secrets[ORDER]}", '{"item_id": 3, "quantity": 1}'
    served: set[str] = set()
    for address in stage.site_addresses:
        for _ in range(ROUNDS):
            with visiting(client, stage.scheme, address) as visitor:
                login = visitor.ask("POST", "/login", form(name="student", password=secrets[PASSWORD]))
                placed = visitor.ask("PUT", path, order, JSON)
            if login.status != 401 or placed.status not in (200, 201):
                raise ConnectionError(f"/login answered {login.status}, the order {placed.status}")
            served |= {*login.served_by, *placed.served_by}
        if stage.scheme == "https":
            with visiting(client, "http", address) as visitor:
                visitor.ask("POST", "/login", form(name="student", password=secrets[CARELESS]))
    return served


def _replication_ports(testbed: Testbed) -> set[int]:
    """The local ports by which database servers themselves are connected to another one."""
    found = set()
    for host in testbed.stage.hosts_of("mysql"):
        said = testbed.hosts[host].run(["ss", "-Htnp", "state", "established", "dport = 3306"]).stdout
        found |= replication_ports_in(said)
    return found


def replication_ports_in(said: str) -> set[int]:
    """The same, from what `ss -Htnp` says of established connections."""
    lines = (line.split() for line in said.splitlines() if '"mariadbd"' in line or '"mysqld"' in line)
    return {int(words[2].rpartition(":")[2]) for words in lines}


def _adverts(packets: Mapping[str, Sequence[Packet]]) -> dict[tuple[str, str], int]:
    sent: dict[tuple[str, str], int] = {}
    for segment, some in packets.items():
        for packet in some:
            if packet.protocol == VRRP:
                sent[segment, packet.source] = sent.get((segment, packet.source), 0) + 1
    return sent
