"""Run a command on a host: its network, files and CPU budget; your terminal, input, output and exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator

from experiments.harness import options
from experiments.harness.model import EXIT_CANNOT, EXIT_USAGE
from experiments.operate import attach
from experiments.operate.attach import Facts, Refused
from topologies import capsule
from topologies.capsule import RunningCapsule

EXAMPLES = """\
  sudo ./testbed exec client1 -- curl -i https://www.foobar.com/
  sudo ./testbed exec client1 -- dig www.foobar.com
  sudo ./testbed exec lb1 -- tcpdump -ni lb1-public vrrp
  echo 'SELECT * FROM items' | sudo ./testbed exec db1 -- mariadb foobar
  sudo ./testbed exec client1                          a shell
"""
_UNTIL_WE_END = ["setpriv", "--pdeathsig", "KILL", "--"]


def main(argv: list[str]) -> int:
    p = options.parser("exec", (__doc__ or "").split("\n")[0], EXAMPLES)
    p.usage = "testbed exec [--run ID] HOST [-- CMD ...]"
    p.add_argument("host", metavar="HOST", help="ps lists them; without a command, a shell")
    p.add_argument("--run", metavar="ID", help="a run's id or its last part (default: the newest run)")
    before = argv[: argv.index("--")] if "--" in argv else argv
    command = argv[len(before) + 1 :]
    chosen = p.parse_args(before)
    if "--" in argv and not command:
        p.error("no command after --")

    def work() -> int:
        attach.require_root(f"exec {' '.join(argv)}")
        run = attach.choose(capsule.running(), chosen.run)
        return run_on(run, host_of(attach.state_of(run), chosen.host), command or ["bash"])

    return attach.answering("exec", work)


def host_of(state: Facts | None, name: str) -> Facts:
    """What the testbed wrote down of the host. Raises Refused."""
    if state is None:
        raise Refused(EXIT_CANNOT, "the stage is still coming up; try again in some seconds")
    if name not in state["hosts"]:
        raise Refused(EXIT_USAGE, f"there is no host {name!r}; there is: {', '.join(state['hosts'])}")
    host: Facts = state["hosts"][name]
    return host


def run_on(run: RunningCapsule, host: Facts, command: list[str]) -> int:
    """The command's exit status; 128 + N when signal N ended it. It ends when this process does."""
    # Imported late: mininet takes a moment that a usage error should not wait for.
    from topologies.host import entering, environment

    seen = {**environment(), "TERM": os.environ.get("TERM", "dumb")}
    # The budget is joined inside: what counts in a group must be visible to the run that owns it.
    # Ctrl-C is ignored on the way to the command (below), and must not be by the command.
    attentive = ["env", "--default-signal=INT,QUIT", *command]
    on_host = entering(host["pid"], attentive, budget=host["budget"], wd="/root")
    line = [*_UNTIL_WE_END, *capsule.inside(run, [*_UNTIL_WE_END, *on_host])]
    with capsule.keeping_terminal(), _only_for_the_command(signal.SIGINT, signal.SIGQUIT):
        started = subprocess.Popen(line, env=seen)

        def pass_on(number: int, _frame: object) -> None:
            child = capsule.only_child(started.pid)  # nsenter itself passes nothing on
            with contextlib.suppress(ProcessLookupError):
                os.kill(child or started.pid, number)

        previous = {n: signal.signal(n, pass_on) for n in (signal.SIGTERM, signal.SIGHUP)}
        try:
            status = started.wait()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
    return 128 - status if status < 0 else status


@contextlib.contextmanager
def _only_for_the_command(*numbers: signal.Signals) -> Iterator[None]:
    """Ctrl-C reaches everybody between terminal and command; only the command decides what it means."""
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
