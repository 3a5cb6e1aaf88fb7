"""A fault names what would do when it cannot hit its target, takes effect, and is always healed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from experiments.faults import FAULTS, BadTarget, Fault, Target, fault, together
from experiments.faults.graceful_stop import GracefulStop
from experiments.faults.hang import Hang
from experiments.faults.host_crash import HostCrash
from experiments.faults.process_kill import ProcessKill
from experiments.faults.slow_answers import THREADS, SlowAnswers
from services.gunicorn import Gunicorn
from topologies import process
from topologies.process import Process
from topologies.stage0_simple import Stage0
from topologies.stage3_scaleup import Stage3
from topologies.testbed import Testbed
from topologies.waiting import NotReady

STAGES = {"0": Stage0(), "3": Stage3()}


def aim(name: str, target: str, stage: str = "3") -> Fault:
    return FAULTS[name].aim(Target.parse(target, STAGES[stage]), STAGES[stage])


@pytest.mark.parametrize(
    ("name", "target", "daemon", "segment"),
    [
        ("none", "lb1", None, None),
        ("host-crash", "lb1", None, None),
        ("process-kill", "lb1", "haproxy", None),
        ("process-kill", "lb1/keepalived", "keepalived", None),
        ("hang", "app2", "gunicorn", None),
        ("graceful-stop", "lb1", None, None),
        ("graceful-stop", "lb1/haproxy", "haproxy", None),
        ("link-down", "lb1", None, "public"),
        ("link-down", "lb1/app", None, "app"),
        ("link-down", "dns1", None, "public"),
        ("slow-answers", "app1", "gunicorn", None),
        ("slow-answers", "app2/gunicorn", "gunicorn", None),
    ],
)
def test_a_fault_fills_in_what_the_target_leaves_open(
    name: str, target: str, daemon: str | None, segment: str | None
) -> None:
    aimed = aim(name, target)
    assert (aimed.name, aimed.daemon, aimed.segment) == (name, daemon, segment)
    assert str(aimed.target).startswith(target)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", [name for name in FAULTS if name != SlowAnswers.name])
def test_every_fault_but_a_release_can_hit_every_stages_default_target(name: str, stage: str) -> None:
    assert aim(name, STAGES[stage].default_target, stage).shows


@pytest.mark.parametrize(
    ("name", "target", "would_do"),
    [
        ("host-crash", "lb9", "stage 3 has no 'lb9' to break; it has dns1, lb1, lb2, web1"),
        ("host-crash", "client1", "it has dns1"),
        ("host-crash", "", "it has dns1"),
        ("host-crash", "lb1/haproxy", "host-crash hits a whole host: say lb1, not lb1/haproxy"),
        ("none", "lb1/haproxy", "say lb1"),
        (
            "process-kill",
            "lb1/nginx",
            "lb1 runs haproxy, keepalived, node-exporter, rsyslog, ulogd, not 'nginx'",
        ),
        ("hang", "db1/haproxy", "db1 runs mysql"),
        ("graceful-stop", "web1/mysql", "web1 runs nginx"),
        ("link-down", "web1/public", "web1 is on app, monitoring, not on 'public'"),
        ("slow-answers", "lb1", "slow-answers hits an application server: say app1 or app2, not lb1"),
        ("slow-answers", "app1/rsyslog", "say app1, not app1/rsyslog"),
    ],
)
def test_a_target_that_will_not_do_is_answered_with_what_would(name: str, target: str, would_do: str) -> None:
    with pytest.raises(BadTarget) as refused:
        aim(name, target)
    assert would_do in str(refused.value)
    assert "\n" not in str(refused.value)


# -- injected and healed -----------------------------------------------------------------------------


class Recorded(HostCrash):
    def inject(self, testbed: Any) -> None:
        testbed.story.append("inject")
        testbed.inject()

    def took_effect(self, testbed: Any) -> bool:
        return bool(testbed.effective)

    def heal(self, testbed: Any) -> None:
        testbed.story.append("heal")


def recording(**parts: Any) -> SimpleNamespace:
    story: list[str] = []
    usual: dict[str, Any] = {
        "inject": lambda: None, "effective": True, "write_state": lambda: story.append("state"),
        "assert_healthy": lambda: story.append("healthy"),
    }  # fmt: skip
    return SimpleNamespace(story=story, **{**usual, **parts})


def test_a_fault_lasts_as_long_as_its_block_and_the_stage_is_healthy_after_it() -> None:
    bench = recording()
    with Recorded(Target("lb1")).injected(cast(Testbed, bench)):
        bench.story.append("watched")
    assert bench.story == ["inject", "watched", "heal", "state", "healthy"]


def test_a_fault_is_healed_when_watching_fails() -> None:
    bench = recording()
    with pytest.raises(KeyboardInterrupt), Recorded(Target("lb1")).injected(cast(Testbed, bench)):
        raise KeyboardInterrupt
    assert bench.story == ["inject", "heal", "state"]


def test_half_an_injection_is_healed_too() -> None:
    def break_off() -> None:
        raise OSError("no such link")

    bench = recording(inject=break_off)
    with pytest.raises(OSError, match="no such link"), Recorded(Target("lb1")).injected(cast(Testbed, bench)):
        bench.story.append("never")
    assert bench.story == ["inject", "heal", "state"]


def test_a_fault_without_effect_is_an_error_and_not_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_once(condition: Any, *, timeout_s: float, what: str) -> None:
        assert not condition()
        raise NotReady(f"waited {timeout_s:g} s for {what}")

    monkeypatch.setattr(fault, "wait_until", at_once)
    bench = recording(effective=False)
    with (
        pytest.raises(NotReady, match="host-crash of lb1 to take effect"),
        Recorded(Target("lb1")).injected(cast(Testbed, bench)),
    ):
        bench.story.append("never")
    assert bench.story == ["inject", "heal", "state"]


class Second(Recorded):
    """Another one of the same stage, whose steps are told apart."""

    def inject(self, testbed: Any) -> None:
        testbed.story.append("inject the second")
        testbed.inject()

    def heal(self, testbed: Any) -> None:
        testbed.story.append("heal the second")


def test_faults_at_once_are_healed_in_reverse_before_anybody_asks_for_health() -> None:
    bench = recording()
    with together(cast(Testbed, bench), (Recorded(Target("lb1")), Second(Target("db1")))):
        bench.story.append("watched")
    healed = ["heal the second", "heal", "state", "healthy"]
    assert bench.story == ["inject", "inject the second", "watched", *healed]


def test_a_second_fault_that_fails_halfway_heals_both() -> None:
    tries: list[str] = []

    def break_off() -> None:
        tries.append("inject")
        if len(tries) == 2:
            raise OSError("no such link")

    bench = recording(inject=break_off)
    both = (Recorded(Target("lb1")), Second(Target("db1")))
    with pytest.raises(OSError, match="no such link"), together(cast(Testbed, bench), both):
        bench.story.append("never")
    assert bench.story == ["inject", "inject the second", "heal the second", "heal", "state"]


# -- a bad release -------------------------------------------------------------------------------------


class Site:
    """One application server that answers as late as its last release says."""

    def __init__(self) -> None:
        service = next(s for s in STAGES["3"].declared["app1"] if isinstance(s, Gunicorn))
        self.hosts = {"app1": SimpleNamespace(name="app1")}
        self.released: list[Gunicorn] = []
        self._daemon = SimpleNamespace(service=service, where="gunicorn on app1")

    def daemon(self, host: str, name: str) -> Any:
        assert (host, name) == ("app1", "gunicorn")
        return self._daemon

    def reload(self, daemon: Any, service: Gunicorn) -> None:
        assert daemon is self._daemon
        self.released.append(service)

    def write_state(self) -> None:
        """Nobody reads it here."""

    def assert_healthy(self) -> None:
        """It always is."""


@pytest.mark.parametrize(("takes_s", "effective"), [(0.06, True), (0.0, False)])
def test_a_release_is_slow_only_once_a_request_is(
    takes_s: float, effective: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ready(self: Gunicorn, host: object) -> bool:
        time.sleep(takes_s)
        return True

    monkeypatch.setattr(Gunicorn, "ready", ready)
    slow = SlowAnswers(Target("app1", "gunicorn"), delay_ms=50)
    assert slow.took_effect(cast(Testbed, Site())) == effective


def test_a_release_brings_threads_to_wait_in_and_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SlowAnswers, "took_effect", lambda *_: True)
    site = Site()
    before = site.daemon("app1", "gunicorn").service
    with SlowAnswers(Target("app1", "gunicorn")).injected(cast(Testbed, site)):
        (released,) = site.released
        assert (released.answer_delay_ms, released.threads) == (300, THREADS)
    assert site.released[1] is before


def test_a_release_is_a_delay_and_a_crash_is_none() -> None:
    assert aim("slow-answers", "app1").delay_s == 0.3
    assert aim("host-crash", "app1").delay_s == 0.0


# -- on real processes -------------------------------------------------------------------------------


class Bench:
    """Two daemons on lb1, which are processes that sleep."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.daemons = [self._daemon("haproxy"), self._daemon("keepalived")]
        self.stopped: list[str] = []

    def _daemon(self, name: str) -> Any:
        return SimpleNamespace(name=name, host=SimpleNamespace(name="lb1"), process=self._started(name))

    def _started(self, name: str) -> Process:
        log = self._directory / f"{name}.log"
        return process.start(name, "lb1", ["sleep", "60"], log, dict(os.environ))

    def daemon(self, host: str, name: str) -> Any:
        return next(d for d in self.daemons if (d.host.name, d.name) == (host, name))

    def stop_daemons(self, daemons: list[Any]) -> None:
        for daemon in daemons:
            daemon.process.stop()
            self.stopped.append(daemon.name)

    def start_daemons(self, daemons: list[Any]) -> None:
        for daemon in daemons:
            daemon.process = self._started(daemon.name)

    def write_state(self) -> None:
        """Nobody reads it here."""

    def assert_healthy(self) -> None:
        assert all(d.process.running for d in self.daemons)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    for daemon in made.daemons:
        daemon.process.kill()


def test_a_killed_daemon_is_gone_alone_and_comes_back(bench: Bench) -> None:
    haproxy, keepalived = bench.daemons
    with ProcessKill(Target("lb1", "haproxy")).injected(cast(Testbed, bench)):
        assert haproxy.process.exit_status == -9
        assert keepalived.process.running
    assert haproxy.process.running


def test_a_hung_daemon_is_there_and_does_nothing_until_it_goes_on(bench: Bench) -> None:
    hung = bench.daemon("lb1", "keepalived").process

    def state() -> str:
        return Path(f"/proc/{hung.pid}/stat").read_text().split()[2]

    with Hang(Target("lb1", "keepalived")).injected(cast(Testbed, bench)):
        assert hung.running
        assert state() == "T"
    assert state() in ("S", "R")


@pytest.mark.parametrize(("part", "stopped"), [(None, ["keepalived", "haproxy"]), ("haproxy", ["haproxy"])])
def test_a_graceful_stop_ends_what_depends_on_others_first(
    bench: Bench, part: str | None, stopped: list[str]
) -> None:
    with GracefulStop(Target("lb1", part)).injected(cast(Testbed, bench)):
        assert bench.stopped == stopped
        assert [d.name for d in bench.daemons if not d.process.running] == sorted(stopped)
    assert all(d.process.running for d in bench.daemons)


@pytest.mark.parametrize(
    ("fault", "target", "meant"),
    [
        ("host-crash", "lb1", {"haproxy", "keepalived"}),
        ("process-kill", "lb1/haproxy", {"haproxy"}),
        ("graceful-stop", "lb1", {"haproxy", "keepalived"}),
        ("link-down", "lb1/public", set()),
    ],
)
def test_a_fault_means_what_it_stops_and_no_other_daemon(fault: str, target: str, meant: set[str]) -> None:
    made = FAULTS[fault].aim(Target.parse(target, Stage3()), Stage3())
    here = [SimpleNamespace(host=SimpleNamespace(name="lb1"), name=n) for n in ("haproxy", "keepalived")]
    elsewhere = SimpleNamespace(host=SimpleNamespace(name="lb2"), name="haproxy")
    assert {d.name for d in here if made.meant(cast(Any, d))} == meant
    assert not made.meant(cast(Any, elsewhere))
