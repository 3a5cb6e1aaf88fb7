"""Daemons start when what they depend on answers, and one that fails keeps nobody waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from services.credentials import Secrets
from services.service import File, Host, Service
from topologies import cgroup, process, testbed
from topologies.cgroup import Hierarchy
from topologies.host import EmulatedHost
from topologies.process import Process
from topologies.stage0_simple import Stage0
from topologies.testbed import Daemon, Testbed
from topologies.waiting import CommandFailed, DaemonDied, NotReady, TestbedError, wait_until


@dataclass(frozen=True)
class Sleeper(Service):
    """A daemon that answers `slow_s` after it was started."""

    name: str  # type: ignore[misc]  # of the class elsewhere; here each has its own
    script: str = "exec sleep 60"
    after: tuple[str, ...] = ()
    slow_s: float = 0.0
    oneshot: bool = False  # type: ignore[misc]
    word: str = "first"
    ready_timeout_s: ClassVar[float] = 0.5
    environment: ClassVar[Mapping[str, str]] = {"GREETING": "hello"}
    reload_signal: ClassVar[signal.Signals | None] = signal.SIGHUP

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        return {"/word": File(self.word)}

    def check(self) -> list[list[str]]:
        return [["grep", "-q", "^[a-z]*$", "word"]]

    @property
    def command(self) -> list[str]:
        return ["sh", "-c", self.script]

    def ready(self, host: Host) -> bool:
        begun_s = cast(FakeHost, host).started_s.get(self.name, 0.0)  # a oneshot was never spawned
        return time.monotonic() - begun_s >= self.slow_s


@dataclass
class FakeHost:
    directory: Path
    name: str = "server1"
    started_s: dict[str, float] = field(default_factory=dict)
    spawned: list[Process] = field(default_factory=list)
    services: tuple[Service, ...] = ()
    group: None = None
    pid: int = 0

    def path(self, inside: str) -> Path:
        return self.directory / inside.lstrip("/")

    def put(self, inside: str, file: File) -> None:
        self.path(inside).write_text(file.text)

    def run(self, command: list[str], *, timeout_s: float) -> None:
        try:
            subprocess.run(command, cwd=self.directory, timeout=timeout_s, check=True)
        except subprocess.CalledProcessError as error:
            raise CommandFailed(str(error)) from error

    def spawn(self, name: str, command: list[str], environment: Mapping[str, str]) -> Process:
        self.started_s[name] = time.monotonic()
        seen = {**os.environ, **environment}
        begun = process.start(name, self.name, command, self.directory / f"{name}.log", seen)
        self.spawned.append(begun)
        return begun


@pytest.fixture
def host(tmp_path: Path) -> Iterator[FakeHost]:
    made = FakeHost(tmp_path)
    yield made
    for spawned in made.spawned:
        spawned.kill()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Testbed:
    """A testbed that was never entered: no network, no namespaces."""
    nowhere = Hierarchy(1, tmp_path, tmp_path)
    monkeypatch.setattr(cgroup, "find_hierarchy", lambda _mounts: nowhere)
    monkeypatch.setattr(Testbed, "write_state", lambda _self: None)
    return Testbed(Stage0(), run_id="r1", results=tmp_path, code=tmp_path, venv=tmp_path)


def daemons(host: FakeHost, *services: Sleeper) -> list[Daemon]:
    return [Daemon(service, cast(EmulatedHost, host)) for service in services]


def test_a_daemon_starts_when_those_it_comes_after_answer(bench: Testbed, host: FakeHost) -> None:
    chain = daemons(
        host,
        Sleeper("nginx", after=("gunicorn",)),
        Sleeper("gunicorn", after=("mysql", "not-in-this-stage"), slow_s=0.05),
        Sleeper("mysql", slow_s=0.05),
        Sleeper("named"),
    )
    bench.start_daemons(chain)
    at = host.started_s
    assert at["gunicorn"] - at["mysql"] >= 0.05
    assert at["nginx"] - at["gunicorn"] >= 0.05
    assert at["named"] - at["mysql"] < 0.05, "what does not depend on anything waits for nobody"
    assert all(d.ready_after_s is not None and d.state == "running" for d in chain)
    bench.stop_daemons(chain)
    assert [d.state for d in chain] == ["exited -15"] * 4


def test_a_daemon_that_dies_fails_the_start_with_its_log_and_nobody_waits_on(
    bench: Testbed, host: FakeHost
) -> None:
    with pytest.raises(DaemonDied, match=r"mysql on server1 exited with status 1(?s:.*)disk is full"):
        bench.start_daemons(
            daemons(
                host,
                Sleeper("gunicorn", after=("mysql",)),
                Sleeper("mysql", "echo disk is full; exit 1", slow_s=60),
            )
        )
    assert "gunicorn" not in host.started_s


def test_a_daemon_that_never_answers_passes_its_deadline(bench: Testbed, host: FakeHost) -> None:
    with pytest.raises(NotReady, match=r"0\.5 s for mysql on server1 to answer"):
        bench.start_daemons(daemons(host, Sleeper("mysql", slow_s=60)))


def test_a_paused_daemon_hears_the_polite_request(bench: Testbed, host: FakeHost) -> None:
    polite = daemons(host, Sleeper("mysql", "trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done"))
    bench.start_daemons(polite)
    running = host.spawned[0]
    wait_until(lambda: "up" in running.log.read_text(), timeout_s=5, what="the trap")
    running.pause()
    bench.stop_daemons(polite)
    assert running.exit_status == 5


def test_a_daemon_that_is_not_there_is_answered_with_what_is(bench: Testbed, host: FakeHost) -> None:
    bench.daemons += daemons(host, Sleeper("mysql"), Sleeper("nginx"))
    assert bench.daemon("server1", "nginx").name == "nginx"
    with pytest.raises(KeyError, match=r"server1 has no haproxy; it runs mysql, nginx"):
        bench.daemon("server1", "haproxy")
    with pytest.raises(KeyError, match="no daemon"):
        bench.daemon("lb9", "haproxy")


def test_work_in_parallel_is_all_done_before_the_first_failure_is_raised() -> None:
    together = threading.Barrier(3)
    done = []

    def work(item: int) -> Any:
        together.wait(5)
        if item == 0:
            raise ValueError("the first")
        done.append(item)

    with pytest.raises(ValueError, match="the first"):
        testbed._all_of(testbed._in_parallel(work, range(3)))
    assert sorted(done) == [1, 2]


def test_a_oneshot_is_in_force_when_its_command_has_ended_well(bench: Testbed, host: FakeHost) -> None:
    rules = Sleeper("nftables", "echo loaded >rules", oneshot=True)
    (daemon,) = bench.daemons = daemons(host, rules)
    bench.start_daemons([daemon])
    assert host.path("/rules").read_text() == "loaded\n"
    assert daemon.alive
    assert daemon.state == "in force"
    assert daemon.facts() == {"pid": None, "started": None, "stopped": False, "oneshot": True}
    bench.assert_healthy()
    with pytest.raises(CommandFailed):
        bench.start_daemons(daemons(host, Sleeper("nftables", "exit 1", oneshot=True)))


def test_what_a_service_says_of_the_environment_reaches_its_process(bench: Testbed, host: FakeHost) -> None:
    (daemon,) = daemons(host, Sleeper("greeter", "echo $GREETING; exec sleep 60"))
    bench.start_daemons([daemon])
    log = host.spawned[0].log
    wait_until(lambda: "hello" in log.read_text(), timeout_s=5, what="the greeting")


def test_a_reconfigured_daemon_is_told_twice_and_ends_with_what_it_had(
    bench: Testbed, host: FakeHost
) -> None:
    script = f"trap 'cat {host.path('/word')}; echo' HUP; echo up; while :; do sleep 0.01; done"
    (daemon,) = daemons(host, Sleeper("named", script))
    host.put("/word", File("first"))
    bench.start_daemons([daemon])
    log = host.spawned[0].log
    wait_until(lambda: "up" in log.read_text(), timeout_s=5, what="the trap")
    with bench.reconfigured(daemon, Sleeper("named", script, word="second")):
        wait_until(lambda: "second" in log.read_text(), timeout_s=5, what="the first reload")
    wait_until(lambda: log.read_text().split() == ["up", "second", "first"], timeout_s=5, what="the second")
    # A configuration that its checker refuses never reaches the daemon, and the old one is put back.
    with pytest.raises(CommandFailed), bench.reconfigured(daemon, Sleeper("named", script, word="NOT GOOD")):
        pytest.fail("in force although refused")
    assert host.path("/word").read_text() == "first"
    daemon.process = None
    with pytest.raises(TestbedError, match="cannot be reloaded"), bench.reconfigured(daemon, daemon.service):
        pytest.fail("nobody was told")
