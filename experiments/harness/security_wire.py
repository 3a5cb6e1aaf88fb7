"""What the wire shows of claims 2.2, 2.5, 1.5 and 2.1: secrets that can be read, and who advertises by VRRP.

                        client–LB    LB–web    app–database    logs
as it is                    0          > 0          > 0         > 0       TLS ends at the load balancer
re-encrypted                0           0            0           0
"""

from __future__ import annotations

from collections.abc import Sequence

from experiments.harness.figure_security import draw_hops
from experiments.harness.findings import Findings
from experiments.harness.hops import ORDER, PASSWORD
from experiments.harness.model import Verdict
from experiments.harness.overheard import AS_IT_IS, CARELESS, DECOY, REENCRYPTED, ROUNDS, Overheard
from experiments.harness.reachability import Addresses
from topologies.stage import Stage


def judge(found: Findings, stage: Stage, heard: Overheard) -> None:
    """One variant of the stage, as it is or re-encrypted."""
    if heard.dropped:
        found.fail(f"tcpdump lost {heard.dropped} packets ({heard.variant}), and with them perhaps a secret")
    strays = sum(heard.counted["elsewhere"][secret] for secret in (PASSWORD, ORDER))
    if strays:
        found.doubt(f"{strays} occurrences on connections of no declared hop ({heard.variant})")
    if "tls" not in stage.offers:
        _unprotected(found, heard)
        return
    _outside(found, stage, heard)
    if heard.variant == REENCRYPTED:
        _encrypted(found, heard)
    elif heard.behind:
        _behind(found, stage, heard)


def _outside(found: Findings, stage: Stage, heard: Overheard) -> None:
    front = "load balancer" if stage.hosts_of("haproxy") else "server"
    read = heard.read(heard.outside)
    found.claim(
        "2.2", f"no secret can be read outside the {front} ({heard.variant})", held=read == 0,
        reason=heard.listed(heard.outside), predicted=(0, 0), measured=read, unit="occurrences",
    )  # fmt: skip
    if stage.scheme == "https" and heard.variant == AS_IT_IS:
        careless = heard.counted["elsewhere"][CARELESS]
        found.control(
            "a form sent to http://", "its password is read on the public network", careless > 0,
            f"{len(stage.site_addresses)} sent, read {careless} times: a redirect comes too late for it",
        )  # fmt: skip


def _behind(found: Findings, stage: Stage, heard: Overheard) -> None:
    least, idle = heard.least(heard.behind), heard.idle(heard.behind)
    notes = [f"{', '.join(idle)} served nobody"] if idle else []
    notes += ["there is no TLS that could end"] if stage.scheme != "https" else []
    found.claim(
        "2.5", "TLS ends at the load balancer: on every hop behind it secrets travel in plain text",
        held=stage.scheme == "https" and (True if least else None if idle else False),
        reason="; ".join([heard.listed(heard.behind), *notes]),
        predicted=(ROUNDS, None), measured=least, unit="occurrences",
    )  # fmt: skip
    if heard.logs:
        order, password = (heard.counted["logs"][secret] for secret in (ORDER, PASSWORD))
        found.claim(
            "2.5", "logs are shipped in plain text, too, with the path of every request",
            held=order > 0 and password == 0, predicted=(ROUNDS, None), measured=order, unit="occurrences",
            reason=f"order id {order}, which is in a path; password {password}, which is in a form",
        )  # fmt: skip


def _encrypted(found: Findings, heard: Overheard) -> None:
    read = heard.read(heard.hops)
    found.claim(
        "2.5", "with re-encryption no secret can be read on any hop", held=read == 0,
        reason=heard.listed(heard.hops), predicted=(0, 0), measured=read, unit="occurrences",
    )  # fmt: skip


def _unprotected(found: Findings, heard: Overheard) -> None:
    """Stage 1: predicted is that everything can be read everywhere."""
    idle = heard.idle(heard.hops)
    for secret in (PASSWORD, ORDER):
        least = heard.least(heard.hops, secret)
        found.claim(
            "1.5", f"without HTTPS the {secret} can be read on every hop that it travels",
            held=True if least else None if idle else False,
            reason=heard.listed(heard.hops, secret) + (f"; {', '.join(idle)} served nobody" if idle else ""),
            predicted=(1, None), measured=least, unit="occurrences",
        )  # fmt: skip
    decoys = sum(by_secret[DECOY] for by_secret in heard.counted.values())
    found.control(
        "a text that nobody sent", "it is read nowhere", decoys == 0, f"{decoys} occurrences on all hops"
    )


def vrrp(found: Findings, stage: Stage, addresses: Addresses, heard: Overheard) -> None:
    """The declared flow that no scan can find: who was heard to advertise, and where."""
    flows = [flow for flow in stage.flows if flow.protocol == "vrrp"]
    if not flows:
        return
    ways = {(way[0], flow.source) for flow in flows if (way := stage.path(flow))}
    allowed = {(segment, address) for segment, host in ways for address in addresses[host][segment]}
    strangers = [f"{sender} on {segment}" for segment, sender in set(heard.adverts) - allowed]
    said = ", ".join(f"{sender} {n}" for (_, sender), n in sorted(heard.adverts.items())) or "none"
    unknown = f"; not declared: {', '.join(sorted(strangers))}" if strangers else ""
    found.claim(
        "2.1", "VRRP has no port to scan: it is spoken by the declared peers and nobody else",
        held=not strangers if heard.adverts else None, reason=f"advertisements heard: {said}{unknown}",
        predicted=(0, 0), measured=len(strangers), unit="strangers",
    )  # fmt: skip


def show(found: Findings, variants: Sequence[Overheard]) -> None:
    """Table and picture of all variants, and the control that plain text is seen where there is some."""
    rows, marks = [], list[Verdict]()
    for heard in variants:
        for hop in heard.hops:
            for secret in hop.secrets:
                seen, predicted = heard.counted[hop.name][secret], "0" if hop.encrypted else "> 0"
                rows.append((hop.name, heard.variant, secret, predicted, seen, hop.segment))
                marks.append("held" if (seen > 0) != hop.encrypted else "deviated")
    found.table(
        "What can be read on each hop",
        "Occurrences of each secret in the TCP payloads that crossed the switch, both directions of every "
        f"connection put together; sent {ROUNDS} times to each address of the site. Predicted from what the "
        "services declare. UNIX sockets and loopback are no wire.",
        ("hop", "stage", "secret", "predicted", "occurrences", "network"), rows, marks,
    )  # fmt: skip
    counted = {
        heard.variant: {hop.name: {s: heard.counted[hop.name][s] for s in hop.secrets} for hop in heard.hops}
        for heard in variants
    }
    found.keep("hops", counted)
    found.figure(
        "hops", "What can be read on each hop",
        "How often each secret was found in plain text. Zero is a result; a dash: it does not travel there.",
        "; ".join(f"{heard.variant}: {heard.listed(heard.hops)}" for heard in variants),
        lambda: draw_hops(counted, (PASSWORD, ORDER)),
    )  # fmt: skip
    by_name = {heard.variant: heard for heard in variants}
    if AS_IT_IS in by_name and REENCRYPTED in by_name:
        plain, encrypted = (one.read(one.behind) for one in (by_name[AS_IT_IS], by_name[REENCRYPTED]))
        found.control(
            "without re-encryption", "the same instrument reads secrets behind the load balancer", plain > 0,
            f"{plain} occurrences, with re-encryption {encrypted}",
        )  # fmt: skip
