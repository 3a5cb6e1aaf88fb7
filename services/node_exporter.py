"""The node exporter tells Prometheus what the host's network does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.service import EVERY_ADDRESS, File, Host, Listener, Service, as_user, http_status

if TYPE_CHECKING:
    from services.credentials import Secrets

PORT = 9100
#: What the kernel counts per network namespace or names per host, so that each host has figures of its own.
#: /proc/stat, /proc/meminfo and /proc/loadavg are the machine's whoever reads them: the collectors cpu,
#: meminfo and loadavg would show every host the same figures, and all of them wrong.
COLLECTORS = ("netdev", "netstat", "sockstat", "conntrack", "uname")


@dataclass(frozen=True)
class NodeExporter(Service):
    """It needs no configuration file; what it collects is on its command line."""

    name: ClassVar[str] = "node-exporter"
    package: ClassVar[str] = "prometheus-node-exporter"
    runs_as: ClassVar[str] = "prometheus"
    environment: ClassVar[Mapping[str, str]] = {"GOMAXPROCS": "1"}  # as much as its host has, at most

    host_name: str
    after: tuple[str, ...] = ()

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        return {}

    def check(self) -> Sequence[Sequence[str]]:
        return ()

    @property
    def command(self) -> Sequence[str]:
        return as_user(
            "prometheus", "prometheus-node-exporter", f"--web.listen-address=:{PORT}",
            "--web.disable-exporter-metrics",  # nobody asks how the exporter itself is
            "--collector.disable-defaults",
            *(f"--collector.{name}" for name in COLLECTORS),
        )  # fmt: skip

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return (Listener("tcp", EVERY_ADDRESS, PORT),)

    def ready(self, host: Host) -> bool:
        """It hands out its metrics."""
        status, _ = http_status(host.connect("127.0.0.1", PORT, timeout_s=1.0), "127.0.0.1", "/metrics")
        return status == 200
