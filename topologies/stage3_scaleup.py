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
from topologies.stage import RESOLVER, Settings, Stage, interface

VIPS = ("8.8.8.8", "8.8.8.9")


class Stage3(Stage):
    """The third design document: HAProxy ×2 with keepalived, nginx, gunicorn, a dedicated MySQL."""

    number: ClassVar[str] = "3"
    title: ClassVar[str] = "scale-up: a load balancer cluster and split roles"
    default_target: ClassVar[str] = "lb1"

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

        for segment in ("public", "app", "data"):
            self.segment(segment)

        self.resolver(
            "dns1", {"public": RESOLVER}, services=(Named(listen=RESOLVER, addresses=self.site_addresses),)
        )
        for number, (name, (public, inner)) in enumerate(balancers.items()):
            self.server(
                name,
                {"public": public, "app": inner},
                services=(
                    HAProxy(
                        host_name=name,
                        addresses=self.site_addresses,
                        backends=tuple((web, address, 80) for web, address in webs.items()),
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
                {"app": address},
                services=(
                    Nginx(host_name=name, listen=address, upstreams=upstreams, trusted_proxies=trusted),
                ),
            )
        for name, (inner, data) in apps.items():
            self.server(
                name,
                {"app": inner, "data": data},
                services=(Gunicorn(host_name=name, bind=f"{inner}:8000", database="10.0.2.41"),),
                instance="large",  # Python
            )
        self.server(
            "db1",
            {"data": "10.0.2.41"},
            services=(
                MySQL(host_name="db1", listen="10.0.2.41", clients=tuple(data for _, data in apps.values())),
            ),
        )
        self.client("client1", {"public": "8.8.8.101"})
        self.client("client2", {"public": "8.8.8.102"})
        self._declare_flows(list(balancers), list(webs), list(apps))

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

    def _declare_flows(self, balancers: list[str], webs: list[str], apps: list[str]) -> None:
        for client in self.clients:
            self.flow(client, "dns1", "udp", 53, "names")
            self.flow(client, "dns1", "tcp", 53, "names, long answers")
            for lb in balancers:
                self.flow(client, lb, "tcp", 443, "the site")
                self.flow(client, lb, "tcp", 80, "redirect to https")
        for lb in balancers:
            for other in balancers:
                if other != lb:
                    self.flow(lb, other, "vrrp", None, "who holds which address")
            for web in webs:
                self.flow(lb, web, "tcp", 80, "requests and health checks")
        for web in webs:
            for app in apps:
                self.flow(web, app, "tcp", 8000, "dynamic requests")
        for app in apps:
            self.flow(app, "db1", "tcp", 3306, "queries")


topos = {"stage3": Stage3}
