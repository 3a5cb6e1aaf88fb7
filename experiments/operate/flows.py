"""Who may speak to whom in a stage, and why, as the stage declares it. Nothing is started."""

from __future__ import annotations

import json
from dataclasses import asdict

from experiments.harness import options
from experiments.operate import attach, screen
from topologies.stages import STAGES

EXAMPLES = """\
  ./testbed flows 3
  ./testbed flows 3 --web-servers 4                    a stage of another size
  ./testbed flows 3 --json | jq '.flows[] | select(.destination == "db1")'
"""


def main(argv: list[str]) -> int:
    p = options.parser("flows", (__doc__ or "").split("\n")[0], EXAMPLES)
    p.add_argument("stage", choices=sorted(STAGES), metavar="STAGE", help=f"one of {', '.join(STAGES)}")
    p.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    options.add_sizes(p)
    chosen = p.parse_args(argv)
    stage = options.stage_of(p, chosen)

    def work() -> int:
        if chosen.json:
            flows = [asdict(flow) for flow in stage.flows]
            print(json.dumps({"stage": stage.number, "title": stage.title, "flows": flows}, indent=2))
            return 0
        rows = [(f.source, f.destination, f.opening, f.purpose) for f in stage.flows]
        out = screen.console()
        out.print(f"stage {stage.number}, {stage.title}\n")
        out.print(screen.table(("source", "destination", "port", "purpose"), rows))
        return 0

    return attach.answering("flows", work)
