"""The power fails: the links drop, then everything on the host is gone at once; no daemon says goodbye.

Links first: a killed process's kernel would still send FIN and RST for its connections.
"""

from __future__ import annotations

from typing import ClassVar

from experiments.faults.fault import Fault
from topologies.testbed import Testbed


class HostCrash(Fault):
    name: ClassVar[str] = "host-crash"
    shows: ClassVar[str] = "a standby must notice silence: nobody resigns, nobody refuses"
    silences: ClassVar[bool] = True

    def inject(self, testbed: Testbed) -> None:
        testbed.unplug(self.target.host, *testbed.stage.addresses[self.target.host])
        group = testbed.hosts[self.target.host].group
        if group is not None:
            group.kill()

    def took_effect(self, testbed: Testbed) -> bool:
        group = testbed.hosts[self.target.host].group
        return group is not None and not group.pids()

    def heal(self, testbed: Testbed) -> None:
        """The host boots: its own addresses only, empty neighbour table, daemons from their unit files."""
        testbed.reset_addresses(self.target.host)
        testbed.plug(self.target.host, *testbed.stage.addresses[self.target.host])
        testbed.start_daemons([d for d in testbed.daemons if d.host.name == self.target.host])
