"""What Locust saw, on the run's clock: requests.csv has every request, load.csv every second as it sums up.

Locust's own history has whole seconds of wall-clock time; these rows carry CLOCK_MONOTONIC, which the prober
and the faults use, too. Of a master and its workers, the workers have the requests and the master has the
seconds. Imported by locustfiles only.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import gevent
from failure_classes import class_of
from locust import events
from locust.env import Environment

REQUESTS = "end_s,latency_ms,method,name,outcome,served_by"
SECONDS = "t_s,users,rps,failures_per_s,p50_ms,p95_ms"


def install() -> None:
    """Add --record DIR to Locust and obey it. Without the option nothing is written."""
    events.init_command_line_parser.add_listener(_add_option)
    events.init.add_listener(_record)


def _add_option(parser: argparse.ArgumentParser, **_: Any) -> None:
    hidden: dict[str, Any] = {"include_in_web_ui": False}  # Locust's own addition to argparse
    parser.add_argument(
        "--record", metavar="DIR", default="", help="write requests.csv and load.csv there", **hidden
    )


def _record(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    if options is None or not options.record:
        return
    directory = Path(options.record)  # now: a worker's options are overwritten by its master's later
    directory.mkdir(parents=True, exist_ok=True)
    requests = (directory / "requests.csv").open("w")
    requests.write(f"{REQUESTS}\n")
    seconds = (directory / "load.csv").open("w")
    seconds.write(f"{SECONDS}\n")

    def on_request(
        request_type: str, name: str, response_time: float, exception: BaseException | None, **more: Any
    ) -> None:
        requests.write(
            f"{time.monotonic():.6f},{response_time:.3f},{request_type},{name.replace(',', ';')},"
            f"{class_of(exception)},{served_by(more.get('response'))}\n"
        )

    def on_quit(**_: Any) -> None:
        sampler.kill()
        requests.close()
        seconds.close()

    environment.events.request.add_listener(on_request)
    environment.events.quit.add_listener(on_quit)
    sampler = gevent.spawn(_every_second, environment, seconds, requests)


def served_by(response: Any) -> str:
    """The hosts that made the answer, client side first: "lb1>web2>app1"; "" where none said so.

    Each tier appends its own X-Served-By line, the application first, so the order of arrival is reversed.
    """
    headers = getattr(response, "headers", None)
    named = (headers.get("X-Served-By") or "") if headers else ""
    return ">".join(host.strip() for host in reversed(named.split(",")[:8]) if host.strip())


def _every_second(environment: Environment, seconds: TextIO, requests: TextIO) -> None:
    for t_s in _ticks(1.0):
        requests.flush()
        runner, total = environment.runner, environment.stats.total
        if runner is None or getattr(environment.parsed_options, "worker", False):
            continue
        percentiles = [total.get_current_response_time_percentile(q) for q in (0.5, 0.95)]
        shown = ["" if p is None else f"{p:g}" for p in percentiles]
        seconds.write(
            f"{t_s:.3f},{runner.user_count},{total.current_rps:g},{total.current_fail_per_sec:g},{shown[0]},{shown[1]}\n"
        )
        seconds.flush()


def _ticks(period_s: float) -> Iterator[float]:
    """The monotonic time, once per period."""
    while True:
        gevent.sleep(period_s)
        yield time.monotonic()
