"""The stopwatch of every outage: `python -P -m loadtests.prober CONFIG.json` probes until it is told to stop.

{"started_s": 8123.4}                    first line on stdout, when the first probe is due
probes.csv                               a row per probe as it completes, on disk within 100 ms
{"streams": {…}, "cpu_share": 0.08, …}   last line, after SIGTERM: what was sent, and can it be believed
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from loadtests.connection import Stream, verifying_context
from loadtests.engine import Engine
from loadtests.histogram import Histogram
from loadtests.http1 import get_request
from loadtests.lookup import nameserver_endpoint
from loadtests.outcomes import OWN_FAULTS
from loadtests.own_process import Fairness, allow_descriptors, max_rss_mb, on_termination, undisturbed
from loadtests.prober_config import ConfigError, ProberConfig, StreamConfig
from loadtests.probes import GOOD, Probe, write_header, write_probe

EXIT_USAGE = 2
LEAD_S = 0.02  # between the last preparation and the first probe
BUFFER_BYTES = 1 << 20  # more than 100 ms of rows at any rate, so that only a tick writes to the file
NICE = -10  # as far as allowed: the stopwatch goes before the load it times


class Tally:
    """What one stream has seen so far."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.lateness = Histogram()

    def add(self, p: Probe) -> None:
        self.outcomes[p.outcome] += 1
        self.lateness.add(p.lateness_s)

    def summary(self) -> dict[str, Any]:
        return {
            "sent": self.outcomes.total(),
            "good": self.outcomes[GOOD],
            "bad": {name: n for name, n in sorted(self.outcomes.items()) if name != GOOD},
            "lateness_ms": self.lateness.summary_ms(),
        }


class Recorder:
    """Takes each finished probe: a row in the file, a count in the tally of its stream."""

    def __init__(self, config: ProberConfig, rows: TextIO) -> None:
        self._rows = rows
        self.tallies = {s.name: Tally() for s in config.streams}
        self._announce: str | None = None

    def announce(self, t0_s: float) -> None:
        self._announce = json.dumps({"started_s": t0_s})

    def probe(self, p: Probe) -> None:
        write_probe(self._rows, p)
        self.tallies[p.stream].add(p)

    def tick(self) -> None:
        """Called in a gap between probes, so that neither line nor file delays one."""
        if self._announce is not None:
            print(self._announce, flush=True)
            self._announce = None
        self._rows.flush()


def stream_of(config: ProberConfig, s: StreamConfig) -> Stream:
    """The engine's view of a configured stream. Raises OSError if the CA cannot be read."""
    return Stream(
        name=s.name,
        host=s.host,
        port=s.port,
        request=get_request(s.split.netloc, s.target, keep_alive=s.keep_alive),
        rate_hz=s.rate_hz,
        expect_status=config.expect_status,
        expect_text=config.expect_text.encode(),
        keep_alive=s.keep_alive,
        connect_to=s.connect_to,
        tls=verifying_context(config.ca_file) if s.split.scheme == "https" and config.ca_file else None,
    )


def probe(config: ProberConfig) -> dict[str, Any]:
    """Probes until `duration_s` or SIGTERM or SIGINT; returns the summary. Raises OSError for bad files."""
    allow_descriptors(2 * config.max_in_flight + 64)  # answered connections linger until the server closes
    with Path(config.output).open("w", buffering=BUFFER_BYTES) as rows:
        write_header(rows)
        recorder = Recorder(config, rows)
        engine = Engine(
            [stream_of(config, s) for s in config.streams],
            recorder.probe,
            timeout_s=config.timeout_s,
            slo_s=config.slo_s,
            dns_timeout_s=config.dns_timeout_s,
            nameserver=None if config.nameserver is None else nameserver_endpoint(config.nameserver),
            max_in_flight=config.max_in_flight,
        )

        with on_termination(engine.stop), undisturbed(NICE):
            t0_s = time.monotonic() + LEAD_S
            recorder.announce(t0_s)
            fairness = Fairness()
            engine.run(t0_s, t0_s + config.bounded_duration_s, recorder.tick)
            summary = fairness.summary()
    own = {name: sum(t.outcomes[name] for t in recorder.tallies.values()) for name in sorted(OWN_FAULTS)}
    return {
        "streams": {name: t.summary() for name, t in recorder.tallies.items()},
        **summary,
        "handling_delay_ms": engine.handling_delay.summary_ms(),
        "in_flight_max": engine.in_flight_max,
        "own_faults": {name: n for name, n in own.items() if n},
        "max_rss_mb": max_rss_mb(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="prober", description="Probe at fixed times, whatever happens.")
    parser.add_argument("config", type=Path, help="JSON document, see loadtests/prober_config.py")
    path = parser.parse_args(argv).config
    try:
        summary = probe(ProberConfig.from_json(path.read_text()))
    except (ConfigError, OSError) as error:
        print(f"prober: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(json.dumps(summary), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
