"""A fault has a target, can be injected and healed, and always is healed.

with fault.injected(testbed):      # injects, verifies that it took effect
    watch()
# healed here, whatever happened; the stage answers again
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from topologies.stage import Stage
from topologies.testbed import Daemon, Testbed
from topologies.waiting import wait_until


class BadTarget(ValueError):
    """Raised for a target that the stage does not have, or that the fault cannot hit; names what would do."""


@dataclass(frozen=True)
class Target:
    """A host, and the daemon or segment on it where a fault needs one: "lb1", "lb1/haproxy", "lb1/app"."""

    host: str
    part: str | None = None

    @classmethod
    def parse(cls, text: str, stage: Stage) -> Target:
        """Raises BadTarget."""
        host, _, part = text.partition("/")
        breakable = [name for name, role in stage.roles.items() if role != "client"]
        if host not in breakable:
            raise BadTarget(f"stage {stage.number} has no {host!r} to break; it has {', '.join(breakable)}")
        return cls(host, part or None)

    def __str__(self) -> str:
        return f"{self.host}/{self.part}" if self.part else self.host


@dataclass(frozen=True)
class Fault(ABC):
    """Base of all faults. `name` is what --fault takes; `shows` is one line for the list of faults."""

    name: ClassVar[str]
    shows: ClassVar[str]
    #: The target cannot resign: that it notices something itself brings nobody an address.
    silences: ClassVar[bool] = False

    target: Target

    @classmethod
    def aim(cls, target: Target, stage: Stage) -> Fault:
        """The fault for this target, its part filled in. Raises BadTarget where it cannot be applied."""
        if target.part is not None:
            raise BadTarget(f"{cls.name} hits a whole host: say {target.host}, not {target}")
        return cls(target)

    @property
    def daemon(self) -> str | None:
        """The daemon that is hit, where it is one."""
        return self.target.part

    @property
    def segment(self) -> str | None:
        """The network that is cut, where it is one."""
        return None

    @property
    def delay_s(self) -> float:
        """How much longer every answer of the target takes."""
        return 0.0

    def meant(self, daemon: Daemon) -> bool:
        """Whether this daemon is down because of the fault; any other that dies spoils the trial."""
        if daemon.host.name != self.target.host or self.segment is not None:
            return False
        return self.daemon in (None, daemon.name)

    @abstractmethod
    def inject(self, testbed: Testbed) -> None:
        """Break it."""

    @abstractmethod
    def took_effect(self, testbed: Testbed) -> bool:
        """What the kernel says, not what we intended."""

    @abstractmethod
    def heal(self, testbed: Testbed) -> None:
        """Undo `inject`, also a half-finished one."""

    @contextmanager
    def injected(self, testbed: Testbed) -> Iterator[None]:
        """Raises NotReady when the fault does not take effect, or the stage does not answer after healing."""
        with together(testbed, (self,)):
            yield


@contextmanager
def together(testbed: Testbed, faults: Sequence[Fault]) -> Iterator[None]:
    """Several faults at once; all are healed, the last one first, before the stage must answer again."""
    with ExitStack() as healing:
        healing.callback(testbed.write_state)
        for fault in faults:
            healing.callback(fault.heal, testbed)
            fault.inject(testbed)
        for fault in faults:
            wait_until(
                partial(fault.took_effect, testbed),
                timeout_s=5,
                what=f"{fault.name} of {fault.target} to take effect",
            )
        yield
    testbed.assert_healthy()


def daemon_of(target: Target, stage: Stage, fault: str) -> Target:
    """`target` with its daemon: the one named, else the host's first. Raises BadTarget."""
    there = [service.name for service in stage.declared[target.host] if not service.oneshot]
    if target.part is None and there:
        return Target(target.host, there[0])
    if target.part not in there:
        raise BadTarget(f"{fault}: {target.host} runs {', '.join(there) or 'no daemon'}, not {target.part!r}")
    return target


def hit(testbed: Testbed, target: Target) -> Daemon:
    """The daemon that a target with a part names."""
    return testbed.daemon(target.host, target.part or "")
