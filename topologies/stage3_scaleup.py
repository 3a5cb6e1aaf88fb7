"""Stage 3, scale-up: two load balancers stand in for each other; web, application and database are split.

      client1          client2          dns1 (BIND: www → 8.8.8.8, 8.8.8.9)
     8.8.8.101        8.8.8.102         8.8.8.53
         │                │                │
    ─────┴────────────────┴───┬────────────┴───────┬──── public 8.8.8.0/24
          VIP 8.8.8.8 ──► lb1 8.8.8.11 ◄─VRRP─► lb2 8.8.8.12 ◄── VIP 8.8.8.9
                     HAProxy + keepalived    HAProxy + keepalived
                          10.0.1.11             10.0.1.12
    ──────────┬───────────────┴──────┬─────────────┴─────┬──── app 10.0.1.0/24
              │                      │                   │
       web1 10.0.1.21         web2 10.0.1.22      app1 10.0.1.31   app2 10.0.1.32
           nginx                  nginx             gunicorn          gunicorn
                                                  10.0.2.31         10.0.2.32
    ───────────────────────────────────┬─────────────────┴─────────────┴──── data 10.0.2.0/24
                                  db1 10.0.2.41
                                      MySQL
    lb1 .11   lb2 .12   web1 .21   web2 .22   app1 .31   app2 .32   db1 .41   monitor1 .51
    ───┴─────────┴──────────┴──────────┴──────────┴──────────┴─────────┴─────────┴──── monitoring 10.0.9.0/24

Firewalls: "lb" on the balancers, "web" on web and application servers, "database" on db1. On each of these
hosts node exporter, the daemon's exporter, rsyslog; on monitor1 Prometheus, Alertmanager and every log.

Active-active: each balancer is master of one virtual address and standby for the other (crossed VIPs), and
two A records send clients to both. Active-passive: one address, one record, lb2 only waits.
"""

from __future__ import annotations

from typing import ClassVar

from services.gunicorn import Gunicorn
from services.haproxy import STATS_PORT, HAProxy
from services.keepalived import Keepalived, VirtualAddress
from services.mysql import MySQL
from services.named import Named
from services.nginx import Nginx
from topologies.monitoring import watch_over
from topologies.stage import RESOLVER, Settings, Stage, interface

VIPS = ("8.8.8.8", "8.8.8.9")
DATABASE = "10.0.2.41"


class Stage3(Stage):
    """The third design document: HAProxy ×2 with keepalived, nginx, gunicorn, a dedicated MySQL."""

    number: ClassVar[str] = "3"
    title: ClassVar[str] = "scale-up: a load balancer cluster and split roles"
    default_target: ClassVar[str] = "lb1"
    offers: ClassVar[frozenset[str]] = frozenset({"tls", "reencrypt", "agents", "firewalls_off", "balance"})

    def build(self) -> None:
        settings: Settings = self.settings
        balancers = {
            f"lb{n}": (f"8.8.8.{10 + n}", f"10.0.1.{10 + n}") for n in range(1, settings.balancers + 1)
        }
        webs = {f"web{n}": f"10.0.1.{20 + n}" for n in range(1, settings.web_servers + 1)}
        apps = {
            f"app{n}": (f"10.0.1.{30 + n}", f"10.0.2.{30 + n}") for n in range(1, settings.app_servers + 1)
        }
        active_active = settings.mode == "active-active" and settings.balancers > 1
        self.site_addresses = VIPS if active_active else VIPS[:1]
        self.scheme = "https" if settings.tls else "http"
        behind = 443 if settings.reencrypt else 80

        for segment in ("public", "app", "data", "monitoring"):
            self.segment(segment)

        self.resolver(
            "dns1", {"public": RESOLVER},
            services=(Named(listen=RESOLVER, addresses=self.site_addresses, ttl_s=settings.dns_ttl_s),),
        )  # fmt: skip
        for number, (name, (public, inner)) in enumerate(balancers.items()):
            self.server(
                name,
                {"public": public, "app": inner, "monitoring": f"10.0.9.{11 + number}"},
                services=(
                    HAProxy(
                        host_name=name,
                        # Its own address, too: an operator asks one balancer, whoever holds the virtual ones.
                        addresses=(*self.site_addresses, public),
                        backends=tuple((web, address, behind) for web, address in webs.items()),
                        balance=settings.balance,
                        tls=settings.tls,
                        backend_tls=settings.reencrypt,
                        metrics_address=f"10.0.9.{11 + number}" if settings.agents else None,
                        check_inter_s=settings.check_inter_s,
                        check_fall=settings.check_fall,
                        check_rise=settings.check_rise,
                    ),
                    Keepalived(
                        host_name=name,
                        interface=interface(name, "public"),
                        virtual_addresses=tuple(
                            self._virtual_address(which, address, number)
                            for which, address in enumerate(self.site_addresses)
                        ),
                        alive_port=STATS_PORT,
                        advert_int_s=settings.advert_int_s,
                    ),
                ),
                instance="large",  # TLS handshakes
            )
        for name, address in webs.items():
            upstreams = tuple(f"{inner}:8000" for inner, _ in apps.values())
            trusted = tuple(inner for _, inner in balancers.values())
            self.server(
                name,
                {"app": address, "monitoring": address.replace("10.0.1.", "10.0.9.")},
                services=(
                    Nginx(
                        host_name=name,
                        listen=address,
                        upstreams=upstreams,
                        trusted_proxies=trusted,
                        tls=settings.reencrypt,
                        redirect=False,
                        upstream_tls=settings.reencrypt,
                        status=settings.agents,
                    ),
                ),
            )
        for name, (inner, data) in apps.items():
            self.server(
                name,
                {"app": inner, "data": data, "monitoring": inner.replace("10.0.1.", "10.0.9.")},
                services=(
                    Gunicorn(
                        host_name=name,
                        bind=f"{inner}:8000",
                        database=DATABASE,
                        tls=settings.reencrypt,
                        database_tls=settings.reencrypt,
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
                    listen=DATABASE,
                    clients=tuple(data for _, data in apps.values()),
                    tls=settings.reencrypt,
                    exporter=settings.agents,
                ),
            ),
        )
        self.client("client1", {"public": "8.8.8.101"})
        self.client("client2", {"public": "8.8.8.102"})
        self.layer("lb", balancers)
        self.layer("web", (*webs, *apps))
        self.layer("database", ["db1"])
        self._declare_flows(behind)
        watch_over(self, "monitor1", "10.0.9.51")

    def _virtual_address(self, which: int, address: str, balancer: int) -> VirtualAddress:
        """Balancer n is master of address n; the others are standbys, in order of their distance from it."""
        distance = (balancer - which) % self.settings.balancers
        return VirtualAddress(
            name=f"www_{which + 1}",
            address=f"{address}/24",
            router_id=51 + which,
            priority=150 if distance == 0 else 101 - distance,
            state="MASTER" if distance == 0 else "BACKUP",
        )

    def _declare_flows(self, behind: int) -> None:
        balancers, webs, apps = (self.hosts_of(daemon) for daemon in ("haproxy", "nginx", "gunicorn"))
        self.everybody("public", "dns1", "udp", 53, "names")
        self.everybody("public", "dns1", "tcp", 53, "names, long answers")
        for lb in balancers:
            if self.settings.tls:
                self.everybody("public", lb, "tcp", 443, "the site")
            self.everybody("public", lb, "tcp", 80, "redirect to https" if self.settings.tls else "the site")
            for other in balancers:
                if other != lb:
                    self.flow(lb, other, "vrrp", None, "who holds which address")
            for web in webs:
                self.flow(lb, web, "tcp", behind, "requests and health checks")
        for web in webs:
            for app in apps:
                self.flow(web, app, "tcp", 8000, "dynamic requests")
        for app in apps:
            self.flow(app, "db1", "tcp", 3306, "queries")


topos = {"stage3": Stage3}
