"""Stage 1, distributed: a load balancer and two servers, everything on the public network, nothing protected.

  client1          client2          dns1 (BIND: www → 8.8.8.8)
 8.8.8.101        8.8.8.102         8.8.8.53
     │                │                │
─────┴───────┬────────┴───────┬────────┴───────┬──── public 8.8.8.0/24
             │                │                │
      lb1 8.8.8.8     server1 8.8.8.21  server2 8.8.8.22
     HAProxy :80        nginx :80         nginx :80
      (HTTP only)       gunicorn          gunicorn
                        MySQL primary ──► MySQL replica
                        :3306       GTID  :3306, read-only

Both applications write to the primary and read the catalogue from the replica. No firewall, no TLS, no
monitoring: that is its point.
"""

from __future__ import annotations

from typing import ClassVar

from services.gunicorn import Gunicorn
from services.haproxy import HAProxy
from services.mysql import MySQL
from services.named import Named
from services.nginx import Nginx
from topologies.stage import RESOLVER, Settings, Stage

SITE = "8.8.8.8"
SERVERS = {"server1": "8.8.8.21", "server2": "8.8.8.22"}
SOCKET = "unix:/run/gunicorn/gunicorn.sock"


class Stage1(Stage):
    """Requests are spread, rows are copied; who listens can be reached by everybody."""

    number: ClassVar[str] = "1"
    title: ClassVar[str] = "distributed: a load balancer, two servers, a replica"
    default_target: ClassVar[str] = "lb1"
    offers: ClassVar[frozenset[str]] = frozenset({"balance"})

    def build(self) -> None:
        settings: Settings = self.settings
        primary, replica = SERVERS.values()
        self.scheme = "http"
        self.site_addresses = (SITE,)

        self.segment("public")
        self.resolver(
            "dns1", {"public": RESOLVER},
            services=(Named(listen=RESOLVER, addresses=(SITE,), ttl_s=settings.dns_ttl_s),),
        )  # fmt: skip
        self.server(
            "lb1",
            {"public": SITE},
            services=(
                HAProxy(
                    host_name="lb1",
                    addresses=(SITE,),
                    backends=tuple((name, address, 80) for name, address in SERVERS.items()),
                    balance=settings.balance,
                    check_inter_s=settings.check_inter_s,
                    check_fall=settings.check_fall,
                    check_rise=settings.check_rise,
                    tls=False,
                ),
            ),
        )
        for number, (name, address) in enumerate(SERVERS.items(), 1):
            self.server(
                name,
                {"public": address},
                services=(
                    MySQL(
                        host_name=name,
                        listen="0.0.0.0",
                        clients=(primary, replica),
                        server_id=number,
                        replicas=(replica,) if address == primary else (),
                        replica_of=primary if address == replica else None,
                    ),
                    Gunicorn(host_name=name, bind=SOCKET, database=primary, database_replica=replica),
                    Nginx(host_name=name, listen=address, upstreams=(SOCKET,), trusted_proxies=(SITE,)),
                ),
                instance="large",  # Python and rows
            )
        self.client("client1", {"public": "8.8.8.101"})
        self.client("client2", {"public": "8.8.8.102"})
        self._declare_flows()

    def _declare_flows(self) -> None:
        self.everybody("public", "dns1", "udp", 53, "names")
        self.everybody("public", "dns1", "tcp", 53, "names, long answers")
        self.everybody("public", "lb1", "tcp", 80, "the site")
        for server in SERVERS:
            self.flow("lb1", server, "tcp", 80, "requests and health checks")
        self.flow("server2", "server1", "tcp", 3306, "writes, and the replica's copy")
        self.flow("server1", "server2", "tcp", 3306, "catalogue reads")


topos = {"stage1": Stage1}
