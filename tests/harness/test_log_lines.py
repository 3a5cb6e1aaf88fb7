"""Access logs and the store are read to the millisecond, and what is no request is not counted as one."""

from __future__ import annotations

import datetime

import pytest

from experiments.harness.log_lines import (
    access,
    delays_s,
    haproxy_access,
    lines_of,
    nginx_access,
    percentile,
    stored,
)

CHECK = (
    '10.0.1.11 [2026-11-24T03:20:18+00:00] "GET /health HTTP/1.1" 200 3 rt=0.001 urt=0.001 '
    "upstream=unix:/run/gunicorn/gunicorn.sock at=1795490418.123"
)
ITEM = CHECK.replace("10.0.1.11", "8.8.8.101").replace("/health", "/api/items/1")
HAPROXY = (
    "8.8.8.101:39866 [24/Nov/2026:03:20:18.123] www~ web/server1 0/0/0/1/7 200 310 - - ---- 1/1/0/0/0 0/0 "
    '"GET /api/items/1 HTTP/1.1"'
)


def test_nginx_says_who_asked_for_what_and_when_the_line_was_written() -> None:
    found = nginx_access(ITEM)
    assert found is not None
    assert (found.client, found.path, found.status) == ("8.8.8.101", "/api/items/1", 200)
    assert found.written_s == 1795490418.123


@pytest.mark.parametrize(("line", "is_check"), [(CHECK, True), (ITEM, False)])
def test_a_health_check_comes_from_a_balancer_itself(line: str, is_check: bool) -> None:
    found = nginx_access(line)
    assert found is not None
    assert found.is_check_of({"10.0.1.11", "8.8.8.8"}) == is_check


def test_a_client_that_asks_for_the_health_page_is_a_client() -> None:
    found = nginx_access(CHECK.replace("10.0.1.11", "8.8.8.102"))
    assert found is not None
    assert not found.is_check_of({"10.0.1.11"})


def test_haproxy_writes_when_the_request_has_ended() -> None:
    found = haproxy_access(HAPROXY)
    assert found is not None
    began_s = datetime.datetime(2026, 11, 24, 3, 20, 18, 123000).timestamp()
    assert found.written_s == pytest.approx(began_s + 0.007, rel=0, abs=1e-4)
    assert (found.server, found.status) == ("server1", 200)


def test_a_time_with_a_plus_is_a_time() -> None:
    """Configuration Manual §8.2.3: logged with `option logasap` before the end."""
    assert haproxy_access(HAPROXY.replace("0/0/0/1/7", "0/0/0/1/+7")) == haproxy_access(HAPROXY)


@pytest.mark.parametrize(
    "line",
    [
        "[WARNING]  (621) : Server web/server2 is DOWN, reason: Layer4 connection problem",
        "8.8.8.101:1 [24/Nov/2026:03:20:18.123] www www/<NOSRV> 0/-1/-1/-1/0 301 100 - - LR-- 1/1/0/0/0 0/0",
        "",
    ],
)
def test_what_is_no_request_to_a_web_server_is_not_counted(line: str) -> None:
    assert haproxy_access(line) is None


def test_a_line_without_its_time_is_no_request() -> None:
    assert nginx_access(CHECK.partition(" at=")[0]) is None
    assert access("gunicorn", CHECK) is None


def test_half_a_line_and_empty_lines_are_left_out() -> None:
    assert lines_of("one\n\ntwo\nhal") == ["one", "two"]
    assert lines_of("") == []


def test_the_store_says_when_a_line_arrived() -> None:
    (line,) = stored(f"2026-11-24T03:20:18.623000+00:00 {CHECK}\n")
    assert line.text == CHECK
    written_s = datetime.datetime(2026, 11, 24, 3, 20, 18, 623000, datetime.UTC).timestamp()
    assert line.arrived_s == pytest.approx(written_s, rel=0, abs=1e-4)
    at = CHECK.replace("1795490418.123", f"{written_s - 0.5:.3f}")
    (late,) = delays_s("nginx-access", stored(f"2026-11-24T03:20:18.623000+00:00 {at}\n"))
    assert late == pytest.approx(0.5, abs=1e-3)
    assert list(delays_s("gunicorn", [line])) == []


def test_a_percentile_is_one_of_the_values() -> None:
    values = [0.4, 0.1, 0.3, 0.2]
    assert [percentile(values, share) for share in (0.5, 0.75, 0.99, 1.0)] == [0.2, 0.3, 0.4, 0.4]
    assert percentile([], 0.5) is None
