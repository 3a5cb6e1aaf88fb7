"""Locust at work in the client hosts: one process, or a master and workers who meet on the emulated network.

client2  locust (web UI, or headless)            without workers it also has the users
client1, client2, client1 …  locust-worker-N     ──► master at 8.8.8.102:5557
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtests import launch
from topologies.process import Process
from topologies.stage import DOMAIN
from topologies.testbed import Testbed
from topologies.waiting import wait_until

RECORDS = "locust"  # below the results
STAGE_JSON = "stage.json"  # in the results
DOOR = "/run/stage-door"  # on the host with the web UI; its /run is nobody else's
#: Of Locust's own work: above it, what is measured is also Locust waiting for itself.
MOST_CPU, MOST_WAITING = 0.6, 0.05


@dataclass(frozen=True)
class Plan:
    """What was asked for. `users` and `seconds` None: as the shape, or whoever sits at the web UI, says."""

    scenario: str
    users: int | None
    seconds: int | None
    shape: str | None
    web: bool
    workers: int


@dataclass(frozen=True)
class Swarm:
    """The processes, and where each leaves its rows."""

    leader: Process
    workers: tuple[Process, ...]
    records: tuple[Path, ...]  # the leader's first

    @property
    def with_users(self) -> tuple[Process, ...]:
        return self.workers or (self.leader,)

    @property
    def rows(self) -> tuple[Path, ...]:
        return tuple(record / "requests.csv" for record in self.records)

    def users(self) -> int:
        """As the leader said last."""
        load = self.records[0] / "load.csv"
        lines = load.read_text().split("\n")[:-1] if load.exists() else []
        return int(lines[-1].split(",")[1]) if len(lines) > 1 else 0

    def assert_well(self) -> None:
        """Raises DaemonDied with the last words of whoever failed. At the end, workers go first, with 0."""
        for process in (self.leader, *self.workers):
            if process.exit_status not in (None, 0):
                process.assert_running()


def leader_host(testbed: Testbed) -> str:
    """Where the web UI is: not where the prober usually runs."""
    return testbed.stage.clients[-1]


@contextmanager
def swarming(testbed: Testbed, plan: Plan) -> Iterator[Swarm]:
    """Locust works during the block. Raises DaemonDied or NotReady when it does not start."""
    stage, home = testbed.stage, leader_host(testbed)
    address = stage.addresses[home]["public"]
    command = [
        *launch.swarm(
            plan.scenario, host_url=f"{stage.scheme}://{DOMAIN}", users=plan.users, seconds=plan.seconds,
            shape=plan.shape, record=RECORDS,
        ),
        *(launch.master(address, plan.workers) if plan.workers else ()),
        *(launch.web(STAGE_JSON, DOOR) if plan.web else launch.headless()),
    ]  # fmt: skip
    started: list[Process] = []
    records = [testbed.results / RECORDS]
    try:
        started.append(testbed.hosts[home].spawn("locust", command, launch.ENVIRONMENT))
        for number in range(plan.workers):
            name = f"worker-{number + 1}"
            line = launch.worker(plan.scenario, master_address=address, record=f"{RECORDS}/{name}")
            host = testbed.hosts[stage.clients[number % len(stage.clients)]]
            started.append(host.spawn(f"locust-{name}", line, launch.ENVIRONMENT))
            records.append(testbed.results / RECORDS / name)
        swarm = Swarm(started[0], tuple(started[1:]), tuple(records))
        if plan.web:
            wait_until(
                lambda: _answers(testbed, swarm), timeout_s=30, what=f"Locust's web UI on {home} to answer"
            )
        yield swarm
    finally:
        for process in started:  # the master first: it tells its workers that it is over
            process.stop(timeout_s=5.0)


def _answers(testbed: Testbed, swarm: Swarm) -> bool:
    swarm.leader.assert_running()
    swarm.assert_well()
    testbed.hosts[leader_host(testbed)].connect("127.0.0.1", launch.WEB_PORT, 1.0).close()
    return True


class Strain:
    """How hard a process works: its share of a core, and of the time that it stood in the queue for one."""

    def __init__(self, process: Process, now_s: float) -> None:
        self.process = process
        self._begin = (now_s, *_schedstat(process.pid))
        self._last = self._begin

    def look(self, now_s: float) -> None:
        """Once a second: a process that has ended can no longer be asked."""
        seen = _schedstat(self.process.pid)
        if seen != (0.0, 0.0):
            self._last = (now_s, *seen)

    @property
    def cpu(self) -> float:
        return self._share(1)

    @property
    def waiting(self) -> float:
        return self._share(2)

    def _share(self, which: int) -> float:
        wall_s = self._last[0] - self._begin[0]
        return (self._last[which] - self._begin[which]) / wall_s if wall_s > 0 else 0.0

    def doubt(self) -> str | None:
        """Why the latencies may be Locust's own; None when there is no reason."""
        if self.waiting > MOST_WAITING:
            return f"{self.process.name} waited {self.waiting:.0%} of the time for a processor (at most 5%)"
        if self.cpu > MOST_CPU:
            return f"{self.process.name} used {self.cpu:.0%} of a core: part of the latency is its own queue"
        return None


def _schedstat(pid: int) -> tuple[float, float]:
    """Seconds on a processor, and ready but waiting for one, of the main thread; zeros when it is gone."""
    try:
        on, waiting, _ = Path(f"/proc/{pid}/schedstat").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    return int(on) / 1e9, int(waiting) / 1e9
