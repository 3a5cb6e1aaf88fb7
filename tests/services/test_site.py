"""The site answers every request rightly over a good database, and refuses bad ones in one clear line."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from services.app import create_app
from services.app.health import burn_cpu
from tests.services.fake_mysql import CONFIG, ORDER, FakeServer


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def site(server: FakeServer) -> FlaskClient:
    return create_app(CONFIG, server.connect).test_client()


def read(site: FlaskClient, path: str) -> Any:
    return json.loads(site.get(path).data)


# --- pages and the interface, over a good database


def test_the_first_page_shows_the_rows_and_the_host_that_made_it(site: FlaskClient) -> None:
    page = site.get("/")
    assert page.status_code == 200
    assert re.findall(r"part \d+", page.text) == [f"part {n}" for n in range(1, 21)]
    assert "<strong>app1</strong>" in page.text
    assert 'href="/?after=20"' in page.text


def test_following_the_next_page_shows_every_item_exactly_once(site: FlaskClient) -> None:
    seen: list[str] = []
    path = "/"
    for _ in range(5):
        text = site.get(path).text
        seen += re.findall(r">(part \d+)<", text)
        following = re.search(r'href="(/\?after=\d+)"', text)
        path = following[1] if following else ""
    assert seen == [f"part {n}" for n in range(1, 101)]
    assert path == ""


def test_a_page_escapes_what_the_database_holds(site: FlaskClient) -> None:
    assert "A &lt;b&gt;part&lt;/b&gt;." in site.get("/items/3").text


def test_pages_load_nothing_from_elsewhere_and_every_file_they_name_is_there(site: FlaskClient) -> None:
    pages = "".join(site.get(path).text for path in ("/", "/items/1", "/login"))
    named = set(re.findall(r'(?:src|href)="([^"]+)"', pages))
    assert all(link.startswith("/") and not link.startswith("//") for link in named)
    assert {site.get(link).status_code for link in named} == {200}


def test_items_are_read_as_json(site: FlaskClient) -> None:
    one = site.get("/api/items/7")
    assert one.json == {"id": 7, "name": "part 7", "description": "A <b>part</b>.", "price_cents": 390}
    some = read(site, "/api/items?after=98&limit=5")
    assert [item["id"] for item in some["items"]] == [99, 100]
    assert some["next"] is None


def test_an_order_sent_twice_is_one_order(site: FlaskClient) -> None:
    first = site.put(ORDER, json={"item_id": 3, "quantity": 2})
    again = site.put(ORDER, json={"item_id": 3, "quantity": 2})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json == again.json == site.get(ORDER).json
    assert first.json == {
        "id": ORDER[-36:], "item_id": 3, "quantity": 2, "node": "app1",
        "created_at": "2026-01-02T03:04:05.678901Z",
    }  # fmt: skip
    assert len(read(site, "/api/orders")["orders"]) == 1


def test_an_id_in_capitals_is_the_same_id(site: FlaskClient) -> None:
    site.put(ORDER, json={"item_id": 3, "quantity": 2})
    assert (
        site.put("/api/orders/" + ORDER[-36:].upper(), json={"item_id": 3, "quantity": 2}).status_code == 200
    )


def test_another_order_under_the_same_id_is_a_conflict_and_changes_nothing(site: FlaskClient) -> None:
    site.put(ORDER, json={"item_id": 3, "quantity": 2})
    assert site.put(ORDER, json={"item_id": 3, "quantity": 9}).status_code == 409
    assert read(site, ORDER)["quantity"] == 2


def test_orders_are_read_back_page_by_page(site: FlaskClient) -> None:
    ids = [f"00000000-0000-4000-8000-{n:012d}" for n in range(7)]
    for order_id in reversed(ids):
        site.put(f"/api/orders/{order_id}", json={"item_id": 1, "quantity": 1})
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = read(site, f"/api/orders?after={after}&limit=3")
        found += [order["id"] for order in page["orders"]]
        after = page["next"]
    assert found == ids


def test_the_right_password_logs_in_and_any_other_does_not(site: FlaskClient) -> None:
    def answer(name: str, password: str) -> int:
        return site.post("/login", data={"name": name, "password": password}).status_code

    assert answer("student", "blue-elephant-42") == 200
    assert answer("student", "blue-elephant-43") == 401
    assert answer("nobody", "blue-elephant-42") == 401
    assert answer("student", "") == 400


def test_compute_uses_the_cpu_it_was_asked_for(site: FlaskClient) -> None:
    start_s = time.thread_time()
    assert 20 <= read(site, "/compute?ms=20")["cpu_ms"] < 25
    assert 0.020 <= time.thread_time() - start_s < 0.035
    assert burn_cpu(0.0) < 0.001


# --- what every answer carries


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/health", 200), ("/health/deep", 200), ("/api/items/1", 200), ("/login", 200),
     ("/compute?ms=0", 200), ("/api/items/1000", 404), ("/nothing", 404), ("/compute?ms=9999", 400),
     ("/static/nothing.css", 404)],
)  # fmt: skip
def test_every_dynamic_answer_names_its_host_and_is_not_stored(
    site: FlaskClient, path: str, status: int
) -> None:
    answer = site.get(path)
    assert answer.status_code == status
    assert answer.headers.getlist("X-Served-By") == ["app1"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200),
        ("/api/items/1", 200),
        ("/static/site.css", 200),
        ("/nothing", 404),
        ("/?after=", 400),
    ],
)
def test_every_answer_of_a_slow_release_waits_and_uses_no_cpu(
    server: FakeServer, path: str, status: int
) -> None:
    slow = create_app(replace(CONFIG, answer_delay_ms=60), server.connect).test_client()
    start_s, start_cpu_s = time.monotonic(), time.thread_time()
    assert slow.get(path).status_code == status
    assert time.monotonic() - start_s >= 0.06
    assert time.thread_time() - start_cpu_s < 0.05


def test_an_answer_made_of_rows_names_the_database_they_came_from(
    site: FlaskClient, server: FakeServer
) -> None:
    for path in ("/", "/items/1", "/api/items", "/api/items/1", "/api/orders", "/api/items/1000"):
        assert (path, site.get(path).headers.get("X-Database")) == (path, "primary")
    for path in ("/health", "/health/deep", "/compute?ms=0", "/login", "/static/site.css", "/nothing"):
        assert (path, site.get(path).headers.get("X-Database")) == (path, None)
    assert site.put(ORDER, json={"item_id": 1, "quantity": 1}).headers["X-Database"] == "primary"
    server.alive = False
    assert "X-Database" not in site.get("/api/items/1").headers


def test_static_files_may_be_kept(site: FlaskClient) -> None:
    answer = site.get("/static/site.css")
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert answer.headers["X-Served-By"] == "app1"


def test_pages_forbid_scripts_and_frames(site: FlaskClient) -> None:
    policy = site.get("/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


# --- bad input


@pytest.mark.parametrize(
    "path",
    ["/?after=x", "/?after=-1", "/?after=99999999999999999999", "/api/items?limit=0", "/api/items?limit=101",
     "/api/orders?after=1", "/api/orders/1", "/api/orders/{123e4567-e89b-42d3-a456-426614174000}",
     "/compute?ms=x", "/compute?ms=nan", "/compute?ms=inf", "/compute?ms=-1", "/compute?ms=1000.1"],
)  # fmt: skip
def test_bad_parameters_are_refused_before_the_database_is_asked(
    site: FlaskClient, server: FakeServer, path: str
) -> None:
    assert site.get(path).status_code == 400
    assert server.statements == 0


@pytest.mark.parametrize(
    "body",
    ["", "{", "[" * 10_000, "\xff", "null", "[]", "{}", '{"item_id": 3}', '{"item_id": 3, "quantity": 0}',
     '{"item_id": 3, "quantity": true}', '{"item_id": 3, "quantity": 1.0}', '{"item_id": "3", "quantity": 1}',
     '{"item_id": 3, "quantity": 1, "price": 0}', '{"item_id": 101, "quantity": 1}'],
)  # fmt: skip
def test_a_body_that_is_no_order_is_refused_with_one_json_line(site: FlaskClient, body: str) -> None:
    answer = site.put(ORDER, data=body.encode("latin1"))
    assert answer.status_code == 400
    assert answer.text.count("\n") == 1
    assert set(answer.json or ()) == {"error", "status"}
    assert site.get(ORDER).status_code == 404


def test_unknown_paths_and_methods_get_their_own_status(site: FlaskClient) -> None:
    assert site.get("/items/0").status_code == 404
    assert site.get("/items/99999999999").status_code == 404
    assert read(site, "/api/nothing")["status"] == 404
    refused = site.delete(ORDER)
    assert refused.status_code == 405
    assert "PUT" in refused.headers["Allow"]
    assert site.put(ORDER, data=b" " * 20_000).status_code == 413
