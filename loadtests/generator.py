"""Load at a given rate, whatever becomes of it: `python -P -m loadtests.generator CONFIG.json`.

{"started_s": 8123.4, …}                 first line on stdout, when the first request is due
probes.csv, writes.csv                   if asked for: a row per request as it ends, on disk within 100 ms
{"offered": 7500, "halves": […], …}      last line: after warm-up and duration, or SIGTERM
"""

from __future__ import annotations

import argparse
import contextlib
import json
import select
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from loadtests.connection import Connection, Lane, Place, verifying_context
from loadtests.engine import OpenLoop, probe_of
from loadtests.fates import COLUMNS, write_fate
from loadtests.generator_config import GeneratorConfig
from loadtests.json_config import ConfigError
from loadtests.lookup import NoAddress, Question, nameserver_endpoint
from loadtests.own_process import Fairness, allow_descriptors, max_rss_mb, on_termination, undisturbed
from loadtests.probes import write_header, write_probe
from loadtests.schedule import Mix
from loadtests.tally import Tally

EXIT_USAGE = 2
LEAD_S = 0.05  # between the last preparation and the first request
BUFFER_BYTES = 1 << 20  # more than 100 ms of rows at any rate, so that only a tick writes to the file
NICE = -5  # before what it loads, behind the prober
QUESTIONS, PATIENCE_S = 3, 1.0


def addresses_of(host: str, nameserver: str) -> tuple[str, ...]:
    """All A records of `host`, in the order of one real answer; a lost datagram is asked for again.

    Raises NoAddress, and OSError if nobody answers at that address.
    """
    question = Question(host)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(nameserver_endpoint(nameserver))
        for _ in range(QUESTIONS):
            number, datagram = question.ask()
            sock.send(datagram)
            deadline_s = time.monotonic() + PATIENCE_S
            while select.select((sock,), (), (), max(0.0, deadline_s - time.monotonic()))[0]:
                found = question.addresses(sock.recv(4096), number)
                if found:
                    return found
    raise NoAddress(f"{nameserver} did not answer {QUESTIONS} times")


def lanes_to(config: GeneratorConfig) -> list[Lane]:
    """One to every address. Raises NoAddress, and OSError also for a CA that cannot be read."""
    addresses = config.connect_to or addresses_of(config.host, config.nameserver or "")
    tls = verifying_context(config.ca_file) if config.split.scheme == "https" and config.ca_file else None
    return [
        Lane(
            Place(
                host=config.host,
                port=config.port,
                keep_alive=config.keep_alive,
                connect_to=address,
                tls=tls,
                rotate=True,
                max_connections=max(1, config.connections // len(addresses)) if config.keep_alive else None,
            )
        )
        for address in addresses
    ]


class Recorder:
    """Takes each request that ends: into the tally, and into the files that were asked for."""

    def __init__(
        self, config: GeneratorConfig, tally: Tally, rows: TextIO | None, writes: TextIO | None
    ) -> None:
        self._tally, self._rows, self._writes = tally, rows, writes
        self._with_an_id = frozenset(k.name for k in config.kinds if k.writes_with_an_id)
        self._announce: str | None = None
        self._fairness: Fairness | None = None
        self._shares: dict[str, float | None] | None = None
        for out, header in ((rows, write_header), (writes, lambda out: out.write(f"{COLUMNS}\n"))):
            if out is not None:
                header(out)

    def announce(self, t0_s: float) -> None:
        self._announce = json.dumps({"started_s": t0_s, "measured_from_s": self._tally.from_s})

    def ended(self, c: Connection, outcome: str, end_s: float) -> None:
        self._tally.ended(c, outcome, end_s)
        if self._rows is not None:
            write_probe(self._rows, probe_of(c, outcome, end_s))
        if self._writes is not None and c.request.kind.name in self._with_an_id:
            write_fate(self._writes, c, outcome, end_s)

    def tick(self) -> None:
        """Called in a gap between requests: lines, files, and the processor's shares while it measures."""
        if self._announce is not None:
            print(self._announce, flush=True)
            self._announce = None
        for out in (self._rows, self._writes):
            if out is not None:
                out.flush()
        now_s = time.monotonic()
        if self._fairness is None and now_s >= self._tally.from_s:
            self._fairness = Fairness()
        elif self._fairness is not None and self._shares is None and now_s >= self._tally.until_s:
            self._shares = self._fairness.summary()

    def shares(self) -> dict[str, float | None]:
        if self._shares is None and self._fairness is not None:
            self._shares = self._fairness.summary()
        return self._shares or {"wall_s": 0.0, "cpu_share": None, "run_queue_wait_share": None}


def generate(config: GeneratorConfig) -> dict[str, Any]:
    """Offers the load until it is over, SIGTERM or SIGINT; returns the summary.

    Raises OSError for bad files, NoAddress.
    """
    lanes = lanes_to(config)
    allow_descriptors(2 * (config.connections if config.keep_alive else config.max_in_flight) + 64)
    with contextlib.ExitStack() as files:

        def opened(path: str | None) -> TextIO | None:
            return files.enter_context(Path(path).open("w", buffering=BUFFER_BYTES)) if path else None

        rows, writes = opened(config.output), opened(config.acknowledged)
        files.enter_context(undisturbed(NICE))
        t0_s = time.monotonic() + LEAD_S
        from_s = t0_s + config.warmup_s
        tally = Tally([k.name for k in config.kinds], t0_s, from_s, from_s + config.duration_s)
        recorder = Recorder(config, tally, rows, writes)
        engine = OpenLoop(
            [Mix(config, lanes)],
            recorder.ended,
            timeout_s=config.timeout_s,
            max_in_flight=config.max_in_flight,
        )
        stopped_early = False

        def stop() -> None:
            nonlocal stopped_early
            stopped_early = stopped_early or time.monotonic() < tally.until_s
            tally.until_s = min(tally.until_s, time.monotonic())
            engine.stop()

        with on_termination(stop):
            recorder.announce(t0_s)
            engine.run(t0_s, tally.until_s, recorder.tick)
            shares = recorder.shares()
    return {
        "stopped_early": stopped_early,
        "rate_hz": config.rate_hz,
        "arrivals": config.arrivals,
        "seed": config.seed,
        **tally.summary(),
        **shares,
        "handling_delay_ms": engine.handling_delay.summary_ms(),
        "in_flight_max": engine.in_flight_max,
        "max_rss_mb": max_rss_mb(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="generator", description="Offer requests at a given rate.")
    parser.add_argument("config", type=Path, help="JSON document, see loadtests/generator_config.py")
    path = parser.parse_args(argv).config
    try:
        summary = generate(GeneratorConfig.from_json(path.read_text()))
    except (ConfigError, NoAddress, OSError) as error:
        print(f"generator: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(json.dumps(summary), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
