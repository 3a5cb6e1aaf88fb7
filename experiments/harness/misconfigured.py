"""A front server that is wrong on purpose, for as long as somebody looks: another certificate, or weak TLS.

with showing(testbed, front, pair): …       a certificate that a careful client refuses
with weak_tls(testbed, front): …            TLS 1.0, and ciphers without encryption

Both put files on the host and reload the daemon, which then really answers so. What it had is back after it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from experiments.harness import tls_checks
from services import haproxy, nginx
from services.credentials import Certificate
from services.service import File
from topologies.stage import Stage
from topologies.testbed import Testbed
from topologies.waiting import TestbedError, wait_until

#: (what the configuration says, what it says instead).
WEAKENED = {
    "haproxy": (
        (r"ssl-min-ver TLSv1\.2", "ssl-min-ver TLSv1.0"),
        (r"ssl-default-bind-ciphers \S+", "ssl-default-bind-ciphers ALL:eNULL:@SECLEVEL=0"),
    ),
    "nginx": (
        (r"ssl_protocols TLSv1\.2 TLSv1\.3;", "ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;"),
        (r"ssl_ciphers [^;]+;", "ssl_ciphers ALL:eNULL:@SECLEVEL=0;"),
    ),
}


@dataclass(frozen=True)
class Front:
    """Where clients' TLS ends: a host, its daemon, and the address that clients use."""

    host: str
    daemon: str
    address: str


def front_of(stage: Stage) -> Front:
    """The first load balancer, or the only server; `stage.default_target` holds the first address."""
    daemon = "haproxy" if stage.hosts_of("haproxy") else "nginx"
    return Front(stage.hosts_of(daemon)[0], daemon, stage.site_addresses[0])


def certificate_files(front: Front, pair: Certificate) -> dict[str, File]:
    """The files in which the daemon has its certificate and key."""
    if front.daemon == "haproxy":
        return {haproxy.CERTIFICATE: File(pair.chain_and_key, mode=0o600, secret=True)}
    return {nginx.CERTIFICATE: File(pair.certificate), nginx.KEY: File(pair.key, mode=0o600, secret=True)}


@contextmanager
def showing(testbed: Testbed, front: Front, pair: Certificate, client: str) -> Iterator[None]:
    """The front server presents `pair` during the block. Raises CommandFailed, NotReady."""

    def presents(certificate: str) -> Callable[[], bool]:
        return lambda: tls_checks.presented(testbed.hosts[client], front.address) == certificate

    own = _own_files(testbed, front, certificate_files(front, pair))
    before = tls_checks.presented(testbed.hosts[client], front.address)
    try:
        _reload(testbed, front, certificate_files(front, pair), presents(pair.certificate))
        yield
    finally:
        _reload(testbed, front, own, presents(before))


@contextmanager
def weak_tls(testbed: Testbed, front: Front, client: str) -> Iterator[None]:
    """The front server offers what nobody should any more. Raises TestbedError, NotReady."""
    path = haproxy.CONFIGURATION if front.daemon == "haproxy" else nginx.CONFIGURATION
    own = _own_files(testbed, front, (path,))

    def accepts_tls_1_0(wanted: bool) -> Callable[[], bool]:
        options, _ = tls_checks.OFFERS["TLS 1.0"]
        return lambda: tls_checks.s_client(testbed.hosts[client], front.address, *options).accepted is wanted

    weak = replace(own[path], text=weakened(front.daemon, own[path].text))
    try:
        _reload(testbed, front, {path: weak}, accepts_tls_1_0(True))
        yield
    finally:
        _reload(testbed, front, own, accepts_tls_1_0(False))


def weakened(daemon: str, text: str) -> str:
    """The daemon's configuration with old versions and weak ciphers. Raises TestbedError: not recognised."""
    for pattern, instead in WEAKENED[daemon]:
        text, times = re.subn(pattern, instead, text)
        if not times:
            raise TestbedError(f"{daemon}'s configuration has no {pattern!r} that could be weakened")
    return text


def _own_files(
    testbed: Testbed, front: Front, paths: Mapping[str, File] | tuple[str, ...]
) -> dict[str, File]:
    rendered = testbed.daemon(front.host, front.daemon).service.render(testbed.secrets)
    return {path: rendered[path] for path in paths}


def _reload(testbed: Testbed, front: Front, files: Mapping[str, File], changed: Callable[[], bool]) -> None:
    """Put, check, reload, and wait until three new connections in a row see the change."""
    daemon = testbed.daemon(front.host, front.daemon)
    for path, file in files.items():
        daemon.host.put(path, file)
    for line in daemon.service.check():
        daemon.host.run(line, timeout_s=30.0)
    if daemon.process is None or daemon.service.reload_signal is None:
        raise TestbedError(f"{daemon.where} cannot be reloaded")
    daemon.process.send_signal(daemon.service.reload_signal)
    # Old and new workers may both accept for a moment.
    wait_until(
        lambda: all(changed() for _ in range(3)), timeout_s=15.0, what=f"{daemon.where} to show its new files"
    )
