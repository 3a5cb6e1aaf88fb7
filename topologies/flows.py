"""Who may speak to whom, and why: one declaration draws the picture and makes the rules; a scan must find it.

client1>lb1:tcp/443        client1 may open connections to port 443 of lb1
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

Protocol = Literal["tcp", "udp", "vrrp"]
_HOST = r"\w[\w-]*(?<!-)"
_WRITTEN = re.compile(
    rf"(?P<source>{_HOST})>(?P<destination>{_HOST}):(?P<protocol>tcp|udp)/(?P<port>\d{{1,5}})", re.ASCII
)


class BadFlow(ValueError):
    """Raised for a text that is no flow, or a flow that the stage cannot carry; says what would do."""


@dataclass(frozen=True)
class Flow:
    """`source` and `destination` are host names; VRRP has no port."""

    source: str
    destination: str
    protocol: Protocol
    port: int | None
    purpose: str

    @property
    def opening(self) -> str:
        """What it needs open at the destination: "tcp/443", "vrrp"."""
        return self.protocol if self.port is None else f"{self.protocol}/{self.port}"

    def __str__(self) -> str:
        """As parse_flow reads it."""
        return f"{self.source}>{self.destination}:{self.opening}"


def parse_flow(text: str) -> Flow:
    """The flow that somebody typed. Raises BadFlow."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        raise BadFlow(f"flow {text!r}: must look like client1>lb1:tcp/443")
    port = int(found["port"])
    if not 1 <= port <= 65535:
        raise BadFlow(f"flow {text!r}: port {port}; 1 to 65535")
    if found["source"] == found["destination"]:
        raise BadFlow(f"flow {text!r}: a host needs no leave to speak to itself")
    protocol = cast(Protocol, found["protocol"])
    return Flow(found["source"], found["destination"], protocol, port, "declared on the command line")
