"""A running stage spreads requests another way: another algorithm, other weights, one slow server.

    with algorithm(testbed, "leastconn"): …      reloaded on every balancer; the new worker answers
    with slowed(testbed, "app2", 700): …         a bad release on one application server
    with paired(testbed): …                      web1 passes to app1 only, web2 to app2 only

Each is undone at the end of its block.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from experiments.harness.configs import Backend, parse_haproxy, parse_nginx_upstreams
from experiments.harness.spread import Layout
from services.gunicorn import Gunicorn
from services.haproxy import HAProxy
from services.nginx import Nginx
from services.service import http_status
from topologies.host import EmulatedHost
from topologies.netns import socket_in
from topologies.stage import DOMAIN, NETWORKS
from topologies.testbed import Testbed
from topologies.waiting import CommandFailed, wait_until

ADMIN_SOCKET = "/run/haproxy/admin.sock"
RELOADED_S = 10.0
#: A slow application server sleeps, and needs a thread for each request that it has meanwhile.
THREADS_OF_A_SLOW_SERVER = 64


def backend_in_force(testbed: Testbed, balancer: str) -> Backend:
    """The backend of a balancer, read back from its rendered configuration."""
    return parse_haproxy(testbed.configs[balancer]["haproxy.cfg"]).backends[0]


def apps_of(testbed: Testbed, web: str) -> tuple[str, ...]:
    """The hosts that nginx on `web` passes to, read back from its rendered file; none for a UNIX socket."""
    (upstream,) = parse_nginx_upstreams(testbed.configs[web]["nginx.conf"])
    hosts = {address: host for host, on in testbed.stage.addresses.items() for address in on.values()}
    named = (hosts.get(server.address.rpartition(":")[0]) for server in upstream.servers)
    return tuple(host for host in named if host is not None)


def layout_of(testbed: Testbed, rate_hz: float, delay_ms: float) -> Layout:
    """What the rendered configurations say, before anything is measured with these streams and this delay."""
    stage = testbed.stage
    balancers = stage.hosts_of("haproxy")
    backend = backend_in_force(testbed, balancers[0])
    slow_web, slow_app = slow_pair(testbed)
    return Layout(
        webs=tuple(server.name for server in backend.servers),
        apps=apps_of(testbed, backend.servers[0].name),
        balancers=len(balancers),
        check_inter_s=backend.servers[0].inter_s,
        rate_hz=rate_hz,
        streams=len(stage.site_addresses),
        slow_web=slow_web,
        slow_app=slow_app,
        delay_s=delay_ms / 1e3,
    )


@contextmanager
def algorithm(testbed: Testbed, balance: str) -> Iterator[None]:
    """Every balancer with this algorithm. Raises CommandFailed or NotReady when HAProxy does not take it."""
    with ExitStack() as stack:
        for balancer in testbed.stage.hosts_of("haproxy"):
            stack.enter_context(_one_balancer(testbed, balancer, balance))
        yield


@contextmanager
def _one_balancer(testbed: Testbed, balancer: str, balance: str) -> Iterator[None]:
    daemon, host = testbed.daemon(balancer, "haproxy"), testbed.hosts[balancer]
    service = _haproxy(testbed, balancer)
    if service.balance == balance:
        yield
        return
    before = worker_pid(host)
    with testbed.reconfigured(daemon, replace(service, balance=balance)):
        after = worker_pid(host, other_than=before)
        yield
    worker_pid(host, other_than=after)


def worker_pid(host: EmulatedHost, other_than: str = "") -> str:
    """Of the HAProxy worker that answers on the admin socket, once it is another than `other_than`.

    After a reload the old worker answers until the new one has taken over. Raises NotReady.
    """
    found: list[str] = []

    def says_so() -> bool:
        lines = ask_haproxy(host, "show info").splitlines()
        found[:] = [line.removeprefix("Pid: ") for line in lines if line.startswith("Pid: ")]
        return bool(found) and found != [other_than]

    what = f"HAProxy on {host.name} to say its pid" + (", a new one" if other_than else "")
    wait_until(says_so, timeout_s=RELOADED_S, what=what)
    return found[0]


def ask_haproxy(host: EmulatedHost, command: str) -> str:
    """The answer to one command on the admin socket (HAProxy Management Guide §9.3). Raises OSError."""
    with host.connect_unix(ADMIN_SOCKET, timeout_s=2.0) as connection:
        connection.sendall(f"{command}\n".encode())
        received = bytearray()
        while part := connection.recv(8192):
            received += part
    return received.decode()


@contextmanager
def weighted(testbed: Testbed, weights: Mapping[str, int]) -> Iterator[None]:
    """Other weights on every balancer, set at run time as an operator would; 1 again afterwards."""
    _set_weights(testbed, weights)
    try:
        yield
    finally:
        _set_weights(testbed, dict.fromkeys(weights, 1))


def _set_weights(testbed: Testbed, weights: Mapping[str, int]) -> None:
    """Raises CommandFailed with HAProxy's own words: silence is consent."""
    for balancer in testbed.stage.hosts_of("haproxy"):
        for server, weight in weights.items():
            command = f"set server web/{server} weight {weight}"
            try:
                said = ask_haproxy(testbed.hosts[balancer], command).strip()
            except OSError as error:
                said = str(error)
            if said:
                raise CommandFailed(f"{balancer}: `{command}`: {said}")


@contextmanager
def slowed(testbed: Testbed, app: str, delay_ms: int) -> Iterator[None]:
    """Every answer of the application server `app` waits `delay_ms`, without using the CPU."""
    daemon = testbed.daemon(app, "gunicorn")
    service = daemon.service
    if not isinstance(service, Gunicorn):
        raise TypeError(f"{daemon.where} is no Gunicorn")
    slow = replace(service, answer_delay_ms=delay_ms, threads=THREADS_OF_A_SLOW_SERVER)

    def takes_that_long() -> bool:
        start_s = time.monotonic()
        return slow.ready(testbed.hosts[app]) and time.monotonic() - start_s >= delay_ms / 1e3

    with testbed.reconfigured(daemon, slow):
        wait_until(takes_that_long, timeout_s=RELOADED_S, what=f"{app} to answer {delay_ms} ms late")
        yield
    wait_until(lambda: not takes_that_long(), timeout_s=RELOADED_S, what=f"{app} to answer at once again")


def pairs(testbed: Testbed) -> dict[str, str]:
    """Web server → the application server it passes to in `paired`; itself where both are one host.

    Those for whom there is no further application server share the first.
    """
    webs, apps = testbed.stage.hosts_of("nginx"), testbed.stage.hosts_of("gunicorn")
    if set(apps) == set(webs):
        return {web: web for web in webs}
    return {web: apps[number] if number < len(apps) else apps[0] for number, web in enumerate(webs)}


def slow_pair(testbed: Testbed) -> tuple[str, str]:
    """(web server, application server) of the last pair: no other web server passes to that application."""
    apps = list(dict.fromkeys(pairs(testbed).values()))
    return next((web, app) for web, app in pairs(testbed).items() if app == apps[-1])


@contextmanager
def paired(testbed: Testbed) -> Iterator[None]:
    """Each web server with one application server, so that a slow one makes its web server slow, too.

    nginx's `upstream` shrinks to one line and is reloaded. Nothing changes where both are one host anyway.
    """
    with ExitStack() as stack:
        for web, app in pairs(testbed).items():
            nginx = _nginx(testbed, web)
            addresses = testbed.stage.addresses[app].values()
            mine = tuple(u for u in nginx.upstreams if u.rpartition(":")[0] in addresses)
            if mine and mine != nginx.upstreams:
                daemon = testbed.daemon(web, "nginx")
                stack.enter_context(testbed.reconfigured(daemon, replace(nginx, upstreams=mine)))
        yield


def _haproxy(testbed: Testbed, balancer: str) -> HAProxy:
    service = testbed.daemon(balancer, "haproxy").service
    if not isinstance(service, HAProxy):
        raise TypeError(f"{balancer} runs no HAProxy")
    return service


def _nginx(testbed: Testbed, web: str) -> Nginx:
    service = testbed.daemon(web, "nginx").service
    if not isinstance(service, Nginx):
        raise TypeError(f"{web} runs no nginx")
    return service


# -- many clients -------------------------------------------------------------------------------------


def asked_from_many(
    testbed: Testbed, client: str, sources: Sequence[str], sites: Sequence[str], times: int, path: str
) -> dict[tuple[str, str], set[str]]:
    """(source address, site address) → the web servers met, when each source asks each site `times` times.

    `sources` are addresses that `client` has for as long as this takes: to HAProxy, that many clients.
    """
    host, tls = testbed.hosts[client], None
    if testbed.stage.scheme == "https":
        tls = ssl.create_default_context(cadata=host.authority())
    with _further_addresses(host, f"{client}-public", sources):
        return {
            (source, site): {_web_met(host, source, site, path, tls) for _ in range(times)}
            for source in sources
            for site in sites
        }


@contextmanager
def _further_addresses(host: EmulatedHost, interface: str, addresses: Sequence[str]) -> Iterator[None]:
    prefix = NETWORKS["public"].partition("/")[2]
    with ExitStack() as stack:
        for address in addresses:
            host.run(["ip", "addr", "add", f"{address}/{prefix}", "dev", interface])
            stack.callback(host.run, ["ip", "addr", "del", f"{address}/{prefix}", "dev", interface])
        yield


def _web_met(host: EmulatedHost, source: str, site: str, path: str, tls: ssl.SSLContext | None) -> str:
    """The web server that answered one request from `source`. Raises CommandFailed."""
    connection = socket_in(host.pid, socket.AF_INET, socket.SOCK_STREAM)
    try:
        connection.settimeout(3.0)
        connection.bind((source, 0))
        connection.connect((site, 443 if tls else 80))
        status, answer = http_status(connection, DOMAIN, path, tls)
    except OSError as error:
        raise CommandFailed(f"{source} asked {site}: {error}") from error
    finally:
        connection.close()
    served = served_by(answer)
    if status != 200 or len(served) < 2:
        raise CommandFailed(f"{source} asked {site}: status {status}, served by {served}")
    return served[1]


def served_by(answer: bytes) -> tuple[str, ...]:
    """The hosts in the X-Served-By fields of a raw answer, client side first: each adds its own last."""
    head = answer.partition(b"\r\n\r\n")[0].decode("latin-1")
    fields = (line.partition(":") for line in head.split("\r\n")[1:])
    found = [value.strip() for name, _, value in fields if name.strip().lower() == "x-served-by"]
    return tuple(reversed(found))
