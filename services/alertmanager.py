"""Alertmanager tells the pager of every alert, once when it fires and once when it is over."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from services.prometheus import duration
from services.service import (
    Directory,
    File,
    Host,
    Listener,
    Service,
    Tree,
    as_user,
    http_status,
    template_beside,
)

if TYPE_CHECKING:
    from services.credentials import Secrets

PORT = 9093
CONFIGURATION = "/etc/prometheus/alertmanager.yml"
DATA = "/var/lib/prometheus/alertmanager"
#: Debian leaves the web application out, which would have to be compiled; ours is one page.
PAGES = "/etc/prometheus/alertmanager-ui"


@dataclass(frozen=True)
class Alertmanager(Service):
    """`webhook` is told of a new alert after `group_wait_s`, and of a change within `group_interval_s`."""

    name: ClassVar[str] = "alertmanager"
    package: ClassVar[str] = "prometheus-alertmanager"
    runs_as: ClassVar[str] = "prometheus"
    reload_signal: ClassVar[signal.Signals | None] = signal.SIGHUP
    environment: ClassVar[Mapping[str, str]] = {"GOMAXPROCS": "1"}

    host_name: str
    webhook: str = "http://127.0.0.1:9099/alerts"
    group_wait_s: float = 0.0
    group_interval_s: float = 1.0
    repeat_interval_s: float = 86400.0  # once per run is enough
    after: tuple[str, ...] = ("pager",)

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        text = template_beside(__file__, "alertmanager.yml", service=self, duration=duration)
        return {CONFIGURATION: File(text)}

    def directories(self) -> Mapping[str, Directory]:
        return {DATA: Directory("prometheus:prometheus", fresh=True)}

    def trees(self) -> Mapping[str, Tree]:
        return {PAGES: Tree(Path(__file__).with_name("alertmanager-ui"))}

    def check(self) -> Sequence[Sequence[str]]:
        return (("amtool", "check-config", CONFIGURATION),)

    @property
    def command(self) -> Sequence[str]:
        return as_user(
            "prometheus", "prometheus-alertmanager", f"--config.file={CONFIGURATION}",
            f"--storage.path={DATA}", f"--web.listen-address=127.0.0.1:{PORT}",
            f"--web.ui-path={PAGES}",
            "--cluster.listen-address=",  # it has no peers to wait for
        )  # fmt: skip

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return (Listener("tcp", "127.0.0.1", PORT),)

    def ready(self, host: Host) -> bool:
        status, _ = http_status(host.connect("127.0.0.1", PORT, timeout_s=1.0), "127.0.0.1", "/-/ready")
        return status == 200
