"""The control: nothing is broken, and nothing may be seen."""

from __future__ import annotations

from typing import ClassVar

from experiments.faults.fault import Fault
from topologies.testbed import Testbed


class NoFault(Fault):
    name: ClassVar[str] = "none"
    shows: ClassVar[str] = "the control: whatever is seen without a fault is the instrument's own error"

    def inject(self, testbed: Testbed) -> None:
        """Nothing."""

    def took_effect(self, testbed: Testbed) -> bool:
        return True

    def heal(self, testbed: Testbed) -> None:
        """Nothing."""
