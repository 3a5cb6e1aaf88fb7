"""A daemon stops (SIGSTOP): its sockets accept, and nothing ever answers."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from experiments.faults.fault import Fault, Target, daemon_of, hit
from topologies.stage import Stage
from topologies.testbed import Testbed


class Hang(Fault):
    name: ClassVar[str] = "hang"
    shows: ClassVar[str] = (
        "the process is there and its port is open: only a check that wants an answer notices"
    )

    @classmethod
    def aim(cls, target: Target, stage: Stage) -> Fault:
        return cls(daemon_of(target, stage, cls.name))

    def inject(self, testbed: Testbed) -> None:
        process = hit(testbed, self.target).process
        if process is not None:
            process.pause()

    def took_effect(self, testbed: Testbed) -> bool:
        process = hit(testbed, self.target).process
        if process is None or not process.running:
            return False
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "T"

    def heal(self, testbed: Testbed) -> None:
        daemon = hit(testbed, self.target)
        if daemon.process is not None:
            daemon.process.resume()
