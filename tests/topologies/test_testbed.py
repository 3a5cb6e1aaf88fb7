"""Daemons start when what they depend on answers, and one that fails keeps nobody waiting."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from services.service import Host, Service
from topologies import cgroup, process, testbed
from topologies.cgroup import Hierarchy
from topologies.host import EmulatedHost
from topologies.process import Process
from topologies.stage0_simple import Stage0
from topologies.testbed import Daemon, Testbed
from topologies.waiting import DaemonDied, NotReady, wait_until


@dataclass(frozen=True)
class Sleeper(Service):
    """A daemon that answers `slow_s` after it was started."""

    name: str  # type: ignore[misc]  # of the class elsewhere; here each has its own
    script: str = "exec sleep 60"
    after: tuple[str, ...] = ()
    slow_s: float = 0.0
    ready_timeout_s: ClassVar[float] = 0.5

    @property
    def command(self) -> list[str]:
        return ["sh", "-c", self.script]

    def ready(self, host: Host) -> bool:
        return time.monotonic() - cast(FakeHost, host).started_s[self.name] >= self.slow_s


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

    def spawn(self, name: str, command: list[str]) -> Process:
        self.started_s[name] = time.monotonic()
        begun = process.start(name, self.name, command, self.directory / f"{name}.log", dict(os.environ))
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
