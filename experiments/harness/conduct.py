"""Every experiment goes the same way: check outside, enter the capsule, do the work, report, leave nothing.

outside                                inside
options ─► this machine? ─► capsule ─► settle ─► experiment(…) ─► result.json, report.html ─► exit code
   2             3                                                          0 · 1 · 4 · 130
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from experiments.harness import run as runs
from experiments.harness.model import EXIT_CANNOT, EXIT_INCONCLUSIVE, EXIT_INTERRUPTED
from experiments.harness.progress import Progress
from experiments.harness.run import CHECKOUT, Run
from topologies import capsule
from topologies.capsule import Passport
from topologies.stage import Stage
from topologies.waiting import CannotEmulate, TestbedError

Work = Callable[[Namespace, Run, Progress], int]


def conduct(
    name: str, title: str, options: Namespace, work: Work, stage: Stage, sockets: dict[str, int] | None = None
) -> int:
    """Run `work` inside a capsule and return its exit code. `title` names the results: "failover-stage3"."""
    passport = Passport.read()
    if passport is None:
        return answer(name, lambda: _outside(name, title, options, stage, sockets or {}))
    return answer(name, lambda: _inside(passport, options, work))


def answer(name: str, work: Callable[[], int]) -> int:
    """The exit code of `work`, and one clear line for everything that can go wrong on purpose."""
    try:
        return work()
    except CannotEmulate as error:
        complain(name, error)
        return EXIT_CANNOT
    except TestbedError as error:
        complain(name, error)
        return EXIT_INCONCLUSIVE
    except OSError as error:
        complain(name, f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        return EXIT_CANNOT
    except KeyboardInterrupt:
        complain(name, "interrupted; everything is cleaned up")
        return EXIT_INTERRUPTED


def complain(name: str, error: object) -> None:
    print(f"{name}: {error}", file=sys.stderr)


def _outside(name: str, title: str, options: Namespace, stage: Stage, sockets: dict[str, int]) -> int:
    require_capsule(name)
    require_programs(stage)
    require_cores(stage)
    capsule.sweep_stale()
    base = Path(options.results).resolve()
    run_id = runs.new_run_id()
    directory = runs.make_directory(base, title, run_id)
    try:
        status = capsule.enter(Passport(run_id, str(directory), title, sockets), capsule.this_command())
    finally:
        if not any(directory.iterdir()):
            directory.rmdir()  # nothing was measured, nothing is kept
        else:
            runs.point_latest(base, directory)
            runs.give_to_caller(base, directory)
    return EXIT_INTERRUPTED if status in (128 + signal.SIGKILL, 128 + signal.SIGTERM) else status


def _inside(passport: Passport, options: Namespace, work: Work) -> int:
    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    # Ctrl-Z would stop the run, but not the supervisor that the shell waits for: the terminal would be stuck.
    signal.signal(signal.SIGTSTP, lambda _number, _frame: None)
    threading.excepthook = _one_line_per_thread
    capsule.settle()
    run = Run(passport.run_id, Path(passport.results), options.seed)
    return work(options, run, Progress(options.quiet))


def _one_line_per_thread(failed: threading.ExceptHookArgs) -> None:
    print(f"testbed: {failed.thread and failed.thread.name}: {failed.exc_value}", file=sys.stderr)


def require_capsule(name: str) -> None:
    """Raises CannotEmulate, with the command that helps, when this machine cannot hold a capsule."""
    if os.geteuid() != 0:
        raise CannotEmulate(f"needs root to make namespaces; run: sudo ./testbed {name}")
    missing = [
        tool
        for tool in ("unshare", "setpriv", "nsenter", "tini", "mnexec", "brctl", "ip")
        if not shutil.which(tool)
    ]
    if missing:
        raise CannotEmulate(f"not installed: {', '.join(missing)}; run: sudo {CHECKOUT / 'testbed'} setup")
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc", "true"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    if tried.returncode != 0:
        raise CannotEmulate(
            f"this machine makes no namespaces ({tried.stderr.strip()}); run on a real or virtual machine, "
            "or in a container with --privileged"
        )


def require_programs(stage: Stage) -> None:
    """Raises CannotEmulate when a daemon of the stage is not installed."""
    services = [service for declared in stage.declared.values() for service in declared]
    missing = {s.package: s.program for s in services if s.package and not shutil.which(s.program)}
    if missing:
        raise CannotEmulate(
            f"not installed: {', '.join(missing.values())}; run: sudo {CHECKOUT / 'testbed'} setup"
        )


def require_cores(stage: Stage) -> None:
    """Raises CannotEmulate when the servers' budgets and the generator's share exceed the machine."""
    asked = stage.settings.server_cores
    cores = os.cpu_count() or 1
    if asked is None:
        return
    kept_back = stage.kept_back_cores
    wanted = asked * len(stage.servers) + kept_back
    if wanted > cores:
        most = (cores - kept_back) / len(stage.servers)
        raise CannotEmulate(
            f"{len(stage.servers)} servers of {asked:g} cores and {kept_back:g} for generator and monitor "
            "need "
            f"{wanted:g} cores; this machine has {cores}"
            + (f"; --server-cores {most:.2f} would fit" if most >= 0.05 else "")
        )
