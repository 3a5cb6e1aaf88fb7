"""Command lines for the two generators, as they run inside a client host. A harness imports neither.

prober   open loop: the stopwatch           python -m loadtests.prober CONFIG.json
Locust   closed loop: the background load   python -m locust -f loadtests/browse.py …
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

CODE = PurePosixPath("/run/testbed/code")
PYTHON = "/run/testbed/venv/bin/python"
RESULTS = PurePosixPath("/run/testbed/results")

#: Both import from the checkout, wherever they are started.
ENVIRONMENT = {"PYTHONPATH": str(CODE)}


def prober(config: str) -> Sequence[str]:
    """`config` is relative to the results directory."""
    return (PYTHON, "-P", "-m", "loadtests.prober", str(RESULTS / config))


def locust(
    scenario: str, *, host_url: str, users: int, spawn_rate: float, at_most_s: int, record: str
) -> Sequence[str]:
    """Locust without its web UI, bounded in users and time.

    `record` is a directory in the results where the scenario leaves requests.csv and load.csv. Locust's own
    exit status says nothing here (it is 1 for any failed sample): verdicts come from the prober.
    """
    return (
        PYTHON, "-P", "-m", "locust", "-f", str(CODE / "loadtests" / f"{scenario}.py"), "--headless",
        "--host", host_url, "--users", str(users), "--spawn-rate", f"{spawn_rate:g}",
        "--run-time", f"{at_most_s}s", "--stop-timeout", "2", "--exit-code-on-error", "0",
        "--loglevel", "WARNING", "--record", str(RESULTS / record),
    )  # fmt: skip
