"""What every scenario's Locust can do beside its requests, in a process of its own as it is used."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.loadtests.locust_run import SCENARIOS, command, environment, load, recorded
from tests.loadtests.small_servers import closed_port
from tests.loadtests.small_site import small_site
from tests.loadtests.test_stage_tab import ORDER, STAGE
from topologies.waiting import wait_until


def seconds(record: Path) -> list[list[str]]:
    return [line.split(",") for line in (record / "load.csv").read_text().splitlines()[1:]]


def ask(url: str, **form: str) -> tuple[int, Any]:
    """Status and answer: JSON where it is JSON. A form makes it a POST."""
    data = urllib.parse.urlencode(form).encode() if form else None
    try:
        with urllib.request.urlopen(url, data, timeout=5) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    return status, json.loads(text) if text.startswith("{") else text


@contextmanager
def web_ui(host: str, tmp_path: Path, *options: str) -> Iterator[str]:
    """Locust's web UI on a free port; yields its URL."""
    port = closed_port()
    log = tmp_path / "locust.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *command("browse"), "--host", host, "--web-host", "127.0.0.1", "--web-port", str(port),
                "--stop-timeout", "1", "--record", str(tmp_path / "r"), *options,
            ],
            cwd=tmp_path, env=environment(None), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(
            lambda: ask(f"{url}/")[0] == 200, timeout_s=20, what="the web UI to answer", interval_s=0.1
        )
        yield url
    finally:
        process.terminate()
        process.wait(10)
    assert "Traceback" not in log.read_text(), log.read_text()[-3000:]


def test_a_shape_gives_a_scenario_its_users_and_its_end(tmp_path: Path) -> None:
    with small_site() as site:
        begin_s = time.monotonic()
        load(
            "mixed", host=f"http://127.0.0.1:{site.port}", record=tmp_path / "r", users=9,
            options=("--shape", "spike", "--run-time", "6s"),
        )  # fmt: skip
    assert 5 < time.monotonic() - begin_s < 15
    users = [int(row[1]) for row in seconds(tmp_path / "r")]
    assert max(users) == 9
    assert users[0] == 1
    assert 1 in users[users.index(9) :], "the spike is over before the test is"


def test_an_unknown_shape_is_a_usage_error_that_names_those_there_are(tmp_path: Path) -> None:
    done = subprocess.run(
        [*command("browse"), "--headless", "--shape", "zigzag"], cwd=tmp_path, env=environment(None),
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "spike" in done.stderr


def test_all_scenarios_may_be_loaded_together(tmp_path: Path) -> None:
    listed = subprocess.run(
        [*command(*SCENARIOS), "--list"], cwd=tmp_path, env=environment(None), capture_output=True, text=True,
        timeout=30, check=False,
    )  # fmt: skip
    assert listed.returncode == 0, listed.stderr
    assert len(listed.stdout.splitlines()) == 1 + len(SCENARIOS)


def test_the_web_ui_refuses_too_many_users_and_ends_what_nobody_ends(tmp_path: Path) -> None:
    with (
        small_site() as site,
        web_ui(f"http://127.0.0.1:{site.port}", tmp_path, "--most-users", "5", "--most-seconds", "3") as url,
    ):
        for wanted in ("6", "99999", "-1", "many", ""):
            status, said = ask(f"{url}/swarm", user_count=wanted, spawn_rate="100")
            assert (status, said["success"]) == (200, False), wanted
        assert site.asked == []
        for _ in range(2):  # the second test is bounded like the first
            assert ask(f"{url}/swarm", user_count="5", spawn_rate="100")[1]["success"]
            wait_until(lambda: _state(url) == "running", timeout_s=5, what="the swarm to run", interval_s=0.1)
            begin_s = time.monotonic()
            wait_until(lambda: _state(url) == "stopped", timeout_s=8, what="the end", interval_s=0.1)
            assert 1.5 < time.monotonic() - begin_s < 6
    assert {row.outcome for row in recorded(tmp_path / "r")} == {"ok"}


def _state(url: str) -> str:
    return str(ask(f"{url}/stats/requests")[1]["state"])


def test_the_web_ui_shows_the_stage_and_leaves_orders_only_with_the_token(tmp_path: Path) -> None:
    stage_json, door = tmp_path / "stage.json", tmp_path / "door"
    (door / "requests").mkdir(parents=True)
    (door / "token").write_text("open-sesame")
    stage_json.write_text(json.dumps(STAGE))
    options = ("--stage-json", str(stage_json), "--stage-door", str(door))
    with web_ui("http://127.0.0.1:9", tmp_path, *options) as url:
        _, page = ask(f"{url}/")
        assert '"extended_tabs": [{"key": "stage", "title": "Stage"}]' in page
        assert 'href="./stage"' in page
        _, stats = ask(f"{url}/stats/requests")
        assert [row["name"] for row in stats["extended_stats"][0]["data"]] == ["lb1", "db1"]
        assert ask(f"{url}/stage.json") == (200, STAGE)
        assert ask(f"{url}/stage/fault", **ORDER, token="wrong")[0] == 403
        assert ask(f"{url}/stage/fault", **ORDER, token="open-sesame")[0] == 202
    (order,) = (door / "requests").iterdir()
    assert json.loads(order.read_text())["target"] == ORDER["target"]
    assert "open-sesame" not in (tmp_path / "locust.log").read_text()


def test_without_these_options_locust_is_as_it_always_is(tmp_path: Path) -> None:
    with web_ui("http://127.0.0.1:9", tmp_path) as url:
        assert "extended_tabs" not in ask(f"{url}/")[1]
        assert ask(f"{url}/stage.json")[0] == 404
