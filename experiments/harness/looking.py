"""A look at every host of a running stage: its sockets, and the processes that hold them.

look(testbed)                          `ss` on each host at once, then /proc
held_at_the_database(testbed)          requests stop where rows are, and can be looked at under way
"""

from __future__ import annotations

import contextlib
import pwd
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from experiments.harness import sockets
from experiments.harness.hops import Connection, Snapshot, connections
from experiments.harness.listening import Holder, Listening, seen
from services import mysql
from topologies.process import Process
from topologies.testbed import Testbed
from topologies.waiting import wait_until

#: Below the time after which the site gives up on its database, and nginx on the site.
HELD_S = 0.8
_LOCK = f"LOCK TABLES items WRITE, orders WRITE; SELECT 'locked'; SELECT SLEEP({HELD_S});"


@dataclass(frozen=True)
class Look:
    """All hosts at one moment."""

    testbed: Testbed
    snapshot: Snapshot
    holders: dict[int, Holder]

    @property
    def listening(self) -> list[Listening]:
        return seen(self.snapshot, self.holders)

    @property
    def connections(self) -> list[Connection]:
        return connections(self.snapshot, self.holders, self.testbed.stage)


def look(testbed: Testbed) -> Look:
    """Raises CommandFailed."""
    names = list(testbed.hosts)
    with ThreadPoolExecutor(max_workers=4) as pool:
        texts = pool.map(lambda name: testbed.hosts[name].run(sockets.SS).stdout, names)
        snapshot = {name: sockets.parse(text) for name, text in zip(names, texts, strict=True)}
    pids = {pid for those in snapshot.values() for socket in those for pid in socket.pids}
    daemons = {d.process.pid: d.name for d in testbed.daemons if d.process is not None}
    holders = {pid: holder for pid in pids if (holder := _holder(pid, daemons)) is not None}
    return Look(testbed, snapshot, holders)


def _holder(pid: int, daemons: dict[int, str]) -> Holder | None:
    """From /proc (proc(5)); None for a process that has ended. All hosts share their process ids.

    Every daemon was started as the leader of a session, which its workers share.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    before, _, after = stat.rpartition(")")
    fields = after.split()  # from the third on: state, parent, group, session
    uid = int(status.partition("\nUid:")[2].split()[1])  # the effective one
    return Holder(pid, int(fields[1]), _user(uid), before.partition("(")[2], daemons.get(int(fields[3]), ""))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@contextlib.contextmanager
def held_at_the_database(testbed: Testbed) -> Iterator[None]:
    """For HELD_S from the beginning of the block every statement of the site waits for a lock.

    Leaves when the locks are gone. Raises NotReady when they cannot be had.
    """
    locks = [_lock(testbed, host) for host in testbed.stage.hosts_of("mysql")]
    try:
        for lock in locks:
            wait_until(
                lambda lock=lock: _locked(lock), timeout_s=5, what=f"the tables on {lock.host} to be locked"
            )
        yield
        for lock in locks:
            lock.wait(HELD_S + 5)
    finally:
        for lock in locks:
            lock.kill()


def _lock(testbed: Testbed, host: str) -> Process:
    """The operator's own client, as root, who is known by the socket; a lock ends with its connection."""
    command = (
        "mariadb", "--no-defaults", f"--socket={mysql.SOCKET}", "--user=root", "--batch", "--unbuffered",
        "--execute", _LOCK, "foobar",
    )  # fmt: skip
    log = testbed.results / "hosts" / host / "lock.log"
    log.unlink(missing_ok=True)
    return testbed.hosts[host].spawn("lock", command)


def _locked(lock: Process) -> bool:
    if "locked" in lock.log.read_text():
        return True
    lock.assert_running()
    return False
