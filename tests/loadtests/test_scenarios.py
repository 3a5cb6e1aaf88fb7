"""What visitors do to a real server: the routes of their tables, on their own connections, nothing twice."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from services.credentials import Secrets
from tests.loadtests.locust_run import LOADTESTS, SCENARIOS, load
from tests.loadtests.small_site import Site, small_site

READS = {"/", "/?after=[id]", "/items/[id]", "/api/items?after=[id]", "/api/items/[id]"}
FILES = {"/static/site.css", "/static/logo.svg", "/static/racks.png"}
ROUTES = ("/", "/items/", "/static/", "/api/items", "/api/orders/", "/compute")
#: What a scenario imports, directly or not; a student copies these and has Locust, which brings the rest.
SIBLINGS = {
    "acts", "bounds", "extras", "failure_classes", "recording", "shapes", "shaping", "stage_tab",
    "stage_tab_option", "visitors",
}  # fmt: skip
#: Inside TLS, OpenSSL's errno is lost to Python before 3.12: a reset looks like an early end there.
RESET = {"reset", "closed-early"}
WITH_LOCUST = {"locust", "gevent", "flask", "requests", "urllib3"}


@pytest.fixture(scope="module")
def secrets() -> Secrets:
    return Secrets()


@pytest.fixture
def authority(secrets: Secrets, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_text(secrets.authority)
    return path


def url(site: Site, name: str = "localhost") -> str:
    return f"https://{name}:{site.port}"


def test_every_scenario_asks_for_what_the_site_has_over_one_verified_connection_per_visitor(
    secrets: Secrets, authority: Path, tmp_path: Path
) -> None:
    users = 30
    with small_site(secrets.certificate("localhost")) as site:
        rows = load(
            *SCENARIOS, host=url(site), record=tmp_path / "r", users=users, authority=authority,
            options=("--run-time", "4s"),
        )  # fmt: skip
    assert {row.outcome for row in rows} == {"ok"}
    assert {row.served_by for row in rows} == {"lb1>web2>app1"}
    assert all(urlsplit(path).path.startswith(ROUTES) for _, path, _ in site.asked)
    names = {row.name for row in rows}
    assert FILES | {"/items/[id]", "/", "/api/orders/[id]", "/compute?ms=5"} <= names
    assert names <= READS | FILES | {"/api/orders/[id]", "/compute?ms=5", "/compute?ms=20", "/compute?ms=80"}
    assert len(site.by_connection) == users, "kept alive, and shared with nobody"
    assert len(rows) == len(site.asked), "what was asked is what was recorded"
    begun = sorted(row.end_s for row in rows)[:users]
    assert begun[-1] - begun[0] > 0.3, "spawned together, they do not click in step"


def test_a_browser_keeps_the_files_of_a_page(secrets: Secrets, authority: Path, tmp_path: Path) -> None:
    with small_site(secrets.certificate("localhost")) as site:
        load(
            "browse", host=url(site), record=tmp_path / "r", users=8, authority=authority,
            options=("--run-time", "4s"),
        )  # fmt: skip
    for paths in site.by_connection.values():
        files = Counter(path for path in paths if path.startswith("/static/"))
        pages = [path for path in paths if not path.startswith(("/static/", "/api/"))]
        assert set(files.values()) <= {1}
        assert {"/static/site.css", "/static/logo.svg"} <= set(files) or not pages
    assert any(path == "/static/racks.png" for path in site.paths())


@pytest.mark.parametrize(("first", "outcome"), [(0, "reset"), (503, "http-503")])
def test_an_order_that_was_not_acknowledged_is_sent_again_under_its_id_and_then_read_back(
    first: int, outcome: str, tmp_path: Path
) -> None:
    def decide(method: str, path: str, times: int) -> int:
        return {1: first, 2: 201}.get(times, 200) if method == "PUT" else 200

    with small_site(None, decide) as site:
        rows = load(
            "write", host=f"http://localhost:{site.port}", record=tmp_path / "r", users=4,
            options=("--run-time", "5s"),
        )  # fmt: skip
    sent = Counter(path for method, path, _ in site.asked if method == "PUT")
    assert set(sent.values()) <= {1, 2}
    again = [path for path, times in sent.items() if times == 2]
    assert len(again) >= 4
    for path in again:
        bodies = [body for method, asked, body in site.asked if (method, asked) == ("PUT", path)]
        assert bodies[0] == bodies[1], "the same order"
        assert site.count("GET", path) == 1, "read back once acknowledged"
    outcomes = Counter((row.method, row.name, row.outcome) for row in rows)
    assert set(outcomes) == {
        ("PUT", "/api/orders/[id]", outcome), ("PUT", "/api/orders/[id] again", "ok"),
        ("GET", "/api/orders/[id]", "ok"),
    }  # fmt: skip


def test_an_acknowledged_order_that_reads_back_as_another_is_a_failure(
    secrets: Secrets, authority: Path, tmp_path: Path
) -> None:
    def decide(method: str, path: str, times: int) -> int:
        if method == "GET":
            site.orders[path.rpartition("/")[2]] = {"id": "another"}
        return 200

    with small_site(secrets.certificate("localhost"), decide) as site:
        rows = load("write", host=url(site), record=tmp_path / "r", users=4, authority=authority)
    assert {row.outcome for row in rows if row.method == "GET"} == {"wrong-body"}
    assert {row.outcome for row in rows if row.method == "PUT"} == {"ok"}


def test_a_reset_is_a_failure_and_nothing_is_sent_again_in_silence(
    secrets: Secrets, authority: Path, tmp_path: Path
) -> None:
    def decide(method: str, path: str, times: int) -> int:
        return 0 if len(site.asked) % 2 else 200  # also on a connection that has served before

    with small_site(secrets.certificate("localhost"), decide) as site:
        rows = load(
            "static", host=url(site), record=tmp_path / "r", users=10, authority=authority,
            options=("--run-time", "3s"),
        )  # fmt: skip
    outcomes = Counter(row.outcome for row in rows)
    assert set(outcomes) <= {"ok", *RESET}
    assert len(rows) - outcomes["ok"] >= 5
    assert len(rows) == len(site.asked)


@pytest.mark.parametrize("flaw", ["unknown authority", "another name", "expired"])
def test_a_site_with_a_wrong_certificate_is_asked_nothing(
    flaw: str, secrets: Secrets, authority: Path, tmp_path: Path
) -> None:
    served = {
        "unknown authority": Secrets().certificate("localhost"),
        "another name": secrets.certificate("elsewhere.example"),
        "expired": secrets.flawed_certificate("expired", "localhost"),
    }[flaw]
    with small_site(served) as site:
        rows = load("mixed", host=url(site), record=tmp_path / "r", users=4, authority=authority)
    assert rows
    assert {row.outcome for row in rows} == {"tls"}
    assert site.asked == []


@pytest.mark.parametrize("module", sorted({*SCENARIOS, *SIBLINGS}))
def test_a_scenario_needs_nothing_but_locust_and_its_siblings(module: str) -> None:
    tree = ast.parse((LOADTESTS / f"{module}.py").read_text())
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert imported <= set(sys.stdlib_module_names) | WITH_LOCUST | SIBLINGS
