"""How fast and precise the testbed itself is: bring-up, teardown, the prober's lateness, a whole run.

    sudo ./testbed bench            about two minutes; --json for scripts

Times are medians over runs. Bring-up is compared with the slowest single service of the same run, which no
testbed could beat; lateness is taken on a real nginx over real links.
"""

from __future__ import annotations

if __name__ == "__main__":
    from _interpreter import hand_over

    hand_over("bench")

import json
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from experiments.harness import conduct, options
from experiments.harness.generators import observe_until, probing
from experiments.harness.progress import Progress
from experiments.harness.run import CHECKOUT, VENV, Run
from loadtests.prober_config import ProberConfig, StreamConfig
from topologies.stage import DOMAIN
from topologies.stages import STAGES
from topologies.testbed import Testbed
from topologies.waiting import TestbedError

EXAMPLES = """\
  sudo ./testbed bench
  sudo ./testbed bench --repeat 5 --json
"""
RATES_HZ = (200, 1000)
LATENESS_S = 5.0
#: Figure → what is aimed at.
AIMS = {
    "bring_up_ratio": 1.5, "teardown_s": 1.0, "failover_run_s": 90.0,
    "lateness_p99_ms_at_200_hz": 2.0, "lateness_p99_ms_at_1000_hz": 2.0,
}  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    p = options.parser("bench", (__doc__ or "").split("\n")[0], EXAMPLES)
    p.add_argument(
        "--repeat", type=options.number(int, 1, 20), default=3, metavar="N", help="bring-ups (default 3)"
    )
    p.add_argument("--json", action="store_true", help="print one JSON document on standard output")
    p.add_argument("--lateness", action="store_true", help="only the prober's lateness, as JSON")
    options.add_output(p)
    chosen = p.parse_args(argv)
    if chosen.lateness:
        return conduct.conduct("bench", "bench", chosen, measure_lateness, STAGES["0"]())
    return conduct.answer("bench", lambda: everything(chosen))


def everything(chosen: Namespace) -> int:
    """Several short runs and a whole one, each in a capsule of its own."""
    conduct.require_capsule("bench")
    progress = Progress(chosen.quiet)
    figures: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=CHECKOUT / "results", prefix="bench-") as aside:
        with progress.waiting(f"bringing stage 3 up and down, {chosen.repeat} times"):
            for _ in range(chosen.repeat):
                short = ["--fault", "none", "--repeat", "1", "--users", "0", "--watch", "1"]
                note_life(figures, _run(["failover", "--json", *short], aside))
        with progress.waiting("the prober's lateness at 200/s and 1000/s"):
            for name, value in _run(["bench", "--lateness"], aside).items():
                figures.setdefault(name, []).append(value)
        with progress.waiting("one failover run with its defaults"):
            start_s = time.monotonic()
            _run(["failover", "--json"], aside)
            figures["failover_run_s"] = [time.monotonic() - start_s]
    document = {
        name: {"median": round(statistics.median(v), 4), "low": round(min(v), 4), "high": round(max(v), 4),
               "n": len(v), "aim": AIMS.get(name)}
        for name, v in figures.items()
    }  # fmt: skip
    if chosen.json:
        print(json.dumps(document, indent=2))
    else:
        _table(document)
    return 0


def note_life(figures: dict[str, list[float]], result: dict[str, Any]) -> None:
    """Bring-up, its ratio to the slowest service, and teardown, out of a run's result.json."""
    timings = result["timings_s"]
    slowest_s = max(timings["ready"].values())
    for name, value in (
        ("bring_up_s", timings["bring-up"]),
        ("slowest_service_s", slowest_s),
        ("bring_up_ratio", timings["bring-up"] / slowest_s),
        ("teardown_s", timings["teardown"]),
    ):
        figures.setdefault(name, []).append(value)


def measure_lateness(_chosen: Namespace, run: Run, progress: Progress) -> int:
    """New connections to nginx's redirect: the cheapest honest answer; the prober is what is measured."""
    stage = STAGES["0"]()
    testbed = Testbed(
        stage, run_id=run.run_id, results=run.directory, code=CHECKOUT, venv=VENV, say=progress.now
    )
    found: dict[str, float] = {}
    with testbed:
        for rate_hz in RATES_HZ:
            stream = StreamConfig("plain", f"http://{DOMAIN}/", rate_hz, connect_to=stage.site_addresses[0])
            rows = f"/run/testbed/results/probes-{rate_hz}.csv"
            config = ProberConfig(streams=(stream,), output=rows, expect_status=301)
            with probing(testbed.hosts["client1"], config, run.directory) as prober:
                observe_until(time.monotonic() + LATENESS_S)
            late = prober.summary["streams"]["plain"]["lateness_ms"]
            found[f"lateness_p99_ms_at_{rate_hz}_hz"] = late["p99"]
            found[f"cpu_share_at_{rate_hz}_hz"] = prober.summary["cpu_share"]
    print(json.dumps(found))
    return 0


def _run(arguments: list[str], aside: str) -> dict[str, Any]:
    """One verb in a process of its own, as a user would run it; its JSON. Raises TestbedError."""
    command = [sys.executable, "-P", "-m", "experiments", *arguments, "--quiet", "--results", aside]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if not done.stdout.startswith("{"):
        raise TestbedError(f"{' '.join(arguments)}: {done.stderr.strip()[-600:]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def _table(document: dict[str, dict[str, Any]]) -> None:
    table = Table("figure", "median", "low", "high", "n", "aim", title="the testbed itself")
    for name, row in document.items():
        aim = "–" if row["aim"] is None else f"≤ {row['aim']:g}"
        table.add_row(name, *(f"{row[k]:.3f}" for k in ("median", "low", "high")), str(row["n"]), aim)
    Console().print(table)
