"""The verdict of a run and where its files are: the latest run, or the one given."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.text import Text

from experiments.harness import options
from experiments.harness.model import EXIT_USAGE, Control
from experiments.harness.report import control_row
from experiments.harness.run import CHECKOUT
from experiments.operate import attach, screen
from experiments.operate.attach import Refused

EXAMPLES = """\
  ./testbed report                                     results/latest
  ./testbed report results/failover-stage3/20261124-002053-6a91
  ./testbed report --json | jq .verdict
"""


def main(argv: list[str]) -> int:
    p = options.parser("report", (__doc__ or "").split("\n")[0], EXAMPLES)
    p.add_argument("run", nargs="?", metavar="RUN", help="a run's directory or its id (default: the latest)")
    p.add_argument("--json", action="store_true", help="print its result.json")
    p.add_argument("--results", default=str(CHECKOUT / "results"), metavar="DIR", help="where runs are")
    chosen = p.parse_args(argv)

    def work() -> int:
        directory = find(Path(chosen.results), chosen.run)
        result = read(directory)
        if chosen.json:
            print(json.dumps(result, indent=2))
        else:
            show(directory, result)
        return 0

    return attach.answering("report", work)


def find(results: Path, run: str | None) -> Path:
    """The run's directory. Raises Refused."""
    if run is not None:
        named = [Path(run), *results.glob(f"*/{Path(run).name}")]
        for directory in named:
            if directory.is_dir():
                return directory
        raise Refused(EXIT_USAGE, f"there is no run {run} (looked in {results}, too)")
    latest = results / "latest"
    if (latest / "result.json").exists():
        return latest.resolve()
    # `up` measures nothing; the last run that did is what is meant.
    measured = sorted((path.parent for path in results.glob("*/*/result.json")), key=lambda run: run.name)
    if not measured:
        raise Refused(EXIT_USAGE, f"{results} has no result yet; make one with: sudo ./testbed failover")
    if latest.exists():
        print(f"report: {latest.resolve()} measured nothing; the last run that did:", file=sys.stderr)
    return measured[-1]


def read(directory: Path) -> dict[str, Any]:
    """Raises Refused for a run without a result or with a damaged one."""
    try:
        result = json.loads((directory / "result.json").read_text())
    except FileNotFoundError:
        raise Refused(
            EXIT_USAGE, f"{directory} has no result.json: the run measured nothing or was ended early"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise Refused(EXIT_USAGE, f"{directory / 'result.json'} is damaged: {error}") from None
    if not isinstance(result, dict) or not {"verdict", "claims"} <= result.keys():
        raise Refused(EXIT_USAGE, f"{directory / 'result.json'} is not a result of this testbed")
    return result


def show(directory: Path, result: dict[str, Any]) -> None:
    out = screen.console()
    verdict = str(result["verdict"])
    out.print(screen.coloured(verdict, str(result.get("headline") or verdict)))
    if result["claims"]:
        out.print()
        columns = ("claim", "sentence", "predicted", "measured", "verdict")
        out.print(screen.table(columns, [_row(claim) for claim in result["claims"]]))
    if result.get("controls"):
        out.print()
        rows = [_control(control) for control in result["controls"]]
        out.print(screen.table(("negative control", "must show", "seen", "result"), rows))
    reasons = result.get("fidelity", {}).get("reasons", ())
    for reason in reasons:
        out.print(f"fidelity: {reason}")
    out.print()
    page = directory / "report.html"
    out.print(str(page if page.exists() else directory))


def _row(claim: dict[str, Any]) -> tuple[str, str, str, str, Text]:
    predicted, measured = claim["predicted"], claim["measured"]
    unit = measured["unit"]
    seen = "–"
    # What the run does not support is not shown; result.json has it for those who look for the reason.
    if measured["median"] is not None and claim["verdict"] != "inconclusive":
        seen = f"{_number(measured['median'], unit)} {unit}".rstrip()
        if (measured.get("n") or 0) > 1:
            seen += f" ({_range(measured['low'], measured['high'], unit)}, n = {measured['n']})"
    foretold = _range(predicted["low"], predicted["high"], unit)
    return (
        claim["id"], claim["sentence"], foretold if foretold == "–" else f"{foretold} {unit}".rstrip(), seen,
        screen.coloured(claim["verdict"]),
    )  # fmt: skip


def _control(control: dict[str, Any]) -> tuple[str, str, str, Text]:
    row = control_row(Control(**control))
    return row["name"], row["expected"], row["reason"], screen.coloured(row["tone"], row["word"])


def _range(low: float | None, high: float | None, unit: str) -> str:
    if high is None:
        return "–" if low is None else f"at least {low:.3g}"
    if low is None or low == high:
        return _number(high, unit)
    return f"{_number(low, unit)}–{_number(high, unit)}"


def _number(value: float, unit: str) -> str:
    """Seconds to the millisecond; what was counted has no decimals."""
    return f"{value:g}" if unit != "s" and value == int(value) else f"{value:.3f}"
