"""What the monitor of a running stage has collected: series, streams, lines, and requests counted four ways.

declaration ──► what must be there (monitored)  ─┐
Prometheus, the store, the hosts' own files ─────┴─► what is there, and what is not
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from experiments.harness import monitored, request_rates
from experiments.harness.configs import parse_haproxy
from experiments.harness.generators import observe_until, probing
from experiments.harness.log_lines import Stored, access, delays_s, lines_of
from experiments.harness.monitor import Monitor
from experiments.harness.monitored import Compared, Shipped, Stream
from experiments.harness.request_rates import Count, Expected, Window, counter_window
from loadtests.prober_config import ProberConfig, StreamConfig
from loadtests.probes import Probe
from topologies.host import SHARED, TRUST_STORE
from topologies.monitoring import SEGMENT
from topologies.stage import DOMAIN, RESOLVER, Stage
from topologies.testbed import Testbed
from topologies.waiting import NotReady, TestbedError, wait_until

PROBED, EXPECTED_TEXT = "/api/items/1", '"id":1,'
#: Nobody listens there (RFC 863), and no flow leads there: the firewall has something to deny.
DISCARD = 9
#: Every exporter has been asked twice by then, however slowly its host started.
FIRST_SCRAPES_S = 15.0
#: A shipper looks at its files once a second; the store writes at once.
ARRIVED_S = 5.0


# -- series ----------------------------------------------------------------------------------------------


def series_found(stage: Stage, monitor: Monitor) -> tuple[Compared, Compared]:
    """Targets that answer and their characteristic figures, against the declaration; waits for scrapes."""
    wanted = monitored.targets(stage), monitored.figures(stage)

    def complete() -> bool:
        return monitor.up() >= wanted[0] and monitor.figures() >= wanted[1]

    with contextlib.suppress(NotReady):  # what is missing then is the finding
        wait_until(
            complete,
            timeout_s=FIRST_SCRAPES_S + 2 * stage.settings.scrape_interval_s,
            what="the first scrapes",
            interval_s=0.5,
        )
    return (
        monitored.compare([(job, host) for job, host in wanted[0]], monitor.up()),
        monitored.compare(wanted[1], monitor.figures()),
    )


# -- logs ------------------------------------------------------------------------------------------------


def provoke_denials(testbed: Testbed, monitor: Monitor) -> None:
    """One packet for each firewall to deny, so that its log has a line."""
    for hosts in testbed.stage.layers.values():
        for host in hosts:
            with contextlib.suppress(OSError):
                monitor.host.connect(testbed.stage.addresses[host][SEGMENT], DISCARD, 0.05).close()


@dataclass(frozen=True)
class Logs:
    """Every stream: its lines on the host and in the store, and how late those of requests arrived."""

    streams: Mapping[Stream, Shipped]
    present: Compared
    silent: tuple[str, ...]  # daemons that wrote nothing, so that nothing can have arrived
    delays_s: tuple[float, ...]


def logs_found(testbed: Testbed, monitor: Monitor, since_s: float = 0.0) -> Logs:
    """What was written until now, what of it arrived, and how late that was which arrived since `since_s`."""
    files = monitored.streams(testbed.stage)
    written = {stream: _lines(testbed, stream[0], path) for stream, path in files.items()}
    last: dict[Stream, list[Stored]] = {}

    def arrived() -> bool:
        last.clear()
        last.update(monitor.store())
        return not any(monitored.shipped(w, w, _texts(last.get(s, ()))).lost for s, w in written.items())

    with contextlib.suppress(NotReady):
        wait_until(arrived, timeout_s=ARRIVED_S, what="every line to arrive", interval_s=0.25)
    later = {stream: _lines(testbed, stream[0], path) for stream, path in files.items()}
    speaking = [stream for stream, lines in later.items() if lines]
    fresh = {s: [x for x in lines if x.arrived_s >= since_s] for s, lines in last.items()}
    return Logs(
        {s: monitored.shipped(written[s], later[s], _texts(last.get(s, ()))) for s in files},
        monitored.compare([("/".join(s),) for s in speaking], [("/".join(s),) for s in last]),
        tuple("/".join(s) for s in files if s not in speaking),
        tuple(delay for (_, tag), lines in fresh.items() for delay in delays_s(tag, lines)),
    )


def _lines(testbed: Testbed, host: str, path: str) -> list[str]:
    file = testbed.hosts[host].path(path)
    return lines_of(file.read_text(errors="replace")) if file.exists() else []


def _texts(lines: Iterable[Stored]) -> list[str]:
    return [line.text for line in lines]


def polling_s(testbed: Testbed, host: str) -> float:
    """How often the shipper on `host` looks at its files, as rendered. Raises TestbedError."""
    found = re.search(r'pollingInterval="(\d+)"', testbed.configs[host].get("rsyslog.conf", ""))
    if found is None:
        raise TestbedError(f"rsyslog.conf on {host} names no pollingInterval")
    return float(found[1])


# -- requests --------------------------------------------------------------------------------------------


def prober_config(stage: Stage, rate_hz: float, name: str) -> ProberConfig:
    """By name, so that every balancer gets its share."""
    url = f"{stage.scheme}://{DOMAIN}{PROBED}"
    return ProberConfig(
        streams=(StreamConfig("by-name", url, rate_hz),), output=f"{SHARED}/results/{name}.csv",
        ca_file=TRUST_STORE, nameserver=RESOLVER, expect_text=EXPECTED_TEXT,
    )  # fmt: skip


@dataclass(frozen=True)
class Load:
    """What the generator did between two moments of the wall clock."""

    window: Window
    rows: tuple[Probe, ...]
    clock_s: float  # wall clock minus CLOCK_MONOTONIC

    def answered_by(self, host: str, window: Window) -> int:
        return window.count(p.end_s + self.clock_s for p in self.rows if host in p.served_by.split(">"))

    @property
    def rate_hz(self) -> float:
        return self.window.count(p.due_s + self.clock_s for p in self.rows) / self.window.lasts_s

    @property
    def bad(self) -> int:
        return sum(not p.good for p in self.rows)


def offer(testbed: Testbed, monitor: Monitor, rate_hz: float, lasts_s: float, name: str) -> Load:
    """Ask for `lasts_s` at a fixed rate, whatever the system does; the first half second does not count."""
    config = prober_config(testbed.stage, rate_hz, name)
    with probing(testbed.hosts["client1"], config, testbed.results, name) as prober:
        start_s = time.monotonic() + 0.5
        observe_until(start_s + lasts_s)
        end_s = time.monotonic()
        observe_until(end_s + 0.2)
        rows = tuple(prober.probes())
    window = Window(monitor.wall(start_s), monitor.wall(end_s))
    return Load(window, rows, monitor.wall(0.0))


def expected_beside(testbed: Testbed, monitor: Monitor) -> Expected:
    """Requests per second and web server that no client sends, from what is configured and in force."""
    balancers = testbed.stage.hosts_of("haproxy")
    (backend,) = (
        b for b in parse_haproxy(testbed.configs[balancers[0]]["haproxy.cfg"]).backends if b.name == "web"
    )
    intervals = {t.interval_s for t in monitor.prometheus.targets() if t.job == "nginx"}
    if len(intervals) != 1:
        raise TestbedError(f"nginx is scraped every {intervals or 'never'} s")
    return request_rates.expected(len(balancers), backend.servers[0].inter_s, intervals.pop())


@dataclass(frozen=True)
class Tally:
    counts: tuple[Count, ...]
    checks_logged: int
    checks_expected: float
    checks_slack: int  # each balancer's checks of each server may fall either side of each edge


def requests_counted(testbed: Testbed, monitor: Monitor, load: Load, beside: Expected) -> Tally:
    """The four counts. Raises TestbedError where a counter has too few samples in the window."""
    stage, store, counts = testbed.stage, monitor.store(), list[Count]()
    balancers = stage.hosts_of("haproxy")
    addresses = {address for lb in balancers for address in stage.addresses[lb].values()}
    logged, wanted = 0, 0.0
    for web in stage.hosts_of("nginx"):
        window, counted = _counter(monitor, f'nginx_http_requests_total{{host="{web}"}}', load.window)
        clients, lasts_s = load.answered_by(web, window), window.lasts_s
        both_hz = beside.checks_hz + beside.scrapes_hz
        counts.append(Count("nginx's counter", web, window, counted, both_hz * lasts_s, clients))
        requests = [
            r for line in store.get((web, "nginx-access"), ()) if (r := access("nginx-access", line.text))
        ]
        inside = [r for r in requests if window.count((r.written_s,))]
        counts.append(
            Count("access log in the store", web, window, len(inside), beside.checks_hz * lasts_s, clients)
        )
        logged += sum(r.is_check_of(addresses) for r in inside)
        wanted += beside.checks_hz * lasts_s
    for lb in balancers:
        query = f'haproxy_backend_http_requests_total{{proxy="web", host="{lb}"}}'
        window, counted = _counter(monitor, query, load.window)
        counts.append(Count("HAProxy's counter", lb, window, counted, 0.0, load.answered_by(lb, window)))
    return Tally(tuple(counts), logged, wanted, len(balancers) * len(stage.hosts_of("nginx")))


def _counter(monitor: Monitor, query: str, window: Window) -> tuple[Window, int]:
    found = monitor.prometheus.raw(query, window.start_s, window.end_s)
    if len(found) != 1:
        raise TestbedError(f"{query}: {len(found)} series, not one")
    return counter_window(found[0].samples, window.start_s, window.end_s)


@contextlib.contextmanager
def shipper_stopped(testbed: Testbed, host: str) -> Iterator[None]:
    """A control: the logs of one host go nowhere during the block, and are shipped afterwards."""
    daemon = testbed.daemon(host, "rsyslog")
    testbed.stop_daemons([daemon])
    try:
        yield
    finally:
        testbed.start_daemons([daemon])


def missing_lines(testbed: Testbed, monitor: Monitor, host: str, tag: str) -> int:
    """Lines of this stream that the host has and the store has not, now."""
    written = _lines(testbed, host, monitored.streams(testbed.stage)[host, tag])
    return monitored.shipped(written, written, _texts(monitor.store().get((host, tag), ()))).lost
