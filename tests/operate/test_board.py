"""stage.json: everything the tab shows, read from /proc and from the rows, in a document with stable keys."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from experiments.faults import FAULTS, Target
from experiments.faults.hang import Hang
from experiments.operate import board
from experiments.operate.board import Board, layers_of, local_addresses, share_of, targets
from experiments.operate.breaking import Breaking, Broken, Order
from experiments.operate.swarm import Plan
from experiments.operate.tally import Recent, Request, Tally
from topologies.stage import Stage
from topologies.stage0_simple import Stage0
from topologies.stage1_distributed import Stage1
from topologies.stage3_scaleup import Stage3
from topologies.testbed import Testbed

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     +-- 8.8.8.0/24 2 0 2
        +-- 8.8.8.0/28 2 0 2
           |-- 8.8.8.0
              /24 link UNICAST
           |-- 8.8.8.8
              /32 host LOCAL
        |-- 8.8.8.11
           /32 host LOCAL
        |-- 8.8.8.255
           /32 link BROADCAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.0.1
              /32 host LOCAL
Local:
        |-- 8.8.8.11
           /32 host LOCAL
"""


def test_addresses_are_those_the_kernel_calls_local_without_loopback() -> None:
    assert local_addresses(FIB_TRIE.splitlines()) == {"8.8.8.8", "8.8.8.11"}


def test_addresses_of_this_very_machine_can_be_read_and_of_a_dead_process_there_are_none() -> None:
    assert not {address for address in board.addresses_in(os.getpid()) if address.startswith("127.")}
    assert board.addresses_in(2**22 + 1) == set()


@pytest.mark.parametrize(
    ("stage", "layers"),
    [(Stage0, ("web server", "application")), (Stage1, ("load balancer", "web server", "application"))],
)
def test_hops_are_named_by_what_stands_in_the_stage(stage: type[Stage], layers: tuple[str, ...]) -> None:
    assert layers_of(stage()) == layers


def test_a_share_is_of_the_hop_at_which_a_host_serves_most() -> None:
    served = Counter({(0, "lb1"): 10, (1, "server1"): 6, (1, "server2"): 4, (2, "server1"): 2})
    recent = Recent(2.0, 0.0, None, None, None, served)
    assert share_of("server1", recent) == (1, 0.6)
    assert share_of("lb1", recent) == (0, 1.0)
    assert share_of("db1", recent) == (None, None)


def test_only_what_can_be_broken_is_offered() -> None:
    offered = targets(Stage3())
    assert {"lb1", "lb1/haproxy", "lb1/keepalived", "db1/mysql", "dns1/named"} <= set(offered)
    assert not {target for target in offered if target.startswith("client")}
    assert not {target for target in offered if target.endswith("/nftables")}, "nothing runs there to break"
    for target in offered:
        Target.parse(target, Stage3())


@pytest.fixture
def document(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Stage 3 with lb1 hung for two seconds, lb2 holding both addresses, and four recent answers."""
    stage = Stage3()
    pids = {name: number for number, name in enumerate(stage.roles)}
    held = {pids["lb2"]: {"8.8.8.12", "8.8.8.8", "8.8.8.9"}, pids["lb1"]: {"8.8.8.11"}}
    monkeypatch.setattr(board, "addresses_in", lambda pid: held.get(pid, set()))
    monkeypatch.setattr(board, "state_of", lambda daemon: daemon.state)
    testbed = SimpleNamespace(
        stage=stage,
        hosts={name: SimpleNamespace(pid=pid) for name, pid in sorted(pids.items())},
        daemons=[SimpleNamespace(name="haproxy", host=SimpleNamespace(name="lb1"), state="paused")],
    )
    now_s = time.monotonic()
    counted = Tally()
    for app, outcome in (("app1", "ok"), ("app1", "ok"), ("app1", "http-503"), ("app2", "ok")):
        counted.add(Request(now_s - 1.5, 0.004, "GET /", outcome, ("lb2", "web1", app)))
    hung = Hang(Target("lb1", "haproxy"))
    broken = SimpleNamespace(
        broken=lambda: {"lb1": Broken(hung, now_s - 2)},
        orders=lambda: [Order(now_s - 2, "inject", "hang", "lb1", "4711", "injected after 0.1 s")],
    )
    plan = Plan("mixed", 20, None, None, True, 0)
    made = Board(cast(Testbed, testbed), plan, counted, cast(Breaking, broken), "results/load")
    found: dict[str, Any] = json.loads(json.dumps(made.document(users=20)))
    return found


def test_the_document_says_who_runs_who_serves_and_who_holds_what(document: dict[str, Any]) -> None:
    hosts = {host["name"]: host for host in document["hosts"]}
    assert list(hosts) == list(Stage3().roles), "in the order of the stage"
    assert hosts["lb1"]["daemons"] == [{"name": "haproxy", "state": "paused"}]
    assert hosts["lb2"]["holds"] == ["8.8.8.8", "8.8.8.9"]
    assert hosts["lb1"]["holds"] == []
    assert (hosts["app1"]["answers"], hosts["app1"]["share"], hosts["app1"]["layer"]) == (
        3, 0.75, "application"
    )  # fmt: skip
    assert (hosts["web1"]["share"], hosts["web2"]["share"], hosts["db1"]["layer"]) == (1.0, None, None)
    assert document["addresses"] == [
        {"address": "8.8.8.8", "held_by": ["lb2"]}, {"address": "8.8.8.9", "held_by": ["lb2"]}
    ]  # fmt: skip


def test_the_document_says_what_is_broken_since_when_and_what_was_asked(document: dict[str, Any]) -> None:
    (fault,) = document["faults"]
    assert (fault["fault"], fault["target"], fault["host"]) == ("hang", "lb1/haproxy", "lb1")
    assert fault["for_s"] == pytest.approx(2.0, abs=0.2)
    (order,) = document["orders"]
    assert (order["id"], order["said"]) == ("4711", "injected after 0.1 s")
    assert [choice["name"] for choice in document["choices"]["faults"]] == list(FAULTS)


def test_the_document_has_the_load_of_the_last_seconds_and_no_secret(document: dict[str, Any]) -> None:
    load = document["load"]
    assert (load["users"], load["requests"], load["failures"]) == (20, 4, 1)
    assert (load["rps"], load["p95_ms"]) == (0.8, 4.0)
    assert document["results"] == "results/load"
    assert "token" not in json.dumps(document)


def test_what_the_tab_shows_is_in_the_document(
    document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "loadtests"))
    import stage_tab

    rows = {row["name"]: row for row in stage_tab.rows(document)}
    assert rows["lb1"]["fault"] == "hang of lb1/haproxy for 2 s"
    assert rows["app1"]["share"] == "75%"
