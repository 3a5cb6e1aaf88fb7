"""A stage is brought up, looked at from another terminal, and ended; afterwards nothing of it is left.

The terminal is a real one (a pseudo-terminal), because what matters happens in its driver: Ctrl-C, end of
file, and who is in the foreground.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from topologies import capsule, cgroup
from topologies.waiting import wait_until

pytestmark = pytest.mark.live

ROOT = Path(__file__).resolve().parents[2]
TESTBED = [sys.executable, "-P", "-m", "experiments"]


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """One command from another terminal."""
    return subprocess.run(
        [*TESTBED, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        **{"stdin": subprocess.DEVNULL, **({} if "input" not in options else {"stdin": None}), **options},
    )  # fmt: skip


@dataclass
class Terminal:
    """A shell command in a pseudo-terminal."""

    process: subprocess.Popen[bytes]
    master: int
    seen: str = field(default="")

    def until(self, pattern: str, timeout_s: float = 30.0) -> str:
        """Read on until `pattern` appears; returns everything since the last call."""
        deadline_s = time.monotonic() + timeout_s
        while not re.search(pattern, self.seen):
            assert time.monotonic() < deadline_s, (
                f"waited {timeout_s} s for {pattern!r}; saw {self.seen[-2000:]}"
            )
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 1 << 16).decode(errors="replace")
                    # One \r for every terminal on the way: the host's shell has one, too.
                    self.seen = re.sub(r"\r+\n", "\n", self.seen)
                except OSError as error:  # everybody on the other side is gone
                    raise AssertionError(f"ended before {pattern!r}: {self.seen[-2000:]}") from error
        seen, self.seen = self.seen, ""
        return seen

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())


@contextlib.contextmanager
def terminal(line: str, directory: Path = ROOT) -> Iterator[Terminal]:
    """`line` in a shell that leads a session on a terminal of its own, as a login shell does."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "bash", "--norc", "-c", line],
        cwd=directory, stdin=slave, stdout=slave, stderr=slave,
        env={**os.environ, "TERM": "dumb", "NO_COLOR": "1"},
    )  # fmt: skip
    os.close(slave)
    opened = Terminal(process, master)
    try:
        yield opened
    finally:
        with contextlib.suppress(OSError):
            os.close(opened.master)  # the terminal closes: SIGHUP
        try:
            process.wait(30)
        finally:
            process.kill()


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture(autouse=True)
def nothing_is_left(results: Path) -> Iterator[None]:
    """Whatever a test does to its runs, no registry entry, cgroup or process of them remains."""
    yield
    roots = cgroup.find_hierarchy(Path("/proc/mounts").read_text()).roots

    def left() -> list[str]:
        runs = {path.name for path in results.glob("up-*/*")}
        groups = [str(path) for top in roots for path in top.glob("testbed-*") if path.name[8:] in runs]
        entries = [str(path) for path in capsule.REGISTRY.glob("*.json") if path.stem in runs]
        mine = str(results).encode()
        processes = [p.name for p in _processes() if int(p.name) != os.getpid() and mine in _cmdline(p)]
        return [*groups, *entries, *processes]

    try:
        wait_until(lambda: not left(), timeout_s=15, what="everything to be gone")
    finally:
        for run in capsule.running():
            if str(results) in run.results:
                os.kill(run.supervisor, signal.SIGKILL)
    assert not left()


def _processes() -> list[Path]:
    return [path for path in Path("/proc").iterdir() if path.name.isdigit()]


def _cmdline(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


@contextlib.contextmanager
def up(
    results: Path, stage: str = "0", *options: str
) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A stage without a terminal; yields its process and what `ps --json` says of it."""
    process = subprocess.Popen(
        [*TESTBED, "up", stage, "--results", str(results), *options],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until(
            lambda: _ready(results, process), timeout_s=60, what=f"stage {stage} to be up", interval_s=0.2
        )
        (run,) = {run.run_id for run in capsule.running() if run.supervisor == process.pid}
        yield process, json.loads(command("ps", "--json", "--run", run).stdout)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _ready(results: Path, process: subprocess.Popen[str]) -> bool:
    assert process.poll() is None, process.communicate()
    return any(results.glob("up-*/*/ca.pem"))


def daemon_states(found: dict[str, Any]) -> dict[str, str]:
    document = json.loads(command("ps", "--json", "--run", found["run"]).stdout)
    return {
        f"{host}/{name}": daemon["state"]
        for host, facts in document["hosts"].items()
        for name, daemon in facts["daemons"].items()
    }


def test_ps_exec_and_logs_see_a_running_stage(results: Path) -> None:
    with up(results) as (_, found):
        run = found["run"]
        assert found["vips"] == {"8.8.8.8": ["server1"]}
        assert found["hosts"]["client1"]["live_addresses"] == ["8.8.8.101"]
        assert Path(found["results_dir"]).is_dir()

        begin = time.monotonic()
        assert "server1" in command("ps", "--run", run).stdout
        assert time.monotonic() - begin < 1.0

        # exec: output, input, exit code, name, home, budget
        site = command(
            "exec", "--run", run, "client1", "--", "curl", "-sS", "https://www.foobar.com/api/items/1"
        )
        assert (site.returncode, site.stderr) == (0, "")
        assert json.loads(site.stdout)["id"] == 1
        assert (
            command("exec", "--run", run, "client1", "--", "sh", "-c", "echo no >&2; exit 7").returncode == 7
        )
        assert command("exec", "--run", run, "server1", "--", "cat", input="a\nb\n").stdout == "a\nb\n"
        who = command(
            "exec", "--run", run, "server1", "--", "sh", "-c", "hostname; pwd; cat /proc/self/cgroup"
        )
        assert who.stdout.startswith("server1\n/root\n")
        assert f"/testbed-{run}/server1" in who.stdout
        killed = command("exec", "--run", run, "client1", "--", "sh", "-c", "kill -9 $$")
        assert killed.returncode == 128 + signal.SIGKILL
        unknown = command("exec", "--run", run, "web9", "--", "true")
        assert (unknown.returncode, "server1" in unknown.stderr) == (2, True)

        # logs, from the results and from the host's own disk
        assert "Listening at" in command("logs", "server1/gunicorn", "-n", "50", "--run", run).stdout
        assert "GET /api/items/1" in command("logs", "server1/nginx-access", "-n", "50", "--run", run).stdout
        assert command("logs", "server1/apache", "--run", run).returncode == 2


def test_a_relative_path_on_a_host_is_the_hosts_own_file_not_the_machines(results: Path) -> None:
    """A daemon's or command's working directory lies in its host: `nsenter --wd` left it outside."""
    with up(results) as (_, found):
        script = "cd /; echo emulated >etc/testbed-was-here; cat etc/hostname"
        wrote = command("exec", "--run", found["run"], "client1", "--", "sh", "-c", script)
        assert wrote.stdout == "client1\n"
        daemon = found["hosts"]["server1"]["daemons"]["nginx"]["pid"]
        there = Path(f"/proc/{daemon}/cwd/etc/hostname").read_text()
    assert not Path("/etc/testbed-was-here").exists()
    assert there == "server1\n"


def test_a_daemon_is_seen_running_then_paused_then_dead(results: Path) -> None:
    with up(results) as (_, found):
        pid = found["hosts"]["server1"]["daemons"]["nginx"]["pid"]
        assert Path(f"/proc/{pid}/comm").read_text() == "nginx\n"  # this machine's number
        assert set(daemon_states(found).values()) == {"running"}
        os.kill(pid, signal.SIGSTOP)
        assert daemon_states(found)["server1/nginx"] == "paused"
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda: daemon_states(found)["server1/nginx"] == "dead", timeout_s=5, what="nginx to be dead"
        )


def test_the_printed_curl_line_verifies_the_chain_from_outside_on_loopback_only(results: Path) -> None:
    with up(results) as (process, found):
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.strip().startswith("curl "))
        answer = subprocess.run(
            [*line.split(), "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code} %{ssl_verify_result}"],
            capture_output=True, text=True, timeout=20, check=False,
        )  # fmt: skip
        assert (answer.stdout, answer.stderr) == ("200 0", "")
        authority = Path(found["results_dir"]) / "ca.pem"
        assert authority.read_text().count("BEGIN") == 1  # the certificate, and no key
        port = int(found["urls"]["site"].rsplit(":", 1)[1].strip("/"))
        listening = subprocess.run(
            ["ss", "-Hltn", f"sport = :{port}"], capture_output=True, text=True, check=True
        )
        assert [row.split()[3] for row in listening.stdout.splitlines()] == [f"127.0.0.1:{port}"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_two_stages_side_by_side_have_ports_of_their_own(results: Path, tmp_path: Path) -> None:
    with up(results) as (_, first), up(tmp_path / "other") as (_, second):
        assert first["urls"]["site"] != second["urls"]["site"]
        refused = command("down")
        assert (refused.returncode, first["run"] in refused.stderr) == (2, True)
        ended = command("down", "--run", first["run"])
        assert ended.returncode == 0
        assert set(daemon_states(second).values()) == {"running"}


@pytest.mark.parametrize("end", ["down", "SIGTERM"])
def test_down_ends_a_stage_with_0(end: str, results: Path) -> None:
    with up(results) as (process, found):
        if end == "down":
            done = command("down", "--run", found["run"])
            assert (done.returncode, found["run"] in done.stdout) == (0, True)
        else:
            process.terminate()
        assert process.wait(15) == 0


def test_down_while_a_stage_is_being_built_ends_it_too(results: Path) -> None:
    process = subprocess.Popen(
        [*TESTBED, "up", "0", "--results", str(results), "--quiet"], cwd=ROOT, stdin=subprocess.DEVNULL
    )
    wait_until(lambda: any(results.glob("up-*/*/hosts")), timeout_s=20, what="the build to begin")
    assert command("down", "--run", next(results.glob("up-*/*")).name).returncode == 0
    assert process.wait(10) in (0, 130)


def test_a_killed_supervisor_leaves_nothing(results: Path) -> None:
    with up(results) as (process, _):
        process.kill()  # nothing_is_left does the rest


def test_a_killed_exec_takes_its_command_along(results: Path) -> None:
    with up(results) as (_, found):
        line = [*TESTBED, "exec", "--run", found["run"], "client1", "--", "sleep", "86.4321"]
        for number in (signal.SIGTERM, signal.SIGKILL):
            started = subprocess.Popen(line, cwd=ROOT)
            wait_until(lambda: _runs(b"sleep\00086.4321"), timeout_s=5, what="the command to start")
            started.send_signal(number)
            started.wait(5)
            wait_until(lambda: not _runs(b"sleep\00086.4321"), timeout_s=5, what="the command to end")


def _runs(cmdline: bytes) -> bool:
    return any(_cmdline(p).startswith(cmdline) for p in _processes())


UP = f"{' '.join(TESTBED)} up 0 --quiet --results {{results}}; echo code=$?"


@pytest.mark.parametrize(
    ("leave", "code"),
    [
        (lambda t: t.type("exit\n"), 0),
        (lambda t: t.type("\x04"), 0),  # end of file
        (lambda t: t.type("\x03"), 130),  # Ctrl-C
    ],
    ids=["exit", "end-of-file", "ctrl-c"],
)
def test_the_command_line_is_left_in_three_ways(
    leave: Callable[[Terminal], None], code: int, results: Path
) -> None:
    with terminal(UP.format(results=results)) as t:
        t.until(r"testbed> $")
        leave(t)
        t.until(rf"code={code}\n")


def test_a_command_line_session(results: Path) -> None:
    """Commands see the host's files and names; Ctrl-C ends a command, not the stage; Ctrl-Z stops nothing."""
    line = f"stty -g; {UP.format(results=results)}; stty -g; read answer; echo got=$answer"
    # From a directory that no host has, as a checkout below /home is.
    with terminal(line, results.parent) as t:
        settings = t.until(r"\n").strip()
        t.until(r"testbed> $")
        t.type("client1 curl -sS https://www.foobar.com/api/items/1\n")
        assert '"id":1,' in t.until(r"\}\s*\ntestbed> $")
        t.type("client1 cat /etc/hostname && pwd\n")
        assert "client1\n/root\n" in t.until(r"/root\ntestbed> $")
        t.type("client1 ping server1\n")
        t.until(r"icmp_seq=2")
        t.type("\x03")
        t.until(r"packets transmitted[\s\S]*testbed> $")
        t.type("\x1a")
        t.type("client1 ping server1\n")
        t.until(r"icmp_seq=1 ")
        assert command("down", "--run", next(results.glob("up-*/*")).name).returncode == 0
        assert settings in t.until(r"code=0\n.+\n")  # the terminal is as it was before
        t.type("hello\n")  # and the shell has it in the foreground again
        t.until("got=hello\n")


def test_a_closed_terminal_ends_the_stage(results: Path) -> None:
    with terminal(UP.format(results=results)) as t:
        t.until(r"testbed> $")
    # In order: daemons were stopped and their logs brought home. The rest is nothing_is_left's.
    logs = "up-stage0/*/hosts/server1/nginx-access.log"
    wait_until(lambda: any(results.glob(logs)), timeout_s=10, what="the logs to be brought home")


def test_a_stage_in_the_background_leaves_the_terminal_to_the_shell(results: Path) -> None:
    in_background = UP.format(results=results).replace(
        "; echo", " & read answer; echo got=$answer; wait $!; echo"
    )
    with terminal(f"set -m; {in_background}") as t:
        t.until("it stays until")
        t.type("hello\n")
        t.until("got=hello\n")
        assert command("down", "--run", next(results.glob("up-*/*")).name).returncode == 0
        t.until("code=0\n")


def test_a_shell_on_a_host_has_job_control_and_passes_its_exit_code_on(results: Path) -> None:
    with up(results) as (_, found):
        shell = f"{' '.join(TESTBED)} exec --run {found['run']} client1; echo code=$?"
        with terminal(f"{shell}; read answer; echo got=$answer") as t:
            t.until(r"root@client1:~# $")
            t.type("sleep 60\n")
            t.until("sleep 60\n")
            time.sleep(0.3)  # there is no sign by which a sleeping command says that it sleeps
            t.type("\x1a")
            t.until(r"Stopped +sleep 60")
            t.type("fg\n")
            t.until(r"fg\n.*sleep 60\n")
            t.type("\x03")
            t.until(r"root@client1:~# $")
            t.type("exit 5\n")
            t.until("code=5\n")
            t.type("hello\n")
            t.until("got=hello\n")
        ping = f"{' '.join(TESTBED)} exec --run {found['run']} client1 -- ping 8.8.8.8; echo code=$?"
        with terminal(ping) as t:
            t.until("icmp_seq=2")
            t.type("\x03")
            assert "packets transmitted" in t.until(r"code=0\n")  # Ctrl-C is ping's to handle
