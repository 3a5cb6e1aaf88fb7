"""Captures that nobody ever made, byte by byte as tcpdump writes them (libpcap 2.4, Ethernet, IPv4, TCP)."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable


def ipv4(source: str, destination: str, protocol: int, body: bytes, options: bytes = b"") -> bytes:
    header = 20 + len(options)
    fields = struct.pack(">BBHHHBBH", 0x40 | header // 4, 0, header + len(body), 0, 0, 64, protocol, 0)
    ends = b"".join(ipaddress.IPv4Address(address).packed for address in (source, destination))
    return fields + ends + options + body


def tcp(
    source_port: int, destination_port: int, sequence: int, payload: bytes, options: bytes = b""
) -> bytes:
    header = 20 + len(options)
    return (
        struct.pack(
            ">HHIIBBHHH", source_port, destination_port, sequence % 2**32, 0, header // 4 << 4, 0x18, 0, 0, 0
        )
        + options
        + payload
    )


def frame(packet: bytes, kind: int = 0x0800) -> bytes:
    """Padded to Ethernet's minimum, as it comes from a wire."""
    return (bytes(12) + struct.pack(">H", kind) + packet).ljust(60, b"\xaa")


def capture(frames: Iterable[bytes], order: str = "<", link: int = 1) -> bytes:
    head = struct.pack(f"{order}IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, link)
    records = [struct.pack(f"{order}IIII", 0, 0, len(one), len(one)) + one for one in frames]
    return head + b"".join(records)


def said(
    *parts: tuple[int, bytes], client: str = "8.8.8.101", server: str = "8.8.8.8", port: int = 80
) -> list[bytes]:
    """Frames of one client's half of a connection: (sequence number, payload)."""
    return [
        frame(ipv4(client, server, 6, tcp(40000, port, sequence, payload))) for sequence, payload in parts
    ]
