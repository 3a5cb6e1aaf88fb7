"""BIND answers for foobar.com with authority, and for nothing else: the resolver of every host."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from services.service import Directory, File, Host, Listener, Service, template_beside

if TYPE_CHECKING:
    from services.credentials import Secrets

ZONE_FILE = "/etc/bind/db.foobar.com"


@dataclass(frozen=True)
class Named(Service):
    """`addresses` of www.foobar.com become A records in this order; answers rotate them.

    `serial` must grow with every change of the zone, or a secondary would never ask for it (RFC 1982).
    """

    name: ClassVar[str] = "named"
    package: ClassVar[str] = "bind9"
    runs_as: ClassVar[str] = "bind"
    reload_signal: ClassVar[signal.Signals | None] = signal.SIGHUP

    listen: str
    addresses: tuple[str, ...]
    records: tuple[tuple[str, str], ...] = ()  # further (host, address) pairs
    ttl_s: int = 30
    serial: int = 1
    zone: str = "foobar.com"
    after: tuple[str, ...] = ()

    def render(self, secrets: Secrets) -> Mapping[str, File]:
        return {
            "/etc/bind/named.conf": File(
                template_beside(__file__, "named.conf", service=self, zone_file=ZONE_FILE)
            ),
            ZONE_FILE: File(template_beside(__file__, "foobar.com.zone", service=self)),
        }

    def directories(self) -> Mapping[str, Directory]:
        return {"/run/named": Directory("bind:bind"), "/var/cache/bind": Directory("root:bind", 0o775)}

    def check(self) -> Sequence[Sequence[str]]:
        return (
            ("named-checkconf", "/etc/bind/named.conf"),
            ("named-checkzone", self.zone, ZONE_FILE),
        )

    @property
    def command(self) -> Sequence[str]:
        return ("named", "-g", "-n", "1", "-u", "bind", "-c", "/etc/bind/named.conf")

    @property
    def listeners(self) -> tuple[Listener, ...]:
        addresses = (self.listen, "127.0.0.1")
        return tuple(Listener(protocol, a, 53) for protocol in ("udp", "tcp") for a in addresses)

    def ready(self, host: Host) -> bool:
        """A question for www gets exactly the declared addresses, with authority."""
        import dns.flags
        import dns.message
        import dns.rdatatype

        question = dns.message.make_query(f"www.{self.zone}", dns.rdatatype.A)
        answer = dns.message.from_wire(host.ask_udp(self.listen, 53, question.to_wire(), timeout_s=1.0))
        found = {str(record) for rrset in answer.answer for record in rrset}
        return bool(answer.flags & dns.flags.AA) and found == set(self.addresses)
