"""keepalived moves the virtual addresses to the load balancer that is alive (VRRP, RFC 3768 and RFC 5798)."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.service import Directory, File, Host, Listener, Service, http_status, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

CONFIGURATION = "/etc/keepalived/keepalived.conf"
ALIVE = "/etc/keepalived/haproxy-alive"
VRRP_GROUP = "224.0.0.18"  # RFC 5798 §5.1.1.2


@dataclass(frozen=True)
class VirtualAddress:
    """One VRRP instance: who answers for `address` when, by priority."""

    name: str
    address: str  # with prefix length: "8.8.8.8/24"
    router_id: int
    priority: int
    state: str  # MASTER or BACKUP: where it starts; the priorities decide where it ends


@dataclass(frozen=True)
class Keepalived(Service):
    """HAProxy on `alive_port` is asked every `check_interval_s`.

    After `check_fall` failures this host gives its virtual addresses away.
    """

    name: ClassVar[str] = "keepalived"
    package: ClassVar[str] = "keepalived"
    ready_timeout_s: ClassVar[float] = 30.0
    reload_signal: ClassVar[signal.Signals | None] = signal.SIGHUP

    host_name: str
    interface: str
    virtual_addresses: tuple[VirtualAddress, ...]
    alive_port: int
    advert_int_s: float = 1.0
    check_interval_s: int = 1
    check_fall: int = 2
    check_rise: int = 2
    server_name: str = "www.foobar.com"
    after: tuple[str, ...] = ("haproxy",)

    @property
    def vrrp_version(self) -> int:
        """VRRPv2 counts whole seconds (RFC 3768 §5.3.7), VRRPv3 centiseconds (RFC 5798 §5.2.7)."""
        return 2 if float(self.advert_int_s).is_integer() else 3

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        return {
            CONFIGURATION: File(template_beside(__file__, "keepalived.conf", service=self, script=ALIVE)),
            ALIVE: File(template_beside(__file__, "haproxy-alive", port=self.alive_port), mode=0o755),
        }

    def directories(self) -> Mapping[str, Directory]:
        return {"/run/keepalived": Directory()}

    def check(self) -> Sequence[Sequence[str]]:
        # keepalived 2.2 -t with an unprivileged script_user takes its parent for dead and ends itself with
        # SIGTERM. As the first process of a PID namespace it is deaf to that signal, and its exit status is
        # the check's.
        return (("unshare", "--pid", "--fork", "--", "keepalived", "-t", "-f", CONFIGURATION),)

    @property
    def command(self) -> Sequence[str]:
        run = "/run/keepalived"
        return (
            "keepalived", "-n", "-l", "-D", "-P", "-f", CONFIGURATION,
            "-p", f"{run}/keepalived.pid", "-r", f"{run}/vrrp.pid", "-c", f"{run}/checkers.pid",
        )  # fmt: skip

    @property
    def listeners(self) -> tuple[Listener, ...]:
        return (Listener("vrrp", VRRP_GROUP),)

    def ready(self, host: Host) -> bool:
        """Every virtual address of this host's cluster answers here or on the peer."""
        for vip in self.virtual_addresses:
            connection = host.connect(vip.address.partition("/")[0], 80, timeout_s=1.0)
            status, _ = http_status(connection, self.server_name, "/")
            if status not in (200, 301):  # the site, or the redirect to its encrypted form
                return False
        return True
