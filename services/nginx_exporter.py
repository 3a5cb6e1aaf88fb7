"""The nginx exporter asks nginx's stub_status page and says it in Prometheus's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.service import EVERY_ADDRESS, File, Host, Listener, Service, as_user, http_status

if TYPE_CHECKING:
    from services.credentials import Secrets

PORT = 9113


@dataclass(frozen=True)
class NginxExporter(Service):
    """nginx has `timeout_s` to answer, then nginx_up is 0.

    That must be well below Prometheus's scrape_timeout, or a hung nginx would pass for a dead exporter.
    """

    name: ClassVar[str] = "nginx-exporter"
    package: ClassVar[str] = "prometheus-nginx-exporter"
    runs_as: ClassVar[str] = "prometheus"
    environment: ClassVar[Mapping[str, str]] = {"GOMAXPROCS": "1"}

    host_name: str
    status_url: str = "http://127.0.0.1:8080/stub_status"
    timeout_s: float = 0.5
    after: tuple[str, ...] = ("nginx",)

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        return {}

    def check(self) -> Sequence[Sequence[str]]:
        return ()

    @property
    def command(self) -> Sequence[str]:
        return as_user(
            "prometheus", "prometheus-nginx-exporter", f"-web.listen-address=:{PORT}",
            f"-nginx.scrape-uri={self.status_url}", f"-nginx.timeout={self.timeout_s * 1000:g}ms",
            # It asks nginx once before it opens its own port, and would end itself if there were no answer.
            "-nginx.retries=1000000", "-nginx.retry-interval=500ms",
        )  # fmt: skip

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return (Listener("tcp", EVERY_ADDRESS, PORT),)

    def ready(self, host: Host) -> bool:
        """It hands out its metrics, of which nginx_up may be 0: that is its news, not its failure."""
        status, _ = http_status(host.connect("127.0.0.1", PORT, timeout_s=1.0), "127.0.0.1", "/metrics")
        return status == 200
