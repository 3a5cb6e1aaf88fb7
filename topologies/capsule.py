"""A run never touches the machine it runs on: it happens in namespaces that die with it.

    supervisor (the machine's namespaces)          sweeper (its own session)
        │  setpriv --pdeathsig KILL                    │  removes cgroups and the registry entry
        └─ unshare --net --mount --pid --uts --fork --kill-child       when the supervisor is gone
              └─ tini (PID 1: reaps, passes signals on)
                    └─ the run: the same command line, started again inside

Kill any one of them with -9 and the kernel ends the rest: switches, links, addresses, firewall rules, mounts
and daemons exist only in there. Only cgroup directories outlive their processes; they are the sweeper's work.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from topologies import cgroup
from topologies.waiting import CannotEmulate, NotReady, wait_until

REGISTRY = Path("/run/webstack-testbed")
LAYERS = Path("/run/layers")  # inside: the capsule's own tmpfs
STATE = Path("/run/state.json")  # inside: what `ps` reads
_ENVIRONMENT = "TESTBED_CAPSULE"


@dataclass(frozen=True)
class Passport:
    """What the supervisor tells the run inside."""

    run_id: str
    results: str
    label: str  # what is running: "failover", "up 3"
    sockets: dict[str, int] = field(default_factory=dict)  # name → descriptor of a listening socket

    @classmethod
    def read(cls) -> Passport | None:
        """The passport of the capsule this process is in, or None outside."""
        text = os.environ.get(_ENVIRONMENT)
        return cls(**json.loads(text)) if text else None


@dataclass(frozen=True)
class RunningCapsule:
    """A registry entry of a run that is alive."""

    run_id: str
    label: str
    results: str
    supervisor: int
    init: int  # PID 1 of the capsule, as the machine counts


def enter(passport: Passport, command: Sequence[str]) -> int:
    """Run `command` in a new capsule; returns its exit status when everything of it is gone.

    Raises CannotEmulate when this machine cannot make namespaces or cgroups.
    """
    hierarchy = cgroup.find_hierarchy(Path("/proc/mounts").read_text())
    for tool in ("unshare", "setpriv", "tini", "nsenter"):
        if shutil.which(tool) is None:
            raise CannotEmulate(f"{tool} is not installed; run: sudo ./testbed setup")
    tree = cgroup.Tree(hierarchy, passport.run_id)
    with _sweeper(hierarchy, passport.run_id):
        tree.create()
        line = [
            "setpriv", "--pdeathsig", "KILL", "--",
            "unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc", "--",
            "tini", "-g", "--", *command,
        ]  # fmt: skip
        environment = {**os.environ, _ENVIRONMENT: json.dumps(asdict(passport))}
        with keeping_terminal() as terminal:
            child = subprocess.Popen(
                line, env=environment, pass_fds=tuple(passport.sockets.values()),
                # In the background there is no terminal for the run: tini would take it away from the shell.
                stdin=subprocess.DEVNULL if os.isatty(0) and not terminal else None,
                process_group=0,  # a closing terminal hangs up the supervisor, which passes it on in order
            )  # fmt: skip
            _register(passport, child.pid)
            return _supervise(child)


def _supervise(child: subprocess.Popen[bytes]) -> int:
    """Pass signals on to the capsule until it ends."""

    def forward(number: int, _frame: object) -> None:
        init = only_child(child.pid)
        if init is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(init, number)

    # Ctrl-C reaches the run itself through the terminal; the supervisor only waits for its clean-up.
    previous = {n: signal.signal(n, forward) for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        status = child.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return 128 - status if status < 0 else status


@contextlib.contextmanager
def keeping_terminal() -> Iterator[bool]:
    """Yields whether this process has a terminal in the foreground, and has it again afterwards.

    A shell in another PID namespace may take the terminal, but cannot give it back: from there, our
    group is not to be seen.
    """
    try:
        ours = os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        ours = False
    try:
        yield ours
    finally:
        if ours:
            previous = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            with contextlib.suppress(OSError):  # the terminal is gone
                os.tcsetpgrp(0, os.getpgrp())
            signal.signal(signal.SIGTTOU, previous)


# -- inside ------------------------------------------------------------------------------------------


def settle() -> None:
    """First thing inside: a private /run, this network's own /sys, a name, and loopback up."""
    for command in (
        ["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run"],
        ["mkdir", "-p", str(LAYERS), "/run/tmp", "/run/cgroup", "/run/lock"],
        # A fresh sysfs shows this network's bridges; the machine's cgroup mounts move over to it.
        ["mount", "--rbind", "/sys/fs/cgroup", "/run/cgroup"],
        ["mount", "-t", "sysfs", "sysfs", "/sys"],
        ["mount", "--rbind", "/run/cgroup", "/sys/fs/cgroup"],
        ["umount", "--recursive", "/run/cgroup"],
        ["hostname", "testbed"],
        ["ip", "link", "set", "lo", "up"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CannotEmulate(f"`{' '.join(command)}` failed inside the capsule: {done.stderr.strip()}")
    os.environ["TMPDIR"] = "/run/tmp"


# -- the registry: how another terminal finds a run --------------------------------------------------


def _register(passport: Passport, unshare_pid: int) -> None:
    REGISTRY.mkdir(mode=0o755, exist_ok=True)
    entry = {
        "run_id": passport.run_id, "label": passport.label, "results": passport.results,
        "supervisor": os.getpid(), "supervisor_started": start_ticks(os.getpid()), "unshare": unshare_pid,
    }  # fmt: skip
    temporary = REGISTRY / f".{passport.run_id}"
    temporary.write_text(json.dumps(entry))
    temporary.rename(REGISTRY / f"{passport.run_id}.json")


def running() -> list[RunningCapsule]:
    """The runs alive on this machine, oldest first."""
    found = []
    for path in sorted(REGISTRY.glob("*.json")):
        try:
            entry = json.loads(path.read_text())
        except (OSError, json.JSONDecodeError):
            continue  # it ended while we looked
        if start_ticks(entry["supervisor"]) != entry["supervisor_started"]:
            continue
        init = only_child(entry["unshare"])
        if init is not None:
            found.append(
                RunningCapsule(entry["run_id"], entry["label"], entry["results"], entry["supervisor"], init)
            )
    return found


def stop(run: RunningCapsule, timeout_s: float = 30.0) -> None:
    """Ask a run to end, and wait until nothing of it is left. Raises NotReady."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(run.supervisor, signal.SIGTERM)
    entry = REGISTRY / f"{run.run_id}.json"
    wait_until(
        lambda: not entry.exists(), timeout_s=timeout_s, what=f"run {run.run_id} to end", interval_s=0.05
    )


def inside(run: RunningCapsule, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` in the namespaces of `run`."""
    namespaces = ["--net", "--mount", "--pid", "--uts", "--root"]
    return ["nsenter", "--target", str(run.init), *namespaces, "--", *command]


def only_child(pid: int) -> int | None:
    """The child of a process that has at most one, such as unshare --fork and nsenter --pid."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(children[0]) if children else None


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot: tells a pid from its reuse. None: no process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])


# -- the sweeper -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _sweeper(hierarchy: cgroup.Hierarchy, run_id: str) -> Iterator[None]:
    """Whatever happens to the supervisor, the run's cgroups and registry entry go.

    A child in a session of its own blocks on a pipe that only the supervisor holds open: end of file means
    that the supervisor is gone, by whatever signal. It works beside the supervisor's own clean-up, so either
    may be killed.
    """
    reader, writer = os.pipe()
    supervisor = os.getpid()
    child = os.fork()
    if child == 0:
        _sweep_when_alone(reader, writer, hierarchy, run_id, supervisor)
    os.close(reader)
    os.set_inheritable(writer, False)
    try:
        yield
    finally:
        sweep(hierarchy, run_id)
        os.close(writer)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)


def _sweep_when_alone(
    reader: int, writer: int, hierarchy: cgroup.Hierarchy, run_id: str, supervisor: int
) -> None:
    """The sweeper's whole life; never returns."""
    status = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.close(writer)
        quiet = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):  # a reader of our pipe must not wait for the sweeper
            os.dup2(quiet, standard)
        os.read(reader, 1)
        sweep(hierarchy, run_id)
        status = 0
    finally:
        os._exit(status)


def sweep(hierarchy: cgroup.Hierarchy, run_id: str) -> None:
    """Remove what outlives processes. Does nothing where nothing is left; never raises for a busy group."""
    with contextlib.suppress(NotReady):
        cgroup.remove(hierarchy, run_id)
    (REGISTRY / f"{run_id}.json").unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty: another run's entry is in there; or gone already
        REGISTRY.rmdir()


def sweep_stale() -> None:
    """Remove what earlier runs could not: supervisor and sweeper were killed, or the machine lost power."""
    hierarchy = cgroup.find_hierarchy(Path("/proc/mounts").read_text())
    alive = {run.run_id for run in running()}
    for entry in REGISTRY.glob("*.json"):
        young = time.time() - entry.stat().st_mtime < 60  # its namespaces may be under construction
        if entry.stem not in alive and not young:
            sweep(hierarchy, entry.stem)


def this_command() -> list[str]:
    """The command line of this process, to start it again inside the capsule with the same interpreter."""
    return [sys.executable, "-P", "-m", "experiments", *sys.argv[1:]]
