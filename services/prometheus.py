"""Prometheus asks every agent for its figures and tells Alertmanager when one of them is bad for too long."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.service import Directory, File, Host, Listener, Service, as_user, http_status, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

PORT = 9090
CONFIGURATION = "/etc/prometheus/prometheus.yml"
RULES = "/etc/prometheus/alerts.yml"
DATA = "/var/lib/prometheus/metrics2"
#: A target that has not answered by then counts as down. Its agents answer within milliseconds.
SCRAPE_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class Target:
    """An agent on `host`, which belongs to `layer`, at `address`:`port`."""

    job: str  # node, haproxy, nginx or mysql
    host: str
    address: str
    port: int
    layer: str


@dataclass(frozen=True)
class Prometheus(Service):
    """Its own figures and Alertmanager's are asked for as well as those of `targets`.

    An alert fires at the first evaluation at which its condition has held for `alert_for_s`.
    """

    name: ClassVar[str] = "prometheus"
    package: ClassVar[str] = "prometheus"
    runs_as: ClassVar[str] = "prometheus"
    reload_signal: ClassVar[signal.Signals | None] = signal.SIGHUP
    environment: ClassVar[Mapping[str, str]] = {"GOMAXPROCS": "1"}

    host_name: str
    targets: tuple[Target, ...]
    scrape_interval_s: float = 2.0
    evaluation_interval_s: float = 2.0
    alert_for_s: float = 4.0
    after: tuple[str, ...] = ()

    @property
    def scrape_timeout_s(self) -> float:
        """Prometheus refuses a timeout that is longer than the interval."""
        return min(SCRAPE_TIMEOUT_S, self.scrape_interval_s)

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        jobs: dict[str, list[Target]] = {}
        for target in self.targets:
            jobs.setdefault(target.job, []).append(target)
        values = {"service": self, "jobs": jobs, "port": PORT, "rules": RULES, "duration": duration}
        return {
            CONFIGURATION: File(template_beside(__file__, "prometheus.yml", **values)),
            RULES: File(template_beside(__file__, "alerts.yml", service=self, duration=duration)),
        }

    def directories(self) -> Mapping[str, Directory]:
        return {DATA: Directory("prometheus:prometheus", fresh=True)}

    def check(self) -> Sequence[Sequence[str]]:
        return (("promtool", "check", "config", CONFIGURATION),)  # and the rules that it names

    @property
    def command(self) -> Sequence[str]:
        return as_user(
            "prometheus", "prometheus", f"--config.file={CONFIGURATION}", f"--storage.tsdb.path={DATA}",
            "--storage.tsdb.retention.time=1d",  # a run lives minutes
            f"--web.listen-address=127.0.0.1:{PORT}",
        )  # fmt: skip

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return (Listener("tcp", "127.0.0.1", PORT),)

    def ready(self, host: Host) -> bool:
        status, _ = http_status(host.connect("127.0.0.1", PORT, timeout_s=1.0), "127.0.0.1", "/-/ready")
        return status == 200


def duration(seconds: float) -> str:
    """`seconds` as Prometheus and Alertmanager write it, who know no fractions: "2s", "250ms"."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds}ms" if milliseconds % 1000 else f"{milliseconds // 1000}s"
