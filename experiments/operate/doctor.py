"""What this machine can and cannot emulate, with one fix for whatever is missing. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from experiments.harness import options
from experiments.harness.model import EXIT_CANNOT
from experiments.harness.run import CHECKOUT
from experiments.operate import attach, machine, screen
from experiments.operate.kernel import Check

EXAMPLES = """\
  sudo ./testbed doctor
  ./testbed doctor                                     without root, with what can be tried then
  sudo ./testbed doctor --json | jq '.checks[] | select(.state != "ok")'

states: ok; limited: the stages run without it; missing: they do not run; unchecked: needs root to try
exit codes: 0 the stages can run, 3 they cannot
"""


def main(argv: list[str]) -> int:
    p = options.parser("doctor", (__doc__ or "").split("\n")[0], EXAMPLES)
    p.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    p.add_argument(
        "--results", default=str(CHECKOUT / "results"), metavar="DIR", help="where results would go"
    )
    chosen = p.parse_args(argv)

    def work() -> int:
        checks = list(machine.examine(Path(chosen.results).resolve()))
        able = can_run(checks)
        if chosen.json:
            print(json.dumps({"can_run": able, "checks": [asdict(check) for check in checks]}, indent=2))
        else:
            show(checks, able)
        return 0 if able else EXIT_CANNOT

    return attach.answering("doctor", work)


def can_run(checks: Sequence[Check]) -> bool:
    """The stages run with what is limited, not with what is missing. What was not tried does not count."""
    return not any(check.state == "missing" for check in checks)


def show(checks: Sequence[Check], able: bool) -> None:
    out = screen.console()
    rows: list[tuple[str | Text, ...]] = [(c.name, screen.coloured(c.state), c.found, c.fix) for c in checks]
    out.print(screen.table(("what", "state", "found", "fix"), rows))
    limited = sum(check.state == "limited" for check in checks)
    verdict = "the stages can run here" if able else "the stages cannot run here: see what is missing"
    out.print(f"\n{verdict}{f' ({limited} limited)' if limited and able else ''}")
