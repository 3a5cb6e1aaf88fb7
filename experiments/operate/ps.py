"""What runs where: hosts, addresses, daemons with pid and state, who holds the virtual addresses, URLs."""

from __future__ import annotations

import json

from rich.text import Text

from experiments.harness import options
from experiments.operate import attach, screen
from experiments.operate.attach import Facts
from topologies import capsule

EXAMPLES = """\
  sudo ./testbed ps                                    the newest run
  sudo ./testbed ps --run 6a91                         another one
  sudo ./testbed ps --json | jq .vips                  who answers for the site's addresses
"""


def main(argv: list[str]) -> int:
    p = options.parser("ps", (__doc__ or "").split("\n")[0], EXAMPLES)
    p.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    p.add_argument("--run", metavar="ID", help="a run's id or its last part (default: the newest run)")
    chosen = p.parse_args(argv)

    def work() -> int:
        attach.require_root("ps")
        runs = capsule.running()
        found = attach.facts(attach.choose(runs, chosen.run))
        found["runs"] = [run.run_id for run in runs]
        if chosen.json:
            print(json.dumps(found, indent=2))
        else:
            show(found)
        return 0

    return attach.answering("ps", work)


def show(found: Facts, *, pids: bool = True) -> None:
    """The tables of `ps`; `up` prints them, too, from inside, where pids would be other numbers."""
    out = screen.console()
    if found["state"] != "up":
        out.print(f"run {found['run']} ({found['label']}) is coming up; no host answers yet")
    else:
        out.print(f"stage {found['stage']}, {found['title']} (run {found['run']}, {found['label']})\n")
        rows = [_row(name, host, pids) for name, host in found["hosts"].items()]
        out.print(screen.table(("host", "addresses", "daemons", "state"), rows))
    holders = [(address, ", ".join(hosts) or "nobody") for address, hosts in found["vips"].items()]
    named = [(name, url) for name, url in found["urls"].items()]
    for columns, pairs in ((("site address", "held by"), holders), (("open in a browser", "URL"), named)):
        if pairs:
            out.print()
            out.print(screen.table(columns, pairs))
    out.print(f"\nresults: {found['results_dir']}")
    others = [run for run in found.get("runs", ()) if run != found["run"]]
    if others:
        out.print(f"also running: {', '.join(others)} (choose with --run ID)")


def _row(name: str, host: Facts, pids: bool) -> tuple[str, str, str, Text]:
    moved = [a for a in host["live_addresses"] if a not in host["addresses"].values()]
    addresses = [*host["addresses"].values(), *(f"+{address}" for address in moved)]
    daemons = [f"{d} {facts['pid'] or ''}".strip() if pids else d for d, facts in host["daemons"].items()]
    states = [screen.coloured(facts["state"]) for facts in host["daemons"].values()]
    return name, " ".join(addresses), "\n".join(daemons), Text("\n").join(states)
