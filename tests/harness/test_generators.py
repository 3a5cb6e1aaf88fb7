"""The generators are awaited until they work, noticed when they die, and read as far as they have written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest

from experiments.harness import generators
from experiments.harness.generators import RunningProber, load_samples, loading, observe_until, probing
from experiments.harness.model import LoadSample
from loadtests.prober_config import ProberConfig, StreamConfig
from loadtests.probes import COLUMNS
from topologies import process
from topologies.host import EmulatedHost
from topologies.process import Process
from topologies.waiting import DaemonDied, NotReady, wait_until

PROBES = "/run/testbed/results/probes.csv"
CONFIG = ProberConfig((StreamConfig("vip", "http://www.foobar.com/", 100, connect_to="8.8.8.8"),), PROBES)
LOAD = "t_s,users,rps,failures_per_s,p50_ms,p95_ms\n"
WORKS = "trap 'echo {\\\"bad\\\": 0}; exit 0' TERM; echo '{\"started_s\": 1.0}'; while :; do sleep 0.01; done"
Spawn = Callable[[str], EmulatedHost]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Spawn]:
    """A client host on which every generator is the given script; it runs in the results directory."""
    started: list[Process] = []

    class Client:
        name = "client1"

        def __init__(self, script: str) -> None:
            self._script = script
            self.commands: list[Sequence[str]] = []

        def spawn(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Process:
            assert environment == {"PYTHONPATH": "/run/testbed/code"}
            self.commands.append(command)
            line = ["sh", "-c", f"cd {tmp_path}; {self._script}"]
            started.append(process.start(name, self.name, line, tmp_path / f"{name}.log", dict(os.environ)))
            return started[-1]

    yield lambda script: cast(EmulatedHost, Client(script))
    for one in started:
        one.kill()


# -- the prober --------------------------------------------------------------------------------------


def test_the_block_begins_with_the_first_probe_and_ends_with_the_summary(
    client: Spawn, tmp_path: Path
) -> None:
    with probing(client(WORKS), CONFIG, tmp_path) as prober:
        assert prober.process.running
        assert ProberConfig.from_json((tmp_path / "prober.json").read_text()) == CONFIG
        (tmp_path / "probes.csv").write_text(
            ",".join(COLUMNS) + "\nvip,0,1.0,1.0,,,1.1,refused,,8.8.8.8,\nvip,1,1."
        )
        (probe,) = prober.probes()
        assert (probe.k, probe.outcome) == (0, "refused")
        assert prober.summary == {}
    assert prober.summary == {"bad": 0}
    assert not prober.process.running


def test_a_prober_that_does_not_start_is_noticed_with_its_words(client: Spawn, tmp_path: Path) -> None:
    with (
        pytest.raises(DaemonDied, match=r"prober on client1 exited with status 2(?s:.*)no such nameserver"),
        probing(client("echo no such nameserver; exit 2"), CONFIG, tmp_path),
    ):
        pytest.fail("there is nothing to watch")


def test_what_a_dead_prober_left_is_not_taken_for_an_observation(client: Spawn, tmp_path: Path) -> None:
    begun = client(WORKS).spawn("prober", (), {"PYTHONPATH": "/run/testbed/code"})
    begun.kill()
    (tmp_path / "probes.csv").write_text(",".join(COLUMNS) + "\n")
    with pytest.raises(DaemonDied, match="prober on client1 exited"):
        RunningProber(begun, tmp_path / "probes.csv", {}).probes()


def test_a_prober_that_dies_while_nobody_looks_is_noticed_at_the_end(client: Spawn, tmp_path: Path) -> None:
    with (
        pytest.raises(DaemonDied, match="prober on client1 exited"),
        probing(client(WORKS), CONFIG, tmp_path) as prober,
    ):
        prober.process.kill()


def test_a_prober_without_summary_is_an_error(client: Spawn, tmp_path: Path) -> None:
    silent = WORKS.replace('echo {\\"bad\\": 0}; ', "").replace('{"started_s": 1.0}', "started_s 1.0")
    with pytest.raises(DaemonDied, match="left no summary"), probing(client(silent), CONFIG, tmp_path):
        pass


# -- Locust ------------------------------------------------------------------------------------------


def test_without_users_there_is_no_load(client: Spawn, tmp_path: Path) -> None:
    host = client("exit 1")
    with loading(host, tmp_path, host_url="https://www.foobar.com", users=0, at_most_s=60):
        pass
    assert load_samples(tmp_path) == []


def recording(outcome: str) -> str:
    """A Locust whose second and requests come a moment after it has started, and which goes on."""
    header = LOAD.replace("\n", "\\n")
    return (
        f"mkdir locust; printf '{header}' > locust/load.csv; echo header > locust/requests.csv; sleep 0.05; "
        f"echo 1,5,9.0,0,, >> locust/load.csv; echo 1.0,2.5,GET,/,{outcome},lb1 >> locust/requests.csv; "
        "exec sleep 60"
    )


def test_the_block_begins_when_a_request_succeeds_and_ends_with_locust(client: Spawn, tmp_path: Path) -> None:
    host = client(recording("ok"))
    with loading(host, tmp_path, host_url="https://www.foobar.com", users=5, at_most_s=60):
        assert load_samples(tmp_path) == [LoadSample(1.0, 5, 9.0, 0.0, None, None)]
    (command,) = host.commands
    assert command[command.index("--users") + 1] == "5"
    assert command[command.index("--run-time") + 1] == "60s", "every load is bounded"


def test_users_who_only_fail_are_no_load(
    client: Spawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def soon(condition: Callable[[], bool], *, timeout_s: float, what: str) -> float:
        return wait_until(condition, timeout_s=min(timeout_s, 0.3), what=what)

    monkeypatch.setattr(generators, "wait_until", soon)
    failing = loading(client(recording("tls")), tmp_path, host_url="https://x", users=5, at_most_s=60)
    with pytest.raises(NotReady, match="Locust on client1 to get a good answer"), failing:
        pytest.fail("nobody was served")


def test_a_locust_that_does_not_start_is_noticed_with_its_words(client: Spawn, tmp_path: Path) -> None:
    with (
        pytest.raises(DaemonDied, match=r"locust on client1(?s:.*)no locustfile"),
        loading(client("echo no locustfile; exit 1"), tmp_path, host_url="http://x", users=5, at_most_s=60),
    ):
        pytest.fail("there is no load")


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        (None, []),
        ("", []),
        (LOAD, []),
        (LOAD + "12.5,20,398.5,0.5,2,4.5\n", [LoadSample(12.5, 20, 398.5, 0.5, 2.0, 4.5)]),
        (LOAD + "12.5,20,398.5,0,,\n13.5,20,39", [LoadSample(12.5, 20, 398.5, 0.0, None, None)]),
    ],
)
def test_seconds_are_read_as_far_as_they_are_written(
    text: str | None, samples: list[LoadSample], tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "locust").mkdir()
        (tmp_path / "locust" / "load.csv").write_text(text)
    assert load_samples(tmp_path) == samples


def test_a_moment_that_has_passed_is_not_waited_for() -> None:
    observe_until(0.0)
