"""The stage in the web UI: anybody may look, only the token's owner may break; half a file is no file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

STAGE: dict[str, Any] = {
    "stage": "3",
    "hosts": [
        {
            "name": "lb1", "addresses": ["8.8.8.11", "10.0.1.11"], "holds": ["8.8.8.8"], "answers": 9,
            "layer": "load balancer", "share": 0.753,
            "daemons": [{"name": "haproxy", "state": "running"}, {"name": "keepalived", "state": "dead"}],
        },
        {"name": "db1", "addresses": ["10.0.2.41"], "holds": [], "answers": 0, "layer": None, "share": None,
         "daemons": []},
    ],
    "faults": [{"fault": "hang", "target": "lb1/haproxy", "host": "lb1", "since_s": 3.0, "for_s": 12.3}],
}  # fmt: skip
ORDER = {"action": "inject", "fault": "host-crash", "target": "lb1/haproxy"}


@pytest.fixture
def tab(monkeypatch: pytest.MonkeyPatch) -> Any:
    """As a locustfile imports it: a sibling."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "loadtests"))
    import stage_tab

    yield stage_tab
    del sys.modules["stage_tab"]


@pytest.fixture
def door(tmp_path: Path) -> Path:
    (tmp_path / "door" / "requests").mkdir(parents=True)
    (tmp_path / "door" / "token").write_text("open-sesame\n")
    return tmp_path / "door"


@pytest.fixture
def client(tab: Any, door: Path, tmp_path: Path) -> Iterator[FlaskClient]:
    app = Flask(__name__)
    app.register_blueprint(tab.blueprint(tmp_path / "stage.json", tab.Door(door)))
    with app.test_client() as client:
        yield client


def waiting(door: Path) -> list[dict[str, str]]:
    return [json.loads(path.read_text()) for path in (door / "requests").iterdir()]


@pytest.mark.parametrize(
    "token", [None, "", "open-sesam", "open-sesame1", "OPEN-SESAME", "ünïcode", "x" * 9999]
)
def test_without_the_right_token_nothing_is_asked_for(
    token: str | None, client: FlaskClient, door: Path
) -> None:
    answer = client.post("/stage/fault", data={**ORDER, **({} if token is None else {"token": token})})
    assert answer.status_code == 403
    assert "token" in answer.get_json()["error"]
    assert waiting(door) == []


@pytest.mark.parametrize("empty", [True, False])
def test_without_a_token_file_nobody_is_let_in(empty: bool, client: FlaskClient, door: Path) -> None:
    (door / "token").write_text("") if empty else (door / "token").unlink()
    assert client.post("/stage/fault", data={**ORDER, "token": ""}).status_code == 403


def test_tokens_are_compared_in_constant_time(
    tab: Any, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return False

    monkeypatch.setattr(tab.hmac, "compare_digest", compare)
    assert client.post("/stage/fault", data={**ORDER, "token": "open-sesame"}).status_code == 403
    assert compared == [(b"open-sesame", b"open-sesame")]


def test_the_right_token_leaves_an_order_that_does_not_contain_it(client: FlaskClient, door: Path) -> None:
    answer = client.post("/stage/fault", data={**ORDER, "token": "open-sesame", "more": "ignored"})
    assert answer.status_code == 202
    assert waiting(door) == [{"id": answer.get_json()["request"], **ORDER}]


@pytest.mark.parametrize(
    "wrong",
    [{"action": "destroy"}, {"action": ""}, {"fault": ""}, {"target": "lb1; reboot"}, {"target": "x" * 65},
     {"target": "ünïcode"}],
)  # fmt: skip
def test_what_is_no_order_is_refused_at_the_door(
    wrong: dict[str, str], client: FlaskClient, door: Path
) -> None:
    answer = client.post("/stage/fault", data={**ORDER, **wrong, "token": "open-sesame"})
    assert answer.status_code == 400
    assert waiting(door) == []


def test_orders_do_not_pile_up(tab: Any, client: FlaskClient, door: Path) -> None:
    statuses = [
        client.post("/stage/fault", data={**ORDER, "token": "open-sesame"}).status_code
        for _ in range(tab.MOST_WAITING + 2)
    ]
    assert statuses == [202] * tab.MOST_WAITING + [429] * 2
    assert len(waiting(door)) == tab.MOST_WAITING


def test_a_link_alone_breaks_nothing(client: FlaskClient) -> None:
    assert client.get("/stage/fault?token=open-sesame&action=inject").status_code == 405


def test_the_page_needs_nothing_from_elsewhere(client: FlaskClient) -> None:
    answer = client.get("/stage")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "http://" not in answer.text
    assert "https://" not in answer.text


@pytest.mark.parametrize("text", [None, "", "{half", "[]"])
def test_before_the_stage_has_spoken_there_is_no_stage(
    text: str | None, client: FlaskClient, tmp_path: Path
) -> None:
    if text is not None:
        (tmp_path / "stage.json").write_text(text)
    answer = client.get("/stage.json")
    assert (answer.status_code, answer.get_json()) == (503, {"error": "the stage has said nothing yet"})


def test_the_stage_is_told_as_it_was_written(client: FlaskClient, tmp_path: Path) -> None:
    (tmp_path / "stage.json").write_text(json.dumps(STAGE))
    answer = client.get("/stage.json")
    assert answer.get_json() == STAGE
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_tab_has_a_row_for_each_host_in_words(tab: Any) -> None:
    lb1, db1 = tab.rows(STAGE)
    assert lb1 == {
        "name": "lb1", "addresses": "8.8.8.11 10.0.1.11", "daemons": "haproxy running, keepalived dead",
        "holds": "8.8.8.8", "answers": 9, "share": "75%", "fault": "hang of lb1/haproxy for 12 s",
    }  # fmt: skip
    assert (db1["share"], db1["fault"]) == ("", "")
    assert set(lb1) == {key for key, _ in tab.COLUMNS}
    assert tab.rows({}) == []


def test_locusts_own_answers_are_extended_and_otherwise_left_alone(tab: Any, tmp_path: Path) -> None:
    (tmp_path / "stage.json").write_text(json.dumps(STAGE))
    with Flask(__name__).test_request_context():
        stats = tab.jsonify(total_rps=3)
        tab.add_rows(stats, tmp_path / "stage.json")
        assert stats.get_json()["total_rps"] == 3
        (extended,) = stats.get_json()["extended_stats"]
        assert (extended["key"], len(extended["data"])) == ("stage", 2)
        page = tab.make_response("<body><p>Locust</p></body>")
        tab.add_link(page)
        text = page.get_data(as_text=True)
        assert text.startswith("<body><p>Locust</p><a href=")
        assert text.endswith("</a></body>")
