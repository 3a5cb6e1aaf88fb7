"""Rows of Locust become counts, percentiles and shares: all of literals, each with its answer."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from experiments.operate import load_summary
from experiments.operate.tally import HEADER, Request, Rows, Tally, merge

LAYERS = ("load balancer", "web server", "application")
PAGE = "101.5,20.000,GET,/items/[id],ok,lb1>web1>app1"
FILE = "102.5,1.500,GET,/static/site.css,ok,lb2>web1"
ORDER = "103.5,30.000,PUT,/api/orders/[id],http-503,lb1>web2>app2"
REFUSED = "104.5,0.400,GET,/,refused,"


def of(*lines: str) -> Tally:
    counted = Tally()
    for line in lines:
        counted.add(Request.parse(line))
    return counted


def test_the_recorder_and_the_reader_agree_on_the_columns() -> None:
    source = (Path(__file__).parents[2] / "loadtests" / "recording.py").read_text()
    written = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert written["REQUESTS"] == HEADER


def test_a_row_is_read_back_with_its_hops() -> None:
    assert Request.parse(PAGE) == Request(101.5, 0.02, "GET /items/[id]", "ok", ("lb1", "web1", "app1"))
    assert Request.parse(REFUSED).served_by == ()
    with pytest.raises(ValueError, match="not enough"):
        Request.parse("101.5,20")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("GET /", "pages"), ("GET /items/[id]", "pages"), ("GET /static/logo.svg", "files"),
        ("GET /api/items/[id]", "API"), ("GET /api/orders/[id]", "orders"),
        ("PUT /api/orders/[id] again", "orders"), ("GET /compute?ms=5", "compute"), ("POST /login", "other"),
    ],
)  # fmt: skip
def test_what_a_request_wants_is_told_by_how_it_begins(name: str, kind: str) -> None:
    assert Request(0, 0, name, "ok", ()).kind == kind


def test_counts_are_kept_by_name_by_failure_and_by_host() -> None:
    numbers = load_summary.numbers(of(PAGE, FILE, ORDER, REFUSED), LAYERS)
    assert (numbers["requests"], numbers["failures"]) == (4, 2)
    assert numbers["failed"] == {"http-503": 1, "refused": 1}
    assert [each["name"] for each in numbers["names"]] == [
        "GET /", "GET /items/[id]", "GET /static/site.css", "PUT /api/orders/[id]"
    ]  # fmt: skip
    assert numbers["duration_s"] == pytest.approx(3.02)
    assert numbers["rps"] == round(4 / 3.02, 2)
    assert numbers["served"] == [
        {"layer": "load balancer", "host": "lb1", "answers": 2, "share": 0.6667,
         "kinds": {"pages": 1, "orders": 1}},
        {"layer": "load balancer", "host": "lb2", "answers": 1, "share": 0.3333, "kinds": {"files": 1}},
        {"layer": "web server", "host": "web1", "answers": 2, "share": 0.6667,
         "kinds": {"pages": 1, "files": 1}},
        {"layer": "web server", "host": "web2", "answers": 1, "share": 0.3333, "kinds": {"orders": 1}},
        {"layer": "application", "host": "app1", "answers": 1, "share": 0.5, "kinds": {"pages": 1}},
        {"layer": "application", "host": "app2", "answers": 1, "share": 0.5, "kinds": {"orders": 1}},
    ]  # fmt: skip


def test_percentiles_are_those_of_the_rows_within_one_percent() -> None:
    lines = [f"{100 + n / 100},{n}.123,GET,/,ok,server1>server1" for n in range(1, 101)]
    numbers = load_summary.numbers(of(*lines), LAYERS[1:])
    for key, exact_ms in (("p50_ms", 50.123), ("p95_ms", 95.123), ("p99_ms", 99.123), ("max_ms", 100.123)):
        assert exact_ms <= numbers[key] <= exact_ms * 1.01, key


def test_one_host_in_two_roles_is_counted_once_in_each() -> None:
    counted = of("1,1,GET,/,ok,server1>server1", "2,1,GET,/static/site.css,ok,server1")
    assert counted.answers_of("server1") == 2
    assert counted.answers_of("server2") == 0


def test_of_nothing_there_are_no_numbers() -> None:
    numbers = load_summary.numbers(Tally(), LAYERS)
    assert (numbers["requests"], numbers["rps"], numbers["p95_ms"], numbers["served"]) == (0, None, None, [])
    recent = Tally().recent(50.0)
    assert (recent.rps, recent.p99_ms) == (0.0, None)


def test_recent_is_the_last_five_whole_seconds() -> None:
    counted = of(
        *(f"{second}.5,{second}.0,GET,/,{'ok' if second % 2 else 'reset'},lb1" for second in range(100, 120))
    )
    recent = counted.recent(120.2)
    assert (recent.rps, recent.failures_per_s) == (1.0, 0.4)
    assert (recent.p50_ms, recent.p95_ms) == (117.0, 119.0)
    assert recent.served == {(0, "lb1"): 5}
    assert counted.recent(130.0).rps == 0.0


def test_rows_are_read_as_they_come_and_never_by_halves(tmp_path: Path) -> None:
    rows = Rows(tmp_path / "requests.csv")
    assert list(rows) == []
    with rows.path.open("w") as out:
        out.write(f"{HEADER}\n{PAGE}\n{FILE[:10]}")
        out.flush()
        assert [each.end_s for each in rows] == [101.5]
        out.write(f"{FILE[10:]}\n")
        out.flush()
        assert [each.end_s for each in rows] == [102.5]
        assert list(rows) == []


def test_the_rows_of_all_workers_become_one_file_in_the_order_of_time(tmp_path: Path) -> None:
    first, second, out = (tmp_path / name for name in ("1.csv", "2.csv", "requests.csv"))
    first.write_text(f"{HEADER}\n{PAGE}\n{REFUSED}\n")
    second.write_text(f"{HEADER}\n{FILE}\n{ORDER}\n999.9,1.0,GET,/half")
    merge([first, second, tmp_path / "never-began.csv"], out)
    assert out.read_text() == "".join(f"{line}\n" for line in (HEADER, PAGE, FILE, ORDER, REFUSED))
