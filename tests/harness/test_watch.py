"""What the kernel and the daemons' logs say becomes events: addresses at once, transitions line by line."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from experiments.harness.model import Event
from experiments.harness.watch import Watch
from topologies.host import EmulatedHost
from topologies.testbed import Daemon
from topologies.waiting import wait_until

VIP = "8.8.8.8"
HAS = f"2: lb1-public    inet {VIP}/24 scope global secondary lb1-public\\       valid_lft forever"
LOSES = f"Deleted {HAS}"


def told(watch: Watch) -> list[tuple[str, str, str]]:
    return [(e.kind, e.host, e.detail) for e in watch.events()]


@pytest.mark.parametrize(
    ("line", "events"),
    [
        (HAS, [("vip-up", "lb1", VIP)]),
        (LOSES, [("vip-down", "lb1", VIP)]),
        (f"2: lb1-public    inet {VIP}8/24 scope global lb1-public", []),
        ("2: lb1-public    inet 8.8.8.11/24 brd 8.8.8.255 scope global lb1-public", []),
        ("2: lb1-public    inet6 fe80::1/64 scope link", []),
        ("", []),
    ],
)
def test_only_virtual_addresses_that_come_or_go_are_events(line: str, events: list[tuple[str, ...]]) -> None:
    watch = Watch([VIP, "8.8.8.9"])
    watch._address_line("lb1", line)
    assert told(watch) == events


@pytest.mark.parametrize(
    ("daemon", "line", "kind"),
    [
        ("keepalived", "Mon Nov 23 23:34:01 2026: (www_1) Receive advertisement timeout", "detected"),
        ("keepalived", "(www_1) Backup received priority 0 advertisement", "detected"),
        ("keepalived", "VRRP_Script(haproxy_alive) failed (exited with status 1)", "detected"),
        ("keepalived", "VRRP_Script(haproxy_alive) timed out", "detected"),
        ("keepalived", "(www_1) Entering FAULT STATE", "detected"),
        ("haproxy", "Server web/web1 is DOWN, reason: Layer4 timeout, check duration: 1001ms.", "detected"),
        ("keepalived", "(www_1) Entering MASTER STATE", "switched"),
        ("keepalived", "(www_1) Entering BACKUP STATE", "log"),
        ("haproxy", "Server web/web1 is UP, reason: Layer7 check passed", "log"),
        ("keepalived", "VRRP_Script(haproxy_alive) succeeded", "log"),
        ("haproxy", '8.8.8.101:4711 [23/Nov/2026] www~ web/web1 0/0/1/2/3 200 "GET / HTTP/1.1"', None),
        ("keepalived", "Sending gratuitous ARP on lb1-public for 8.8.8.8", None),
    ],
)  # fmt: skip
def test_a_log_line_tells_of_detection_or_switch_or_nothing(daemon: str, line: str, kind: str | None) -> None:
    watch = Watch([VIP])
    watch._log_line("lb2", daemon, line)
    without_clock = line.removeprefix("Mon Nov 23 23:34:01 2026: ")
    assert told(watch) == ([(kind, "lb2", f"{daemon}: {without_clock}")] if kind else [])


def test_the_address_monitor_begins_with_what_is_there_and_ends_with_the_watch() -> None:
    class Balancer:
        name = "lb1"
        environment: ClassVar[dict[str, str]] = dict(os.environ)

        def enter(self, command: list[str]) -> list[str]:
            assert "monitor" in command
            return ["sh", "-c", 'echo "$0"; exec sleep 60', LOSES]

        def run(self, _command: list[str]) -> SimpleNamespace:
            return SimpleNamespace(stdout=f"1: lo    inet 127.0.0.1/8 scope host lo\n{HAS}\n")

    with Watch([VIP]) as watch:
        watch.addresses_of(cast(EmulatedHost, Balancer()))
        wait_until(lambda: len(watch.events()) == 2, timeout_s=5, what="both events")
        (monitor,) = watch._monitors
    assert told(watch) == [("vip-up", "lb1", VIP), ("vip-down", "lb1", VIP)]
    assert monitor.returncode == -9
    assert not [t for t in threading.enumerate() if t.name in ("logs", "addresses-of-lb1")]


def test_a_log_is_followed_by_whole_lines_and_across_a_restart(tmp_path: Path) -> None:
    log = tmp_path / "keepalived.log"
    log.touch()
    daemon: Any = SimpleNamespace(name="keepalived", host=SimpleNamespace(name="lb2"), process=None)

    def write(text: str) -> None:
        with log.open("a") as out:
            out.write(text)

    with Watch([VIP]) as watch:
        watch.log_of(cast(Daemon, daemon))
        write("(www_1) Entering BACKUP STATE\n(www_1) Entering MAS")
        daemon.process = SimpleNamespace(log=log, name="keepalived")
        wait_until(lambda: len(watch.events()) == 1, timeout_s=5, what="the whole line")
        write("TER STATE\n")
        wait_until(lambda: len(watch.events()) == 2, timeout_s=5, what="the rest of the line")
        daemon.process = SimpleNamespace(log=log, name="keepalived")
        write("(www_1) Entering FAULT STATE\n")
        wait_until(lambda: len(watch.events()) == 3, timeout_s=5, what="the line after the restart")
    assert [e.kind for e in watch.events()] == ["log", "switched", "detected"]


def test_events_come_in_the_order_of_time_whenever_they_were_added() -> None:
    watch = Watch([VIP])
    now = watch.note("inject", "lb1", "host-crash lb1")
    watch.add(Event(now - 1, "vip-up", "lb1", VIP))
    assert [e.kind for e in watch.events()] == ["vip-up", "inject"]
