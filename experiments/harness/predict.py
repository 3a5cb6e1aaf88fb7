"""Before anything is broken: how long will the outage last? Computed from the configuration the daemons run.

    fault, target ──► which tier breaks ──► who takes over (read from the configs) ──► its timers ──► seconds

    lb   keepalived's peers with the same VIP        VRRP: silence, resignation, track_script
    web  the other servers of HAProxy's backend      health check, redispatch
    app  the other servers of nginx's upstream       passive failures, next upstream
    db   nobody

Configs are host → file name or path → text. The steps that add up to a prediction are `timings`; their
formulas and sources are in timing.py. Probes are pinned to one address, so DNS plays no part.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from experiments.harness.blocks import ConfigError
from experiments.harness.configs import VrrpInstance, VrrpScript
from experiments.harness.fleet import (
    Configs,
    advert_interval_of,
    cluster_of,
    file_of,
    haproxy_of,
    holder,
    standing_of,
    tiers_of,
    upstreams_of,
)  # fmt: skip
from experiments.harness.model import Prediction
from experiments.harness.timing import (
    ANSWER_S,
    IN_FLIGHT_S,
    Reach,
    Timing,
    frozen,
    marked_down,
    master_down_s,
    next_upstream,
    queue_fills,
    redispatch_s,
    resignation,
    script_fails,
    seconds,
    silence,
)  # fmt: skip

__all__ = [
    "FAULTS", "Probing", "dns_round_robin_share", "holder", "predict", "predict_failback", "timings", "total",
]  # fmt: skip

Route = Literal["static", "dynamic", "data"]

FAULTS = ("none", "host-crash", "link-down", "process-kill", "hang", "graceful-stop", "slow-answers")
#: What a new connection to the target meets.
REACH: Mapping[str, Reach] = {
    "host-crash": "black-hole", "link-down": "black-hole", "process-kill": "refused",
    "graceful-stop": "refused", "hang": "silent",
}  # fmt: skip
_READ_ONLY = re.compile(r"^\s*(super_)?read_only\s*(=\s*(1|on|true)\s*)?$", re.IGNORECASE | re.MULTILINE)
#: Which tiers a probe of each route needs.
NEEDS: Mapping[Route, frozenset[str]] = {
    "static": frozenset({"lb", "web"}),
    "dynamic": frozenset({"lb", "web", "app"}),
    "data": frozenset({"lb", "web", "app", "db"}),
}


@dataclass(frozen=True)
class Probing:
    """How it is looked at. After `timeout_s` a probe is bad: the smaller of its timeout and its SLO."""

    timeout_s: float = 0.5
    route: Route = "data"
    rate_hz: float = 200.0
    interface: str | None = None  # whose link goes down; None: the one keepalived speaks on
    delay_s: float = 0.0  # slow-answers: how much longer every answer of the target takes
    loads_s: float = 0.0  # slow-answers: how long gunicorn's new worker takes to load the site


def predict(
    fault: str, target_host: str, target_daemon: str | None, configs: Configs, vip: str, *,
    probe_timeout_s: float = 0.5, route: Route = "data", rate_hz: float = 200.0, interface: str | None = None,
    delay_s: float = 0.0, loads_s: float = 0.0,
) -> Prediction:  # fmt: skip
    """The outage that a stream of probes pinned to `vip` will see. `target_daemon` None: the whole host.

    `interface` matters to link-down alone: the link of a load balancer that keepalived does not watch.
    `delay_s` and `loads_s` matter to slow-answers alone.
    Raises ValueError for an unknown fault, ConfigError if the configuration does not say enough.
    """
    probing = Probing(probe_timeout_s, route, rate_hz, interface, delay_s, loads_s)
    return total(timings(fault, target_host, target_daemon, configs, vip, probing))


def total(steps: Sequence[Timing]) -> Prediction:
    """Steps follow one another: bounds add up, and one step that never happens means no recovery."""
    highs = [step.high_s for step in steps]
    known = [high for high in highs if high is not None]
    return Prediction(
        low_s=sum(step.low_s for step in steps),
        high_s=sum(known) if len(known) == len(highs) else None,
        because="; then ".join(step.because for step in steps),
    )


def timings(
    fault: str, host: str, daemon: str | None, configs: Configs, vip: str, probing: Probing
) -> tuple[Timing, ...]:
    """The steps of the prediction, for a report that prints the arithmetic. Raises as `predict`."""
    if fault not in FAULTS:
        raise ValueError(f"unknown fault {fault!r}: not one of {', '.join(FAULTS)}")
    if fault == "none":
        return (_unharmed("control: nothing is broken"),)
    if host not in configs:
        raise ConfigError(f"no configuration of {host}: only of {', '.join(sorted(configs))}")
    if fault == "slow-answers":
        return (_slow(host, configs, probing),)
    reach = REACH[fault]
    if reach == "black-hole":
        daemon = None  # the host dies, not one of its daemons
    tiers = tiers_of(configs[host], daemon)
    outcomes = []
    if "lb" in tiers:
        outcomes.append(_load_balancer(fault, host, daemon, configs, vip, probing))
    if "web" in tiers:
        outcomes.append(_web(reach, host, configs, vip, probing))
    if "app" in tiers & NEEDS[probing.route] and not (daemon is None and "web" in tiers):
        # Where nginx dies with gunicorn, whoever notices nginx has noticed both.
        outcomes.append(_app(reach, host, configs, vip, probing))
    if "db" in tiers & NEEDS[probing.route]:
        outcomes.append(_database(host, configs))
    if not outcomes:
        return (_unharmed(f"{daemon or host} is not on the path of a {probing.route} request to {vip}"),)
    return max(outcomes, key=_severity)


def predict_failback(target_host: str, configs: Configs, vip: str) -> Prediction:
    """The outage when a repaired load balancer takes its address back: none, both hold it for one packet.

    keepalived always starts, and leaves FAULT, as BACKUP, whatever `state` says; it discards adverts of
    lower priority and becomes master after its own Master_Down (RFC 3768 §6.4.2). The peer steps down on
    the first advert it hears, which leaves together with the gratuitous ARP. Not so for a keepalived that
    was cut off and never stopped being master: it sends no gratuitous ARP when the cut heals, unless it
    hears the peer's advert before the peer hears its own.
    """
    cluster = cluster_of(configs, vip)
    if target_host not in cluster or holder(configs, vip) != target_host:
        return Prediction(0.0, 0.0, f"{target_host} does not take {vip} back")
    mine = cluster[target_host]
    if mine.nopreempt:
        return Prediction(0.0, 0.0, f"{target_host} comes back with nopreempt: {vip} stays where it is")
    down_s = master_down_s(mine.version, advert_interval_of(mine), mine.priority)
    words = (
        f"{target_host} returns as BACKUP, discards adverts of lower priority, is master after Master_Down "
        f"{seconds(down_s)} s; the peer steps down on its first advert: no gap"
    )
    return Prediction(0.0, 0.0, words)


def dns_round_robin_share(records: Collection[str], dead: Collection[str]) -> float:
    """Share of new connections that try a dead address first: 1/k with one of k records dead."""
    if not records:
        raise ValueError("a name without records has no share")
    return sum(record in dead for record in records) / len(records)


def _load_balancer(
    fault: str, host: str, daemon: str | None, configs: Configs, vip: str, probing: Probing
) -> tuple[Timing, ...]:
    cluster, first = cluster_of(configs, vip), holder(configs, vip)
    if first is not None and host != first:
        return (_unharmed(f"{host} does not hold {vip}, {first} does"),)
    if daemon == "keepalived" and fault != "graceful-stop":
        return (
            _unharmed(f"keepalived no longer runs, but {vip} stays on {host}: stale, and HAProxy answers"),
        )
    peers = [instance for name, instance in cluster.items() if name != host]
    if not peers:
        return (_never(f"{host} is the only load balancer: nothing takes over {vip}"),)
    mine, backup = cluster[host], max(peers, key=standing_of)
    # The backup counts with its own priority and the master's interval.
    timers = backup.version, advert_interval_of(mine), standing_of(backup)
    if fault == "link-down" and probing.interface not in (None, mine.interface):
        # HAProxy still answers its own check, with no server left behind it.
        return (_never(f"{host} keeps {vip}: keepalived watches {mine.interface}, not {probing.interface}"),)
    if fault == "graceful-stop" and daemon != "haproxy":
        return (resignation(*timers),)
    if daemon is None:
        return (silence(*timers),)
    # HAProxy alone is gone: only a track_script can tell keepalived.
    script = _watching_haproxy(mine, backup)
    if script is None:
        return (_never(f"no track_script makes {host} give {vip} up while keepalived lives"),)
    detect = script_fails(script, hung=fault == "hang")
    if script.weight == 0:
        return (detect, resignation(*timers))
    return (detect, silence(*timers, "last advert above the backup's priority"))


def _watching_haproxy(mine: VrrpInstance, backup: VrrpInstance) -> VrrpScript | None:
    """The tracked script whose failure makes us yield to the backup: FAULT, or too low a priority.

    A backup discards adverts below its own priority and times out (RFC 3768 §6.4.2), unless nopreempt.
    """
    about = [s for s in mine.tracked if "haproxy" in f"{s.name} {s.command}".lower()] or list(mine.tracked)
    for script in about:
        failed = standing_of(mine) - abs(script.weight)
        if script.weight == 0 or (failed < standing_of(backup) and not backup.nopreempt):
            return script
    return None


def _web(reach: Reach, host: str, configs: Configs, vip: str, probing: Probing) -> tuple[Timing, ...]:
    front = haproxy_of(configs, vip)
    if front is None:
        return (_never(f"no load balancer in front of {host}: nothing takes over"),)
    backend = front.backend_of(host)
    if backend is None:
        raise ConfigError(f"HAProxy has no server named {host}")
    server = next(s for s in backend.servers if s.name == host)
    if len(backend.servers) < 2:
        return (_never(f"{host} is the only server of backend {backend.name}: nothing takes over"),)
    lost_s = redispatch_s(backend, reach)
    if lost_s is not None and lost_s + ANSWER_S <= probing.timeout_s:
        words = (
            f"{reach}: HAProxy redispatches after {seconds(lost_s)} s, a probe waits {probing.timeout_s:g} s"
        )
        return (Timing("none", 0.0, IN_FLIGHT_S, f"{words}; only requests in flight are lost"),)
    if not server.check:
        return (_never(f"{host} is not checked: its share of requests fails for good"),)
    if reach == "silent" and not backend.httpchk:
        return (queue_fills(backend, server, probing.rate_hz),)
    if reach == "silent":
        return (frozen(backend, server, probing.rate_hz, probing.timeout_s),)
    down = marked_down(backend, server, reach)
    if lost_s is not None and lost_s < probing.timeout_s:  # too close to call: probes may or may not make it
        down = Timing(down.phase, 0.0, down.high_s, f"redispatch takes {seconds(lost_s)} s; {down.because}")
    return (down,)


def _app(reach: Reach, host: str, configs: Configs, vip: str, probing: Probing) -> tuple[Timing, ...]:
    shared = [u for files in configs.values() for u in upstreams_of(files) if len(u.servers) > 1]
    if shared:
        return (next_upstream(shared[0], reach, len(shared), probing.rate_hz, probing.timeout_s),)
    front = haproxy_of(configs, vip)
    backend = front.backend_of(host) if front else None
    if backend is None or len(backend.servers) < 2:
        return (_never(f"{host} is the only application server: nothing takes over"),)
    server = next(s for s in backend.servers if s.name == host)
    if not (server.check and backend.httpchk):
        return (_never(f"nginx on {host} lives, and no HTTP check asks for more"),)
    # nginx answers 502 for a refused gunicorn and waits for a frozen one: the check ends as if asked itself.
    down = marked_down(backend, server, reach)
    words = f"nginx on {host} has no other upstream; the check passes through it: {down.because}"
    return (Timing(down.phase, down.low_s, down.high_s, words),)


def _database(host: str, configs: Configs) -> tuple[Timing, ...]:
    """Of catalogue reads, which is what is probed; writes stop with the primary in any case."""
    if _read_only(configs[host]):
        return (_unharmed(f"{host} is a read-only replica: reads turn to the primary"),)
    replicas = [other for other, files in configs.items() if other != host and _read_only(files)]
    if replicas:
        return (_unharmed(f"catalogue reads go to the replica on {', '.join(replicas)}; only writes stop"),)
    return (_never(f"{host} is the database: nothing takes over"),)


def _read_only(files: Mapping[str, str]) -> bool:
    text = file_of(files, "my.cnf") or ""
    return bool(_READ_ONLY.search(text))


def _slow(host: str, configs: Configs, probing: Probing) -> Timing:
    """Every answer comes, and passes every health check; only who waits less than it takes misses it."""
    if "app" not in tiers_of(configs[host], None) & NEEDS[probing.route]:
        return _unharmed(f"{host} answers no {probing.route} request itself")
    takes = f"every answer of {host} takes {seconds(probing.delay_s)} s longer"
    if probing.delay_s + ANSWER_S <= probing.timeout_s:
        words = (
            f"{takes}, a probe waits {seconds(probing.timeout_s)} s: none is lost but while the new worker "
            f"loads the site, ≤ {seconds(probing.loads_s)} s"
        )
        return Timing("none", 0.0, probing.loads_s, words)
    return _never(f"{takes} than a probe waits, and passes its checks: its share of probes is lost")


def _unharmed(because: str) -> Timing:
    return Timing("none", 0.0, 0.0, because)


def _never(because: str) -> Timing:
    return Timing("outage", 0.0, None, because)


def _severity(steps: tuple[Timing, ...]) -> tuple[bool, float]:
    prediction = total(steps)
    return not prediction.recovers, prediction.high_s or 0.0
