"""A look at every host of a running stage: its sockets, and the processes that hold them.

look(testbed)          `ss` on each host at about the same time, then /proc
"""

from __future__ import annotations

import pwd
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from experiments.harness import sockets
from experiments.harness.links import Connection, Snapshot, connections
from experiments.harness.listening import Holder, Listening, seen
from topologies.testbed import Testbed


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
