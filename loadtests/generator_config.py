"""What a generator is told, as one JSON document:

{"url": "https://www.foobar.com", "rate_hz": 500, "warmup_s": 2, "duration_s": 15, "kinds": [
    {"name": "read", "path": "/api/items/{id}", "weight": 9},
    {"name": "write", "path": "/api/orders/{uuid}", "method": "PUT", "expect_status": [201],
     "body": "{\\"item_id\\": {id}, \\"quantity\\": 1}"}], …}
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from loadtests.json_config import (
    checked,
    document_of,
    is_address,
    is_plain,
    objects_in,
    port_of,
    require,
    require_http_url,
    require_nameserver,
)  # fmt: skip

MAX_RATE_HZ = 100_000.0
MAX_SECONDS = 3600.0
MAX_WEIGHT = 10_000
METHODS = ("GET", "PUT", "POST")
ARRIVALS = ("uniform", "poisson")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+(; ?[A-Za-z0-9=.-]+)?")


@dataclass(frozen=True)
class KindConfig:
    """One kind of request; of all requests, `weight` out of the sum of weights are of this kind.

    In `path` and `body`, {id} is a whole number out of `ids` and {uuid} an id that no other request ever had,
    the same in both. An answer is right if its status is one of `expect_status` and it holds `expect_text`.
    """

    name: str
    path: str
    weight: int = 1
    method: str = "GET"
    body: str = ""
    content_type: str = "application/json"
    expect_status: tuple[int, ...] = (200,)
    expect_text: str = ""

    def __post_init__(self) -> None:
        require(bool(_NAME.fullmatch(self.name)), f"kind name {self.name!r}: letters, digits and ._- only")
        where = f"kind {self.name}: "
        text = self.path.replace("{id}", "").replace("{uuid}", "")
        clean = self.path.startswith("/") and is_plain(text) and not set(text) & set("{}")
        require(clean, f"{where}path {self.path!r}: plain ASCII from /, only {{id}} and {{uuid}} in braces")
        require(0 < self.weight <= MAX_WEIGHT, f"{where}weight {self.weight}: 1 to {MAX_WEIGHT}")
        require(self.method in METHODS, f"{where}method {self.method!r}: {', '.join(METHODS)}")
        require(self.has_body or not self.body, f"{where}a {self.method} has no body")
        require(bool(_MEDIA_TYPE.fullmatch(self.content_type)), f"{where}content_type {self.content_type!r}")
        statuses_ok = self.expect_status and all(200 <= status < 600 for status in self.expect_status)
        require(bool(statuses_ok), f"{where}expect_status {list(self.expect_status)}: some of 200 to 599")

    @property
    def has_body(self) -> bool:
        return self.method != "GET"

    @property
    def writes_with_an_id(self) -> bool:
        """Whether what became of each of its requests is worth remembering by its {uuid}."""
        return self.has_body and "{uuid}" in self.path + self.body


@dataclass(frozen=True)
class GeneratorConfig:
    """A whole generator: `kinds` at `rate_hz` together, `warmup_s` and then `duration_s`, which is measured.

    `url` is scheme, host and port. `connect_to` lists addresses; empty: those that `nameserver` has for the
    host when it starts. `connections` bounds the kept-alive ones, divided among the addresses (at least one
    each); without `keep_alive` every request opens its own. A request has `timeout_s` from the moment it is
    taken up. `ids` is the first and the last {id}. `output` is a probes.csv of every request, warm-up
    included; `acknowledged` a list of what became of every write with an {uuid} (loadtests/fates.py).
    """

    url: str
    kinds: tuple[KindConfig, ...]
    rate_hz: float
    duration_s: float
    warmup_s: float = 0.0
    arrivals: str = "uniform"
    seed: int = 1
    ids: tuple[int, ...] = (1, 100)
    connect_to: tuple[str, ...] = ()
    nameserver: str | None = None
    ca_file: str | None = None
    keep_alive: bool = True
    connections: int = 256
    timeout_s: float = 2.0
    max_in_flight: int = 16_384
    output: str | None = None
    acknowledged: str | None = None

    def __post_init__(self) -> None:
        parts = require_http_url(self.url, "")
        bare = parts.path in ("", "/") and not parts.query and not parts.fragment
        require(bare, f"url {self.url!r}: the path belongs to a kind")
        names = [k.name for k in self.kinds]
        require(bool(names), "kinds: at least one")
        require(len(set(names)) == len(names), f"kinds: names must differ, not {', '.join(names)}")
        require(sum(k.weight for k in self.kinds) <= MAX_WEIGHT, f"kinds: weights of {MAX_WEIGHT} in all")
        require(0 < self.rate_hz <= MAX_RATE_HZ, f"rate_hz {self.rate_hz}: above 0, at most {MAX_RATE_HZ:g}")
        for name in ("duration_s", "timeout_s", "connections", "max_in_flight"):
            value = getattr(self, name)
            require(0 < value < math.inf, f"{name} {value}: must be above 0")
        require(0 <= self.warmup_s < math.inf, f"warmup_s {self.warmup_s}: 0 or more")
        bounded = self.warmup_s + self.duration_s <= MAX_SECONDS
        require(bounded, f"warmup_s and duration_s: at most {MAX_SECONDS:g} s together")
        require(self.arrivals in ARRIVALS, f"arrivals {self.arrivals!r}: {' or '.join(ARRIVALS)}")
        ids_ok = len(self.ids) == 2 and 0 <= self.ids[0] <= self.ids[1]
        require(ids_ok, f"ids {list(self.ids)}: the first and the last")
        for address in self.connect_to:
            require(is_address(address), f"connect_to {address!r}: not an IP address")
        require(parts.scheme == "http" or self.ca_file is not None, "https needs ca_file")
        require(bool(self.connect_to) or self.nameserver is not None, "connect_to or a nameserver")
        require_nameserver(self.nameserver)

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
    def authority(self) -> str:
        """For the Host field (RFC 9112 section 3.2)."""
        return self.split.netloc

    @classmethod
    def from_json(cls, text: str) -> GeneratorConfig:
        """Raises ConfigError, also for a field that does not exist."""
        document = document_of(text)
        kinds = objects_in(document, "kinds")
        document["kinds"] = tuple(KindConfig(**checked(KindConfig, k, "a kind")) for k in kinds)
        return cls(**checked(cls, document, "the generator"))

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"
