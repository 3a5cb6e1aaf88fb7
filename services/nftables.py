"""One firewall: what the stage did not declare is dropped and logged, and the kernel counts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.service import File, Host, Listener, Service, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

CONFIGURATION = "/etc/nftables.conf"
LOG_GROUP = 5  # NFLOG: the kernel's own log belongs to the machine, not to this host
#: A connection that has ended is forgotten after 10 s instead of 120: at a thousand new connections a second
#: the kernel's table of connections would be full within minutes, and a full table drops everything.
TIME_WAIT = "net.netfilter.nf_conntrack_tcp_timeout_time_wait=10"


@dataclass(frozen=True)
class Rule:
    """Who may come in: by interface, by source address (none: everybody on that network), by port."""

    interface: str
    sources: tuple[str, ...]
    protocol: str  # tcp, udp, or vrrp, which has no port
    port: int | None
    purpose: str


@dataclass(frozen=True)
class Nftables(Service):
    """The rules of one host. They stay in its kernel; no process does."""

    name: ClassVar[str] = "nftables"
    package: ClassVar[str] = "nftables"
    oneshot: ClassVar[bool] = True

    host_name: str
    layer: str
    rules: tuple[Rule, ...]
    after: tuple[str, ...] = ()

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        text = template_beside(__file__, "nftables.conf", service=self, log_group=LOG_GROUP)
        return {CONFIGURATION: File(text)}

    def check(self) -> Sequence[Sequence[str]]:
        return (("nft", "--check", "--file", CONFIGURATION),)

    @property
    def command(self) -> Sequence[str]:
        return ("sh", "-c", f"nft --file {CONFIGURATION} && exec sysctl -q -w {TIME_WAIT}")

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return ()  # it refuses; it does not wait

    @property
    def program(self) -> str:
        return "nft"

    def ready(self, host: Host) -> bool:
        """Its command has ended well, so the kernel has the whole ruleset: nft loads all of it or nothing."""
        return True
