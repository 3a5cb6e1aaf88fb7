"""Which ports a scan asks, and what it says to a UDP port so that whoever listens there has to answer.

nmap's table of how often each port is found open on the Internet is read where Debian's nmap keeps it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from topologies.stage import DOMAIN

FREQUENCIES = Path("/usr/share/nmap/nmap-services")
#: Without that table: all that RFC 6335 calls system ports.
SYSTEM_PORTS = range(1, 1024)
SNMP_GET_REQUEST = bytes.fromhex(
    "302902010104067075626c6963a01c02040000000102010002010030 0e300c06082b060102010101000500"
)


def common_ports(count: int, table: Path = FREQUENCIES) -> list[int]:
    """The `count` TCP ports most often found open, most frequent first."""
    if not table.exists():
        return list(SYSTEM_PORTS)[:count]
    found: list[tuple[float, int]] = []
    for line in table.read_text(errors="replace").splitlines():
        words = line.split("\t")
        if len(words) >= 3 and words[1].endswith("/tcp") and not line.startswith("#"):
            found.append((float(words[2]), int(words[1].removesuffix("/tcp"))))
    return [port for _, port in sorted(found, key=lambda row: (-row[0], row[1]))[:count]]


def dns_question(name: str = DOMAIN) -> bytes:
    """A query for the A record of `name`, id 0x7465, recursion desired (RFC 1035, section 4.1)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", 0x7465, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def ntp_question() -> bytes:
    """A client's request of version 4 (RFC 5905, section 7.3): LI 0, VN 4, mode 3, all else zero."""
    return b"\x23" + bytes(47)


def tftp_question() -> bytes:
    """A read request for a file nobody has (RFC 1350, section 5): the answer is an error."""
    return b"\0\x01none\0octet\0"


def sip_question() -> bytes:
    """OPTIONS, which every SIP server answers (RFC 3261, section 11)."""
    return (
        b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nMax-Forwards: 0\r\n"
        b"From: <sip:x>;tag=x\r\nTo: <sip:x>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )


#: UDP port → what is asked. Of ports that are not here nobody could say that they are closed.
UDP_QUESTIONS: dict[int, Callable[[], bytes]] = {
    53: dns_question,
    69: tftp_question,
    111: lambda: struct.pack(">IIIIII", 1, 0, 2, 100000, 2, 0) + bytes(16),  # portmapper NULL (RFC 5531)
    123: ntp_question,
    161: lambda: SNMP_GET_REQUEST,
    5060: sip_question,
    5353: dns_question,
    11211: lambda: b"\0\x01\0\0\0\x01\0\0version\r\n",  # memcached's frame header, then its text protocol
}
