"""How many requests a second a generator can make of one core, and what each costs: which may measure what.

    python -P -m loadtests.ceilings http://ADDRESS:PORT/small.txt     inside a client host; JSON comes last

A server that answers far faster than they ask is required: then what the generator measures is its own
queue. The generator (open loop) is asked for more and more until it is late, or its queue shows in the
latency, which comes first; wrk and plain Locust (closed loop, no think time) take what they get. Over https
only the generator runs, which verifies: wrk does not.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from loadtests.generator_config import GeneratorConfig, KindConfig
from loadtests.json_config import ConfigError, port_of, require_http_url

EXIT_USAGE = 2
LATE_MS: Final = 5.0  # p99 of lateness beyond which a trial would not count; and here of latency, too
ACHIEVED: Final = 0.98
START_HZ: Final = {"kept alive": 2000.0, "new connections": 250.0}
GROWTH: Final = 2**0.25
TRIES: Final = 3
WARMUP_S: Final = 0.5
CONNECTIONS: Final = 64

_UNIT_MS: Final = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
_LOCUSTFILE: Final = """
import json, time
from locust import FastHttpUser, HttpUser, events, task

class Fast(FastHttpUser):
    @task
    def ask(self): self.client.get({target!r})

class Plain(HttpUser):
    @task
    def ask(self): self.client.get({target!r})

@events.test_start.add_listener
def start(environment, **_):
    environment.start = time.monotonic(), time.process_time()

@events.test_stop.add_listener
def stop(environment, **_):
    wall_s, cpu_s = time.monotonic() - environment.start[0], time.process_time() - environment.start[1]
    total = environment.stats.total
    p50, p99 = (total.get_response_time_percentile(q) for q in (0.5, 0.99))
    print(json.dumps(dict(requests=total.num_requests, failed=total.num_failures, wall_s=wall_s, cpu_s=cpu_s,
                          p50_ms=p50, p99_ms=p99)), flush=True)
"""


@dataclass(frozen=True)
class Ceiling:
    """The most that one tool made in one process. Latencies are as the tool itself tells them."""

    tool: str
    rate_hz: float
    cpu_us: float  # of the tool's own processor time, per request
    failed: int
    p50_ms: float | None
    p99_ms: float | None
    lateness_p99_ms: float | None = None  # of the open loop only
    ends_because: str = ""


@dataclass(frozen=True)
class WrkReport:
    requests: int
    rate_hz: float
    failed: int
    p50_ms: float | None
    p99_ms: float | None


def parse_wrk(text: str) -> WrkReport:
    """What `wrk --latency` prints. Raises ValueError if it is not that."""
    count = re.search(r"(\d+) requests in ", text)
    rate = re.search(r"Requests/sec:\s*([\d.]+)", text)
    if count is None or rate is None:
        raise ValueError(f"not a report of wrk: {text[:200]!r}")
    errors = re.search(r"Socket errors: (.*)", text)
    failed = sum(map(int, re.findall(r"\d+", errors[1]))) if errors else 0
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    found = {
        int(q): float(x) * _UNIT_MS[u] for q, x, u in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s|m)\b", text)
    }
    return WrkReport(
        int(count[1]), float(rate[1]), failed + (int(wrong[1]) if wrong else 0), found.get(50), found.get(99)
    )


def ceiling_of_wrk(report: WrkReport, cpu_s: float) -> Ceiling:
    cpu_us = cpu_s / max(report.requests, 1) * 1e6
    return Ceiling("wrk", report.rate_hz, cpu_us, report.failed, report.p50_ms, report.p99_ms)


def ceiling_of_locust(tool: str, report: dict[str, Any]) -> Ceiling:
    """`report` is the line that our locustfile prints."""
    requests = max(report["requests"], 1)
    return Ceiling(
        tool, report["requests"] / report["wall_s"], report["cpu_s"] / requests * 1e6, report["failed"],
        report["p50_ms"], report["p99_ms"],
    )  # fmt: skip


def ceiling_of_generator(tool: str, summary: dict[str, Any]) -> Ceiling:
    """One trial of it. `ends_because` says why it does not count; "" if it does."""
    late_ms = summary["lateness_ms"]["p99"]
    reasons = []
    if late_ms is None or late_ms > LATE_MS:
        reasons.append(f"lateness p99 {late_ms} ms")
    if (own_ms := summary["latency_ms"]["p99"]) is not None and own_ms > LATE_MS:
        reasons.append(f"latency p99 {own_ms} ms")
    if summary["achieved_hz"] < ACHIEVED * summary["offered_hz"]:
        reasons.append(f"{summary['achieved_hz']:.0f}/s of {summary['offered_hz']:.0f}/s")
    if summary["bad"]:
        reasons.append(", ".join(f"{name} {n}" for name, n in summary["bad"].items()))
    cpu_us = summary["cpu_share"] * summary["wall_s"] / max(summary["offered"], 1) * 1e6
    return Ceiling(
        tool, summary["achieved_hz"], cpu_us, summary["offered"] - summary["good"],
        summary["latency_ms"]["p50"], summary["latency_ms"]["p99"], late_ms, "; ".join(reasons),
    )  # fmt: skip


def compare(url: str, *, ca_file: str | None = None, seconds: int = 3) -> Iterator[Ceiling]:
    """Each tool in turn, never two at a time. Raises OSError, ValueError, subprocess.SubprocessError."""
    with tempfile.TemporaryDirectory(prefix="ceilings-") as name:
        directory = Path(name)
        for how in START_HZ:
            yield _generator(url, ca_file, how, seconds, directory)
        if urlsplit(url).scheme == "http":
            if shutil.which("wrk"):
                yield _wrk(url, seconds)
            for tool, user in (("Locust FastHttpUser", "Fast"), ("Locust HttpUser", "Plain")):
                yield _locust(url, tool, user, seconds, directory)


def _generator(url: str, ca_file: str | None, how: str, seconds: int, directory: Path) -> Ceiling:
    """The last rate of a geometric ramp that counts; one bad trial may be another process's fault."""
    parts = urlsplit(url)
    address = str(socket.getaddrinfo(parts.hostname, port_of(parts), socket.AF_INET)[0][4][0])
    tool, rate_hz, failures = f"generator, {how}", START_HZ[how], 0
    best = Ceiling(tool, 0.0, 0.0, 0, None, None)
    while True:
        config = GeneratorConfig(
            url=f"{parts.scheme}://{parts.netloc}", kinds=(KindConfig("small", parts.path or "/"),),
            rate_hz=rate_hz, warmup_s=WARMUP_S, duration_s=seconds, connect_to=(address,), ca_file=ca_file,
            keep_alive=how == "kept alive", connections=CONNECTIONS,
        )  # fmt: skip
        path = directory / "generator.json"
        path.write_text(config.to_json())
        seen = ceiling_of_generator(
            tool, _last_json(_run(sys.executable, "-m", "loadtests.generator", str(path)))
        )
        if not seen.ends_because:
            best, failures, rate_hz = seen, 0, rate_hz * GROWTH
        elif (failures := failures + 1) == TRIES:
            return dataclasses.replace(best, ends_because=f"at {rate_hz:.0f}/s: {seen.ends_because}")


def _wrk(url: str, seconds: int) -> Ceiling:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = _run("wrk", "--latency", "-t", "1", "-c", str(CONNECTIONS), "-d", f"{seconds}s", url)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return ceiling_of_wrk(parse_wrk(text), cpu_s)


def _locust(url: str, tool: str, user: str, seconds: int, directory: Path) -> Ceiling:
    parts = urlsplit(url)
    path = directory / "plain.py"
    path.write_text(_LOCUSTFILE.format(target=parts.path or "/"))
    text = _run(
        sys.executable, "-m", "locust", "-f", str(path), "--headless", "--only-summary", "--users",
        str(CONNECTIONS), "--spawn-rate", str(CONNECTIONS), "--run-time", f"{seconds}s", "--host",
        f"{parts.scheme}://{parts.netloc}", "--loglevel", "ERROR", "--exit-code-on-error", "0", user,
    )  # fmt: skip
    return ceiling_of_locust(tool, _last_json(text))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise subprocess.SubprocessError(f"{command[0]} exited with {done.returncode}: {done.stderr[-400:]}")
    return done.stdout


def _last_json(text: str) -> dict[str, Any]:
    line = next(line for line in reversed(text.splitlines()) if line.startswith("{"))
    document: dict[str, Any] = json.loads(line)
    return document


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="ceilings", description="Compare what load generators can do.")
    parser.add_argument("url")
    parser.add_argument("--ca-file", help="the CA of an https URL")
    parser.add_argument("--seconds", type=int, default=3, choices=range(1, 11), metavar="1..10")
    chosen = parser.parse_args(argv)
    start_s, found = time.monotonic(), []
    try:
        require_http_url(chosen.url, "")
        for ceiling in compare(chosen.url, ca_file=chosen.ca_file, seconds=chosen.seconds):
            print(f"{ceiling.tool}: {ceiling.rate_hz:.0f}/s", file=sys.stderr, flush=True)
            found.append(dataclasses.asdict(ceiling))
    except (ConfigError, OSError, ValueError, subprocess.SubprocessError) as error:
        print(f"ceilings: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(
        json.dumps({"url": chosen.url, "took_s": time.monotonic() - start_s, "ceilings": found}), flush=True
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
