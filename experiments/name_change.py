"""www.foobar.com is an A record, and clients follow its change within the TTL (claim 0.4).

sudo python experiments/name_change.py     stage 2, TTL 10 s, three changes under a hundred caching clients
"""

from __future__ import annotations

if __name__ == "__main__":
    from _interpreter import hand_over

    hand_over("dns")

import argparse
import http.client
import random
from argparse import Namespace

from experiments.harness import conduct, dig, following, name_change_report, options, renaming
from experiments.harness.dig import Answer, Zone
from experiments.harness.findings import Findings
from experiments.harness.following import Followed
from experiments.harness.name_change_report import FOREIGN, NOBODY, OTHER_LATE_MS
from experiments.harness.progress import Progress
from experiments.harness.renaming import NEW_ADDRESS, Crowd
from experiments.harness.run import Run
from experiments.harness.standing import standing
from experiments.harness.visit import visiting
from loadtests.stub_cache import Lookup
from services.named import ZONE_FILE
from topologies.stage import DOMAIN, Stage
from topologies.testbed import Testbed
from topologies.waiting import CommandFailed

SENTENCE = "the site's name is an A record, and clients follow its change within the TTL, evenly"
EXAMPLES = """\
  sudo python experiments/name_change.py            stage 2, TTL 10 s
  sudo ./testbed dns --ttl 30 --repeat 1            as usual in production
  sudo ./testbed dns --stage 3 --clients 300        two addresses become one, under a larger crowd
"""
PAGE = "/items/3"


def command_line() -> argparse.ArgumentParser:
    p = options.parser("dns", (__doc__ or "").split("\n")[0], EXAMPLES)
    options.add_common(p, repeat=3, stage="2")
    options.add_sizes(p)
    p.add_argument(
        "--ttl", dest="dns_ttl", type=options.number(int, 2, 3600), metavar="S",
        help="of the site's A records (default 10)",
    )  # fmt: skip
    p.set_defaults(dns_ttl=10)
    p.add_argument(
        "--clients", type=options.number(int, 10, 1000), default=100, metavar="N",
        help="caching clients at random phases (default 100)",
    )  # fmt: skip
    return p


def main(argv: list[str] | None = None) -> int:
    p = command_line()
    chosen = p.parse_args(argv)
    stage = options.stage_of(p, chosen)
    if stage.settings.dns_ttl_s < 2:
        p.error(f"a TTL of {stage.settings.dns_ttl_s} s leaves nothing to follow; 2 or more")

    def work(chosen: Namespace, run: Run, progress: Progress) -> int:
        return change_names(chosen, run, progress, stage)

    return conduct.conduct("dns", f"dns-stage{stage.number}", chosen, work, stage)


def change_names(chosen: Namespace, run: Run, progress: Progress, stage: Stage) -> int:
    """Ask as a client does, then move the site and back, as often as wanted, and see who follows when."""
    found = Findings("dns", run, stage, chosen, SENTENCE)
    rng = random.Random(run.seed)
    changes: list[list[Followed]] = []
    lookups: list[Lookup] = []
    watched_s: list[float] = []
    stale = 0
    testbed: Testbed | None = None
    with found.collecting(progress), standing(stage, run, progress) as running:
        testbed = running
        before = declared_zone(testbed)
        site, nobody, foreign = (asked(testbed, name) for name in (DOMAIN, NOBODY, FOREIGN))
        name_change_report.answers(found, site, nobody, foreign, before)
        with renaming.second_address(testbed) as answers_there, renaming.zone(testbed) as rename:
            found.check(
                "new_address", "answers" if answers_there else "resolution only: nginx has one address"
            )
            for number in range(1, chosen.repeat + 1):
                new = (NEW_ADDRESS,) if number % 2 else tuple(sorted(before.addresses))
                with progress.waiting(f"change {number} of {chosen.repeat} to {', '.join(new)}"):
                    change, made = renaming.watch_change(
                        testbed, rename, new, Crowd(chosen.clients), before.ttl_s, rng
                    )
                changes.append(following.followed(change, made))
                lookups += made
                stale += following.stale(change, made)
                watched_s.append(change.end_s - change.in_force_s)
                if number == 1:
                    name_change_report.before_after(found, asked(testbed, DOMAIN), before)
                    if answers_there:
                        addresses = (*sorted(before.addresses), NEW_ADDRESS)
                        name_change_report.reachable(found, [(a, status(testbed, a)) for a in addresses])
    if changes:
        name_change_report.follow_times(
            found, changes, float(stage.settings.dns_ttl_s), stale, min(watched_s), run.seed
        )
        fidelity(found, lookups)
    found.keep("follow_times_s", [{one.client: one.after_s for one in change} for change in changes])
    return found.publish(progress, testbed)


def declared_zone(testbed: Testbed) -> Zone:
    """What the name server was given, as it was rendered."""
    text = testbed.configs[testbed.stage.hosts_of("named")[0]][ZONE_FILE.rpartition("/")[2]]
    return dig.zone_of(text, DOMAIN.partition(".")[0])


def asked(testbed: Testbed, name: str) -> Answer:
    """What dig says on a client, by the client's own resolver. Raises CommandFailed."""
    host = testbed.hosts[testbed.stage.clients[0]]
    try:
        return dig.parse(host.run(("dig", "+tries=2", "+time=1", name, "A")).stdout)
    except ValueError as error:
        raise CommandFailed(f"{host.name}: {error}") from error


def status(testbed: Testbed, address: str) -> str:
    """The status of a page asked for at `address` under the site's name, verified; or why there is none."""
    stage = testbed.stage
    try:
        with visiting(testbed.hosts[stage.clients[0]], stage.scheme, address, timeout_s=3.0) as visitor:
            return str(visitor.ask("GET", PAGE).status)
    except (OSError, http.client.HTTPException) as error:
        return repr(error)


def fidelity(found: Findings, lookups: list[Lookup]) -> None:
    late_ms = following.lateness_ms(lookups)
    unanswered = sum(not one.addresses for one in lookups)
    found.check("lookups", len(lookups))
    found.check("lookup_lateness_p99_ms", round(late_ms, 2))
    found.check("lookups_unanswered", unanswered)
    if late_ms > OTHER_LATE_MS:
        found.fail(f"look-ups began up to {late_ms:.0f} ms late; at most {OTHER_LATE_MS:.0f} ms count")
    if unanswered:
        found.doubt(f"{unanswered} of {len(lookups)} look-ups were not answered")
