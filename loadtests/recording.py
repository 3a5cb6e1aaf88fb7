"""What Locust saw, on the run's clock: requests.csv has every request, load.csv every second as it sums up.

Locust's own history has whole seconds of wall-clock time; these rows carry CLOCK_MONOTONIC, which the prober
and the faults use, too. Imported by locustfiles only.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import gevent
from locust import events
from locust.env import Environment


def install() -> None:
    """Add --record DIR to Locust and obey it. Without the option nothing is written."""
    events.init_command_line_parser.add_listener(_add_option)
    events.init.add_listener(_record)


def _add_option(parser: argparse.ArgumentParser, **_: Any) -> None:
    parser.add_argument("--record", metavar="DIR", default="", help="write requests.csv and load.csv there")


def _record(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    if options is None or not options.record:
        return
    directory = Path(options.record)
    directory.mkdir(parents=True, exist_ok=True)
    requests = (directory / "requests.csv").open("w")
    requests.write("end_s,latency_ms,method,name,outcome\n")
    seconds = (directory / "load.csv").open("w")
    seconds.write("t_s,users,rps,failures_per_s,p50_ms,p95_ms\n")

    def on_request(request_type: str, name: str, response_time: float, exception: object, **_: Any) -> None:
        outcome = "ok" if exception is None else type(exception).__name__
        requests.write(f"{time.monotonic():.6f},{response_time:.3f},{request_type},{name},{outcome}\n")

    def on_quit(**_: Any) -> None:
        sampler.kill()
        requests.close()
        seconds.close()

    environment.events.request.add_listener(on_request)
    environment.events.quit.add_listener(on_quit)
    sampler = gevent.spawn(_every_second, environment, seconds, requests)


def _every_second(environment: Environment, seconds: TextIO, requests: TextIO) -> None:
    for t_s in _ticks(1.0):
        runner, total = environment.runner, environment.stats.total
        if runner is None:
            continue
        percentiles = [total.get_current_response_time_percentile(q) for q in (0.5, 0.95)]
        shown = ["" if p is None else f"{p:g}" for p in percentiles]
        seconds.write(
            f"{t_s:.3f},{runner.user_count},{total.current_rps:g},{total.current_fail_per_sec:g},{shown[0]},{shown[1]}\n"
        )
        seconds.flush()
        requests.flush()


def _ticks(period_s: float) -> Iterator[float]:
    """The monotonic time, once per period."""
    while True:
        gevent.sleep(period_s)
        yield time.monotonic()
