"""Negative controls of the wiring experiment: each must be seen, or it would see nothing else either."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from experiments.harness.certificates import handshake
from experiments.harness.findings import Findings
from experiments.harness.links import hops_of
from experiments.harness.listening import Compared, compare, declared
from experiments.harness.looking import look
from experiments.harness.timed_visits import Visits
from experiments.harness.wiring_report import ADDS_UP_MS
from topologies.testbed import Testbed
from topologies.waiting import wait_until

UNDECLARED_PORT = 8888
ANOTHER_NAME = "www.example.com"


def stranger(found: Findings, testbed: Testbed) -> None:
    """A web server that nobody declared, on the last application server."""
    host = testbed.hosts[testbed.stage.hosts_of("gunicorn")[-1]]
    command = ("/usr/bin/python3", "-I", "-m", "http.server", str(UNDECLARED_PORT))
    process = host.spawn("undeclared", command)
    try:
        wait_until(
            lambda: any(row.finding == "surplus" for row in _differences(testbed)),
            timeout_s=10, what=f"an undeclared server on {host.name} to be seen", interval_s=0.2,
        )  # fmt: skip
        rows = _differences(testbed)
    finally:
        process.kill()
    alone = [(row.finding, row.place.host, row.place.listener.port) for row in rows]
    deviated = alone == [("surplus", host.name, UNDECLARED_PORT)]
    found.control("a web server that nobody declared", "one surplus listener", deviated, _in_short(rows))


def dead_daemon(found: Findings, testbed: Testbed) -> None:
    """nginx on the last web server is killed, and started again."""
    daemon = testbed.daemon(testbed.stage.hosts_of("nginx")[-1], "nginx")
    assert daemon.process is not None, "it was started with the stage"
    daemon.process.kill()
    rows = _differences(testbed)
    testbed.start_daemons([daemon])
    missing = {(row.finding, row.place.daemon, row.place.host) for row in rows}
    deviated = missing == {("missing", "nginx", daemon.host.name)}
    found.control(f"{daemon.where} killed", "its listeners missing", deviated, _in_short(rows))


def wrong_name(found: Findings, testbed: Testbed) -> None:
    """Whoever expects another name of the first hop in TLS must refuse; without TLS there is none."""
    for hop in (hop for hop in hops_of(testbed.stage) if hop.certified and hop.port):
        host, mysql = testbed.hosts[hop.link.source], hop.link.daemon == "mysql"
        try:
            shown = handshake(host, hop.address, hop.port or 0, ANOTHER_NAME, mysql=mysql)
            deviated, reason = False, f"took a certificate of {', '.join(shown.names)}"
        except ssl.SSLCertVerificationError as error:
            deviated, reason = True, error.verify_message
        found.control(f"{ANOTHER_NAME} expected of {hop.link.destination}", "refused", deviated, reason)
        return


def without_lookup(found: Findings, visits: Visits) -> None:
    """The same parts but one must not add up."""
    gaps = sorted((r.seen.total_s - r.seen.sum_s + r.seen.parts_s[0]) * 1e3 for r in visits.requests)
    least = gaps[0]
    found.control(
        "the same parts without the look-up", f"more than {ADDS_UP_MS} ms missing",
        least > ADDS_UP_MS, f"{least:.3f} ms or more missing of every total",
    )  # fmt: skip


def _differences(testbed: Testbed) -> list[Compared]:
    rows = compare(declared(testbed.stage), look(testbed).listening)
    return [row for row in rows if row.finding != "as declared"]


def _in_short(rows: Sequence[Compared]) -> str:
    return (
        "; ".join(f"{r.finding}: {r.place.daemon}, {r.place.listener}, {r.place.host}" for r in rows)
        or "nothing"
    )
