"""An operator stops the host's services in order: who stands in front resigns first."""

from __future__ import annotations

from typing import ClassVar

from experiments.faults.fault import Fault, Target, daemon_of
from topologies.stage import Stage
from topologies.testbed import Daemon, Testbed


class GracefulStop(Fault):
    name: ClassVar[str] = "graceful-stop"
    shows: ClassVar[str] = (
        "keepalived resigns with priority 0: the standby waits one skew, not three advertisements"
    )

    @classmethod
    def aim(cls, target: Target, stage: Stage) -> Fault:
        return cls(daemon_of(target, stage, cls.name) if target.part else target)

    def _daemons(self, testbed: Testbed) -> list[Daemon]:
        """In the order they were started; a service comes after those it depends on."""
        part = self.target.part
        return [d for d in testbed.daemons if d.host.name == self.target.host and part in (None, d.name)]

    def inject(self, testbed: Testbed) -> None:
        for daemon in reversed(self._daemons(testbed)):
            testbed.stop_daemons([daemon])

    def took_effect(self, testbed: Testbed) -> bool:
        return not any(d.process is not None and d.process.running for d in self._daemons(testbed))

    def heal(self, testbed: Testbed) -> None:
        testbed.start_daemons(
            [d for d in self._daemons(testbed) if d.process is None or not d.process.running]
        )
