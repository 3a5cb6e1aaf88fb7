"""What a prober is told, as one JSON document: {"streams": [{"name": …, "url": …, "rate_hz": 200}], …}."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from loadtests.json_config import (
    ConfigError,
    checked,
    document_of,
    is_address,
    objects_in,
    port_of,
    require,
    require_http_url,
    require_nameserver,
)  # fmt: skip

__all__ = ["ConfigError", "ProberConfig", "StreamConfig"]

MAX_RATE_HZ = 100_000.0
_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class StreamConfig:
    """One stream of probes: a GET of `url`, `rate_hz` times a second.

    `connect_to` is the address to connect to; None looks the URL's host up before every connection.
    """

    name: str
    url: str
    rate_hz: float
    connect_to: str | None = None
    keep_alive: bool = False

    def __post_init__(self) -> None:
        require(bool(_NAME.fullmatch(self.name)), f"stream name {self.name!r}: letters, digits and ._- only")
        where = f"stream {self.name}: "
        require_http_url(self.url, where)
        rate_ok = 0 < self.rate_hz <= MAX_RATE_HZ
        require(rate_ok, f"{where}rate_hz {self.rate_hz}: above 0, at most {MAX_RATE_HZ:g}")
        address_ok = self.connect_to is None or is_address(self.connect_to)
        require(address_ok, f"{where}connect_to {self.connect_to!r}: not an IP address")

    @property
    def period_s(self) -> float:
        return 1 / self.rate_hz

    @property
    def split(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        return self.split.hostname or ""

    @property
    def port(self) -> int:
        return port_of(self.split)

    @property
    def target(self) -> str:
        """The request target: path and query (RFC 9112 section 3.2.1)."""
        return (self.split.path or "/") + (f"?{self.split.query}" if self.split.query else "")


@dataclass(frozen=True)
class ProberConfig:
    """A whole prober. `output` is the probes.csv it writes.

    `nameserver` is "ADDRESS" or "ADDRESS:PORT". A probe has `timeout_s` from the moment it is sent, of
    which DNS may take `dns_timeout_s` (None: all of it). `duration_s` None: until SIGTERM; never longer than
    `max_duration_s`.
    """

    streams: tuple[StreamConfig, ...]
    output: str
    ca_file: str | None = None
    nameserver: str | None = None
    timeout_s: float = 0.5
    dns_timeout_s: float | None = None
    slo_s: float = 0.5
    expect_status: int = 200
    expect_text: str = ""
    duration_s: float | None = None
    max_duration_s: float = 3600.0
    max_in_flight: int = 4096

    def __post_init__(self) -> None:
        names = [s.name for s in self.streams]
        require(bool(names), "streams: at least one")
        require(len(set(names)) == len(names), f"streams: names must differ, not {', '.join(names)}")
        require(bool(self.output), "output: the path of a probes.csv")
        for name in ("timeout_s", "dns_timeout_s", "slo_s", "duration_s", "max_duration_s", "max_in_flight"):
            value = getattr(self, name)
            require(value is None or 0 < value < math.inf, f"{name} {value}: must be above 0")
        require((self.dns_timeout_s or 0) <= self.timeout_s, "dns_timeout_s: must be within timeout_s")
        require(100 < self.expect_status < 600, f"expect_status {self.expect_status}: 200 to 599")
        for s in self.streams:
            https = s.split.scheme == "https"
            require(not https or self.ca_file is not None, f"stream {s.name}: https needs ca_file")
            asks = s.connect_to is None
            require(not asks or self.nameserver is not None, f"stream {s.name}: connect_to or a nameserver")
        require_nameserver(self.nameserver)

    @property
    def rate_hz(self) -> float:
        """Of all streams together."""
        return sum(s.rate_hz for s in self.streams)

    @property
    def bounded_duration_s(self) -> float:
        return min(self.duration_s or math.inf, self.max_duration_s)

    @classmethod
    def from_json(cls, text: str) -> ProberConfig:
        """Raises ConfigError, also for a field that does not exist."""
        document = document_of(text)
        streams = objects_in(document, "streams")
        document["streams"] = tuple(StreamConfig(**checked(StreamConfig, s, "a stream")) for s in streams)
        return cls(**checked(cls, document, "the prober"))

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"
