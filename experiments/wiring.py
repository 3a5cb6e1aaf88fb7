"""Every daemon listens where it was declared, and a request goes from one to the next as declared (0.5, 0.7).

sudo python experiments/wiring.py     stage 2: listeners, hops, certificates, and the waterfall of one request
"""

from __future__ import annotations

if __name__ == "__main__":
    from _interpreter import hand_over

    hand_over("wiring")

import argparse
import random
import ssl
from argparse import Namespace
from dataclasses import replace

from experiments.harness import conduct, options, wiring_report
from experiments.harness.certificates import handshake, shown_on
from experiments.harness.findings import Findings
from experiments.harness.held import follow
from experiments.harness.links import hops_of
from experiments.harness.listening import Compared, compare, declared
from experiments.harness.looking import look
from experiments.harness.progress import Progress
from experiments.harness.run import Run
from experiments.harness.standing import standing
from experiments.harness.timed_visits import Visits, visit
from topologies.stage import Stage
from topologies.stages import STAGES
from topologies.testbed import Testbed
from topologies.waiting import wait_until

SENTENCE = "who listens, who asks whom and as whom is exactly what was declared, and a request's time adds up"
EXAMPLES = """\
  sudo python experiments/wiring.py                 stage 2
  sudo ./testbed wiring --stage 0                   UNIX sockets and TCP between the daemons, in turns
  sudo ./testbed wiring --stage 3 --reencrypt       a certificate on every hop
  sudo ./testbed wiring --repeat 200 --json         more visitors, one document
"""
UNDECLARED_PORT = 8888
ANOTHER_NAME = "www.example.com"


def command_line() -> argparse.ArgumentParser:
    p = options.parser("wiring", (__doc__ or "").split("\n")[0], EXAMPLES)
    options.add_common(p, repeat=50, stage="2")
    options.add_sizes(p)
    return p


def main(argv: list[str] | None = None) -> int:
    p = command_line()
    chosen = p.parse_args(argv)
    stage = options.stage_of(p, chosen)

    def work(chosen: Namespace, run: Run, progress: Progress) -> int:
        return examine(chosen, run, progress, stage)

    return conduct.conduct("wiring", f"wiring-stage{stage.number}", chosen, work, stage)


def examine(chosen: Namespace, run: Run, progress: Progress, stage: Stage) -> int:
    """Each wiring of the stage: who listens, what a request takes, where its time goes; then the controls."""
    found = Findings("wiring", run, stage, chosen, SENTENCE)
    rng = random.Random(run.seed)
    made: dict[str, Visits] = {}
    testbed = None
    with found.collecting(progress):
        turns = variants(stage)
        for turn, (wiring, variant) in enumerate(turns):
            within = f"{wiring}-{turn}" if wiring else ""
            with standing(variant, run, progress, within=within) as testbed:
                if wiring not in made:
                    declared_beside_seen(found, testbed, rng, progress, in_words(wiring))
                with progress.waiting(f"{chosen.repeat} visitors, and curl in between"):
                    visits = visit(testbed, chosen.repeat, f"{run.run_id}-{turn}")
                made[wiring] = made.get(wiring, Visits()) + visits
                if turn == len(turns) - 1:
                    controls(found, testbed, progress)
        for wiring, visits in made.items():
            wiring_report.visits(found, visits, run.seed, in_words(wiring))
        without_lookup(found, visits)
        if len(made) > 1:
            wiring_report.wirings(found, made, run.seed)
    return found.publish(progress, testbed)


def variants(stage: Stage) -> list[tuple[str, Stage]]:
    """Stage 0 in both its wirings, in an order that lets no drift favour one; any other as it is."""
    if stage.number != "0":
        return [("", stage)]
    both = {wiring: STAGES["0"](replace(stage.settings, wiring=wiring)) for wiring in ("unix", "tcp")}
    return [(wiring, both[wiring]) for wiring in ("unix", "tcp", "tcp", "unix")]


def in_words(wiring: str) -> str:
    return {"": "", "unix": ", over UNIX sockets", "tcp": ", over TCP"}[wiring]


def declared_beside_seen(
    found: Findings, testbed: Testbed, rng: random.Random, progress: Progress, wired: str
) -> None:
    with progress.waiting("looking at every socket"):
        wiring_report.listeners(found, look(testbed), wired)
    hops = hops_of(testbed.stage)
    with progress.waiting("holding requests at the database to see their sockets"):
        shown = {hop.link: shown_on(testbed, hop) for hop in hops}
        wiring_report.hops(found, testbed.stage, hops, follow(testbed, hops, rng), shown, wired)


# -- negative controls -----------------------------------------------------------------------------------


def controls(found: Findings, testbed: Testbed, progress: Progress) -> None:
    """A stranger who listens, a daemon that does not, and a name that no certificate has."""
    with progress.waiting("controls: a stranger, a dead daemon, a wrong name"):
        stranger(found, testbed)
        dead_daemon(found, testbed)
        wrong_name(found, testbed)


def differences(testbed: Testbed) -> list[Compared]:
    rows = compare(declared(testbed.stage), look(testbed).listening)
    return [row for row in rows if row.finding != "as declared"]


def in_short(rows: list[Compared]) -> str:
    return (
        "; ".join(f"{r.finding}: {r.place.daemon}, {r.place.listener}, {r.place.host}" for r in rows)
        or "nothing"
    )


def stranger(found: Findings, testbed: Testbed) -> None:
    host = testbed.hosts[testbed.stage.hosts_of("gunicorn")[-1]]
    command = ("/usr/bin/python3", "-I", "-m", "http.server", str(UNDECLARED_PORT))
    process = host.spawn("undeclared", command)
    try:
        wait_until(
            lambda: any(row.finding == "surplus" for row in differences(testbed)),
            timeout_s=10, what=f"an undeclared server on {host.name} to be seen", interval_s=0.2,
        )  # fmt: skip
        rows = differences(testbed)
    finally:
        process.kill()
    alone = [(row.finding, row.place.host, row.place.listener.port) for row in rows]
    deviated = alone == [("surplus", host.name, UNDECLARED_PORT)]
    found.control("a web server that nobody declared", "one surplus listener", deviated, in_short(rows))


def dead_daemon(found: Findings, testbed: Testbed) -> None:
    daemon = testbed.daemon(testbed.stage.hosts_of("nginx")[-1], "nginx")
    assert daemon.process is not None, "it was started with the stage"
    daemon.process.kill()
    rows = differences(testbed)
    testbed.start_daemons([daemon])
    missing = {(row.finding, row.place.daemon, row.place.host) for row in rows}
    deviated = missing == {("missing", "nginx", daemon.host.name)}
    found.control(f"{daemon.where} killed", "its listeners missing", deviated, in_short(rows))


def wrong_name(found: Findings, testbed: Testbed) -> None:
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
        "the same parts without the look-up", f"more than {wiring_report.ADDS_UP_MS} ms missing",
        least > wiring_report.ADDS_UP_MS, f"{least:.3f} ms or more missing of every total",
    )  # fmt: skip
