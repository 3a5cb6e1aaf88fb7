"""Whatever ends an experiment ends it with one line on stderr and the exit code that DESIGN gives it."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments.harness import conduct
from experiments.harness.run import Run
from topologies import capsule
from topologies.capsule import Passport
from topologies.stage import Settings
from topologies.stage3_scaleup import Stage3
from topologies.waiting import CannotEmulate, DaemonDied, NotReady


def never(_chosen: Namespace, _run: Run, _progress: object) -> int:
    raise AssertionError("nothing may be done outside the capsule")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (CannotEmulate("no cgroups; mount cgroup2"), 3, "failover: no cgroups; mount cgroup2"),
        (NotReady("waited 5 s for lb1"), 4, "failover: waited 5 s for lb1"),
        (DaemonDied("mysql on db1 exited"), 4, "failover: mysql on db1 exited"),
        (PermissionError(13, "Permission denied", "/x"), 3, "failover: Permission denied: /x"),
        (KeyboardInterrupt(), 130, "failover: interrupted; everything is cleaned up"),
    ],
)
def test_every_end_has_its_exit_code_and_one_line(
    error: BaseException, status: int, line: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def fail(*_: object) -> int:
        raise error

    monkeypatch.delenv("TESTBED_CAPSULE", raising=False)
    monkeypatch.setattr(conduct, "require_capsule", fail)
    assert conduct.conduct("failover", "failover-stage3", Namespace(), never, Stage3()) == status
    assert capsys.readouterr() == ("", f"{line}\n")


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str], tuple[int, Path]]:
    """Conduct an experiment whose capsule ends with a status and leaves a file, or none."""

    def run(status: int, leaves: str) -> tuple[int, Path]:
        seen: list[Passport] = []

        def enter(passport: Passport, _command: object) -> int:
            seen.append(passport)
            if leaves:
                (Path(passport.results) / leaves).touch()
            return status

        monkeypatch.delenv("TESTBED_CAPSULE", raising=False)
        for require in ("require_capsule", "require_programs", "require_cores"):
            monkeypatch.setattr(conduct, require, lambda _: None)
        monkeypatch.setattr(capsule, "sweep_stale", lambda: None)
        monkeypatch.setattr(capsule, "enter", enter)
        chosen = Namespace(results=str(tmp_path))
        ended = conduct.conduct("failover", "failover-stage3", chosen, never, Stage3())
        return ended, Path(seen[0].results)

    return run


@pytest.mark.parametrize(
    ("inside", "status"), [(0, 0), (1, 1), (4, 4), (130, 130), (128 + 9, 130), (128 + 15, 130)]
)
def test_the_exit_code_of_the_run_inside_is_passed_on(
    outside: Callable[[int, str], tuple[int, Path]], inside: int, status: int
) -> None:
    assert outside(inside, "result.json")[0] == status


def test_results_are_kept_and_pointed_at_unless_there_are_none(
    outside: Callable[[int, str], tuple[int, Path]], tmp_path: Path
) -> None:
    _, empty = outside(4, "")
    assert not empty.exists()
    assert not (tmp_path / "latest").exists()
    _, full = outside(0, "result.json")
    assert (tmp_path / "latest").resolve() == full


# -- this machine ------------------------------------------------------------------------------------


def test_without_root_it_says_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(CannotEmulate, match=r"needs root .* sudo \./testbed failover"):
        conduct.require_capsule("failover")


def test_daemons_that_are_not_installed_are_named_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(CannotEmulate, match=r"not installed: .*haproxy.*setup") as refused:
        conduct.require_programs(Stage3())
    for program in ("named", "keepalived", "nginx"):
        assert program in str(refused.value)
    assert "gunicorn" not in str(refused.value), "that one comes with the virtual environment"


def test_the_mysql_that_the_distribution_ships_is_enough_under_either_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {s.program for services in Stage3().declared.values() for s in services if s.package}
    for program in (wanted - {"mariadbd"}) | {"mysqld"}:
        (tmp_path / program).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    conduct.require_programs(Stage3())
    (tmp_path / "mysqld").rename(tmp_path / "mariadbd")
    conduct.require_programs(Stage3())
    (tmp_path / "mariadbd").unlink()
    with pytest.raises(CannotEmulate, match="not installed: mysqld;"):
        conduct.require_programs(Stage3())


def test_budgets_that_exceed_the_machine_are_refused_with_one_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    conduct.require_cores(Stage3())
    conduct.require_cores(Stage3(Settings(server_cores=0.18)))
    with pytest.raises(CannotEmulate, match=r"7 servers of 0\.5 cores .* --server-cores 0\.19 would fit"):
        conduct.require_cores(Stage3(Settings(server_cores=0.5)))
    with pytest.raises(CannotEmulate, match=r"this machine has 2$"):
        conduct.require_cores(Stage3(Settings(server_cores=0.5, balancers=9, web_servers=9, app_servers=9)))
