"""The operator's pager: a webhook that writes down every alert and the moment it came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from services.service import File, Host, Listener, Service, as_user, http_status

if TYPE_CHECKING:
    from services.credentials import Secrets

PORT = 9099
SCRIPT = "/etc/prometheus/pager"


@dataclass(frozen=True)
class Pager(Service):
    """Its standard output is one JSON object per alert and line: t_s, status, labels, starts_at.

    pager_webhook.py, the script it runs, shows one.
    """

    name: ClassVar[str] = "pager"
    package: ClassVar[str] = ""  # Python's standard library is all it needs
    runs_as: ClassVar[str] = "prometheus"

    host_name: str
    after: tuple[str, ...] = ()

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        return {SCRIPT: File(Path(__file__).with_name("pager_webhook.py").read_text(), mode=0o755)}

    def check(self) -> Sequence[Sequence[str]]:
        return ()

    @property
    def command(self) -> Sequence[str]:
        return as_user("prometheus", "/usr/bin/python3", "-I", SCRIPT, "127.0.0.1", str(PORT))

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return (Listener("tcp", "127.0.0.1", PORT),)

    def ready(self, host: Host) -> bool:
        status, _ = http_status(host.connect("127.0.0.1", PORT, timeout_s=1.0), "127.0.0.1", "/alive")
        return status == 200
