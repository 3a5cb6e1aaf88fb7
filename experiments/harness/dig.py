"""What `dig` prints and what a zone file promises, as values. Pure (dig(1), RFC 1035 §5)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_STATUS = re.compile(r"^;; ->>HEADER<<- .*status: (\w+)", re.MULTILINE)
_FLAGS = re.compile(r"^;; flags: ([\w ]*);", re.MULTILINE)
_SERVER = re.compile(r"^;; SERVER: ([^#]+)#(\d+)", re.MULTILINE)
_RECORD = re.compile(
    r"^(?P<name>\S+)\.\s+(?P<ttl>\d+)\s+IN\s+(?P<type>\w+)\s+(?P<value>\S.*?)\s*$", re.MULTILINE
)
_TTL = re.compile(r"^\$TTL (\d+)", re.MULTILINE)
_SERIAL = re.compile(r"(\d+)\s*; serial")


@dataclass(frozen=True)
class Record:
    name: str  # without the dot at its end
    ttl_s: int
    type: str
    value: str


@dataclass(frozen=True)
class Answer:
    """One answer. `flags` as dig writes them: aa is authority, ra is that the server would ask others."""

    status: str  # NOERROR, NXDOMAIN, REFUSED
    flags: frozenset[str]
    server: str
    records: tuple[Record, ...]  # of the answer section

    @property
    def values(self) -> frozenset[str]:
        return frozenset(record.value for record in self.records)


def parse(text: str) -> Answer:
    """What dig printed with its defaults. Raises ValueError when there was no answer."""
    status, flags, server = _STATUS.search(text), _FLAGS.search(text), _SERVER.search(text)
    if status is None or flags is None or server is None:
        raise ValueError(f"no answer from dig: {text.strip()[-300:]!r}")
    section = text.partition(";; ANSWER SECTION:")[2].partition("\n\n")[0]
    records = tuple(
        Record(found["name"], int(found["ttl"]), found["type"], found["value"])
        for found in _RECORD.finditer(section)
    )
    return Answer(status[1], frozenset(flags[1].split()), server[1], records)


@dataclass(frozen=True)
class Zone:
    """What a rendered zone says of one name."""

    ttl_s: int
    serial: int
    addresses: frozenset[str]


def zone_of(text: str, label: str) -> Zone:
    """The A records of `label` in a zone file with one $TTL. Raises ValueError for a zone that lacks any."""
    ttl, serial = _TTL.search(text), _SERIAL.search(text)
    found = re.findall(rf"^{re.escape(label)}\s+IN\s+A\s+(\S+)", text, re.MULTILINE)
    if ttl is None or serial is None or not found:
        raise ValueError(f"a zone without TTL, serial or addresses of {label}")
    return Zone(int(ttl[1]), int(serial[1]), frozenset(found))
