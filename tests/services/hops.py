"""Services with every hop encrypted, or none, and a database with its replica."""

from __future__ import annotations

from services.gunicorn import Gunicorn
from services.haproxy import HAProxy
from services.mysql import MySQL
from services.nginx import Nginx
from services.service import Service

LB, WEB, APP, PRIMARY, REPLICA = "10.0.1.11", "10.0.1.21", "10.0.1.31", "10.0.2.41", "10.0.2.42"
PLAIN_LB = HAProxy(host_name="lb1", addresses=("8.8.8.8",), backends=(("web1", WEB, 80),), tls=False)
TLS_LB = HAProxy(
    host_name="lb1", addresses=("8.8.8.8",), backends=(("web1", WEB, 443), ("web2", "10.0.1.22", 443)),
    backend_tls=True, metrics_address="10.0.9.11", balance="source",
)  # fmt: skip
TLS_WEB = Nginx(
    host_name="web1", listen=WEB, upstreams=(f"{APP}:8000",), trusted_proxies=(LB,), tls=True, redirect=False,
    upstream_tls=True, status=True,
)  # fmt: skip
TLS_APP = Gunicorn(
    host_name="app1", bind=f"{APP}:8000", database=PRIMARY, database_replica=REPLICA, tls=True,
    database_tls=True,
)  # fmt: skip
PRIMARY_DB = MySQL(
    host_name="db1", listen="0.0.0.0", server_address=PRIMARY, clients=(APP,), server_id=1,
    replicas=(REPLICA,), tls=True, exporter=True,
)  # fmt: skip
REPLICA_DB = MySQL(
    host_name="db2", listen=REPLICA, clients=(APP,), server_id=2, replica_of=PRIMARY, tls=True, exporter=True
)

SERVICES: dict[str, Service] = {
    "haproxy without TLS": PLAIN_LB,
    "haproxy with TLS on both sides and metrics": TLS_LB,
    "nginx with TLS on both sides and status": TLS_WEB,
    "gunicorn with TLS on both sides and a replica": TLS_APP,
    "mysql as a primary with TLS": PRIMARY_DB,
    "mysql as a replica with TLS": REPLICA_DB,
}
