"""Bring a stage up and keep it: what runs where, its URLs, and Mininet's command line over all hosts."""

from __future__ import annotations

import contextlib
import signal
import sys
from argparse import Namespace
from collections.abc import Iterator

from experiments.harness import conduct, options
from experiments.harness.model import EXIT_CANNOT, EXIT_INTERRUPTED
from experiments.harness.progress import Progress
from experiments.harness.run import CHECKOUT, VENV, Run
from experiments.operate import attach, ps, screen
from topologies import forward
from topologies.capsule import Passport, RunningCapsule
from topologies.forward import Forward
from topologies.stage import DOMAIN, Stage
from topologies.stages import STAGES
from topologies.testbed import Testbed
from topologies.waiting import CannotEmulate

EXAMPLES = """\
  sudo ./testbed up 3                                  then: client1 curl https://www.foobar.com/
  sudo ./testbed up 3 --mode active-passive --app-servers 3
  sudo ./testbed up 0 --no-cli &                       stays until: sudo ./testbed down
"""


def main(argv: list[str]) -> int:
    p = options.parser("up", (__doc__ or "").split("\n")[0], EXAMPLES)
    p.add_argument("stage", choices=sorted(STAGES), metavar="STAGE", help=f"one of {', '.join(STAGES)}")
    p.add_argument("--no-cli", action="store_true", help="no command line: stay until `down` or Ctrl-C")
    options.add_sizes(p)
    options.add_output(p)
    chosen = p.parse_args(argv)
    stage = options.stage_of(p, chosen)
    forwards = forward.interfaces_of(stage)
    passport = Passport.read()

    def work(chosen: Namespace, run: Run, progress: Progress) -> int:
        assert passport is not None  # work happens inside
        forward.keep_private(passport.sockets)
        return stay(chosen, run, progress, stage, forwards, passport)

    name = f"up {stage.number}"
    with contextlib.ExitStack() as outside:
        try:
            sockets = {} if passport else outside.enter_context(forward.listening(forwards))
        except CannotEmulate as error:
            conduct.complain(name, error)
            return EXIT_CANNOT
        return conduct.conduct(name, f"up-stage{stage.number}", chosen, work, stage, sockets)


def stay(
    chosen: Namespace,
    run: Run,
    progress: Progress,
    stage: Stage,
    forwards: tuple[Forward, ...],
    passport: Passport,
) -> int:
    """Build the stage, say what there is, and keep it until somebody leaves or ends it."""
    testbed = Testbed(
        stage, run_id=run.run_id, results=run.directory, code=CHECKOUT, venv=VENV, say=progress.now
    )
    with contextlib.ExitStack() as stack:
        stack.enter_context(_ended_by_signals())
        with progress.waiting(f"bringing up stage {stage.number}"):
            stack.enter_context(testbed)
        testbed.urls = stack.enter_context(forward.serving(forwards, passport.sockets, testbed.hosts))
        testbed.write_state()
        progress.say(f"stage {stage.number} answers after {testbed.timings['bring-up']:.1f} s")
        authority = run.write_text("ca.pem", testbed.secrets.authority)
        me = RunningCapsule(run.run_id, passport.label, passport.results, supervisor=0, init=1)
        ps.show(attach.facts(me), pids=False)
        port = testbed.urls["site"].rsplit(":", 1)[1].rstrip("/")
        inside = 443 if stage.scheme == "https" else 80
        trusting = f"--cacert {authority} " if stage.scheme == "https" else ""
        out = screen.console()
        out.print("verified from this machine, as a browser that trusts the stage's own CA would:")
        out.print(
            f"  curl {trusting}--connect-to {DOMAIN}:{inside}:127.0.0.1:{port} {stage.scheme}://{DOMAIN}/\n"
        )
        if sys.stdin.isatty() and not chosen.no_cli:
            from experiments.operate.console import converse

            out.print(
                "Mininet's command line; help lists commands, exit leaves:  client1 dig +short www.foobar.com"
            )
            converse(testbed.net)
        else:
            out.print("it stays until: sudo ./testbed down")
            sys.stdout.flush()
            while True:
                signal.pause()
    return 0


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM (`down`) leaves with 0, a closed terminal with 130; neither is for the console to catch."""

    def leave(number: int, _frame: object) -> None:
        for further in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(further, lambda _number, _frame: None)  # let the clean-up come to its end
        raise SystemExit(0 if number == signal.SIGTERM else EXIT_INTERRUPTED)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
