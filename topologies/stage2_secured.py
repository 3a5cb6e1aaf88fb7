"""Stage 2, secured and monitored: TLS to the load balancer, a firewall for each layer, somebody who watches.

  client1          client2          dns1 (BIND: www → 8.8.8.8)
 8.8.8.101        8.8.8.102         8.8.8.53
     │                │                │
─────┴────────────────┴────┬───────────┴────────────────── public 8.8.8.0/24
                           │
              ╔════════════╧═════════════╗
              ║ lb1 8.8.8.8  HAProxy TLS ║ ◄── firewall "lb"
              ╚════════════╤═════════════╝
                       10.0.1.11
─────────────────┬─────────┴──────┬─────────────────────── app 10.0.1.0/24
          ╔══════╧═══════╗ ╔══════╧═══════╗
          ║ server1  .21 ║ ║ server2  .22 ║ ◄────────────── firewall "web"
          ║ nginx        ║ ║ nginx        ║
          ║ gunicorn     ║ ║ gunicorn     ║
          ╚══════╤═══════╝ ╚══════╤═══════╝
─────────────────┴─────────┬──────┴─────────────────────── data 10.0.2.0/24
                  ╔════════╧═══════╗
                  ║ db1 .41  MySQL ║ ◄──────────────────── firewall "database"
                  ╚════════════════╝
lb1 .11   server1 .21   server2 .22   db1 .41     monitor1 .51
───┴───────────┴─────────────┴───────────┴───────────┴──── monitoring 10.0.9.0/24

On each host of a layer: node exporter, the daemon's exporter, rsyslog. On monitor1: Prometheus, Alertmanager
and every log. Behind lb1 requests travel in plain text, unless --reencrypt.
"""

from __future__ import annotations

from typing import ClassVar

from services.gunicorn import Gunicorn
from services.haproxy import HAProxy
from services.mysql import MySQL
from services.named import Named
from services.nginx import Nginx
from topologies.monitoring import watch_over
from topologies.stage import RESOLVER, Settings, Stage

SITE = "8.8.8.8"
SERVERS = {"server1": "21", "server2": "22"}  # name → last byte on every network
DATABASE = "10.0.2.41"
SOCKET = "unix:/run/gunicorn/gunicorn.sock"


class Stage2(Stage):
    """The second design document: one load balancer with a certificate, two servers, one database."""

    number: ClassVar[str] = "2"
    title: ClassVar[str] = "secured and monitored: TLS, three firewalls, three monitoring clients"
    default_target: ClassVar[str] = "lb1"
    offers: ClassVar[frozenset[str]] = frozenset({"tls", "reencrypt", "agents", "firewalls_off", "balance"})

    def build(self) -> None:
        settings: Settings = self.settings
        behind = 443 if settings.reencrypt else 80
        self.scheme = "https" if settings.tls else "http"
        self.site_addresses = (SITE,)

        for segment in ("public", "app", "data", "monitoring"):
            self.segment(segment)
        self.resolver(
            "dns1", {"public": RESOLVER},
            services=(Named(listen=RESOLVER, addresses=(SITE,), ttl_s=settings.dns_ttl_s),),
        )  # fmt: skip
        self.server(
            "lb1",
            {"public": SITE, "app": "10.0.1.11", "monitoring": "10.0.9.11"},
            services=(
                HAProxy(
                    host_name="lb1",
                    addresses=(SITE,),
                    backends=tuple((name, f"10.0.1.{last}", behind) for name, last in SERVERS.items()),
                    balance=settings.balance,
                    check_inter_s=settings.check_inter_s,
                    check_fall=settings.check_fall,
                    check_rise=settings.check_rise,
                    tls=settings.tls,
                    backend_tls=settings.reencrypt,
                    metrics_address="10.0.9.11" if settings.agents else None,
                ),
            ),
            instance="large",  # TLS handshakes
        )
        for name, last in SERVERS.items():
            self.server(
                name,
                {"app": f"10.0.1.{last}", "data": f"10.0.2.{last}", "monitoring": f"10.0.9.{last}"},
                services=(
                    Gunicorn(host_name=name, bind=SOCKET, database=DATABASE, database_tls=settings.reencrypt),
                    Nginx(
                        host_name=name,
                        listen=f"10.0.1.{last}",
                        upstreams=(SOCKET,),
                        trusted_proxies=("10.0.1.11",),
                        tls=settings.reencrypt,
                        redirect=False,
                        status=settings.agents,
                    ),
                ),
                instance="large",  # Python
            )
        self.server(
            "db1",
            {"data": DATABASE, "monitoring": "10.0.9.41"},
            services=(
                MySQL(
                    host_name="db1",
                    listen="0.0.0.0",  # only the firewall keeps others out
                    clients=tuple(f"10.0.2.{last}" for last in SERVERS.values()),
                    tls=settings.reencrypt,
                    exporter=settings.agents,
                    server_address=DATABASE,
                ),
            ),
        )
        self.client("client1", {"public": "8.8.8.101"})
        self.client("client2", {"public": "8.8.8.102"})

        self.layer("lb", ["lb1"])
        self.layer("web", SERVERS)
        self.layer("database", ["db1"])
        self._declare_flows(behind)
        watch_over(self, "monitor1", "10.0.9.51")

    def _declare_flows(self, behind: int) -> None:
        self.everybody("public", "dns1", "udp", 53, "names")
        self.everybody("public", "dns1", "tcp", 53, "names, long answers")
        if self.settings.tls:
            self.everybody("public", "lb1", "tcp", 443, "the site")
        self.everybody("public", "lb1", "tcp", 80, "redirect to https" if self.settings.tls else "the site")
        for server in SERVERS:
            self.flow("lb1", server, "tcp", behind, "requests and health checks")
            self.flow(server, "db1", "tcp", 3306, "queries")


topos = {"stage2": Stage2}
