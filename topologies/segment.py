"""A segment is a Linux bridge that takes every port declared for it."""

from __future__ import annotations

from typing import Any

from mininet.nodelib import LinuxBridge


class Segment(LinuxBridge):  # type: ignore[misc]  # mininet has no types
    """Mininet's own bridge silently leaves out every port whose name does not contain the bridge's.

    Linux allows 15 characters, and "monitoring" and "server1" do not both fit.
    """

    def start(self, controllers: Any) -> None:
        super().start(controllers)
        for port in self.intfList():
            if port.link is not None and self.name not in port.name:
                self.cmd("brctl", "addif", self.name, port.name)
