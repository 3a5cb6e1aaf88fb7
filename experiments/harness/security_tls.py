"""The certificate enforces HTTPS (claim 2.2): what plain HTTP answers, TLS offers, and clients refuse.

http://  ──► 301 and nothing else      TLS 1.0, NULL, RC4 …  ──► refused      wrong certificate ──► refused
controls:    the port behind the LB           a weak configuration              one that does not verify
"""

from __future__ import annotations

from collections.abc import Sequence

from experiments.harness import tls_checks
from experiments.harness.findings import Findings
from experiments.harness.hops import wires
from experiments.harness.misconfigured import Front, front_of, showing, weak_tls
from experiments.harness.model import Verdict
from experiments.harness.progress import Progress
from experiments.harness.reachability import Addresses
from services.credentials import Certificate
from topologies.host import EmulatedHost
from topologies.stage import DOMAIN
from topologies.testbed import Testbed

OTHER_NAME = "www.example.com"


def look(found: Findings, testbed: Testbed, addresses: Addresses, progress: Progress) -> None:
    """Everything that a stage with a certificate must do. Without TLS it is shown not to."""
    front = front_of(testbed.stage)
    client = testbed.hosts[testbed.stage.clients[0]]
    with progress.waiting("asking in plain HTTP"):
        _redirects(found, testbed, client, addresses)
    refused = tls_checks.unreachable(client, front.address)
    if refused:
        found.claim(
            "2.2", "TLS 1.2 and 1.3 are accepted", held=False, predicted=(2, 2), measured=0, unit="versions",
            reason=f"nobody answers on port {tls_checks.PORT} of {front.address}: {refused}",
        )  # fmt: skip
        return
    with progress.waiting("asking for every version and cipher of TLS"):
        _offers(found, testbed, client, front)
    with progress.waiting("showing certificates that a client must refuse"):
        _certificates(found, testbed, client, front)


# -- plain HTTP --------------------------------------------------------------------------------------


def _redirects(found: Findings, testbed: Testbed, client: EmulatedHost, addresses: Addresses) -> None:
    stage = testbed.stage
    asked = [one for address in stage.site_addresses for one in tls_checks.plain_http(client, address)]
    wrong = [one for one in asked if one.wrong]
    found.claim(
        "2.2", "plain HTTP answers with a redirect to https, and with nothing else", held=not wrong,
        reason=f"{len(asked) - len(wrong)} of {len(asked)} requests" + (f"; {_first(wrong)}" if wrong else
        ", POST /login among them: 301, no cookie, no page"),
        predicted=(len(asked), len(asked)), measured=len(asked) - len(wrong), unit="requests",
    )  # fmt: skip
    behind = [w for w in wires(stage, addresses) if w.hop == "LB–web" and not w.tls]
    if behind:
        # The same questions where plain HTTP is what is spoken: they must be seen to be answered.
        pages = tls_checks.plain_http(testbed.hosts[behind[0].client], behind[0].server)
        served = [one for one in pages if one.wrong]
        found.control(
            "plain HTTP behind the load balancer", "pages instead of redirects", bool(served),
            f"{len(served)} of {len(pages)} requests are answered; {_first(served)}",
        )  # fmt: skip


def _first(some: Sequence[tls_checks.PlainAnswer]) -> str:
    return f"{some[0].request}: {', '.join(some[0].wrong)}" if some else ""


# -- what is offered ---------------------------------------------------------------------------------


def _offers(found: Findings, testbed: Testbed, client: EmulatedHost, front: Front) -> None:
    offers = tls_checks.offered(client, front.address)
    tried = {
        what: tls_checks.s_client(client, front.address, *o) for what, (o, _) in tls_checks.OFFERS.items()
    }
    wrong = tls_checks.objections(offers)
    wrong += [
        f"{what} {'is accepted' if tried[what].accepted else 'is not accepted'}"
        for what, (_, wanted) in tls_checks.OFFERS.items()
        if tried[what].accepted is not None and tried[what].accepted != wanted
    ]
    ciphers = sum(len(some) for some in offers.values())
    found.claim(
        "2.2", "only TLS 1.2 and 1.3 are accepted, and no weak cipher", held=not wrong,
        reason="; ".join(wrong[:4]) if wrong else f"{ciphers} ciphers in {' and '.join(sorted(offers))}",
        predicted=(0, 0), measured=len(wrong), unit="objections",
    )  # fmt: skip
    rows: list[tuple[object, ...]] = []
    marks: list[Verdict | None] = []
    for what, (_, wanted) in tls_checks.OFFERS.items():
        one = tried[what]
        rows.append(("openssl", what, "accepted" if wanted else "refused", _word(one.accepted), one.said))
        marks.append(None if one.accepted is None else "held" if one.accepted == wanted else "deviated")
    for version, names in sorted(offers.items()):
        for name in names:
            why = tls_checks.weakness(name) or (version not in tls_checks.ACCEPTED_VERSIONS and version)
            rows.append(
                ("nmap", f"{version} {name}", "refused" if why else "accepted", "accepted", why or None)
            )
            marks.append("deviated" if why else "held")
    found.table(
        "TLS: what is accepted",
        f"{front.host} at {front.address}. openssl offers one family at a time, at security level 0. What it "
        "has given up itself (RC4, 3DES, export) nmap tries, which knows every cipher by its number and "
        "lists all that are accepted.",
        ("asked by", "offer", "predicted", "seen", "what was said"), rows, marks,
    )  # fmt: skip
    found.keep("tls_offers", offers)
    with weak_tls(testbed, front, client.name):
        weak = tls_checks.objections(tls_checks.offered(client, front.address))
    found.control(
        f"weak TLS on {front.host}", "old versions and weak ciphers are accepted", bool(weak),
        f"{len(weak)} objections: {'; '.join(weak[:3])}",
    )  # fmt: skip


def _word(accepted: bool | None) -> str:
    return {True: "accepted", False: "refused", None: "not offered"}[accepted]


# -- who is refused ----------------------------------------------------------------------------------


def _certificates(found: Findings, testbed: Testbed, client: EmulatedHost, front: Front) -> None:
    """For real: the front server presents each of them, and the client decides."""
    secrets = testbed.secrets
    cases: dict[str, Certificate] = {
        f"for {OTHER_NAME}": secrets.certificate(OTHER_NAME),
        "expired": secrets.flawed_certificate("expired", DOMAIN),
        "signed by itself": secrets.flawed_certificate("self-signed", DOMAIN),
    }
    rows: list[tuple[object, ...]] = []
    marks: list[Verdict] = []
    careless = []

    def note(what: str, wanted: bool) -> None:
        for asker, one in (
            ("openssl s_client", tls_checks.s_client(client, front.address)),
            ("curl", tls_checks.curl(client, front.address)),
        ):
            rows.append((what, asker, "accepted" if wanted else "refused", _word(one.accepted), one.said))
            marks.append("held" if one.accepted == wanted else "deviated")

    note("its own", True)
    for what, pair in cases.items():
        with showing(testbed, front, pair, client.name):
            note(what, False)
            careless.append(tls_checks.curl(client, front.address, "--insecure"))
            rows.append(
                (what, "curl --insecure", "accepted", _word(careless[-1].accepted), careless[-1].said)
            )
            marks.append("held" if careless[-1].accepted else "deviated")
    note("its own again", True)
    checked = [mark for row, mark in zip(rows, marks, strict=True) if row[1] != "curl --insecure"]
    good = checked.count("held")
    found.claim(
        "2.2", "clients accept the certificate of the run's CA; they refuse one of another name, an expired "
        "one and one that signed itself", held=good == len(checked),
        reason=f"{good} of {len(checked)} checks by openssl and curl", predicted=(len(checked), len(checked)),
        measured=good, unit="checks",
    )  # fmt: skip
    accepted = sum(one.accepted is True for one in careless)
    found.control(
        "a client that does not verify", "it accepts every one of them", accepted == len(careless),
        f"curl --insecure accepts {accepted} of {len(careless)}",
    )  # fmt: skip
    found.table(
        "Certificates", f"Each was put on {front.host} and loaded, then asked for from {client.name}.",
        ("certificate", "client", "predicted", "seen", "what was said"), rows, marks,
    )  # fmt: skip
