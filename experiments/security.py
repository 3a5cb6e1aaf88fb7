"""A stage lets through what it declares; what it encrypts nobody reads on the wire (claims 2.1, 2.2, 2.5).

sudo python experiments/security.py                     stage 2: firewalls, certificate, where TLS ends
"""

from __future__ import annotations

if __name__ == "__main__":
    from _interpreter import hand_over

    hand_over("security")

import argparse
from argparse import Namespace
from dataclasses import replace

from experiments.harness import (
    conduct,
    options,
    security_cost,
    security_reach,
    security_tls,
    security_wire,
)
from experiments.harness.findings import Findings
from experiments.harness.overheard import overhear
from experiments.harness.progress import Progress
from experiments.harness.run import Run
from experiments.harness.standing import standing
from experiments.harness.survey import survey
from topologies.stage import LAYERS, Stage
from topologies.testbed import Testbed

EXAMPLES = """\
  sudo python experiments/security.py                     firewalls, certificate, where TLS ends
  sudo ./testbed security --stage 1                       nothing protects it: as open as predicted
  sudo ./testbed security --stage 3                       a load balancer cluster; who reaches the database
  sudo ./testbed security --firewall-off database         deviates, and names what is open then
  sudo ./testbed security --flow 'monitor1>db1:tcp/3306'  one more declared flow: found open, as declared
  sudo ./testbed security --layer database --skip-cost    one control, and no handshakes counted
"""
SENTENCES = {
    "0": "one server shows the declared ports and nothing in plain text",
    "1": "without firewall and HTTPS everything can be reached and read",
}
SENTENCE = "open is what is declared, and encrypted up to the load balancer"


def command_line() -> argparse.ArgumentParser:
    p = options.parser("security", (__doc__ or "").split("\n")[0], EXAMPLES)
    options.add_common(p, repeat=1, stage="2")
    p.add_argument(
        "--layer", action="append", choices=LAYERS, metavar="LAYER",
        help=f"firewall to switch off as a control: {', '.join(LAYERS)} (may be repeated; default all)",
    )  # fmt: skip
    p.add_argument("--skip-cost", action="store_true", help="do not measure what encryption costs")
    options.add_sizes(p)
    return p


def main(argv: list[str] | None = None) -> int:
    p = command_line()
    chosen = p.parse_args(argv)
    stage = options.stage_of(p, chosen)
    if chosen.layer and not stage.layers:
        p.error(f"--layer {chosen.layer[0]}: stage {stage.number} has no firewall")

    def work(chosen: Namespace, run: Run, progress: Progress) -> int:
        return look(chosen, run, progress, stage)

    return conduct.conduct("security", f"security-stage{stage.number}", chosen, work, stage)


def look(chosen: Namespace, run: Run, progress: Progress, stage: Stage) -> int:
    """Scan the stage, listen on its wires, try its TLS; then listen to the same stage with TLS everywhere."""
    found = Findings("security", run, stage, chosen, SENTENCES.get(stage.number, SENTENCE))
    layers = chosen.layer or list(stage.layers)
    counts_cost = not chosen.skip_cost and stage.scheme == "https"
    testbed: Testbed | None = None
    with found.collecting(progress):
        with standing(stage, run, progress) as testbed:
            known = survey(testbed)
            security_reach.look(found, testbed, known, layers, chosen.repeat, progress)
            heard = [overhear(testbed, known.addresses, run.seed, progress)]
            security_wire.vrrp(found, stage, known.addresses, heard[0])
            security_wire.judge(found, stage, heard[0])
            if "tls" in stage.offers:
                security_tls.look(found, testbed, known.addresses, progress)
            if counts_cost:
                security_cost.handshakes(found, testbed, run.seed, progress)
            other = other_variant(stage)
            costs = [security_cost.request_costs(testbed, progress)] if counts_cost and other else []
        if other is not None:
            name = "reencrypted" if other.settings.reencrypt else "plain"
            with standing(other, run, progress, within=name) as second:
                addresses = survey(second).addresses
                heard.append(overhear(second, addresses, run.seed, progress))
                security_wire.judge(found, other, heard[1])
                if costs:
                    costs.append(security_cost.request_costs(second, progress))
        if costs:
            with standing(stage, run, progress, within="again") as third:
                mine, others = costs[0].pooled(security_cost.request_costs(third, progress)), costs[1]
            plain, encrypted = (others, mine) if stage.settings.reencrypt else (mine, others)
            security_cost.reencryption(found, plain, encrypted, run.seed)
        security_wire.show(found, heard)
    return found.publish(progress, testbed)


def other_variant(stage: Stage) -> Stage | None:
    """The same stage with TLS behind its load balancer, or without; None where there is no choice."""
    if "reencrypt" not in stage.offers or not stage.settings.tls:
        return None
    return type(stage)(replace(stage.settings, reencrypt=not stage.settings.reencrypt))
