"""Faults on request: judged in full, one on each host, told as they go, and healed whatever happens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from experiments.faults import FAULTS, Fault
from experiments.operate.breaking import Breaking, Order, breaking, open_door
from services.service import Directory, File
from topologies.host import EmulatedHost
from topologies.stage3_scaleup import Stage3
from topologies.testbed import Testbed
from topologies.waiting import NotReady, wait_until


@dataclass
class FakeTestbed:
    """Where faults write down what they do."""

    stage: Stage3 = field(default_factory=Stage3)
    did: list[str] = field(default_factory=list)
    sick: bool = False

    def write_state(self) -> None:
        self.did.append("state")

    def assert_healthy(self) -> None:
        self.did.append("healthy?")
        if self.sick:
            raise NotReady("waited 15 s for mysql on db1 to answer\n  (its log)")


class Noted(Fault):
    name: ClassVar[str] = "noted"
    shows: ClassVar[str] = "nothing"
    effective: ClassVar[bool] = True
    gate: ClassVar[threading.Event | None] = None

    def inject(self, testbed: Testbed) -> None:
        if self.gate is not None:
            assert self.gate.wait(5)
        cast(FakeTestbed, testbed).did.append(f"inject {self.target}")

    def took_effect(self, testbed: Testbed) -> bool:
        if not self.effective:
            raise NotReady("waited 5 s for noted to take effect")
        return True

    def heal(self, testbed: Testbed) -> None:
        cast(FakeTestbed, testbed).did.append(f"heal {self.target}")


@pytest.fixture
def testbed(monkeypatch: pytest.MonkeyPatch) -> FakeTestbed:
    monkeypatch.setitem(FAULTS, "noted", Noted)
    return FakeTestbed()


@pytest.fixture
def faults(testbed: FakeTestbed, tmp_path: Path) -> Iterator[Breaking]:
    with breaking(cast(Testbed, testbed), tmp_path) as one:
        yield one


def ask(faults: Breaking, action: str, target: str, fault: str = "noted") -> Order:
    """Ask and wait for what is said in the end."""
    order = faults.take(json.dumps({"action": action, "fault": fault, "target": target}))
    wait_until(lambda: order.said not in ("waiting", "injecting", "healing"), timeout_s=5, what="an answer")
    return order


def test_a_fault_is_injected_shown_and_healed(faults: Breaking, testbed: FakeTestbed) -> None:
    assert ask(faults, "inject", "lb1").said.startswith("injected after ")
    assert str(faults.broken()["lb1"].fault.target) == "lb1"
    assert ask(faults, "heal", "lb1").said.startswith("healed, and every daemon answers after ")
    assert faults.broken() == {}
    assert testbed.did == ["inject lb1", "state", "heal lb1", "state", "healthy?"]
    assert [event.kind for event in faults.events()] == ["inject", "injected", "heal", "healed"]
    assert {event.host for event in faults.events()} == {"lb1"}


@pytest.mark.parametrize(
    ("action", "target", "fault", "said"),
    [
        ("inject", "lb9", "noted", "refused: stage 3 has no 'lb9' to break; it has dns1, lb1"),
        ("inject", "client1", "noted", "refused: stage 3 has no 'client1' to break"),
        ("inject", "lb1/haproxy", "noted", "refused: noted hits a whole host"),
        ("inject", "lb1/nginx", "hang", "refused: hang: lb1 runs haproxy"),
        ("inject", "lb1", "earthquake", "refused: there is no fault 'earthquake'; there is none, "),
        ("heal", "lb1", "noted", "refused: nothing is broken on lb1"),
        ("reboot", "lb1", "noted", "refused: 'reboot' is neither inject nor heal"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    action: str, target: str, fault: str, said: str, faults: Breaking, testbed: FakeTestbed
) -> None:
    assert ask(faults, action, target, fault).said.startswith(said)
    assert testbed.did == []


@pytest.mark.parametrize("text", ["", "{", "[]", '"inject"', '{"action": {"a": 1}}', '{"action": null}'])
def test_what_is_no_order_is_refused(text: str, faults: Breaking, testbed: FakeTestbed) -> None:
    order = faults.take(text)
    wait_until(lambda: order.said != "waiting", timeout_s=5, what="an answer")
    assert order.said.startswith("refused")
    assert testbed.did == []


def test_a_host_has_one_fault_at_a_time_and_others_may_have_theirs(
    faults: Breaking, testbed: FakeTestbed
) -> None:
    ask(faults, "inject", "lb1")
    assert ask(faults, "inject", "lb1").said == "refused: lb1 is broken already (noted): heal it first"
    ask(faults, "inject", "web1")
    assert ask(faults, "heal", "lb1").said.startswith("healed; what else is broken stays so")
    assert "healthy?" not in testbed.did
    assert list(faults.broken()) == ["web1"]


def test_a_fault_without_effect_is_healed_and_said_to_have_failed(
    faults: Breaking, testbed: FakeTestbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Noted, "effective", False)
    assert ask(faults, "inject", "lb1").said == "failed: waited 5 s for noted to take effect"
    assert testbed.did == ["inject lb1", "heal lb1"]
    assert faults.broken() == {}


def test_a_stage_that_does_not_come_back_is_told_in_one_line(faults: Breaking, testbed: FakeTestbed) -> None:
    ask(faults, "inject", "db1")
    testbed.sick = True
    assert ask(faults, "heal", "db1").said == "failed: waited 15 s for mysql on db1 to answer"


def test_orders_in_the_door_are_picked_up_once_in_the_order_they_came(
    testbed: FakeTestbed, tmp_path: Path
) -> None:
    with breaking(cast(Testbed, testbed), tmp_path) as faults:
        for number, (action, target) in enumerate([("inject", "lb1"), ("inject", "web1"), ("heal", "lb1")]):
            path = tmp_path / f"{9 - number}.json"
            path.write_text(json.dumps({"action": action, "fault": "noted", "target": target}))
            (tmp_path / ".half.new").write_text("{")
        faults.pick_up()
        assert [path.name for path in tmp_path.iterdir()] == [".half.new"]
        wait_until(lambda: len(faults.events()) == 6, timeout_s=5, what="all to be done")
        assert [order.target for order in faults.orders()] == ["lb1", "web1", "lb1"], "the newest first"
        faults.pick_up()
        assert len(faults.orders()) == 3


def test_what_is_broken_at_the_end_is_healed_the_last_one_first(testbed: FakeTestbed, tmp_path: Path) -> None:
    def interrupted() -> None:
        with breaking(cast(Testbed, testbed), tmp_path) as faults:
            ask(faults, "inject", "lb1")
            ask(faults, "inject", "web1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [what for what in testbed.did if what.startswith("heal ")] == ["heal web1", "heal lb1"]


def test_what_has_begun_is_finished_and_what_waits_is_dropped_at_the_end(
    testbed: FakeTestbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(Noted, "gate", gate)
    with breaking(cast(Testbed, testbed), tmp_path) as faults:
        for target in ("lb1", "web1"):
            faults.take(json.dumps({"action": "inject", "fault": "noted", "target": target}))
        wait_until(lambda: faults.orders()[1].said == "injecting", timeout_s=5, what="the first to begin")
        threading.Timer(0.1, gate.set).start()
    assert [what for what in testbed.did if what != "state"] == ["inject lb1", "heal lb1"]


def test_a_defect_in_a_fault_is_not_swallowed(
    testbed: FakeTestbed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Noted, "inject", defect)
    with breaking(cast(Testbed, testbed), tmp_path) as faults:
        faults.take(json.dumps({"action": "inject", "fault": "noted", "target": "lb1"}))

        def surfaces() -> bool:
            try:
                faults.pick_up()
            except ZeroDivisionError:
                return True
            return False

        wait_until(surfaces, timeout_s=5, what="the defect to come up")


def test_the_door_is_for_root_only_and_every_run_has_a_token_of_its_own() -> None:
    class Host:
        def __init__(self) -> None:
            self.made: dict[str, Directory | File] = {}

        def make_directory(self, inside: str, directory: Directory) -> None:
            self.made[inside] = directory

        def put(self, inside: str, file: File) -> None:
            self.made[inside] = file

    first, second = Host(), Host()
    tokens = [open_door(cast(EmulatedHost, host), "/run/stage-door") for host in (first, second)]
    assert tokens[0] != tokens[1]
    assert len(tokens[0]) >= 16
    kept = first.made["/run/stage-door/token"]
    assert isinstance(kept, File)
    assert (kept.text, kept.mode, kept.owner, kept.secret) == (tokens[0], 0o600, "root:root", True)
    modes = {made.mode for made in first.made.values() if isinstance(made, Directory)}
    assert modes == {0o700}
