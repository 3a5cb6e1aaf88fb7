"""Stage 0, simple: one server does everything, and everything stops with it.

  client1            client2           dns1 (BIND)
 8.8.8.101          8.8.8.102          8.8.8.53
     │                  │                 │
─────┴──────────────────┴────────┬────────┴──── public 8.8.8.0/24
                                 │
                      server1  8.8.8.8
               ┌─────────────────┴──────────────────┐
               │ nginx :443 (TLS), :80 → 443        │
               │   │  UNIX socket  or  HTTP :8000   │
               │ gunicorn (Flask)                   │
               │   │  UNIX socket  or  TCP :3306    │
               │ MySQL                              │
               └────────────────────────────────────┘
"""

from __future__ import annotations

from typing import ClassVar

from services.gunicorn import Gunicorn
from services.mysql import SOCKET, MySQL
from services.named import Named
from services.nginx import Nginx
from topologies.stage import RESOLVER, Settings, Stage


class Stage0(Stage):
    """www.foobar.com on one server, as the first design document draws it."""

    number: ClassVar[str] = "0"
    title: ClassVar[str] = "simple: one server"
    default_target: ClassVar[str] = "server1"
    offers: ClassVar[frozenset[str]] = frozenset({"tls"})

    def build(self) -> None:
        settings: Settings = self.settings
        unix = settings.wiring == "unix"
        address = "8.8.8.8"
        gunicorn = "unix:/run/gunicorn/gunicorn.sock" if unix else "127.0.0.1:8000"

        self.segment("public")
        self.resolver(
            "dns1",
            {"public": RESOLVER},
            services=(Named(listen=RESOLVER, addresses=(address,), ttl_s=settings.dns_ttl_s),),
        )
        self.server(
            "server1",
            {"public": address},
            services=(
                MySQL(
                    host_name="server1",
                    listen=None if unix else "127.0.0.1",
                    clients=("localhost" if unix else "127.0.0.1",),
                ),
                Gunicorn(
                    host_name="server1", bind=gunicorn, database=SOCKET if unix else "127.0.0.1", workers=2
                ),
                Nginx(host_name="server1", listen=address, upstreams=(gunicorn,), tls=settings.tls),
            ),
        )
        self.client("client1", {"public": "8.8.8.101"})
        self.client("client2", {"public": "8.8.8.102"})

        self.site_addresses = (address,)
        self.scheme = "https" if settings.tls else "http"
        self.everybody("public", "dns1", "udp", 53, "names")
        self.everybody("public", "dns1", "tcp", 53, "names, long answers")
        if settings.tls:
            self.everybody("public", "server1", "tcp", 443, "the site")
        self.everybody("public", "server1", "tcp", 80, "redirect to https" if settings.tls else "the site")


topos = {"stage0": Stage0}
