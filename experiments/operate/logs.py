"""The logs of a host, or of one daemon on it: of the run that is alive, else of the latest one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from experiments.harness import options
from experiments.harness.model import EXIT_CANNOT, EXIT_USAGE
from experiments.harness.run import CHECKOUT
from experiments.operate import attach
from experiments.operate.attach import Refused
from topologies import capsule
from topologies.capsule import RunningCapsule

EXAMPLES = """\
  sudo ./testbed logs lb1                              all daemons of lb1, the last 20 lines of each
  sudo ./testbed logs lb1/haproxy -f                   one daemon, as it goes on
  ./testbed logs db1/mysql -n 100 --run results/failover-stage3/20261124-002053-6a91
"""


def main(argv: list[str]) -> int:
    p = options.parser("logs", (__doc__ or "").split("\n")[0], EXAMPLES)
    p.add_argument("what", metavar="HOST[/DAEMON]")
    p.add_argument("-f", "--follow", action="store_true", help="go on as the log grows, until Ctrl-C")
    p.add_argument(
        "-n", "--lines", type=options.number(int, 0, 10**9), default=20, metavar="N", help="lines (20)"
    )
    p.add_argument("--run", metavar="ID|DIR", help="a run that is alive, or the directory of one that ended")
    p.add_argument(
        "--results", default=str(CHECKOUT / "results"), metavar="DIR", help="where results/latest is"
    )
    chosen = p.parse_args(argv)

    def work() -> int:
        directory, run = source(chosen.run, Path(chosen.results))
        logs = logs_of(directory, chosen.what, kept_inside(run, chosen.what.partition("/")[0]))
        if not all(os.access(log, os.R_OK) for log in logs):
            raise Refused(EXIT_CANNOT, f"needs root; run: sudo ./testbed logs {' '.join(argv)}")
        line = ["tail", "-n", str(chosen.lines)]
        if chosen.follow:
            line += ["-F", *([f"--pid={run.supervisor}"] if run else [])]
        return subprocess.call([*line, "--", *map(str, logs)])

    return attach.answering("logs", work)


def source(run: str | None, results: Path) -> tuple[Path, RunningCapsule | None]:
    """The run's directory, and the run itself while it is alive. Raises Refused."""
    if run is not None and Path(run).is_dir():
        return Path(run), None
    alive = capsule.running()
    if alive or run is not None:
        chosen = attach.choose(alive, run)
        return Path(chosen.results), chosen
    latest = results / "latest"
    if not latest.is_dir():
        raise Refused(EXIT_USAGE, f"nothing is running, and there is no {latest}; name a run with --run DIR")
    return latest, None


def kept_inside(run: RunningCapsule | None, host: str) -> list[Path]:
    """Logs that daemons keep in their host's /var/log; only the end of the run brings them to the results."""
    state = attach.state_of(run) if run is not None and os.geteuid() == 0 else None
    if run is None or state is None or host not in state["hosts"]:
        return []
    told = state["hosts"][host]
    root = f"/proc/{run.init}/root/proc/{told['pid']}/root"
    return [path for inside in told["log_files"] if (path := Path(root + inside)).exists()]


def logs_of(directory: Path, what: str, inside: Sequence[Path] = ()) -> list[Path]:
    """HOST or HOST/DAEMON → its log files, with those of the host's own disk. Raises Refused, naming them."""
    host, _, daemon = what.partition("/")
    hosts = sorted(path.name for path in (directory / "hosts").glob("*") if any(path.glob("*.log")))
    if host not in hosts:
        raise Refused(
            EXIT_USAGE,
            f"{directory} has no logs of {host!r}; it has those of: {', '.join(hosts) or 'no host'}",
        )
    there = {log.stem: log for log in sorted((directory / "hosts" / host).glob("*.log"))}
    there |= {f"{log.parent.name}-{log.stem}": log for log in inside}
    found = [log for name, log in there.items() if daemon in ("", name)]
    if not found:
        raise Refused(
            EXIT_USAGE,
            f"{host} has no log of {daemon!r}; it has: {', '.join(f'{host}/{name}' for name in there)}",
        )
    return found
