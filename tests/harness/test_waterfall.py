"""The parts of a request add up, and what the daemons logged of it fits into what its client saw."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from experiments.harness.figure_waterfall import waterfall
from experiments.harness.waterfall import (
    BalancerTimes,
    Request,
    WebTimes,
    balancer_times,
    bars,
    curl_parts_s,
    line_with,
    misfits,
    part_medians,
    typical,
    web_times,
)
from loadtests.fetch import Fetched

HTTPLOG = (
    "8.8.8.101:47140 [24/Nov/2026:03:27:25.473] www~ web/server1 1/0/2/30/35 200 1207 - - ---- 1/1/0/0/0 0/0 "
    '"GET /items/3?visit=m-1 HTTP/1.1"'
)
TIMED = (
    '8.8.8.101 [2026-11-24T03:27:25+00:00] "GET /items/3?visit=m-1 HTTP/1.1" 200 792 rt=0.031 urt=0.029 '
    "upstream=unix:/run/gunicorn/gunicorn.sock at=1795490845.475"
)
SEEN = Fetched((0.001, 0.0005, 0.003, 0.036, 0.0002), 0.0408, "8.8.8.8", 200, "lb1>web1>app1", b"", "TLSv1.3")
BALANCER = BalancerTimes("server1", 0.001, 0.0, 0.002, 0.030, 0.035)
WEB = WebTimes(0.031, 0.029)
WHOLE = Request(SEEN, BALANCER, WEB)


def test_haproxys_timers_are_read_from_its_httplog() -> None:
    assert balancer_times(HTTPLOG) == BALANCER
    assert balancer_times(HTTPLOG.replace("1/0/2/30/35", "1/0/2/30/+35")) == BALANCER, "a logasap line"


def test_a_request_that_never_got_through_has_no_timers() -> None:
    assert balancer_times(HTTPLOG.replace("1/0/2/30/35", "1/-1/-1/-1/35")) is None
    assert balancer_times("[NOTICE] (571) : New worker (592) forked") is None


def test_nginx_times_are_read_and_attempts_at_several_upstreams_count_together() -> None:
    assert web_times(TIMED) == WEB
    twice = web_times(TIMED.replace("urt=0.029", "urt=0.010, 0.019"))
    assert twice is not None
    assert twice.upstream_s == pytest.approx(0.029)
    assert web_times(TIMED.replace("urt=0.029", "urt=-")) == WebTimes(0.031, None)
    assert web_times("started") is None


def test_the_very_request_is_found_by_its_mark_and_no_longer_mark_is_taken_for_it() -> None:
    log = f"{HTTPLOG.replace('m-1 ', 'm-11 ')}\n{HTTPLOG}\nsomething else\n"
    assert line_with(log, "visit=m-1") == HTTPLOG
    assert line_with(log, "visit=m-2") is None


def test_inner_times_that_fit_are_no_finding() -> None:
    assert misfits(WHOLE) == []
    assert misfits(Request(SEEN)) == []


def test_a_millisecond_that_the_logs_cut_off_is_forgiven_and_two_are_not() -> None:
    outer_s = sum(SEEN.parts_s[2:])
    assert misfits(replace(WHOLE, balancer=replace(BALANCER, active_s=outer_s + 0.0009))) == []
    assert len(misfits(replace(WHOLE, balancer=replace(BALANCER, active_s=outer_s + 0.002)))) == 1


def test_each_daemon_is_held_against_the_one_in_front_of_it() -> None:
    longer = replace(WHOLE, web=WebTimes(0.039, 0.045))
    assert [text.split()[0] for text in misfits(longer)] == ["nginx", "gunicorn"]
    (alone,) = misfits(Request(SEEN, None, WebTimes(0.050, None)))
    assert alone.startswith("nginx 50 ms within client")


def test_curls_parts_are_those_of_its_second_transfer() -> None:
    first, second = "0.0006 0.0008 0.0040 0.0060 0.0061", "0.0004 0.0006 0.0026 0.0056 0.0057"
    assert curl_parts_s(f"{first} {second} ") == pytest.approx((0.0004, 0.0002, 0.002, 0.003, 0.0001))
    plain = "0.0004 0.0006 0 0.0056 0.0057"
    assert curl_parts_s(f"{first} {plain}") == pytest.approx((0.0004, 0.0002, 0.0, 0.005, 0.0001))
    with pytest.raises(ValueError, match="two transfers"):
        curl_parts_s(first)


def test_the_typical_request_is_a_real_one() -> None:
    requests = [Request(replace(SEEN, total_s=total_s)) for total_s in (0.9, 0.1, 0.5, 0.2)]
    assert typical(requests).seen.total_s == 0.2
    with pytest.raises(ValueError, match="none"):
        typical([])


def test_medians_of_parts_are_in_milliseconds() -> None:
    medians = part_medians([SEEN.parts_s, SEEN.parts_s, SEEN.parts_s], seed=1)
    assert [one.median for one in medians] == pytest.approx([1.0, 0.5, 3.0, 36.0, 0.2])
    assert {one.unit for one in medians} == {"ms"}


# -- as bars ---------------------------------------------------------------------------------------------


def test_the_clients_parts_follow_one_another_without_a_gap() -> None:
    mine = [bar for bar in bars(WHOLE) if bar.row == 0]
    assert [bar.what for bar in mine] == ["dns", "tcp", "tls", "first byte", "body"]
    for one, following in pairwise(mine):
        assert one.start_ms + one.length_ms == pytest.approx(following.start_ms)


def test_each_daemon_begins_where_the_one_in_front_handed_over() -> None:
    who = {bar.what: bar.who for bar in bars(WHOLE)}
    assert (who["TR"], who["rt"], who["urt"]) == ("lb1 HAProxy", "web1 nginx", "app1 gunicorn")
    begins_ms = {bar.what: bar.start_ms for bar in bars(WHOLE)}
    asked_ms = 4.5
    assert begins_ms["TR"] == pytest.approx(asked_ms)
    assert begins_ms["rt"] == begins_ms["urt"] == pytest.approx(asked_ms + 3)


def test_where_there_is_no_balancer_nginx_is_the_first_behind_the_client() -> None:
    alone = Request(replace(SEEN, served_by="server1>server1"), None, WEB)
    assert {bar.row: bar.who for bar in bars(alone)} == {
        0: "client",
        1: "server1 nginx",
        2: "server1 gunicorn",
    }


def test_parts_of_no_length_are_not_drawn() -> None:
    plain = Request(replace(SEEN, parts_s=(0.001, 0.0005, 0.0, 0.036, 0.0002)))
    assert "tls" not in {bar.what for bar in bars(plain)}


def test_the_figure_names_every_piece_with_its_length() -> None:
    figure = waterfall(WHOLE, "GET /items/3")
    texts = {text.get_text() for text in figure.axes[0].texts}
    assert {"DNS 1.00 ms", "TLS 3.00 ms", "Tr server's answer 30 ms", "request_time 31 ms"} <= texts
    assert {"client", "lb1 HAProxy", "web1 nginx", "app1 gunicorn", "total 40.80 ms"} <= texts
