"""One A question to one name server, as a resolver without a cache asks it (RFC 1035)."""

from __future__ import annotations

import random
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

DNS_PORT = 53


class NoAddress(Exception):
    """The name server answered, but not with an address: NXDOMAIN, SERVFAIL, no A record, not DNS."""


class Records(NamedTuple):
    """The addresses in the order the server sent them, and for how long it says they may be kept."""

    addresses: tuple[str, ...]
    ttl_s: int


def nameserver_endpoint(nameserver: str) -> tuple[str, int]:
    """("8.8.8.53", 53) of "8.8.8.53" or "8.8.8.53:5353". Raises ValueError."""
    address, _, port = nameserver.partition(":")
    return address, int(port) if port else DNS_PORT


class Question:
    """The A question for a host. The message is built once; every asking gets an id of its own."""

    def __init__(self, host: str) -> None:
        self._query = dns.message.make_query(host, dns.rdatatype.A)
        self._after_id = self._query.to_wire()[2:]

    def ask(self) -> tuple[int, bytes]:
        """The id and the datagram of one asking."""
        question_id = random.getrandbits(16)
        return question_id, question_id.to_bytes(2, "big") + self._after_id

    def first_address(self, datagram: bytes, question_id: int) -> str | None:
        """The first A record in the order the server sent them (it rotates them on purpose).

        None if the datagram is no answer to that asking: the right one may still come. Raises NoAddress.
        """
        found = self.addresses(datagram, question_id)
        return found[0] if found else None

    def addresses(self, datagram: bytes, question_id: int) -> tuple[str, ...]:
        """All of them, in that order; empty where first_address is None. Raises NoAddress."""
        found = self.records(datagram, question_id)
        return found.addresses if found else ()

    def records(self, datagram: bytes, question_id: int) -> Records | None:
        """The A records with their TTL; None where first_address is None. Raises NoAddress."""
        if datagram[:2] != question_id.to_bytes(2, "big"):
            return None
        try:
            answer = dns.message.from_wire(datagram, ignore_trailing=True)
        except dns.exception.DNSException as error:
            raise NoAddress(f"not a DNS message: {error}") from error
        self._query.id = question_id
        if not self._query.is_response(answer):
            return None
        for records in answer.answer:  # a CNAME may come first
            if records.rdtype == dns.rdatatype.A:
                return Records(tuple(str(record.address) for record in records), records.ttl)
        raise NoAddress(dns.rcode.to_text(answer.rcode()))
