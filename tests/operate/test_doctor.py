"""The doctor names one fix for whatever is not well; its exit code says whether the stages can run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from experiments.operate import doctor, kernel, machine
from experiments.operate.kernel import Check, Feature
from topologies import capsule


@pytest.mark.parametrize(
    ("states", "able"),
    [
        (["ok", "ok"], True),
        (["ok", "limited"], True),
        (["ok", "unchecked"], True),
        (["ok", "missing"], False),
    ],
)
def test_the_stages_run_unless_something_is_missing(states: list[kernel.State], able: bool) -> None:
    assert doctor.can_run([Check("x", state, "found", "fix") for state in states]) is able


def test_every_check_is_one_line_and_what_is_not_well_has_a_fix(tmp_path: Path) -> None:
    checks = list(machine.examine(tmp_path))
    assert len({check.name for check in checks}) == len(checks)
    for check in checks:
        assert "\n" not in check.found + check.fix
        assert bool(check.fix) == (check.state != "ok"), check
    names = {check.name for check in checks}
    assert names >= {
        "root", "namespaces", "overlayfs", "bridge", "veth", "cgroups", "firewalls", "nftables", "netem",
        "Open vSwitch", "tun/tap", "haproxy", "keepalived", "nginx", "named", "mysql", "Python", "cores",
        "memory", "disk", "other runs", "bridge-nf", "pressure",
    }  # fmt: skip


def test_json_is_one_document_with_the_exit_codes_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = [Check("root", "ok", "yes"), Check("bridge", "missing", "no switches", "modprobe bridge")]
    monkeypatch.setattr(machine, "examine", lambda _results: iter(broken))
    assert doctor.main(["--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert document["can_run"] is False
    assert document["checks"][1] == {
        "name": "bridge", "state": "missing", "found": "no switches", "fix": "modprobe bridge",
    }  # fmt: skip


def test_the_table_shows_the_fix_beside_what_is_limited(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [Check("netem", "limited", "no links with delay", "modprobe sch_netem")]
    monkeypatch.setattr(machine, "examine", lambda _results: iter(found))
    assert doctor.main([]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("netem"))
    assert " ".join(line.split()) == "netem limited no links with delay modprobe sch_netem"


@pytest.mark.parametrize(
    ("script", "needed", "state", "found"),
    [
        ("true", True, "ok", "works"),
        ("echo Operation not supported >&2; exit 2", True, "missing", "no cables (Operation not supported)"),
        ("echo Operation not supported >&2; exit 2", False, "limited", "no cables (Operation not supported)"),
    ],
)
def test_a_feature_is_there_when_its_script_succeeds(
    script: str, needed: bool, state: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_namespaces(_root: bool, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=False)

    monkeypatch.setattr(kernel, "_in_throwaway", without_namespaces)
    check = kernel.try_feature(Feature("veth", script, "no cables", "modprobe veth", needed), True, True)
    assert (check.state, check.found) == (state, found)
    assert check.fix == ("" if state == "ok" else "modprobe veth")


def test_a_run_left_behind_is_told_from_one_that_is_alive(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(capsule, "REGISTRY", tmp_path)
    monkeypatch.setattr(capsule, "running", list)
    (tmp_path / "20260101-000000-aaaa.json").write_text("{}")
    check = machine._other_runs()
    assert (check.state, check.fix) == ("limited", "the next run removes it")
    assert "20260101-000000-aaaa" in check.found


@pytest.mark.parametrize(("kilobytes", "state"), [(8 << 20, "ok"), (500 << 10, "limited")])
def test_little_memory_is_limited(kilobytes: int, state: str) -> None:
    assert machine._memory(f"MemTotal: 1 kB\nMemAvailable:   {kilobytes} kB\n").state == state


@pytest.mark.parametrize(("waited", "state"), [("3.10", "ok"), ("61.00", "limited"), (None, "limited")])
def test_a_busy_machine_is_limited(waited: str | None, state: str, tmp_path: Path) -> None:
    pressure = tmp_path / "cpu"
    if waited is not None:
        pressure.write_text(f"some avg10={waited} avg60=0.00 avg300=0.00 total=1\n")
    assert machine._pressure(pressure).state == state
