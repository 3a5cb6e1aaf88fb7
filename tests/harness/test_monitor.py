"""The pager's log is read as it was written, and calm means that everybody was told of the end."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from experiments.harness import monitor as module
from experiments.harness.monitor import Monitor, Page, pages_of, unresolved
from experiments.harness.prometheus_api import Prometheus, Rule, Sample, ScrapedTarget, Series
from services.pager_webhook import told
from topologies.stage import Settings
from topologies.testbed import Testbed
from topologies.waiting import NotReady, TestbedError

SLOW = {"alertname": "SlowAnswers", "host": "lb1", "server": "web2"}
DOWN = {"alertname": "NginxDown", "host": "web1"}


def line(t_s: float, status: str, labels: dict[str, str]) -> str:
    """As the pager itself writes it."""
    alert: dict[str, object] = {"status": status, "labels": labels, "startsAt": "2026-11-24T03:15:19.194Z"}
    return "".join(told({"alerts": [alert]}, t_s))


def test_a_page_says_what_where_and_when() -> None:
    fired, over = pages_of(line(5.25, "firing", SLOW) + line(7.0, "resolved", SLOW))
    assert (fired.t_s, fired.firing, over.firing) == (5.25, True, False)
    assert fired.name == "SlowAnswers web2"  # not lb1, which only tells it
    assert Page(0, True, DOWN).name == "NginxDown web1"
    assert fired.matches({"alertname": "SlowAnswers", "server": "web2"})
    assert not fired.matches({"alertname": "SlowAnswers", "server": "web1"})


def test_half_a_line_is_not_read_yet() -> None:
    whole = line(5.25, "firing", DOWN)
    assert len(pages_of(whole + whole[:20])) == 1


def test_an_alert_is_unresolved_until_its_own_end_was_told() -> None:
    pages = pages_of(
        line(1, "firing", DOWN)
        + line(2, "firing", SLOW)
        + line(3, "resolved", SLOW)
        + line(4, "firing", SLOW)
    )
    assert [p.name for p in unresolved(pages)] == ["NginxDown web1", "SlowAnswers web2"]
    assert unresolved(pages_of(line(1, "firing", DOWN) + line(2, "resolved", DOWN))) == []


def watched(tmp_path: Any, log: str, pending: list[Series]) -> Monitor:
    """A monitor whose pager wrote `log`, and whose Prometheus has `pending` alerts."""
    path = tmp_path / "pager.log"
    path.write_text(log)
    pager = SimpleNamespace(process=SimpleNamespace(log=path))
    testbed = SimpleNamespace(
        stage=SimpleNamespace(monitors=["monitor1"], settings=Settings()),
        hosts={"monitor1": SimpleNamespace(name="monitor1")}, daemon=lambda *_: pager,
    )  # fmt: skip
    made = Monitor(cast(Testbed, testbed))
    made.prometheus = cast(
        Prometheus,
        SimpleNamespace(
            instant=lambda query: pending,
            rules=lambda: {"NginxDown": Rule("NginxDown", "nginx_up == 0", 4.0, 2.0)},
            targets=lambda: [ScrapedTarget("nginx", "web1", 2.0, 1.0)],
        ),
    )
    made.alertmanager = cast(Any, SimpleNamespace(group_wait_s=lambda: 0.5))
    return made


def test_who_was_told_first_and_only_of_this_fault(tmp_path: Any) -> None:
    log = line(1.0, "firing", DOWN) + line(2.0, "resolved", DOWN) + line(9.0, "firing", DOWN)
    monitor = watched(tmp_path, log, [])
    page = monitor.told(DOWN, since_s=3.0)
    assert page is not None
    assert page.t_s == 9.0
    assert monitor.told({"alertname": "AgentDown"}, since_s=0.0) is None
    assert monitor.wait_to_be_told({"alertname": "AgentDown"}, 0.0, until_s=0.0) is None


def test_it_is_calm_when_nothing_pends_and_every_end_was_told(tmp_path: Any) -> None:
    watched(tmp_path, line(1, "firing", DOWN) + line(2, "resolved", DOWN), []).wait_until_calm()


@pytest.mark.parametrize(
    ("log", "pending", "left"),
    [
        (line(1, "firing", DOWN), [], "NginxDown web1"),
        ("", [Series({"alertname": "BackendDown", "host": "lb1"}, (Sample(1, 1),))], "BackendDown lb1"),
    ],
)
def test_what_is_left_is_named(
    log: str, pending: list[Series], left: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def once(condition: Any, **_: Any) -> None:
        assert not condition()
        raise NotReady("waited")

    monkeypatch.setattr(module, "wait_until", once)
    with pytest.raises(NotReady, match=left):
        watched(tmp_path, log, pending).wait_until_calm()


def test_timers_are_what_is_in_force_for_this_alert_on_this_target(tmp_path: Any) -> None:
    timers = watched(tmp_path, "", []).timers("NginxDown", "nginx", "web1")
    assert (timers.scrape_interval_s, timers.scrape_timeout_s, timers.for_s) == (2.0, 1.0, 4.0)
    assert (timers.evaluation_interval_s, timers.group_wait_s) == (2.0, 0.5)
    with pytest.raises(TestbedError, match="no target"):
        watched(tmp_path, "", []).timers("NginxDown", "nginx", "web9")
    with pytest.raises(TestbedError, match="no rule"):
        watched(tmp_path, "", []).timers("Unheard", "nginx", "web1")


def test_where_nobody_watches_there_is_nobody_to_ask() -> None:
    stage = SimpleNamespace(monitors=[], number="1")
    with pytest.raises(TestbedError, match="stage 1 has nobody who watches"):
        Monitor(cast(Testbed, SimpleNamespace(stage=stage)))


def test_the_clocks_convert_into_each_other(tmp_path: Any) -> None:
    monitor = watched(tmp_path, "", [])
    assert monitor.monotonic(monitor.wall(12.5)) == pytest.approx(12.5, abs=1e-6)
    assert abs(monitor.clock_moved_s()) < 0.01
    assert json.loads(line(1, "firing", DOWN))["labels"] == DOWN
