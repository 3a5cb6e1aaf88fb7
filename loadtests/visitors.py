"""A visitor: one person with one browser, who thinks between clicks and gives up when nothing comes.

name  ──► looked up by each visitor, for every connection it opens: many of them spread over all A records
TLS   ──► verified against what this host trusts, for this name
once  ──► nothing is ever sent again behind Locust's back: a reset is a failure that counts
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import cache
from typing import Any

from locust import HttpUser, between
from locust.clients import LocustHttpAdapter
from requests import PreparedRequest, Response

Timeout = float | tuple[float | None, float | None] | None

CONNECT_TIMEOUT_S = 5.0  # two SYNs may be lost: they are sent again after 1 and 3 s
READ_TIMEOUT_S = 10.0  # between two bytes; about how long a person looks at nothing


@cache
def trust() -> ssl.SSLContext:
    """What this host trusts: $SSL_CERT_FILE, else the system's store. Made once, as it takes 20 ms to read.

    Locust's own client knows only the authorities that come with Python's certifi package, whatever the host
    or $REQUESTS_CA_BUNDLE says: to it, a site with a private authority never answers.
    """
    return ssl.create_default_context()


class Browser(LocustHttpAdapter):
    """One visitor's connections. Of HTTPAdapter's defaults, no retries is right, and no time limit is not."""

    def __init__(self) -> None:
        super().__init__(pool_manager=None)

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if verify is True:
            pool["ssl_context"] = trust()
        return host, pool

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Timeout = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: dict[str, str] | None = None,
    ) -> Response:
        patience = timeout or (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        return super().send(request, stream, patience, verify, cert, proxies)


class Visitor(HttpUser):
    """Base of every scenario's visitors: a scenario adds only its table of tasks."""

    abstract = True
    wait_time = between(0.5, 1.5)

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        browser = Browser()
        for scheme in ("https://", "http://"):
            self.client.mount(scheme, browser)
        self._kept: set[str] = set()

    def on_start(self) -> None:
        """Come at a random moment: visitors who were spawned together do not click in step."""
        self.wait()

    def open_page(self, path: str, name: str, files: Iterable[str]) -> None:
        """The page, and those of its files that the browser has not kept (the site lets it, for an hour)."""
        if self.client.get(path, name=name).status_code != 200:
            return
        for file in files:
            if file not in self._kept and self.client.get(file).status_code == 200:
                self._kept.add(file)
