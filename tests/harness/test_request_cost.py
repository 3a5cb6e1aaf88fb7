"""What a request costs is what was used beyond the idle load; stages are compared in units of the client."""

from __future__ import annotations

import pytest

from experiments.harness.handshakes import Window, passive_opens
from experiments.harness.request_cost import Batch, Cost, cost_of, ratio

QUIET = Batch(0, 2.0, {"lb1": 0.2, "db1": 0.0}, 0.0)  # lb1 uses a tenth of a core for itself


def test_what_a_server_uses_anyway_is_not_the_requests() -> None:
    cost = cost_of([Batch(100, 1.0, {"lb1": 0.3, "db1": 0.1}, 0.05)], QUIET)
    assert cost.by_server_s["lb1"] == pytest.approx([0.002])
    assert cost.by_server_s["db1"] == pytest.approx([0.001])
    assert cost.total_s == pytest.approx([0.003])
    assert cost.own_s == pytest.approx(0.0005)
    assert cost.relative == pytest.approx([6.0])


def test_a_slow_machine_changes_the_cost_and_not_the_comparison() -> None:
    def batch(pace: float) -> Batch:
        return Batch(10, 1.0, {"lb1": 0.1 + 0.02 * pace, "db1": 0.01 * pace}, 0.01 * pace)

    fast, slow = cost_of([batch(1.0)] * 5, QUIET), cost_of([batch(2.0)] * 5, QUIET)
    assert slow.total_s[0] == pytest.approx(2 * fast.total_s[0])
    same = ratio(slow.relative, fast.relative, seed=7)
    assert [same.median, same.low, same.high] == pytest.approx([1.0, 1.0, 1.0])


def test_without_a_batch_there_is_no_cost() -> None:
    with pytest.raises(ValueError, match="no batches"):
        cost_of([], QUIET)


def test_a_ratio_has_an_interval_that_holds_it_and_is_repeatable() -> None:
    new, old = [1.4, 1.5, 1.6, 1.5, 1.45], [1.0, 1.1, 0.9, 1.0, 1.05]
    found = ratio(new, old, seed=7)
    assert found == ratio(new, old, seed=7)
    assert found.median == pytest.approx(1.5)
    assert found.low is not None
    assert found.high is not None
    assert 1.27 <= found.low < 1.5 < found.high <= 1.78
    assert found.n == 5


def test_two_measurements_of_one_stage_are_pooled() -> None:
    both = Cost({"lb1": [1.0]}, [2.0], 0.1).pooled(Cost({"lb1": [3.0]}, [4.0], 0.3))
    assert both == Cost({"lb1": [1.0, 3.0]}, [2.0, 4.0], 0.2)


# -- handshakes --------------------------------------------------------------------------------------


def test_a_window_knows_its_rate_and_its_share_of_the_budget() -> None:
    window = Window(lasted_s=0.5, connections=200, used_s=0.1, throttled_s=0.05)
    assert window.rate_hz == 400
    assert window.used_each_s == pytest.approx(0.0005)
    assert window.share(0.4) == pytest.approx(0.5)
    assert window.share(0.2) == pytest.approx(1.0)


def test_accepted_connections_are_counted_by_the_kernel() -> None:
    said = (
        "Ip: Forwarding DefaultTTL\nIp: 2 64\n"
        "Tcp: RtoAlgorithm RtoMin MaxConn ActiveOpens PassiveOpens AttemptFails\nTcp: 1 200 -1 17 4711 3\n"
        "TcpExt: SyncookiesSent\n"
    )
    assert passive_opens(said) == 4711
