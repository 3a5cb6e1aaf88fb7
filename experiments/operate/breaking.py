"""Faults on request while a load runs: a file in the door is picked up, judged, injected or healed.

    web UI ──(token)──► /run/stage-door/requests/ID.json ──► judged ──► obeyed, one at a time ──► said

Whoever can write there has been let in by the token already; what is in the file is still judged in full.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.faults import FAULTS, BadTarget, Fault, Target
from experiments.harness.model import Event
from services.service import Directory, File
from topologies.host import EmulatedHost
from topologies.testbed import Testbed
from topologies.waiting import TestbedError, wait_until

REMEMBERED = 20


@dataclass
class Order:
    """What somebody asked for, and what became of it."""

    at_s: float  # CLOCK_MONOTONIC
    action: str
    fault: str
    target: str
    id: str = ""
    said: str = "waiting"


@dataclass(frozen=True)
class Broken:
    """A fault in force."""

    fault: Fault
    since_s: float  # CLOCK_MONOTONIC


def open_door(host: EmulatedHost, door: str) -> str:
    """Make the door on `host`, for root only; returns the run's token, which is kept nowhere else."""
    token = secrets.token_urlsafe(12)
    private = Directory(mode=0o700)
    host.make_directory(door, private)
    host.make_directory(f"{door}/requests", private)
    host.put(f"{door}/token", File(token, mode=0o600, secret=True))
    return token


class Breaking:
    """The faults of one load: at most one on each host."""

    def __init__(self, testbed: Testbed, requests: Path) -> None:
        self._testbed = testbed
        self._requests = requests
        self._lock = threading.Lock()
        self._orders: list[Order] = []
        self._broken: dict[str, Broken] = {}
        self._events: list[Event] = []
        self._hand = ThreadPoolExecutor(max_workers=1, thread_name_prefix="faults")
        self._work: list[Future[None]] = []

    # -- what there is, for whoever watches ------------------------------------------------------------------

    def orders(self) -> list[Order]:
        """The newest first."""
        with self._lock:
            return list(reversed(self._orders[-REMEMBERED:]))

    def broken(self) -> dict[str, Broken]:
        """Host → its fault."""
        with self._lock:
            return dict(self._broken)

    def events(self) -> list[Event]:
        with self._lock:
            return list(self._events)

    # -- requests --------------------------------------------------------------------------------------------

    def pick_up(self) -> None:
        """Take what lies in the door; the work is done elsewhere, so this returns at once.

        Raises what earlier work raised and no request can cause: a defect of ours.
        """
        done = [work for work in self._work if work.done()]
        self._work = [work for work in self._work if work not in done]
        for work in done:
            work.result()
        for path in sorted(self._requests.glob("*.json"), key=lambda p: p.stat().st_mtime_ns):
            text = path.read_text(errors="replace")
            path.unlink()
            self.take(text)

    def take(self, text: str) -> Order:
        """One request as the web UI wrote it."""
        order = _order(text)
        with self._lock:
            self._orders.append(order)
        self._work.append(self._hand.submit(self._obey, order))
        return order

    def _obey(self, order: Order) -> None:
        begin_s = time.monotonic()
        try:
            if order.action == "inject":
                fault = self._aim(order)
                order.said = "injecting"
                self._inject(fault)
                order.said = f"injected after {time.monotonic() - begin_s:.1f} s"
            elif order.action == "heal":
                order.said = "healing"
                order.said = f"{self._heal(order)} after {time.monotonic() - begin_s:.1f} s"
            else:
                order.said = f"refused: {order.action!r} is neither inject nor heal"
        except BadTarget as error:
            order.said = f"refused: {error}"
        except (TestbedError, OSError) as error:
            order.said = f"failed: {str(error).splitlines()[0]}"

    def _aim(self, order: Order) -> Fault:
        """Raises BadTarget."""
        if order.fault not in FAULTS:
            raise BadTarget(f"there is no fault {order.fault!r}; there is {', '.join(FAULTS)}")
        stage = self._testbed.stage
        fault = FAULTS[order.fault].aim(Target.parse(order.target, stage), stage)
        already = self.broken().get(fault.target.host)
        if already is not None:
            raise BadTarget(f"{already.fault.target} is broken already ({already.fault.name}): heal it first")
        return fault

    def _inject(self, fault: Fault) -> None:
        self._note("inject", fault)
        try:
            fault.inject(self._testbed)
            wait_until(
                lambda: fault.took_effect(self._testbed), timeout_s=5,
                what=f"{fault.name} of {fault.target} to take effect",
            )  # fmt: skip
        except BaseException:
            fault.heal(self._testbed)
            raise
        with self._lock:
            self._broken[fault.target.host] = Broken(fault, self._note_unlocked("injected", fault))
        self._testbed.write_state()

    def _heal(self, order: Order) -> str:
        """What to say. Raises BadTarget, or NotReady when the stage does not answer again."""
        host = Target.parse(order.target, self._testbed.stage).host
        broken = self.broken().get(host)
        if broken is None:
            raise BadTarget(f"nothing is broken on {host}")
        self._mend(broken)
        if self.broken():
            return "healed; what else is broken stays so"
        self._testbed.assert_healthy()
        return "healed, and every daemon answers"

    def _mend(self, broken: Broken) -> None:
        self._note("heal", broken.fault)
        broken.fault.heal(self._testbed)
        self._testbed.write_state()
        with self._lock:
            del self._broken[broken.fault.target.host]
            self._note_unlocked("healed", broken.fault)

    def _note(self, kind: str, fault: Fault) -> None:
        with self._lock:
            self._note_unlocked(kind, fault)

    def _note_unlocked(self, kind: str, fault: Fault) -> float:
        now_s = time.monotonic()
        self._events.append(Event(now_s, kind, fault.target.host, f"{fault.name} of {fault.target}"))
        return now_s

    # -- end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Finish what has begun, drop what waits, heal all that is broken."""
        self._hand.shutdown(wait=True, cancel_futures=True)
        for broken in reversed(self.broken().values()):
            self._mend(broken)


@contextmanager
def breaking(testbed: Testbed, requests: Path) -> Iterator[Breaking]:
    """Requests may be picked up during the block; after it, nothing is broken by them."""
    one = Breaking(testbed, requests)
    try:
        yield one
    finally:
        one.close()


def _order(text: str) -> Order:
    try:
        asked: Any = json.loads(text)
    except ValueError:
        asked = None
    named = asked if isinstance(asked, dict) else {}
    words = (str(named.get(key, ""))[:64] for key in ("action", "fault", "target", "id"))
    return Order(time.monotonic(), *words)
