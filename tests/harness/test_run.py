"""A run's directory is proven writable, its files are whole or absent, and it knows where it comes from."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
from pathlib import Path

import pytest

from experiments.harness import run as runs
from experiments.harness.model import Event
from experiments.harness.run import Run
from topologies.waiting import CannotEmulate


def test_a_run_has_a_directory_of_its_own(tmp_path: Path) -> None:
    made = runs.make_directory(tmp_path / "results", "failover-stage3", "r1")
    assert made == tmp_path / "results" / "failover-stage3" / "r1"
    assert list(made.iterdir()) == []
    with pytest.raises(CannotEmulate, match="File exists"):
        runs.make_directory(tmp_path / "results", "failover-stage3", "r1")


def test_a_place_that_cannot_hold_results_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for base in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CannotEmulate, match=rf"cannot write results to {base}: .*--results DIR"):
            runs.make_directory(base, "failover-stage3", "r1")
    for base in (Path("/proc/results"), Path("/run"), Path("/dev/shm/results"), Path("/sys")):
        with pytest.raises(CannotEmulate, match=r"inside the capsule.*--results DIR"):
            runs.make_directory(base, "failover-stage3", "r1")


def test_a_full_disk_is_noticed_before_the_run_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotEmulate, match="No space left on device"):
        runs.make_directory(tmp_path, "failover-stage3", "r1")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    run = Run("r1", tmp_path, 1)
    run.write_json("result.json", {"a": 1})
    run.write_json("result.json", {"a": 2})
    assert json.loads((tmp_path / "result.json").read_text()) == {"a": 2}
    (tmp_path / ".result.json.new").mkdir()  # the write fails before the rename
    with pytest.raises(OSError, match="directory"):
        run.write_json("result.json", {"a": 3})
    assert json.loads((tmp_path / "result.json").read_text()) == {"a": 2}
    assert sorted(p.name for p in tmp_path.iterdir()) == [".result.json.new", "result.json"]


def test_events_are_rows_that_every_csv_reader_understands(tmp_path: Path) -> None:
    Run("r1", tmp_path, 1).write_events(
        [Event(12.5, "log", "lb1", 'Server web/web1 is DOWN, "L4TOUT", costs $5')]
    )
    header, row = csv.reader((tmp_path / "events.csv").read_text().splitlines())
    assert header == ["t_s", "kind", "host", "detail"]
    assert row == ["12.500000", "log", "lb1", "Server web/web1 is DOWN, 'L4TOUT', costs $5"]


def test_run_ids_sort_by_start_and_differ_within_a_second() -> None:
    ids = [runs.new_run_id() for _ in range(20)]
    assert len(set(ids)) > 15
    assert all(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4}", i) for i in ids)


def test_latest_points_at_the_newest_run_wherever_results_are_moved_to(tmp_path: Path) -> None:
    for run_id in ("r1", "r2"):
        directory = runs.make_directory(tmp_path / "results", "failover-stage3", run_id)
        runs.point_latest(tmp_path / "results", directory)
        assert (tmp_path / "results" / "latest").resolve() == directory
    (tmp_path / "results").rename(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "latest").resolve() == tmp_path / "elsewhere" / "failover-stage3" / "r2"


def test_under_sudo_results_belong_to_the_caller_and_no_link_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[Path, tuple[int, int, bool]] = {}

    def chown(path: Path, user: int, group: int, *, follow_symlinks: bool = True) -> None:
        given[path] = (user, group, follow_symlinks)

    monkeypatch.setattr(os, "chown", chown)
    base = tmp_path / "results"
    directory = runs.make_directory(base, "failover-stage3", "r1")
    (directory / "hosts").mkdir()
    monkeypatch.delenv("SUDO_UID", raising=False)
    runs.give_to_caller(base, directory)
    assert given == {}
    monkeypatch.setenv("SUDO_UID", "1000")
    monkeypatch.setenv("SUDO_GID", "1001")
    runs.give_to_caller(base, directory)
    assert set(given) == {base, base / "latest", directory.parent, directory, directory / "hosts"}
    assert set(given.values()) == {(1000, 1001, False)}


def test_provenance_says_enough_to_repeat_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = runs.provenance(Run("r1", tmp_path, 42), {"advert_int_s": 1.0})
    assert {"id", "argv", "commit", "dirty", "versions", "kernel", "seed", "parameters"} <= found.keys()
    assert (found["id"], found["seed"], found["parameters"]) == ("r1", 42, {"advert_int_s": 1.0})
    assert found["commit"] is None or re.fullmatch(r"[0-9a-f]{40}", found["commit"])
    assert found["versions"]["python"].startswith("3.")
    json.dumps(found, allow_nan=False)
    monkeypatch.setattr(runs, "CHECKOUT", tmp_path)
    elsewhere = runs.provenance(Run("r1", tmp_path, 42), {})
    assert (elsewhere["commit"], elsewhere["dirty"]) == (None, None), "no checkout is not a clean one"
