"""Rendered text goes in, the numbers a prediction needs come out, with the daemons' own defaults."""

from __future__ import annotations

import pytest

from experiments.harness.blocks import ConfigError, duration_s
from experiments.harness.configs import (
    Backend,
    NginxServer,
    NginxUpstream,
    parse_haproxy,
    parse_keepalived,
    parse_nginx_upstreams,
)  # fmt: skip

KEEPALIVED = """
! two kinds of comments
# { not a block
global_defs {
    router_id lb1
    vrrp_version 3
}
vrrp_script haproxy_alive {
    script "/usr/bin/curl --silent --max-time 1 http://127.0.0.1:8404/alive"   # quoted words stay one
    interval 2
    timeout 1
    fall 3
    rise 4
    weight -20
    init_fail
}
vrrp_script plain
{
    script /bin/true
    interval 5
}
vrrp_instance VI_1 {
    state MASTER
    interface lb1-eth0
    virtual_router_id 51
    priority 150
    advert_int 0.1
    nopreempt
    virtual_ipaddress {
        8.8.8.8/24 dev lb1-eth0
        8.8.8.10
    }
    track_script {
        haproxy_alive
        plain weight 7
    }
}
vrrp_instance VI_2 { interface eth0
    virtual_router_id 52
    virtual_ipaddress { 8.8.8.9/24 } }
"""


def test_keepalived_instances_carry_timers_addresses_and_scripts() -> None:
    parsed = parse_keepalived(KEEPALIVED)
    first = parsed.instances[0]
    assert parsed.vrrp_version == 3
    assert (first.name, first.state, first.interface, first.virtual_router_id) == (
        "VI_1",
        "MASTER",
        "lb1-eth0",
        51,
    )
    assert (first.priority, first.advert_int_s, first.version, first.nopreempt) == (150, 0.1, 3, True)
    assert first.addresses == ("8.8.8.8", "8.8.8.10")
    assert [(s.name, s.weight) for s in first.tracked] == [("haproxy_alive", -20), ("plain", 7)]


def test_keepalived_scripts_carry_their_timers() -> None:
    script = parse_keepalived(KEEPALIVED).scripts[0]
    assert script.command == "/usr/bin/curl --silent --max-time 1 http://127.0.0.1:8404/alive"
    assert (script.interval_s, script.timeout_s, script.fall, script.rise) == (2, 1, 3, 4)
    assert (script.weight, script.init_fail) == (-20, True)


def test_what_keepalived_is_not_told_is_its_default() -> None:
    parsed = parse_keepalived(KEEPALIVED)
    second, plain = parsed.instances[1], parsed.scripts[1]
    assert (second.priority, second.advert_int_s, second.state, second.tracked) == (100, 1, "BACKUP", ())
    assert second.addresses == ("8.8.8.9",)
    assert (plain.timeout_s, plain.fall, plain.rise, plain.weight) == (5, 1, 1, 0)
    assert parse_keepalived("").vrrp_version == 2


def test_an_instance_can_have_its_own_version() -> None:
    text = "vrrp_instance a {\ninterface e\nvirtual_router_id 1\nversion 3\n}"
    assert parse_keepalived(text).instances[0].version == 3


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("vrrp_instance VI_1 {\n interface eth0\n}", "line 1: vrrp_instance VI_1 has no virtual_router_id"),
        ("vrrp_instance VI_1 {\n virtual_router_id 1\n}", "has no interface"),
        ("\nvrrp_instance V {\n interface e\n", "line 2: vrrp_instance V is never closed"),
        ("}\n", "line 1: a brace closes nothing"),
        ("vrrp_script s {\n interval soon\n}", "line 2: interval soon"),
        ("vrrp_script s {\n interval\n}", "line 2: interval needs a value"),
        ("vrrp_instance V {\n track_script {\n gone\n }\n}", "tracks gone, which no vrrp_script defines"),
    ],
)
def test_a_broken_keepalived_conf_is_refused_by_line(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse_keepalived(text)


HAPROXY = """
global
    log stdout format raw local0
defaults
    mode http
    retries 2
    option redispatch   # plain
    timeout connect 250
    timeout client  30s
    timeout server  1m
    timeout check   900us
    default-server inter 1s fall 2
frontend www
    bind 8.8.8.8:443 ssl crt /etc/haproxy/certs/www.pem
    timeout client 5s
    http-request redirect scheme https code 301 unless { ssl_fc }
    default_backend web
backend web
    balance leastconn
    option httpchk GET /health
    server early 10.0.1.10:80 check
    default-server check inter 500ms fastinter 100ms downinter 2s rise 5
    server web1 10.0.1.11:80
    server web2 10.0.1.12:80 no-check fall 7 observe layer7 on-error mark-down weight 100
listen static
    no option redispatch
    timeout connect 2d
    server files /run/files.sock check
backend api
    option redispatch 1
    server ready-made 10.0.1.13:80
"""


def test_a_backend_inherits_from_defaults_and_overrides() -> None:
    web, static, api = parse_haproxy(HAPROXY).backends
    assert (web.name, web.balance, web.retries, web.redispatch, web.httpchk) == (
        "web",
        "leastconn",
        2,
        -1,
        True,
    )
    assert (web.timeout_connect_s, web.timeout_server_s) == (0.25, 60)
    assert (web.timeout_client_s, web.timeout_check_s) == (30, 0.0009)
    assert (static.balance, static.redispatch, static.httpchk) == ("roundrobin", None, False)
    assert static.timeout_connect_s == 2 * 86400
    assert api.redispatch == 1


def test_default_server_applies_to_the_servers_after_it() -> None:
    early, web1, web2 = parse_haproxy(HAPROXY).backends[0].servers
    assert (early.inter_s, early.fastinter_s, early.fall, early.rise, early.check) == (1, None, 2, 2, True)
    assert (web1.address, web1.port) == ("10.0.1.11", 80)
    assert (web1.inter_s, web1.fastinter_s, web1.downinter_s) == (0.5, 0.1, 2)
    assert (web1.fall, web1.rise, web1.check, web1.observe) == (2, 5, True, None)
    assert (web2.check, web2.fall, web2.observe) == (False, 7, "layer7")


def test_what_haproxy_is_not_told_is_its_default() -> None:
    (backend,) = parse_haproxy("backend b\n server s 10.0.0.1:80 check").backends
    assert backend == Backend("b", servers=backend.servers)
    assert (backend.retries, backend.redispatch, backend.timeout_check_s) == (3, None, None)
    server = backend.servers[0]
    assert (server.inter_s, server.fall, server.rise) == (2, 3, 2)


def test_a_socket_path_is_an_address_without_port() -> None:
    server = parse_haproxy(HAPROXY).backends[1].servers[0]
    assert (server.address, server.port) == ("/run/files.sock", None)


def test_a_backend_is_found_by_its_server() -> None:
    parsed = parse_haproxy(HAPROXY)
    found = parsed.backend_of("web2")
    assert found is not None
    assert found.name == "web"
    assert parsed.backend_of("web9") is None


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("server web1", "line 2: 'server web1': a server needs a name and an address"),
        ("timeout connect soon", "'soon' is not a duration"),
        ("server web1 10.0.0.1:80 inter", "line 2"),
        ('balance "roundrobin', "line 2"),
    ],
)
def test_a_broken_haproxy_cfg_is_refused_by_line(line: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        parse_haproxy(f"backend b\n    {line}\n")


NGINX = """
worker_processes 1;
events { worker_connections 64; }
http {
    log_format timed '$remote_addr [$time_iso8601] "$request"; {not a block}';
    proxy_read_timeout 30s;
    upstream app {  # comment; with a semicolon
        server 10.0.1.21:8000 max_fails=2 fail_timeout=5s;
        server 10.0.1.22:8000
               backup;
        keepalive 16;
    }
    upstream unused { server unix:/run/a.sock; }
    server {
        listen 80;
        proxy_connect_timeout 1s;
        location / {
            proxy_pass http://app;
            proxy_connect_timeout 250ms;
            proxy_next_upstream error timeout http_502;
        }
    }
}
"""


def test_an_upstream_has_the_settings_of_the_place_it_is_passed_to() -> None:
    app, unused = parse_nginx_upstreams(NGINX)
    assert app == NginxUpstream(
        "app",
        (NginxServer("10.0.1.21:8000", 2, 5.0), NginxServer("10.0.1.22:8000", 1, 10.0, backup=True)),
        keepalive=16,
        connect_timeout_s=0.25,
        read_timeout_s=30.0,
        next_upstream=("error", "timeout", "http_502"),
    )
    assert (unused.connect_timeout_s, unused.read_timeout_s) == (60, 60)
    assert unused.servers == (NginxServer("unix:/run/a.sock"),)


@pytest.mark.parametrize(
    ("text", "unit", "expected_s"),
    [("250", "ms", 0.25), ("10", "s", 10), ("1m30s", "s", 90), ("1h", "ms", 3600), ("500us", "ms", 0.0005)],
)
def test_durations_count_in_the_daemon_s_unit(text: str, unit: str, expected_s: float) -> None:
    assert duration_s(text, unit) == pytest.approx(expected_s)


@pytest.mark.parametrize("text", ["", "s", "1 s", "-1s", "1.5.2s", "1y"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not a duration"):
        duration_s(text, "s")
