"""What other load tools print is read right."""

from __future__ import annotations

from typing import Any

import pytest

from loadtests.ceilings import ceiling_of_generator, ceiling_of_locust, ceiling_of_wrk, parse_wrk

WRK = """\
Running 2s test @ http://127.0.0.1:8080/small.txt
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   694.76us  200.51us   7.52ms   92.51%
    Req/Sec    92.13k     4.01k   97.99k    80.00%
  Latency Distribution
     50%  662.00us
     75%  700.00us
     90%  800.00us
     99%    1.46ms
  183342 requests in 2.00s, 225.02MB read
Requests/sec:  91653.37
Transfer/sec:    112.49MB
"""


def test_a_report_of_wrk_is_read_with_its_units() -> None:
    report = parse_wrk(WRK)
    assert (report.requests, report.rate_hz, report.failed) == (183342, 91653.37, 0)
    assert (report.p50_ms, report.p99_ms) == pytest.approx((0.662, 1.46))
    assert ceiling_of_wrk(report, cpu_s=1.83342).cpu_us == pytest.approx(10)


def test_errors_that_wrk_mentions_are_failures() -> None:
    errors = "  Socket errors: connect 1, read 20, write 0, timeout 3\n  Non-2xx or 3xx responses: 100\n"
    assert parse_wrk(WRK + errors).failed == 124


def test_what_is_no_report_of_wrk_is_an_error() -> None:
    with pytest.raises(ValueError, match="unable to connect"):
        parse_wrk("unable to connect to 127.0.0.1:8080 Connection refused")


def test_a_report_of_locust_gives_rate_and_cost() -> None:
    report = {"requests": 6000, "failed": 2, "wall_s": 3.0, "cpu_s": 3.0, "p50_ms": 31, "p99_ms": 40}
    ceiling = ceiling_of_locust("Locust HttpUser", report)
    assert (ceiling.rate_hz, ceiling.cpu_us, ceiling.failed) == (2000.0, 500.0, 2)


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({}, ""),
        ({"lateness_ms": {"p99": 7.5}}, "lateness p99 7.5 ms"),
        ({"latency_ms": {"p50": 0.2, "p99": 9.1}}, "latency p99 9.1 ms"),
        ({"achieved_hz": 950.0}, "950/s of 1000/s"),
        ({"bad": {"in-flight-cap": 3}}, "in-flight-cap 3"),
    ],
)
def test_a_trial_of_the_generator_counts_only_if_it_was_in_time(
    changes: dict[str, Any], because: str
) -> None:
    summary = {
        "lateness_ms": {"p99": 0.5}, "achieved_hz": 1000.0, "offered_hz": 1000.0, "bad": {},
        "cpu_share": 0.05, "wall_s": 2.0, "offered": 2000, "good": 2000,
        "latency_ms": {"p50": 0.1, "p99": 0.6},
    }  # fmt: skip
    ceiling = ceiling_of_generator("generator", summary | changes)
    assert ceiling.ends_because == because
    assert ceiling.cpu_us == pytest.approx(50)
