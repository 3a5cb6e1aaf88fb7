"""Every host of a running stage is a machine of its own: names, files, budget, users, secrets."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.haproxy import CERTIFICATE
from tests.live.left import Traces, etc, pids
from tests.live.test_operate import command, up
from topologies import capsule, cgroup
from topologies.host import TRUST_STORE
from topologies.stage import RESOLVER
from topologies.stage3_scaleup import Stage3
from topologies.waiting import wait_until

pytestmark = pytest.mark.live


class Running:
    """A stage that is up, and commands on its hosts."""

    def __init__(self, found: dict[str, Any]) -> None:
        self.found = found
        self.run_id: str = found["run"]
        self.hosts: dict[str, Any] = found["hosts"]

    def code(self, host: str, *line: str) -> int:
        return command("exec", "--run", self.run_id, host, "--", *line).returncode

    def says(self, host: str, *line: str) -> str:
        """Standard output of a command that succeeds."""
        done = command("exec", "--run", self.run_id, host, "--", *line)
        assert done.returncode == 0, f"{host}: {line}: {done.stderr}"
        return done.stdout

    def password(self) -> str:
        site = tomllib.loads(self.says("app1", "cat", "/etc/foobar/site.toml"))
        return str(site["database"]["password"])


@pytest.fixture(scope="module")
def stage3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    results = tmp_path_factory.mktemp("stage3")
    with up(results, "3", "--no-cli", "--quiet") as (process, found):
        (run,) = (run for run in capsule.running() if run.supervisor == process.pid)
        traces = Traces.of(run)
        yield Running(found)
    wait_until(lambda: not traces.left(), timeout_s=10, what="stage 3 to be gone")


def test_each_host_has_its_own_name_resolver_run_and_tmp(stage3: Running) -> None:
    script = (
        "cat /etc/hostname; hostname; grep ^nameserver /etc/resolv.conf; stat -fc %T /run /tmp; ls -A /tmp"
    )
    for host in stage3.hosts:
        said = stage3.says(host, "sh", "-c", script).split("\n")
        assert said == [host, host, f"nameserver {RESOLVER}", "tmpfs", "tmpfs", ""], host


def test_what_one_host_writes_no_other_host_and_not_the_machine_sees(stage3: Running) -> None:
    before = etc()
    paths = [f"/{top}/written-by-web1-{stage3.run_id}" for top in ("etc", "var", "run", "tmp")]
    stage3.says("web1", "sh", "-c", f"touch {' '.join(paths)}; echo changed >>/etc/hosts")
    stage3.says("web1", "ls", *paths)
    for path in paths:
        assert stage3.code("web2", "test", "-e", path) == 1, path
        assert not Path(path).exists()
    assert "changed" not in stage3.says("web2", "cat", "/etc/hosts")
    assert etc() == before


def test_only_load_balancers_have_the_sites_private_key(stage3: Running) -> None:
    for host in stage3.hosts:
        has = stage3.code(host, "test", "-e", CERTIFICATE) == 0
        assert has == host.startswith("lb"), host


def test_the_kernel_has_the_budgets_that_were_declared(stage3: Running) -> None:
    hierarchy = cgroup.find_hierarchy(Path("/proc/mounts").read_text())
    declared = Stage3()
    for host in declared.servers:
        own = f"testbed-{stage3.run_id}/{host}"
        group = cgroup.Group(hierarchy.version, hierarchy.cpu / own, hierarchy.memory / own)
        assert group.cpu_limit() == pytest.approx(declared.cores_of(host, os.cpu_count() or 1), rel=1e-3)
        name = "memory.max" if hierarchy.version == 2 else "memory.limit_in_bytes"
        assert int((group.memory / name).read_text()) == declared.settings.server_memory_mb << 20


@pytest.mark.parametrize(
    ("host", "daemon"),
    [("lb1", "haproxy"), ("web1", "nginx"), ("app1", "gunicorn"), ("dns1", "named"), ("db1", "mysql")],
)
def test_who_serves_requests_is_not_root(host: str, daemon: str, stage3: Running) -> None:
    """A master may be root; the processes below it, which read what strangers send, are not."""
    for pid in _workers(stage3.hosts[host]["daemons"][daemon]["pid"]):
        status = Path(f"/proc/{pid}/status").read_text()
        (uids,) = (line.split()[1:] for line in status.splitlines() if line.startswith("Uid:"))
        assert "0" not in uids, f"{daemon}, process {pid}: {uids}"


def _workers(pid: int) -> list[int]:
    """The processes without children among `pid` and its descendants."""
    children = [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
    return [worker for child in children for worker in _workers(child)] or [pid]


def test_the_password_is_in_no_result_and_on_no_command_line(stage3: Running) -> None:
    password = stage3.password().encode()
    assert len(password) >= 24
    results = [path for path in Path(stage3.found["results_dir"]).rglob("*") if path.is_file()]
    assert len(results) > 10
    assert [path for path in results if password in path.read_bytes()] == []
    shown = []
    for pid in pids():
        try:
            shown.append(Path(f"/proc/{pid}/cmdline").read_bytes())
        except OSError:  # it ended while we looked
            continue
    assert any(b"haproxy" in line for line in shown)
    assert not any(password in line for line in shown)


def test_clients_verify_the_chain_and_the_name(stage3: Running) -> None:
    def s_client(name: str) -> int:
        return stage3.code(
            "client1", "openssl", "s_client", "-connect", "www.foobar.com:443",
            "-servername", "www.foobar.com", "-CAfile", TRUST_STORE,
            "-verify_return_error", "-verify_hostname", name, "-brief",
        )  # fmt: skip

    assert s_client("www.foobar.com") == 0
    assert s_client("wrong.example") == 1
    curl = ("curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}")
    assert stage3.says("client1", *curl, "https://www.foobar.com/") == "200"
    peer_not_verified = 60
    wrong = ("--connect-to", "wrong.example:443:8.8.8.8:443", "https://wrong.example/")
    assert stage3.code("client1", *curl, *wrong) == peer_not_verified
    nobody = ("--cacert", "/dev/null", "--capath", "/nonexistent", "https://www.foobar.com/")
    assert stage3.code("client1", *curl, *nobody) in (peer_not_verified, 77)


def test_names_resolve_to_both_addresses(stage3: Running) -> None:
    said = stage3.says("client1", "dig", "+short", "+time=2", "+tries=1", "www.foobar.com")
    assert sorted(said.split()) == ["8.8.8.8", "8.8.8.9"]


@pytest.mark.parametrize("wiring", ["tcp", "unix"])
def test_one_server_answers_from_its_database_in_both_wirings(wiring: str, tmp_path: Path) -> None:
    with up(tmp_path, "0", "--no-cli", "--quiet", "--wiring", wiring) as (_, found):
        stage0 = Running(found)
        item = json.loads(
            stage0.says("client1", "curl", "-sS", "-m", "5", "https://www.foobar.com/api/items/1")
        )
        assert item["id"] == 1
        listening = stage0.says("server1", "ss", "-Hltn")
        assert ("127.0.0.1:3306" in listening, "127.0.0.1:8000" in listening) == (wiring == "tcp",) * 2
