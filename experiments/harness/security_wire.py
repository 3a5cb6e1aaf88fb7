"""What the wire shows: a password and an order are sent, every switch listens, and each hop is searched for them.

client1 ──POST /login password──► … ──PUT /api/orders/ID──► …        hop: predicted, occurrences in plain text
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
from experiments.harness.figure_security import draw_hops
from experiments.harness.findings import Findings
from experiments.harness.generators import observe_until
from experiments.harness.hops import ORDER, OUTSIDE, PASSWORD, Hop, count, hops_of
from experiments.harness.model import Verdict
from experiments.harness.pcap import VRRP, Packet, streams
from experiments.harness.progress import Progress
from experiments.harness.reachability import Addresses
from experiments.harness.visit import form, visiting
from topologies.stage import NETWORKS, Stage
from topologies.testbed import Testbed

#: Sent by the careless: a form that goes to http:// before anything can redirect it.
CARELESS = "password sent to http://"
#: Sent by nobody: what finds it counts what is not there.
DECOY = "text nobody sent"
#: To each address of the site; round robin brings them past every server.
ROUNDS = 6
#: What is written lies in a log a moment later, and on its way to the log store.
AFTERWARDS_S = 1.2
#: Enough for several advertisements of VRRP, and no more than anybody waits.
LONGEST_LISTENING_S = 6.0
AS_IT_IS, REENCRYPTED = "as it is", "re-encrypted"
JSON = "application/json"


@dataclass(frozen=True)
class Overheard:
    """What was counted on one running stage. `served`: hosts that made the answers."""

    variant: str
    hops: tuple[Hop, ...]
    counted: Mapping[str, Mapping[str, int]]
    served: frozenset[str]
    adverts: Mapping[tuple[str, str], int]  # (segment, sender) → VRRP advertisements
    dropped: int

    def most(self, hop: Hop) -> int:
        """Occurrences of all that travels on the hop."""
        return sum(self.counted[hop.name][secret] for secret in hop.secrets)

    def least(self, hop: Hop) -> int:
        """Of what travels on the hop, the secret that was read least often."""
        return min(self.counted[hop.name][secret] for secret in hop.secrets)

    def of(self, *, outside: bool) -> list[Hop]:
        """The hops of a request: those in front of the first server, or those behind it."""
        return [hop for hop in self.hops if (hop.name in OUTSIDE) == outside and hop.name != "logs"]


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
        tempfile.TemporaryDirectory(prefix="captures-") as directory,
        capturing(segments, Path(directory)) as capture,
    ):
        served = _send(testbed, secrets)
        observe_until(time.monotonic() + listening_s)
    found = {segment: streams(some) for segment, some in capture.packets.items()}
    return Overheard(
        REENCRYPTED if stage.settings.reencrypt else AS_IT_IS,
        tuple(hops), count(hops, found, secrets), frozenset(served), _adverts(capture.packets), capture.dropped,
    )  # fmt: skip


def _send(testbed: Testbed, secrets: Mapping[str, str]) -> set[str]:
    """Logins and orders from the first client; returns the hosts that answered."""
    stage, client = testbed.stage, testbed.hosts[testbed.stage.clients[0]]
    served: set[str] = set()
    for address in stage.site_addresses:
        for _ in range(ROUNDS):
            with visiting(client, stage.scheme, address) as visitor:
                login = visitor.ask("POST", "/login", form(name="student", password=secrets[PASSWORD]))
                order = visitor.ask(
                    "PUT", f"/api/orders/{secrets[ORDER]}", '{"item_id": 3, "quantity": 1}', JSON
                )
            if login.status != 401 or order.status not in (200, 201):
                raise ConnectionError(f"/login answered {login.status}, the order {order.status}")
            served |= {*login.served_by, *order.served_by}
        if stage.scheme == "https":
            with visiting(client, "http", address) as visitor:
                visitor.ask("POST", "/login", form(name="student", password=secrets[CARELESS]))
    return served


def _replication_ports(testbed: Testbed) -> set[int]:
    """The local ports by which database servers themselves are connected to another one."""
    found = set()
    for host in testbed.stage.hosts_of("mysql"):
        said = testbed.hosts[host].run(["ss", "-Htnp", "state", "established", "dport = 3306"]).stdout
        lines = (line.split() for line in said.splitlines() if '"mariadbd"' in line or '"mysqld"' in line)
        found |= {int(words[2].rpartition(":")[2]) for words in lines}
    return found


def _adverts(packets: Mapping[str, Sequence[Packet]]) -> dict[tuple[str, str], int]:
    sent: dict[tuple[str, str], int] = {}
    for segment, some in packets.items():
        for packet in some:
            if packet.protocol == VRRP:
                sent[segment, packet.source] = sent.get((segment, packet.source), 0) + 1
    return sent


# -- what it says of the claims ----------------------------------------------------------------------


def judge(found: Findings, stage: Stage, heard: Overheard) -> None:
    """One variant of the stage, as it is or re-encrypted."""
    if heard.dropped:
        found.fail(
            f"tcpdump lost {heard.dropped} packets ({heard.variant}): zero occurrences would mean nothing"
        )
    strays = heard.counted["elsewhere"][PASSWORD] + heard.counted["elsewhere"][ORDER]
    if strays:
        found.doubt(f"{strays} occurrences on connections that belong to no declared hop ({heard.variant})")
    if "tls" in stage.offers:
        _outside(found, stage, heard)
        if heard.of(outside=False):
            _behind(found, heard)
    else:
        _unprotected(found, heard)
    _logs(found, heard)


def _outside(found: Findings, stage: Stage, heard: Overheard) -> None:
    hops = heard.of(outside=True)
    seen = sum(heard.most(hop) for hop in hops)
    found.claim(
        "2.2", f"no secret can be read outside the {_front(stage)} ({heard.variant})", held=seen == 0,
        reason=f"{_listed(heard, hops)}", predicted=(0, 0), measured=seen, unit="occurrences",
    )  # fmt: skip
    if stage.scheme == "https" and heard.variant == AS_IT_IS:
        careless = heard.counted["elsewhere"][CARELESS]
        found.control(
            "a form sent to http://", "its password is read on the public network", careless > 0,
            f"read {careless} times, before any redirect could help",
        )  # fmt: skip


def _behind(found: Findings, heard: Overheard) -> None:
    hops = heard.of(outside=False)
    if heard.variant == REENCRYPTED:
        seen = sum(heard.most(hop) for hop in heard.of(outside=True) + hops)
        found.claim(
            "2.5", "with re-encryption no secret can be read on any hop of a request", held=seen == 0,
            reason=_listed(heard, heard.of(outside=True) + hops), predicted=(0, 0), measured=seen, unit="occurrences",
        )  # fmt: skip
        return
    missed = [hop.name for hop in hops if not heard.least(hop)]
    idle = [
        name
        for hop in hops
        for name in hop.sources
        if name not in heard.served and "database" not in hop.name
    ]
    found.claim(
        "2.5", "TLS ends at the load balancer: on every hop behind it the secrets travel in plain text",
        held=None if missed and idle else not missed,
        reason=_listed(heard, hops) + (f"; {', '.join(idle)} served nobody" if idle else ""),
        predicted=(ROUNDS, None), measured=min(heard.least(hop) for hop in hops), unit="occurrences on the quietest hop",
    )  # fmt: skip


def _unprotected(found: Findings, heard: Overheard) -> None:
    """Stage 1: predicted is that everything can be read everywhere."""
    hops = heard.of(outside=True) + heard.of(outside=False)
    for secret in (PASSWORD, ORDER):
        carrying = [hop for hop in hops if secret in hop.secrets]
        least = min(heard.counted[hop.name][secret] for hop in carrying)
        found.claim(
            "1.5", f"without HTTPS the {secret} can be read on every hop that it travels", held=least > 0,
            reason=", ".join(f"{hop.name} {heard.counted[hop.name][secret]}" for hop in carrying),
            predicted=(1, None), measured=least, unit="occurrences on the quietest hop",
        )  # fmt: skip
    decoys = sum(by_secret[DECOY] for by_secret in heard.counted.values())
    found.control(
        "a text that nobody sent",
        "it is read nowhere",
        decoys == 0,
        f"{decoys} occurrences on all hops together",
    )


def _logs(found: Findings, heard: Overheard) -> None:
    """A path is in the access log, a form is not: that is what travels to the store."""
    for hop in heard.hops:
        if hop.name != "logs":
            continue
        order, password = heard.counted["logs"][ORDER], heard.counted["logs"][PASSWORD]
        if hop.encrypted:
            sentence, least, most, held = "logs are shipped encrypted", 0, 0, order == password == 0
        else:
            sentence = "logs are shipped in plain text: paths can be read there"
            least, most, held = 1, None, order > 0 == password
        found.claim(
            "2.5", f"{sentence} ({heard.variant})", held=held, reason=f"order id {order}, password {password}",
            predicted=(least, most), measured=order, unit="occurrences",
        )  # fmt: skip


def _listed(heard: Overheard, hops: Sequence[Hop]) -> str:
    """ "LB–web: password 6, order id 12; …" """
    return "; ".join(
        f"{hop.name}: " + ", ".join(f"{secret} {heard.counted[hop.name][secret]}" for secret in hop.secrets)
        for hop in hops
    )


def _front(stage: Stage) -> str:
    return "load balancer" if stage.hosts_of("haproxy") else "server"


def vrrp(found: Findings, stage: Stage, addresses: Addresses, heard: Overheard) -> None:
    """The declared flow that no scan can find: who was heard to advertise."""
    declared = {flow.source for flow in stage.flows if flow.protocol == "vrrp"}
    if not declared:
        return
    allowed = {(segment, a) for host in declared for segment in ("public",) for a in addresses[host][segment]}
    strangers = [
        f"{sender} on {segment}" for segment, sender in heard.adverts if (segment, sender) not in allowed
    ]
    said = ", ".join(f"{sender} {n}" for (_, sender), n in sorted(heard.adverts.items())) or "none"
    found.claim(
        "2.1", "VRRP (no port, so not scanned) is spoken by the declared peers and nobody else",
        held=None if not heard.adverts else not strangers,
        reason=f"advertisements heard: {said}" + (f"; not declared: {', '.join(strangers)}" if strangers else ""),
        predicted=(0, 0), measured=len(strangers), unit="strangers",
    )  # fmt: skip


def show(found: Findings, variants: Sequence[Overheard]) -> None:
    """The table and the picture of all variants, and the control that plain text is seen where there is some."""
    rows, marks = [], list[Verdict]()
    for heard in variants:
        for hop in heard.hops:
            for secret in hop.secrets:
                seen = heard.counted[hop.name][secret]
                predicted = "0" if hop.encrypted else "> 0"
                rows.append((hop.name, heard.variant, secret, predicted, seen, hop.segment))
                marks.append("held" if (seen > 0) != hop.encrypted else "deviated")
    found.table(
        "What can be read on each hop", f"Occurrences of each secret in the TCP payloads that crossed the switch, both "
        f"directions of every connection put together; sent {ROUNDS} times to each address. Predicted from the "
        "services' own declarations. UNIX sockets and loopback are no wire.",
        ("hop", "stage", "secret", "predicted", "occurrences", "network"), rows, marks,
    )  # fmt: skip
    counted = {
        h.variant: {hop.name: {s: h.counted[hop.name][s] for s in hop.secrets} for hop in h.hops}
        for h in variants
    }
    found.keep("hops", counted)
    found.figure(
        "hops", "What can be read on each hop",
        "Occurrences of the secrets in plain text; 0 is a bar of no height. Hops that are not there have no wire.",
        "; ".join(f"{variant}: " + ", ".join(f"{hop} {sum(some.values())}" for hop, some in by_hop.items())
                  for variant, by_hop in counted.items()),
        lambda: draw_hops(counted, (PASSWORD, ORDER)),
    )  # fmt: skip
    by_name = {heard.variant: heard for heard in variants}
    if AS_IT_IS in by_name and REENCRYPTED in by_name:
        plain = by_name[AS_IT_IS]
        seen = sum(plain.most(hop) for hop in plain.of(outside=False))
        found.control(
            "without re-encryption", "the same instrument reads the secrets behind the load balancer", seen > 0,
            f"{seen} occurrences, with re-encryption "
            f"{sum(by_name[REENCRYPTED].most(hop) for hop in by_name[REENCRYPTED].of(outside=False))}",
        )  # fmt: skip
