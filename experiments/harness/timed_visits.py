"""Visitors of a running stage, one after the other, each found again in the logs of those who served it."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field

from experiments.harness import waterfall
from experiments.harness.waterfall import Request
from loadtests.fetch import Fetched, Visitor, fetch
from loadtests.lookup import DNS_PORT, NoAddress
from services.nginx import Nginx
from topologies.host import AUTHORITY, EmulatedHost
from topologies.netns import socket_in
from topologies.stage import DOMAIN, RESOLVER, Stage
from topologies.testbed import Testbed
from topologies.waiting import TestbedError, wait_until

PAGE = "/items/3"  # made of a row of the database
WARM_UP = 4  # so that every server has its connections, as in the middle of a day


@dataclass(frozen=True)
class Visits:
    """Requests in the order they were made, and curl's view of others made in between (PARTS, in seconds)."""

    requests: list[Request] = field(default_factory=list)
    curl_s: list[tuple[float, ...]] = field(default_factory=list)

    def __add__(self, other: Visits) -> Visits:
        return Visits(self.requests + other.requests, self.curl_s + other.curl_s)


def visitor(host: EmulatedHost, stage: Stage) -> Visitor:
    """A visitor on `host` who trusts what the host trusts."""

    def make_socket(family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        return socket_in(host.pid, family, kind)

    tls = ssl.create_default_context(cadata=host.authority()) if stage.scheme == "https" else None
    return Visitor(make_socket, (RESOLVER, DNS_PORT), tls)


def call(who: Visitor, target: str) -> Fetched:
    """One request that must succeed. Raises TestbedError."""
    try:
        seen = fetch(who, DOMAIN, target)
    except (OSError, NoAddress) as error:
        raise TestbedError(f"GET {target}: {error!r}") from error
    if seen.status != 200:
        raise TestbedError(f"GET {target}: {seen.status}")
    return seen


def visit(testbed: Testbed, count: int, mark: str) -> Visits:
    """`count` requests of ours and as many of curl's, alternating. `mark` makes their targets unique.

    Raises TestbedError, also when the last of them does not come up in the log of who served it.
    """
    stage, host = testbed.stage, testbed.hosts[testbed.stage.clients[0]]
    who = visitor(host, stage)
    for k in range(WARM_UP):
        call(who, f"{PAGE}?warm={mark}-{k}")
        _curl(host, stage.scheme, f"{PAGE}?warm={mark}-{k}")
    seen, curl_s = [], []
    for k in range(count):
        seen.append(call(who, f"{PAGE}?visit={mark}-{k}"))
        curl_s.append(_curl(host, stage.scheme, f"{PAGE}?curl={mark}-{k}"))
    last = f"visit={mark}-{count - 1}"
    there = [daemon for daemon in ("haproxy", "nginx") if stage.hosts_of(daemon)]
    wait_until(
        lambda: all(waterfall.line_with(_log(testbed, daemon), last) for daemon in there),
        timeout_s=5, what=f"{last} in the logs of {' and '.join(there)}",
    )  # fmt: skip
    balancers, webs = _log(testbed, "haproxy"), _log(testbed, "nginx")
    return Visits([_found(one, f"visit={mark}-{k}", balancers, webs) for k, one in enumerate(seen)], curl_s)


def _found(seen: Fetched, mark: str, balancers: str, webs: str) -> Request:
    balancer, web = waterfall.line_with(balancers, mark), waterfall.line_with(webs, mark)
    return Request(
        seen,
        None if balancer is None else waterfall.balancer_times(balancer),
        None if web is None else waterfall.web_times(web),
    )


def _log(testbed: Testbed, daemon: str) -> str:
    """What all of these daemons wrote about requests: to standard output, or to a file of their own."""
    hosts = testbed.stage.hosts_of(daemon)
    if daemon == "nginx":
        files = [testbed.hosts[host].path(Nginx.log_files[0]) for host in hosts]
    else:
        files = [testbed.results / "hosts" / host / f"{daemon}.log" for host in hosts]
    return "".join(file.read_text(errors="replace") for file in files)


def _curl(host: EmulatedHost, scheme: str, target: str) -> tuple[float, ...]:
    """Two transfers of one curl, each on a new connection with a full handshake. Raises CommandFailed.

    curl looks names up anew for every process only; with a dot at its end the name is a new one to it.
    """
    one = (
        "-4", "--silent", "--fail", "--output", "/dev/null", "--no-sessionid", "--cacert", AUTHORITY,
        "--header", "Connection: close", "--write-out", waterfall.CURL_FORMAT,
    )  # fmt: skip
    urls = (f"{scheme}://{DOMAIN}{target}", f"{scheme}://{DOMAIN}.{target}")
    return waterfall.curl_parts_s(host.run(("curl", *one, urls[0], "--next", *one, urls[1])).stdout)
