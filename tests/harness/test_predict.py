"""Every formula against numbers worked out by hand, every case of who takes over against a small fleet."""

from __future__ import annotations

import pytest

from experiments.harness.blocks import ConfigError
from experiments.harness.configs import Backend, HAProxyServer, NginxServer, NginxUpstream, VrrpScript
from experiments.harness.predict import (
    FAULTS,
    Probing,
    dns_round_robin_share,
    holder,
    predict,
    predict_failback,
    timings,
)  # fmt: skip
from experiments.harness.timing import (
    Reach,
    advert_interval_s,
    check_takes_s,
    marked_down,
    master_down_s,
    next_upstream,
    queue_fills,
    redispatch_s,
    resignation,
    script_fails,
    silence,
    skew_s,
)  # fmt: skip

VIP, OTHER_VIP = "8.8.8.8", "8.8.8.9"
KEEPALIVED_CONF = "/etc/keepalived/keepalived.conf"

# --- a fleet like stage 3 -------------------------------------------------------------------------------


def keepalived(
    first: int,
    second: int,
    version: int = 2,
    advert: str = "1",
    track: str = "haproxy_alive",
    extra: str = "",
) -> str:
    def instance(name: str, router_id: int, address: str, priority: int) -> str:
        return (
            f"vrrp_instance {name} {{\n interface eth0\n virtual_router_id {router_id}\n"
            f" priority {priority}\n advert_int {advert}\n {extra}\n"
            f" virtual_ipaddress {{\n {address}/24\n }}\n"
            f" track_script {{\n {track}\n }}\n}}\n"
        )

    return (
        f"global_defs {{\n vrrp_version {version}\n}}\n"
        'vrrp_script haproxy_alive {\n script "/usr/bin/curl --fail --max-time 1 http://127.0.0.1:8404/alive"\n'
        " interval 1\n timeout 2\n fall 2\n rise 2\n}\n"
        + instance("A", 51, VIP, first)
        + instance("B", 52, OTHER_VIP, second)
    )


def haproxy(
    connect: str = "250ms", redispatch: str = "option redispatch 1", check: str = "option httpchk"
) -> str:
    return (
        f"defaults\n retries 3\n {redispatch}\n timeout connect {connect}\n"
        " timeout server 30s\n timeout check 1s\n"
        f"backend web\n balance roundrobin\n {check}\n default-server check inter 2s fall 3\n"
        " server web1 10.0.1.11:80\n server web2 10.0.1.12:80\n"
    )


def nginx(*upstreams: str, connect: str = "250ms", keepalive: str = "") -> str:
    servers = "".join(f"server {u} max_fails=1 fail_timeout=10s; " for u in upstreams)
    return (
        f"http {{ upstream app {{ {servers} {keepalive} }} server {{ location / {{ proxy_pass http://app;"
        f" proxy_connect_timeout {connect}; proxy_read_timeout 30s; }} }} }}"
    )


def stage3(
    lb1: str | None = None, lb2: str | None = None, lb: str | None = None
) -> dict[str, dict[str, str]]:
    front = haproxy() if lb is None else lb
    proxy = nginx("10.0.1.21:8000", "10.0.1.22:8000")
    return {
        "lb1": {
            KEEPALIVED_CONF: lb1 or keepalived(150, 100),
            "/etc/haproxy/haproxy.cfg": front,
        },
        "lb2": {
            KEEPALIVED_CONF: lb2 or keepalived(100, 150),
            "/etc/haproxy/haproxy.cfg": front,
        },
        "web1": {"/etc/nginx/nginx.conf": proxy},
        "web2": {"/etc/nginx/nginx.conf": proxy},
        "app1": {"/etc/gunicorn/gunicorn.conf.py": "bind = '10.0.1.21:8000'"},
        "app2": {"/etc/gunicorn/gunicorn.conf.py": "bind = '10.0.1.22:8000'"},
        "db1": {"/etc/mysql/my.cnf": "[mysqld]\n"},
        "dns1": {"/etc/bind/named.conf": "options {};"},
    }


def bounds(
    fault: str, host: str, daemon: str | None = None, configs: dict[str, dict[str, str]] | None = None
) -> tuple[float | None, float | None]:
    found = predict(fault, host, daemon, configs or stage3(), VIP)
    return rounded(found.low_s), rounded(found.high_s)


def rounded(value: float | None) -> float | None:
    """To the microsecond: what is left is arithmetic in binary, not theory."""
    return None if value is None else round(value, 6)


# --- VRRP formulas --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "advert_s", "priority", "skew", "down"),
    [
        (2, 1.0, 100, 0.609375, 3.609375),
        (2, 1.0, 254, 0.0078125, 3.0078125),
        (2, 3.0, 100, 0.609375, 9.609375),  # v2's skew knows nothing of the interval
        (3, 0.1, 100, 0.0609375, 0.3609375),
        (3, 1.0, 100, 0.609375, 3.609375),
    ],
)
def test_skew_and_master_down(version: int, advert_s: float, priority: int, skew: float, down: float) -> None:
    assert skew_s(version, advert_s, priority) == pytest.approx(skew)
    assert master_down_s(version, advert_s, priority) == pytest.approx(down)


@pytest.mark.parametrize(
    ("version", "configured_s", "wire_s"),
    [(2, 0.1, 1), (2, 1, 1), (2, 1.4, 1), (2, 1.5, 2), (3, 0.1, 0.1), (3, 0.014, 0.01), (3, 0.001, 0.01)],
)
def test_v2_rounds_the_interval_to_whole_seconds_and_v3_to_centiseconds(
    version: int, configured_s: float, wire_s: float
) -> None:
    assert advert_interval_s(version, configured_s) == pytest.approx(wire_s)


def test_a_crash_at_random_phase_costs_up_to_one_advert_less_than_master_down() -> None:
    v2, v3 = silence(2, 1.0, 100), silence(3, 0.1, 100)
    assert (rounded(v2.low_s), rounded(v2.high_s)) == (2.609375, 3.609375)
    assert (rounded(v3.low_s), rounded(v3.high_s)) == (0.260938, 0.360938)
    assert v2.because == (
        "v2: skew (256−100)/256 = 0.609 s; Master_Down 3·1 + 0.609 = 3.609 s; "
        "crash at random phase: 2.609–3.609 s"
    )
    assert v3.because == (
        "v3: skew 0.1·(256−100)/256 = 0.061 s; Master_Down 3·0.1 + 0.061 = 0.361 s; "
        "crash at random phase: 0.261–0.361 s"
    )


def test_a_resigning_master_costs_one_skew() -> None:
    assert resignation(2, 1.0, 100).low_s == resignation(2, 1.0, 100).high_s == pytest.approx(0.609375)


# --- keepalived's scripts -------------------------------------------------------------------------------


def test_a_refused_script_fails_fall_times_one_interval_apart() -> None:
    found = script_fails(
        VrrpScript("s", "/bin/check", interval_s=2, timeout_s=1, fall=3), hung=False, run_s=0.05
    )
    assert (found.low_s, rounded(found.high_s)) == (4.0, 6.05)
    assert found.because == "s: U(0,2) + (3−1)·2 + run ≤ 0.05: 4–6.05 s"


@pytest.mark.parametrize(
    ("command", "timeout_s", "limit_s"),
    [
        ("/bin/check", 2.0, 2.0),
        ("/usr/bin/curl --max-time 1 http://x", 2.0, 1.0),
        ("/usr/bin/curl --max-time=0.5 http://x", 2.0, 0.5),
        ("/usr/bin/curl -s -m 1 http://x", 2.0, 1.0),
        ("/usr/bin/timeout 1.5 /bin/check", 2.0, 1.5),
        ("/usr/bin/curl --connect-timeout 1 http://x", 2.0, 2.0),  # a frozen process does accept
        ("/usr/bin/curl --max-time 5 http://x", 2.0, 2.0),  # keepalived is the more impatient one
    ],
)
def test_a_hung_script_fails_when_the_first_limit_ends_it(
    command: str, timeout_s: float, limit_s: float
) -> None:
    script = VrrpScript("s", command, interval_s=1, timeout_s=timeout_s, fall=2)
    found = script_fails(script, hung=True, run_s=0.0)
    assert (found.low_s, found.high_s) == (1 + limit_s, 2 + limit_s)


# --- HAProxy --------------------------------------------------------------------------------------------


def backend(
    balance: str = "roundrobin",
    redispatch: int | None = -1,
    connect: float | None = 1.0,
    check: float | None = 0.5,
) -> Backend:
    servers = tuple(HAProxyServer(f"web{i}", "10.0.0.1", 80, check=True) for i in (1, 2))
    return Backend(
        "web", balance, redispatch, timeout_connect_s=connect, timeout_check_s=check, servers=servers
    )


@pytest.mark.parametrize(
    ("reach", "connect", "check", "takes_s"),
    [
        ("refused", 1.0, 0.5, 0.0),
        ("silent", 1.0, 0.5, 0.5),
        ("silent", 1.0, None, 2.0),
        ("black-hole", 1.0, 0.5, 1.0),
        ("black-hole", 9.0, 0.5, 2.0),
        ("black-hole", None, 0.5, 2.0),
        ("black-hole", 1.0, None, 2.0),
    ],
)
def test_how_long_one_failing_check_lasts(
    reach: Reach, connect: float | None, check: float | None, takes_s: float
) -> None:
    pool = backend(connect=connect, check=check)
    assert check_takes_s(pool, pool.servers[0], reach) == takes_s


def test_a_server_is_down_after_fall_checks() -> None:
    pool = backend()
    found = marked_down(pool, pool.servers[0], "silent")  # inter 2, fall 3, T_c 0.5
    assert (found.low_s, found.high_s) == (5.5, 7.5)
    fast = HAProxyServer("w", "a", 80, check=True, inter_s=2, fastinter_s=0.5, fall=3)
    found = marked_down(pool, fast, "refused")
    assert (found.low_s, found.high_s) == (1.0, 3.0)
    assert found.because == "w is marked down after U(0,2) + (3−1)·0.5 + 3·0 = 1–3 s"


def test_observed_traffic_may_mark_a_server_down_sooner() -> None:
    watched = HAProxyServer("w", "a", 80, check=True, observe="layer4")
    found = marked_down(backend(), watched, "refused")
    assert (found.low_s, found.high_s) == (0.0, 6.0)


@pytest.mark.parametrize(
    ("pool", "reach", "lost_s"),
    [
        (backend(), "refused", 0.0),
        (backend(connect=0.25), "black-hole", 0.25),
        (backend("leastconn"), "refused", 2.0),  # two waits of min(timeout connect, 1 s), then another server
        (backend("leastconn", connect=0.1), "refused", 0.2),
        (backend("leastconn"), "black-hole", 3.0),
        (backend("leastconn", redispatch=1), "refused", 0.0),
        (backend("source", redispatch=2), "refused", 1.0),
        (backend("source", redispatch=9), "refused", None),  # more than retries: never reached
        (backend(redispatch=None), "refused", None),
        (backend(), "silent", None),
    ],
)
def test_what_a_request_loses_before_it_reaches_another_server(
    pool: Backend, reach: Reach, lost_s: float | None
) -> None:
    assert redispatch_s(pool, reach) == (None if lost_s is None else pytest.approx(lost_s))


def test_tcp_checks_notice_a_frozen_server_only_when_its_queue_is_full() -> None:
    pool = backend()
    found = queue_fills(
        pool, pool.servers[0], rate_hz=200
    )  # 512 connections at 100/s: 5.12 s; then up to 9 s
    assert (found.low_s, rounded(found.high_s)) == (7.0, 14.12)


# --- nginx ----------------------------------------------------------------------------------------------


def upstream(
    connect: float = 60.0, keepalive: int = 0, fails: int = 1, retry: tuple[str, ...] = ("error", "timeout")
) -> NginxUpstream:
    servers = (NginxServer("a:1", fails), NginxServer("b:1", fails))
    return NginxUpstream("app", servers, keepalive, connect, 30.0, retry)


@pytest.mark.parametrize(
    ("pool", "reach", "low_s", "high_s"),
    [
        (upstream(), "refused", 0.0, 0.05),
        (upstream(retry=("off",)), "refused", 0.0, 0.02),  # 1 failure · 2 peers · 2 nginx / 200 per second
        (upstream(connect=0.25), "black-hole", 0.0, 0.05),
        (upstream(connect=0.25, keepalive=16), "black-hole", 0.0, 0.34),  # (1 + 16)·2·2 / 200
        (upstream(connect=1.0), "black-hole", 1.0, 1.02),
        (upstream(connect=0.25, retry=("off",)), "black-hole", 0.25, 0.27),
        (upstream(), "silent", 30.0, 30.02),
        (upstream(fails=0), "silent", 0.0, None),
    ],
)
def test_nginx_learns_of_a_dead_peer_from_failed_requests(
    pool: NginxUpstream, reach: Reach, low_s: float, high_s: float | None
) -> None:
    found = next_upstream(pool, reach, nginxes=2, rate_hz=200.0, limit_s=0.5)
    assert (found.low_s, rounded(found.high_s)) == (low_s, high_s)


# --- who takes over: load balancers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "daemon", "low_s", "high_s"),
    [
        ("none", None, 0.0, 0.0),
        ("host-crash", None, 2.609375, 3.609375),
        ("host-crash", "keepalived", 2.609375, 3.609375),  # a host crash spares nobody
        ("link-down", None, 2.609375, 3.609375),
        ("graceful-stop", None, 0.609375, 0.609375),
        ("graceful-stop", "keepalived", 0.609375, 0.609375),
        ("process-kill", "keepalived", 0.0, 0.0),
        ("hang", "keepalived", 0.0, 0.0),
        ("process-kill", "haproxy", 1.609375, 2.659375),  # (2−1)·1 + skew, 2·1 + run 0.05 + skew
        ("graceful-stop", "haproxy", 1.609375, 2.659375),
        ("hang", "haproxy", 2.609375, 3.659375),  # one second more: curl --max-time 1
        ("process-kill", None, 2.609375, 3.609375),  # keepalived dies with it: nobody resigns
        ("hang", None, 2.609375, 3.609375),
    ],
)
def test_the_holder_of_the_address_fails(fault: str, daemon: str | None, low_s: float, high_s: float) -> None:
    assert bounds(fault, "lb1", daemon) == (low_s, high_s)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_load_balancer_that_does_not_hold_the_address_costs_nothing(fault: str) -> None:
    assert bounds(fault, "lb2") == (0.0, 0.0)


@pytest.mark.parametrize(
    ("host", "delay_s", "high_s", "because"),
    [
        ("app1", 0.3, 1.5, "every answer of app1 takes 0.3 s longer, a probe waits 0.5 s"),
        ("app1", 0.6, None, "0.6 s longer than a probe waits, and passes its checks"),
        ("web1", 0.6, 0.0, "web1 answers no data request itself"),
    ],
)
def test_a_slow_answer_is_only_lost_to_who_does_not_wait_for_it(
    host: str, delay_s: float, high_s: float | None, because: str
) -> None:
    found = predict("slow-answers", host, "gunicorn", stage3(), VIP, delay_s=delay_s, loads_s=1.5)
    assert (found.low_s, found.high_s) == (0.0, high_s)
    assert because in found.because


def test_a_static_page_does_not_wait_for_the_application() -> None:
    assert predict("slow-answers", "app1", None, stage3(), VIP, route="static", delay_s=9).high_s == 0.0


def test_the_link_that_keepalived_does_not_watch_takes_the_servers_away_for_good() -> None:
    behind = predict("link-down", "lb1", None, stage3(), VIP, interface="eth1")
    assert behind.high_s is None
    assert "keepalived watches eth0, not eth1" in behind.because
    front = predict("link-down", "lb1", None, stage3(), VIP, interface="eth0")
    assert rounded(front.high_s) == 3.609375
    assert predict("host-crash", "lb1", None, stage3(), VIP, interface="eth1").high_s == front.high_s


def test_the_other_address_is_held_by_the_other_load_balancer() -> None:
    found = predict("host-crash", "lb2", None, stage3(), OTHER_VIP)
    assert (rounded(found.low_s), rounded(found.high_s)) == (2.609375, 3.609375)


def test_the_prediction_follows_the_rendered_configuration() -> None:
    fast = stage3(keepalived(150, 100, 3, "0.1"), keepalived(100, 150, 3, "0.1"))
    assert bounds("host-crash", "lb1", configs=fast) == (0.260938, 0.360938)
    whole = stage3(keepalived(150, 100, 2, "0.1"), keepalived(100, 150, 2, "0.1"))
    assert bounds("host-crash", "lb1", configs=whole) == (2.609375, 3.609375)
    higher = stage3(lb2=keepalived(149, 150))
    assert bounds("graceful-stop", "lb1", configs=higher) == (0.417969, 0.417969)


def test_without_a_track_script_nobody_notices_a_dead_haproxy() -> None:
    blind = stage3(keepalived(150, 100, track=""), keepalived(100, 150))
    assert bounds("process-kill", "lb1", "haproxy", blind) == (0.0, None)
    assert bounds("host-crash", "lb1", configs=blind) == (2.609375, 3.609375)


def test_a_weighted_script_yields_only_below_the_backup_s_priority() -> None:
    enough = stage3(keepalived(150, 100, track="haproxy_alive weight -60"))
    assert bounds("process-kill", "lb1", "haproxy", enough) == (3.609375, 5.659375)  # 1–2.05 + silence
    too_little = stage3(keepalived(150, 100, track="haproxy_alive weight -40"))
    assert bounds("process-kill", "lb1", "haproxy", too_little) == (0.0, None)
    patient = stage3(enough["lb1"][KEEPALIVED_CONF], keepalived(100, 150, extra="nopreempt"))
    assert bounds("process-kill", "lb1", "haproxy", patient) == (0.0, None)


def test_a_single_load_balancer_has_no_successor() -> None:
    alone = {"lb1": {"haproxy.cfg": haproxy()}, "web1": {"nginx.conf": nginx("unix:/a")}, "web2": {}}
    for fault in ("host-crash", "link-down", "process-kill", "hang", "graceful-stop"):
        assert bounds(fault, "lb1", configs=alone) == (0.0, None)
    assert "only load balancer" in predict("host-crash", "lb1", None, alone, VIP).because


def test_the_holder_has_the_highest_priority_and_positive_weights_count() -> None:
    assert holder(stage3(), VIP) == "lb1"
    assert holder(stage3(), OTHER_VIP) == "lb2"
    assert holder(stage3(), "8.8.8.77") is None
    raised = stage3(lb2=keepalived(100, 150, track="haproxy_alive weight 60"))
    assert holder(raised, VIP) == "lb2"


def test_a_cluster_that_cannot_work_is_refused() -> None:
    with pytest.raises(ConfigError, match="same priority"):
        holder(stage3(lb2=keepalived(150, 100)), VIP)
    with pytest.raises(ConfigError, match="different virtual_router_ids"):
        holder(stage3(lb2=keepalived(100, 150).replace("router_id 51", "router_id 61")), VIP)
    with pytest.raises(ConfigError, match=r"lb2: keepalived\.conf line 1: vrrp_instance A has no interface"):
        holder(stage3(lb2="vrrp_instance A {\n virtual_router_id 51\n}"), VIP)


def test_failback_has_no_gap() -> None:
    back = predict_failback("lb1", stage3(), VIP)
    assert (back.low_s, back.high_s) == (0.0, 0.0)
    assert "3.414 s" in back.because  # 3·1 + (256−150)/256
    assert "does not take" in predict_failback("lb2", stage3(), VIP).because
    assert (
        "nopreempt" in predict_failback("lb1", stage3(keepalived(150, 100, extra="nopreempt")), VIP).because
    )


# --- who takes over: web, application, database ---------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "daemon", "low_s", "high_s"),
    [
        ("process-kill", "nginx", 0.0, 0.05),
        ("graceful-stop", None, 0.0, 0.05),
        ("host-crash", None, 0.0, 0.05),  # timeout connect 0.25 s, then the other server, within 0.5 s
        ("hang", "nginx", 4.608, 5.632),  # its accept queue is full before the check gives it up
    ],
)
def test_a_web_server_behind_haproxy_fails(
    fault: str, daemon: str | None, low_s: float, high_s: float
) -> None:
    assert bounds(fault, "web1", daemon) == (low_s, high_s)


def test_a_slow_redispatch_makes_probes_bad_until_the_server_is_marked_down() -> None:
    slow = stage3(lb=haproxy(connect="1s"))
    assert bounds("host-crash", "web1", configs=slow) == (7.0, 9.0)  # U(0,2) + 2·2 + 3·min(1, 2)
    assert bounds("process-kill", "web1", "nginx", slow) == (0.0, 0.05)  # refused costs nothing
    close = stage3(lb=haproxy(connect="450ms"))
    assert bounds("host-crash", "web1", configs=close) == (0.0, 7.35)  # may or may not make it in 0.5 s
    patient = predict("host-crash", "web1", None, slow, VIP, probe_timeout_s=2.0)
    assert (patient.low_s, patient.high_s) == (0.0, 0.05)


def test_without_redispatch_a_killed_server_costs_its_detection() -> None:
    stubborn = stage3(lb=haproxy(redispatch="no option redispatch"))
    assert bounds("process-kill", "web1", "nginx", stubborn) == (4.0, 6.0)


def test_without_checks_a_frozen_server_is_never_noticed() -> None:
    unchecked = stage3(lb=haproxy().replace("default-server check", "default-server"))
    assert bounds("hang", "web1", "nginx", unchecked) == (0.0, None)
    tcp_only = stage3(lb=haproxy(check="mode http"))
    few = predict("hang", "web1", "nginx", stage3(), VIP, rate_hz=20)  # the queue never fills
    assert (few.low_s, few.high_s) == (7.0, 9.0)  # U(0,2) + 2·2 + 3·timeout check 1
    assert bounds("hang", "web1", "nginx", tcp_only) == (4.75, 11.87)  # 5.12 to fill + 6.75


@pytest.mark.parametrize(
    ("fault", "low_s", "high_s"),
    [("process-kill", 0.0, 0.05), ("host-crash", 0.0, 0.05), ("hang", 30.0, 30.02)],
)
def test_an_application_server_behind_nginx_fails(fault: str, low_s: float, high_s: float) -> None:
    assert bounds(fault, "app1") == (low_s, high_s)


def test_a_route_does_not_suffer_from_what_it_does_not_need() -> None:
    assert bounds("host-crash", "db1") == (0.0, None)
    assert predict("host-crash", "db1", None, stage3(), VIP, route="dynamic").high_s == 0.0
    assert predict("hang", "app1", None, stage3(), VIP, route="static").high_s == 0.0
    assert bounds("host-crash", "dns1") == (0.0, 0.0)  # the stream is pinned to an address
    assert bounds("process-kill", "web1", "node_exporter") == (0.0, 0.0)


def test_one_server_for_everything_has_no_successor() -> None:
    alone = {"server1": {"nginx.conf": nginx("unix:/a"), "gunicorn.conf.py": "", "my.cnf": ""}}
    for daemon in (None, "nginx", "gunicorn", "mysql"):
        assert bounds("process-kill", "server1", daemon, alone) == (0.0, None)
    assert bounds("none", "server1", configs=alone) == (0.0, 0.0)
    static = predict("process-kill", "server1", "gunicorn", alone, VIP, route="static")
    assert static.high_s == 0.0


def combined() -> dict[str, dict[str, str]]:
    """Like stage 1: nginx and gunicorn together, the primary on server1, its replica on server2."""
    both = {"nginx.conf": nginx("unix:/run/gunicorn.sock"), "gunicorn.conf.py": ""}
    return {
        "lb1": {"haproxy.cfg": haproxy().replace("web1", "server1").replace("web2", "server2")},
        "server1": {**both, "my.cnf": "[mysqld]\nserver_id = 1\n"},
        "server2": {**both, "my.cnf": "[mysqld]\nread_only = ON\n"},
    }


def test_a_dead_gunicorn_beside_a_living_nginx_is_noticed_by_the_http_check() -> None:
    assert bounds("process-kill", "server2", "gunicorn", combined()) == (4.0, 6.0)
    assert bounds("hang", "server2", "gunicorn", combined()) == (7.0, 9.0)
    tcp = combined()
    tcp["lb1"] = {"haproxy.cfg": tcp["lb1"]["haproxy.cfg"].replace("option httpchk", "")}
    assert bounds("process-kill", "server2", "gunicorn", tcp) == (0.0, None)


def test_the_worst_tier_of_a_combined_host_decides() -> None:
    without_replica = combined()
    without_replica["server2"]["my.cnf"] = ""
    assert bounds("host-crash", "server1", configs=without_replica) == (0.0, None)  # the database is on it
    assert bounds("host-crash", "server2", configs=combined()) == (0.0, 0.05)


def test_catalogue_reads_survive_the_primary_and_the_replica() -> None:
    assert bounds("process-kill", "server1", "mysql", combined()) == (0.0, 0.0)
    assert bounds("process-kill", "server2", "mysql", combined()) == (0.0, 0.0)
    assert bounds("host-crash", "server1", configs=combined()) == (0.0, 0.05)  # what redispatch costs


# --- the rest -------------------------------------------------------------------------------------------


def test_the_steps_add_up_to_the_prediction() -> None:
    steps = timings("process-kill", "lb1", "haproxy", stage3(), VIP, Probing())
    assert [step.phase for step in steps] == ["detect", "switch"]
    whole = predict("process-kill", "lb1", "haproxy", stage3(), VIP)
    assert whole.low_s == steps[0].low_s + steps[1].low_s
    assert whole.because == f"{steps[0].because}; then {steps[1].because}"


def test_what_cannot_be_predicted_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown fault 'meteor'"):
        predict("meteor", "lb1", None, stage3(), VIP)
    with pytest.raises(ConfigError, match="no configuration of lb9"):
        predict("hang", "lb9", None, stage3(), VIP)
    stranger = {**stage3(), "web9": {"nginx.conf": nginx("unix:/a")}}
    with pytest.raises(ConfigError, match="no server named web9"):
        predict("host-crash", "web9", None, stranger, VIP)


def test_one_dead_record_of_k_costs_one_kth_of_new_connections() -> None:
    assert dns_round_robin_share([VIP, OTHER_VIP], [VIP]) == 0.5
    assert dns_round_robin_share([VIP, OTHER_VIP, "8.8.8.10", "8.8.8.11"], [VIP]) == 0.25
    assert dns_round_robin_share([VIP], ["8.8.8.99"]) == 0.0
    with pytest.raises(ValueError, match="without records"):
        dns_round_robin_share([], [])
