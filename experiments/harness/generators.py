"""The two generators of a run: the prober, which measures, and Locust, which is only the load."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from experiments.harness.model import LoadSample
from loadtests import launch
from loadtests.prober_config import ProberConfig
from loadtests.probes import Probe, read_probes
from topologies.host import EmulatedHost
from topologies.process import Process
from topologies.waiting import DaemonDied, wait_until

LOAD = "locust"


@dataclass
class RunningProber:
    """A prober at work; `summary` is filled in when it has ended."""

    process: Process
    rows: Path
    summary: dict[str, Any]

    def probes(self) -> list[Probe]:
        """Its rows so far. Raises DaemonDied when it has ended: what nobody watched cannot be judged."""
        self.process.assert_running()
        return read_probes(self.rows)


@contextmanager
def probing(
    host: EmulatedHost, config: ProberConfig, results: Path, name: str = "prober"
) -> Iterator[RunningProber]:
    """Probe from `host` while the block runs. Raises DaemonDied when the prober ends early.

    A second prober of one run needs another `name`, and another output.
    """
    (results / f"{name}.json").write_text(config.to_json())
    process = host.spawn(name, launch.prober(f"{name}.json"), launch.ENVIRONMENT)
    prober = RunningProber(process, results / PurePosixPath(config.output).name, {})

    def first_probe_is_out() -> bool:
        process.assert_running()
        return "started_s" in process.log.read_text()

    try:
        wait_until(
            first_probe_is_out, timeout_s=15, what=f"the prober on {host.name} to send its first probe"
        )
        yield prober
        process.assert_running()
    finally:
        process.stop(timeout_s=5.0 + config.timeout_s)
    prober.summary.update(_last_json_line(process))


def _last_json_line(process: Process) -> dict[str, Any]:
    for line in reversed(process.log.read_text().splitlines()):
        if line.startswith("{"):
            summary: dict[str, Any] = json.loads(line)
            return summary
    raise DaemonDied(f"the prober on {process.host} left no summary:\n{process.last_lines()}")


@contextmanager
def loading(
    host: EmulatedHost,
    results: Path,
    *,
    host_url: str,
    users: int,
    at_most_s: int = 3600,
    scenario: str = "browse",
) -> Iterator[None]:
    """Load with Locust from `host` while the block runs; no users, no load.

    Raises NotReady when none of its requests succeeds: users who only fail are no load.
    """
    if users == 0:
        yield
        return
    command = launch.locust(
        scenario, host_url=host_url, users=users, spawn_rate=users, at_most_s=at_most_s, record=LOAD
    )
    process = host.spawn("locust", command, launch.ENVIRONMENT)

    def requests_succeed() -> bool:
        process.assert_running()
        outcomes = {row.split(",")[4] for row in _lines(results / LOAD / "requests.csv")[1:]}
        return "ok" in outcomes and len(_lines(results / LOAD / "load.csv")) > 1

    try:
        wait_until(requests_succeed, timeout_s=20, what=f"Locust on {host.name} to get a good answer")
        yield
    finally:
        process.stop(timeout_s=5.0)


def load_samples(results: Path) -> list[LoadSample]:
    """load.csv, as far as it is written."""

    def maybe(text: str) -> float | None:
        return float(text) if text else None

    rows = [line.split(",") for line in _lines(results / LOAD / "load.csv")[1:]]
    return [
        LoadSample(float(t), int(users), float(rps), float(failed), maybe(p50), maybe(p95))
        for t, users, rps, failed, p50, p95 in rows
    ]


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    return [line for line in path.read_text().split("\n")[:-1] if line]


def observe_until(moment_s: float) -> None:
    """Let the system run, watching: this is what an experiment's time is for."""
    time.sleep(max(0.0, moment_s - time.monotonic()))
