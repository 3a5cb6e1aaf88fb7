"""A daemon dies of SIGKILL: the host and its kernel go on, and refuse what the daemon accepted."""

from __future__ import annotations

from typing import ClassVar

from experiments.faults.fault import Fault, Target, daemon_of, hit
from topologies.stage import Stage
from topologies.testbed import Testbed


class ProcessKill(Fault):
    name: ClassVar[str] = "process-kill"
    shows: ClassVar[str] = (
        "connections are refused until a health check notices, or nothing happens: keepalived alone"
    )

    @classmethod
    def aim(cls, target: Target, stage: Stage) -> Fault:
        return cls(daemon_of(target, stage, cls.name))

    def inject(self, testbed: Testbed) -> None:
        process = hit(testbed, self.target).process
        if process is not None:
            process.kill()

    def took_effect(self, testbed: Testbed) -> bool:
        process = hit(testbed, self.target).process
        return process is not None and not process.running

    def heal(self, testbed: Testbed) -> None:
        testbed.start_daemons([hit(testbed, self.target)])
