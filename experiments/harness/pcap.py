"""What a capture says in plain text: the payload of each direction of each TCP connection, put together.

    segment  "POST /login … passw"        one stream per direction, in order of sequence numbers;
    segment  "ord=canary"          ──►    a secret that two segments share is found all the same

Reads tcpdump's own file format (libpcap 2.4, Ethernet, IPv4) and nothing more: no decoding, no decryption.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_ETHERNET, _IPV4, _TCP, VRRP = 1, 0x0800, 6, 112
_MAGIC = {
    b"\xd4\xc3\xb2\xa1": "<",
    b"\xa1\xb2\xc3\xd4": ">",
    b"\x4d\x3c\xb2\xa1": "<",
    b"\xa1\xb2\x3c\x4d": ">",
}


class Direction(NamedTuple):
    """One half of a TCP connection."""

    source: str
    source_port: int
    destination: str
    destination_port: int


class Packet(NamedTuple):
    """An IPv4 packet: its protocol, and what it carries behind its header."""

    source: str
    destination: str
    protocol: int
    body: bytes


def packets(capture: bytes) -> Iterator[Packet]:
    """The IPv4 packets of a capture, in its order. Raises ValueError for what is no such capture.

    A last packet that was cut off, because tcpdump was ended while it wrote, is left out.
    """
    if capture[:4] not in _MAGIC:
        raise ValueError("not a capture that tcpdump has written")
    order = _MAGIC[capture[:4]]
    (link,) = struct.unpack_from(f"{order}I", capture, 20)
    if link != _ETHERNET:
        raise ValueError(f"a capture of link type {link}; only Ethernet ({_ETHERNET}) is read")
    at = 24
    while at + 16 <= len(capture):
        (length,) = struct.unpack_from(f"{order}I", capture, at + 8)
        frame = capture[at + 16 : at + 16 + length]
        at += 16 + length
        if len(frame) == length and length >= 34 and struct.unpack_from(">H", frame, 12)[0] == _IPV4:
            yield _ipv4(frame[14:])


def _ipv4(packet: bytes) -> Packet:
    header, (total,) = (packet[0] & 0x0F) * 4, struct.unpack_from(">H", packet, 2)
    source, destination = (str(ipaddress.IPv4Address(packet[i : i + 4])) for i in (12, 16))
    # A short packet is padded to Ethernet's minimum; one that the kernel has not cut up yet may say length 0.
    return Packet(source, destination, packet[9], packet[header : total or len(packet)])


def streams(found: Iterable[Packet]) -> dict[Direction, bytes]:
    """The payload of each direction of each TCP connection, in order; what was sent twice counts once.

    Where something is missing, a zero byte stands for it: no text is found across a gap.
    """
    parts: dict[Direction, list[tuple[int, bytes]]] = {}
    for packet in found:
        if packet.protocol != _TCP or len(packet.body) < 20:
            continue
        source_port, destination_port, sequence = struct.unpack_from(">HHI", packet.body)
        payload = packet.body[(packet.body[12] >> 4) * 4 :]
        if payload:
            direction = Direction(packet.source, source_port, packet.destination, destination_port)
            parts.setdefault(direction, []).append((sequence, payload))
    return {direction: _joined(some) for direction, some in parts.items()}


def _joined(parts: list[tuple[int, bytes]]) -> bytes:
    first = parts[0][0]
    # Numbers wrap at 2**32, and what was sent before the first that was captured may follow it.
    placed = sorted(((sequence - first + 2**31) % 2**32 - 2**31, payload) for sequence, payload in parts)
    text, following = bytearray(), placed[0][0]
    for at, payload in placed:
        if at > following:
            text += b"\0"
        text += payload[max(0, following - at) :]
        following = max(following, at + len(payload))
    return bytes(text)
