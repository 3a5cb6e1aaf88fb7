"""Command lines for the generators, as they run inside a client host. A harness imports neither.

prober      open loop: the stopwatch           python -m loadtests.prober CONFIG.json
generator   open loop: load at a given rate    python -m loadtests.generator CONFIG.json
Locust      closed loop: the background load   python -m locust -f loadtests/browse.py …
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

CODE = PurePosixPath("/run/testbed/code")
PYTHON = "/run/testbed/venv/bin/python"
RESULTS = PurePosixPath("/run/testbed/results")

#: Both import from the checkout, wherever they are started.
ENVIRONMENT = {"PYTHONPATH": str(CODE)}

#: Locustfiles in loadtests/, by what their visitors do.
SCENARIOS = ("mixed", "browse", "write", "static", "compute")
#: No load is larger or longer, whoever asks for it and wherever.
MOST_USERS, MOST_S = 500, 3600
WEB_PORT, MASTER_PORT = 8089, 5557


def prober(config: str) -> Sequence[str]:
    """`config` is relative to the results directory."""
    return (PYTHON, "-P", "-m", "loadtests.prober", str(RESULTS / config))


def generator(config: str) -> Sequence[str]:
    """`config` is relative to the results directory."""
    return (PYTHON, "-P", "-m", "loadtests.generator", str(RESULTS / config))


def ceilings(url: str, *, ca_file: str | None = None, seconds: int = 3) -> Sequence[str]:
    """What each load tool can do against a fast `url`, about two minutes; the last line of stdout is JSON."""
    trust = ("--ca-file", ca_file) if ca_file else ()
    return (PYTHON, "-P", "-m", "loadtests.ceilings", url, *trust, "--seconds", str(seconds))


def orders(config: str) -> Sequence[str]:
    """`config` is relative to the results directory."""
    return (PYTHON, "-P", "-m", "loadtests.orders", str(RESULTS / config))


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


def swarm(
    scenario: str, *, host_url: str, users: int | None, seconds: int | None, shape: str | None, record: str
) -> Sequence[str]:
    """Locust with everything that web UI, master and a lone process have in common; one of these follows.

    `users` None: as many as the shape has at its peak; `seconds` None: as long as shape or web UI say.
    """
    who = () if users is None else ("--users", str(users), "--spawn-rate", f"{min(100, max(1, users / 2)):g}")
    how_long = () if seconds is None else ("--run-time", f"{seconds}s")
    return (
        *_scenario(scenario, record), "--host", host_url, *who, *how_long,
        *(("--shape", shape) if shape else ()),
        "--most-users", str(MOST_USERS), "--most-seconds", str(MOST_S),
    )  # fmt: skip


def headless() -> Sequence[str]:
    return ("--headless", "--only-summary")


def web(stage_json: str, door: str) -> Sequence[str]:
    """The web UI, for this host only. `stage_json` is relative to the results, `door` a path of the host."""
    return (
        "--web-host", "127.0.0.1", "--web-port", str(WEB_PORT),
        "--stage-json", str(RESULTS / stage_json), "--stage-door", door,
    )  # fmt: skip


def master(address: str, workers: int) -> Sequence[str]:
    """Waits for its workers, who come to `address`."""
    return (
        "--master", "--master-bind-host", address, "--master-bind-port", str(MASTER_PORT),
        "--expect-workers", str(workers), "--expect-workers-max-wait", "30",
    )  # fmt: skip


def worker(scenario: str, *, master_address: str, record: str) -> Sequence[str]:
    return (
        *_scenario(scenario, record), "--worker", "--master-host", master_address, "--master-port",
        str(MASTER_PORT),
    )  # fmt: skip


def _scenario(scenario: str, record: str) -> Sequence[str]:
    return (
        PYTHON, "-P", "-m", "locust", "-f", str(CODE / "loadtests" / f"{scenario}.py"), "--stop-timeout", "2",
        "--exit-code-on-error", "0", "--loglevel", "INFO", "--record", str(RESULTS / record),
    )  # fmt: skip
