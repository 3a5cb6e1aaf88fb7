"""How long each daemon takes to notice and to act: one formula, one function, one source.

    VRRP      skew, Master_Down, crash, priority 0          RFC 3768 §6.1, RFC 5798 §6.1 (RFC 9568 §6.1)
    keepalived track_script: fall × interval                vrrp_scheduler.c, checked against 2.2.7
    HAProxy   health check, redispatch                      Configuration Manual §5.2, §4 "retries"
    nginx     passive failure, next upstream                ngx_http_upstream_module

Every function returns a `Timing`, whose `because` is the arithmetic with its numbers. All times in seconds.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from experiments.harness.configs import Backend, HAProxyServer, NginxUpstream, VrrpScript

#: What a connection to a dead server meets. refused: the host lives, nobody listens (RST at once);
#: silent: the kernel accepts, the frozen process says nothing; black-hole: no packet comes back.
Reach = Literal["refused", "silent", "black-hole"]

#: fork, exec and one local HTTP request of a track_script, on a server with a fraction of a core.
SCRIPT_RUN_S = 0.05
#: Requests that were inside a process when it died are lost; in so short a time they have all ended.
IN_FLIGHT_S = 0.05
#: What a good answer takes by itself: a retry must leave this much of the probe's timeout.
ANSWER_S = 0.1
#: Connections nginx's kernel queues for a frozen process: listen(2) backlog (511 on Linux) plus one.
ACCEPT_QUEUE = 512
#: HAProxy's algorithms of kind "round robin" (backend-t.h), which redispatch at once.
ROUND_ROBIN = ("roundrobin", "static-rr", "random")


@dataclass(frozen=True)
class Timing:
    """One step of a failover. `high_s` None: it never happens by itself."""

    phase: str  # detect, switch, outage or none
    low_s: float
    high_s: float | None
    because: str


def seconds(value: float) -> str:
    """0.609375 → "0.609", 3.0 → "3": as precise as a measurement here can be."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def span(low_s: float, high_s: float) -> str:
    return f"{seconds(low_s)} s" if low_s == high_s else f"{seconds(low_s)}–{seconds(high_s)} s"


# --- VRRP -----------------------------------------------------------------------------------------------


def advert_interval_s(version: int, configured_s: float) -> float:
    """What goes on the wire: whole seconds in v2 (RFC 3768 §5.3.7), centiseconds in v3 (RFC 5798 §5.2.7).

    keepalived 2.2.7 says "must be an integer. rounding" and turns 0.1 into 1.
    """
    unit_s = 1.0 if version == 2 else 0.01
    return max(1, math.floor(configured_s / unit_s + 0.5)) * unit_s


def skew_s(version: int, advert_s: float, priority: int) -> float:
    """Skew_Time of the backup: RFC 3768 §6.1 (v2), RFC 5798 §6.1 (v3, in units of the interval)."""
    return (advert_s if version == 3 else 1.0) * (256 - priority) / 256


def master_down_s(version: int, advert_s: float, priority: int) -> float:
    """Master_Down_Interval = 3 × advertisement interval + skew (RFC 3768 §6.1, RFC 5798 §6.1)."""
    return 3 * advert_s + skew_s(version, advert_s, priority)


def _skew_words(version: int, advert_s: float, priority: int) -> str:
    factor = "" if version == 2 else f"{seconds(advert_s)}·"
    return f"v{version}: skew {factor}(256−{priority})/256 = {seconds(skew_s(version, advert_s, priority))} s"


def silence(version: int, advert_s: float, priority: int, event: str = "crash") -> Timing:
    """The master falls silent somewhere between two adverts; the backup counts from the last one it heard."""
    skew, down = skew_s(version, advert_s, priority), master_down_s(version, advert_s, priority)
    low, high = down - advert_s, down
    words = (
        f"{_skew_words(version, advert_s, priority)}; Master_Down 3·{seconds(advert_s)} + {seconds(skew)} = "
        f"{seconds(down)} s; {event} at random phase: {span(low, high)}"
    )
    return Timing("switch", low, high, words)


def resignation(version: int, advert_s: float, priority: int) -> Timing:
    """The master says priority 0 and drops the address; the backup waits its skew (RFC 3768 §6.4.2)."""
    skew = skew_s(version, advert_s, priority)
    words = (
        f"{_skew_words(version, advert_s, priority)}; the master resigns with priority 0: {seconds(skew)} s"
    )
    return Timing("switch", skew, skew, words)


def script_fails(script: VrrpScript, hung: bool, run_s: float = SCRIPT_RUN_S) -> Timing:
    """From the fault to the moment keepalived acts on its track_script.

    A run starts every `interval`; the fault falls between two; `fall` runs in a row must fail. Refused, a
    run fails at once. Hung, it fails when its own limit or keepalived's `timeout` ends it. 2.2.7 logs
    "skipping run" when the last one is still running and starts the next one nevertheless (measured:
    interval 1 s, timeout 2 s, fall 2: failed 3.0 s after the first run), so runs overlap and the n-th
    failure comes (n−1) intervals after the first however long a run takes.
    """
    wait_s = (script.fall - 1) * script.interval_s
    own_s = _own_limit_s(script.command)
    limit_s = (script.timeout_s if own_s is None else min(own_s, script.timeout_s)) if hung else 0.0
    low, high = wait_s + limit_s, wait_s + script.interval_s + limit_s + run_s
    ends = f" + {seconds(limit_s)} s until a hung run is ended" if hung else ""
    words = (
        f"{script.name}: U(0,{seconds(script.interval_s)}) + ({script.fall}−1)·{seconds(script.interval_s)}"
        f"{ends} + run ≤ {seconds(run_s)}: {span(low, high)}"
    )
    return Timing("detect", low, high, words)


def _own_limit_s(command: str) -> float | None:
    """The time limit a check sets itself: curl's --max-time (-m), or timeout(1) in front of it."""
    found = re.search(r"(?:--max-time[ =]|\bcurl .*?-m ?|(?:^|[\s/])timeout )(\d+(?:\.\d+)?)\b", command)
    return float(found[1]) if found else None


# --- HAProxy --------------------------------------------------------------------------------------------


def check_takes_s(backend: Backend, server: HAProxyServer, reach: Reach) -> float:
    """T_c, how long one failing check lasts (Configuration Manual §4, "timeout check").

    Connecting may take min(timeout connect, inter) and reading another `timeout check`; without
    `timeout check` the whole check may take `inter`.
    """
    if reach == "refused":
        return 0.0
    if backend.timeout_check_s is None:
        return server.inter_s
    if reach == "silent":
        return backend.timeout_check_s
    return min(backend.timeout_connect_s or server.inter_s, server.inter_s)


def marked_down(backend: Backend, server: HAProxyServer, reach: Reach) -> Timing:
    """T_down = U(0,inter) + (fall−1)·(fastinter or inter) + fall·T_c.

    The next check starts an interval after the last one ended; after the first failure the interval is
    `fastinter` (§5.2). With `observe`, failing traffic may mark the server down sooner: no lower bound.
    """
    check_s = check_takes_s(backend, server, reach)
    again_s = server.inter_s if server.fastinter_s is None else server.fastinter_s
    low = (server.fall - 1) * again_s + server.fall * check_s
    high = server.inter_s + low
    words = (
        f"{server.name} is marked down after U(0,{seconds(server.inter_s)}) + "
        f"({server.fall}−1)·{seconds(again_s)} + {server.fall}·{seconds(check_s)} = {span(low, high)}"
    )
    if server.observe:
        low, words = 0.0, f"{words}, or sooner (observe {server.observe})"
    return Timing("detect", low, high, words)


def redispatch_s(backend: Backend, reach: Reach) -> float | None:
    """What a request sent to a dead server loses before it reaches another. None: it never does.

    Round robin with another active server redispatches at the first failure. Otherwise every n-th retry
    (plain `option redispatch`: the last one) changes server, and each retry of a refused connection first
    waits min(timeout connect, 1 s) (Configuration Manual §4, "retries", "option redispatch").
    """
    if backend.redispatch is None or backend.retries == 0 or len(backend.servers) < 2 or reach == "silent":
        return None
    tries = backend.retries if backend.redispatch < 0 else backend.redispatch
    if backend.balance in ROUND_ROBIN:
        tries = 1
    if tries > backend.retries or tries < 1:
        return None
    connect_s = math.inf if backend.timeout_connect_s is None else backend.timeout_connect_s
    return tries * connect_s if reach == "black-hole" else (tries - 1) * min(connect_s, 1.0)


def queue_fills(backend: Backend, server: HAProxyServer, rate_hz: float) -> Timing:
    """A frozen server passes TCP checks until its accept queue is full; only then SYNs are dropped."""
    down = marked_down(backend, server, "black-hole")
    fills_s = ACCEPT_QUEUE * len(backend.servers) / rate_hz
    words = (
        f"TCP checks pass until {ACCEPT_QUEUE} connections fill the frozen server's accept queue "
        f"(≤ {seconds(fills_s)} s at {seconds(rate_hz)}/s); then {down.because}"
    )
    return Timing("detect", down.low_s, fills_s + (down.high_s or 0.0), words)


def frozen(backend: Backend, server: HAProxyServer, rate_hz: float, probe_timeout_s: float) -> Timing:
    """A frozen server keeps its share of requests until HAProxy's check gives it up, or its kernel does.

    The kernel accepts for it until the accept queue is full; from then on SYNs are dropped, and HAProxy
    redispatches after `timeout connect`. Where that is quick enough for a probe, the outage ends with
    whichever comes first.
    Requests arrive at random moments and other clients send, too: the time to fill is given with ±10%.
    """
    checked = marked_down(backend, server, "silent")
    elsewhere_s = redispatch_s(backend, "black-hole")
    if elsewhere_s is None or elsewhere_s + ANSWER_S > probe_timeout_s or rate_hz <= 0:
        return checked
    fills_s = ACCEPT_QUEUE * len(backend.servers) / rate_hz
    if checked.high_s is not None and 0.9 * fills_s > checked.high_s:
        return checked
    words = (
        f"the frozen server's accept queue takes {ACCEPT_QUEUE} connections, full after {seconds(fills_s)} s "
        f"± 10% at {seconds(rate_hz)}/s, then HAProxy redispatches after {seconds(elsewhere_s)} s; "
        f"or {checked.because}"
    )
    low_s, high_s = min(checked.low_s, 0.9 * fills_s), min(checked.high_s or math.inf, 1.1 * fills_s)
    return Timing("detect", low_s, high_s, words)


# --- nginx ----------------------------------------------------------------------------------------------


def next_upstream(
    upstream: NginxUpstream, reach: Reach, nginxes: int, rate_hz: float, limit_s: float
) -> Timing:
    """A peer of an upstream dies; nginx learns it only from the requests that fail (max_fails).

    `nginxes` is how many worker processes learn it independently, `limit_s` when a probe gives up. A dead
    peer costs one proxy_connect_timeout per attempt, again every fail_timeout; an idle connection that is
    kept to it swallows one request, and a frozen peer every request, for proxy_read_timeout.
    """
    dead = min((s for s in upstream.servers if not s.backup), key=lambda s: s.max_fails)
    retried = "error" in upstream.next_upstream and "timeout" in upstream.next_upstream
    if reach == "refused" and retried:
        return Timing("none", 0.0, IN_FLIGHT_S, "refused: nginx asks the next upstream server at once")
    if dead.max_fails == 0:
        return Timing("outage", 0.0, None, "max_fails=0: nginx never stops using the dead server")
    # How long the probes alone need to bring that many requests from every nginx to the dead peer.
    spent = dead.max_fails + (0 if reach == "refused" else upstream.keepalive)
    spread_s = spent * len(upstream.servers) * nginxes / rate_hz
    if reach == "refused":
        words = f"not retried; out after {dead.max_fails} failed requests: {span(0.0, spread_s)}"
        return Timing("outage", 0.0, spread_s, words)
    costs_s = upstream.read_timeout_s if reach == "silent" else upstream.connect_timeout_s
    words = (
        f"{'proxy_read_timeout' if reach == 'silent' else 'proxy_connect_timeout'} {seconds(costs_s)} s per "
        f"attempt, then {seconds(dead.fail_timeout_s)} s of peace (fail_timeout)"
    )
    if reach == "black-hole" and retried and costs_s + ANSWER_S <= limit_s:
        words += f": within the probe's {seconds(limit_s)} s"
        if upstream.keepalive:
            words += f"; each of ≤ {upstream.keepalive} idle connections per nginx swallows one request"
        return Timing("none", 0.0, max(IN_FLIGHT_S, spread_s if upstream.keepalive else 0.0), words)
    return Timing("outage", costs_s, costs_s + spread_s, f"{words}: {span(costs_s, costs_s + spread_s)}")
