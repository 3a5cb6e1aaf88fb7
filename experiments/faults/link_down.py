"""Somebody pulls one cable: the host lives on and sees its link go down."""

from __future__ import annotations

from typing import ClassVar

from experiments.faults.fault import BadTarget, Fault, Target
from topologies.stage import Stage, interface
from topologies.testbed import Testbed


class LinkDown(Fault):
    name: ClassVar[str] = "link-down"
    shows: ClassVar[str] = "keepalived sees the carrier go and drops the address; the peer still has to wait"
    silences: ClassVar[bool] = True

    @classmethod
    def aim(cls, target: Target, stage: Stage) -> Fault:
        segments = list(stage.addresses[target.host])
        segment = target.part or segments[0]
        if segment not in segments:
            raise BadTarget(f"link-down: {target.host} is on {', '.join(segments)}, not on {segment!r}")
        return cls(Target(target.host, segment))

    @property
    def daemon(self) -> str | None:
        return None

    @property
    def segment(self) -> str | None:
        return self.target.part

    def inject(self, testbed: Testbed) -> None:
        testbed.unplug(self.target.host, self.segment or "")

    def took_effect(self, testbed: Testbed) -> bool:
        name = interface(self.target.host, self.segment or "")
        said = testbed.hosts[self.target.host].run(["ip", "-o", "link", "show", "dev", name]).stdout
        return "NO-CARRIER" in said or "LOWERLAYERDOWN" in said

    def heal(self, testbed: Testbed) -> None:
        testbed.plug(self.target.host, self.segment or "")
