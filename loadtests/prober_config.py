"""What a prober is told, as one JSON document: {"streams": [{"name": …, "url": …, "rate_hz": 200}], …}."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import SplitResult, urlsplit

from loadtests.lookup import nameserver_endpoint

MAX_RATE_HZ = 100_000.0
_NAME = re.compile(r"[A-Za-z0-9._-]+")


class ConfigError(ValueError):
    """One line that says which field is wrong, and why."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


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
        _require(bool(_NAME.fullmatch(self.name)), f"stream name {self.name!r}: letters, digits and ._- only")
        where = f"stream {self.name}: "
        try:
            parts, port = self.split, self.port
        except ValueError as error:
            raise ConfigError(f"{where}url {self.url!r}: {error}") from error
        _require(parts.scheme in ("http", "https"), f"{where}url {self.url!r}: http or https only")
        _require(bool(parts.hostname) and 0 < port < 65536, f"{where}url {self.url!r}: no host or port in it")
        clean = self.url.isascii() and self.url.isprintable() and " " not in self.url
        _require(clean and "@" not in parts.netloc, f"{where}url {self.url!r}: plain ASCII without a user")
        rate_ok = 0 < self.rate_hz <= MAX_RATE_HZ
        _require(rate_ok, f"{where}rate_hz {self.rate_hz}: above 0, at most {MAX_RATE_HZ:g}")
        address_ok = self.connect_to is None or _is_address(self.connect_to)
        _require(address_ok, f"{where}connect_to {self.connect_to!r}: not an IP address")

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
        return self.split.port or (443 if self.split.scheme == "https" else 80)

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
        _require(bool(names), "streams: at least one")
        _require(len(set(names)) == len(names), f"streams: names must differ, not {', '.join(names)}")
        _require(bool(self.output), "output: the path of a probes.csv")
        for name in ("timeout_s", "dns_timeout_s", "slo_s", "duration_s", "max_duration_s", "max_in_flight"):
            value = getattr(self, name)
            _require(value is None or 0 < value < math.inf, f"{name} {value}: must be above 0")
        _require((self.dns_timeout_s or 0) <= self.timeout_s, "dns_timeout_s: must be within timeout_s")
        _require(100 < self.expect_status < 600, f"expect_status {self.expect_status}: 200 to 599")
        for s in self.streams:
            https = s.split.scheme == "https"
            _require(not https or self.ca_file is not None, f"stream {s.name}: https needs ca_file")
            asks = s.connect_to is None
            _require(not asks or self.nameserver is not None, f"stream {s.name}: connect_to or a nameserver")
        if self.nameserver is not None:
            try:
                good = _is_address(nameserver_endpoint(self.nameserver)[0])
            except ValueError:
                good = False
            _require(good, f"nameserver {self.nameserver!r}: ADDRESS or ADDRESS:PORT")

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
        try:
            document = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"not JSON: {error}") from error
        _require(isinstance(document, dict), "the document must be an object")
        streams = document.pop("streams", None)
        are_objects = isinstance(streams, list) and all(isinstance(s, dict) for s in streams)
        _require(are_objects, "streams: a list of objects")
        document["streams"] = tuple(StreamConfig(**_checked(StreamConfig, s, "a stream")) for s in streams)
        return cls(**_checked(cls, document, "the prober"))

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
}


def _checked(kind: type, values: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    """`values` if they name all required fields of the dataclass `kind`, no others, with its types."""
    known = {f.name: f for f in fields(kind)}
    for name, value in values.items():
        _require(name in known, f"{what} has no field {name!r}; it has {', '.join(known)}")
        annotation = str(known[name].type)
        allowed = _JSON_TYPES.get(annotation.removesuffix(" | None"))
        if allowed is None or (value is None and annotation.endswith("| None")):
            continue
        right = isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))
        _require(right, f"{what}: {name} must be {annotation}, not {value!r}")
    for name, f in known.items():
        needed = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        _require(name in values or not needed, f"{what} needs {name!r}")
    return values
