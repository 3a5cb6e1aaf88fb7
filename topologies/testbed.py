"""A declared stage becomes real: network, file systems, checked configurations, daemons that answer.

with Testbed(Stage3(settings), ...) as testbed:      # inside a capsule
    testbed.hosts["client1"].run(["curl", "https://www.foobar.com/"])

network ──► hosts furnished ──► rendered ──► checked ──► started, in parallel ──► ready ──► budgets on
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from services.credentials import Secrets
from services.service import Service
from topologies import capsule, cgroup
from topologies.host import SHARED, EmulatedHost, Surroundings
from topologies.process import Process
from topologies.stage import MONITOR_CORES, NETWORKS, RESOLVER, Stage, interface, switch_port
from topologies.waiting import DaemonDied, TestbedError, wait_until

POWER_OFF_S = 0.3

Say = Callable[[str], None]


@dataclass
class Daemon:
    """A declared service on a host, and the process it has now."""

    service: Service
    host: EmulatedHost
    process: Process | None = None
    ready_after_s: float | None = None  # from its own start to its first good answer
    done: bool = False  # a oneshot whose command ended well

    @property
    def name(self) -> str:
        return self.service.name

    @property
    def alive(self) -> bool:
        return self.done or (self.process is not None and self.process.running)

    @property
    def where(self) -> str:
        return f"{self.service.name} on {self.host.name}"

    @property
    def state(self) -> str:
        if self.process is None:
            return "in force" if self.done else "stopped"
        return "running" if self.process.running else f"exited {self.process.exit_status}"

    def facts(self) -> dict[str, Any]:
        """For `ps`: the pid inside the capsule, when it started, and whether it was stopped on purpose."""
        p = self.process
        if p is None:
            return {"pid": None, "started": None, "stopped": not self.done, "oneshot": self.service.oneshot}
        return {
            "pid": p.pid,
            "started": capsule.start_ticks(p.pid) if p.running else None,
            "stopped": p.stopped,
            "oneshot": False,
        }


class Testbed:
    """A running stage. Enter it as a context manager; leaving stops the daemons, then the network."""

    __test__ = False

    def __init__(
        self, stage: Stage, *, run_id: str, results: Path, code: Path, venv: Path, say: Say = lambda _: None
    ) -> None:
        self.stage = stage
        self.results = results
        self.secrets = Secrets()
        self.hosts: dict[str, EmulatedHost] = {}
        self.daemons: list[Daemon] = []
        self.configs: dict[
            str, dict[str, str]
        ] = {}  # host → file name → rendered text (secret ones left out)
        self.timings: dict[str, float] = {}
        self.urls: dict[str, str] = {}  # what a browser on this machine can open: name → URL
        self._run_id, self._code, self._venv, self._say = run_id, code, venv, say
        self._groups = cgroup.Tree(cgroup.find_hierarchy(Path("/proc/mounts").read_text()), run_id)
        self._stack = contextlib.ExitStack()
        self._state_lock = threading.Lock()

    # -- life -----------------------------------------------------------------------------------------

    def __enter__(self) -> Testbed:
        begin = time.monotonic()
        try:
            for what, step in (
                ("building the network", self._build_network),
                ("furnishing the hosts", self._furnish),
                ("rendering and checking every configuration", self._render_and_check),
                ("starting the daemons", self._start_all),
            ):
                self._say(what)
                start = time.monotonic()
                step()
                self.timings[what] = time.monotonic() - start
            self._set_budgets()
        except BaseException:
            self._stack.close()
            raise
        self.timings["bring-up"] = time.monotonic() - begin
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        start = time.monotonic()
        self._stack.close()
        self.timings["teardown"] = time.monotonic() - start

    # -- construction ---------------------------------------------------------------------------------

    def _build_network(self) -> None:
        from mininet.link import TCLink
        from mininet.log import setLogLevel
        from mininet.net import Mininet

        from topologies.segment import Segment

        setLogLevel("error")
        rate = self.stage.settings.link_mbit
        net = Mininet(
            topo=self.stage, switch=Segment, host=EmulatedHost, controller=None, build=False,
            waitConnected=False, **({"link": TCLink} if rate else {}),
        )  # fmt: skip
        self._stack.callback(net.stop)
        net.build()
        net.start()
        self.net = net
        self.hosts = {host.name: host for host in net.hosts}
        if rate:
            self._shape(rate)

    def _shape(self, rate_mbit: float) -> None:
        """Limit every host's links in both directions, and read back what the kernel made of it."""
        for link in self.net.links:
            for end in (link.intf1, link.intf2):
                end.config(bw=rate_mbit, use_tbf=True, latency_ms=50)
                said = end.node.cmd(f"tc qdisc show dev {end.name}")
                if "tbf" not in said and "htb" not in said:
                    raise TestbedError(
                        f"{end.name}: asked for {rate_mbit:g} Mbit/s, the kernel has: {said.strip()}"
                    )

    def _furnish(self) -> None:
        def furnish(host: EmulatedHost) -> None:
            group = self._groups.group(host.name)
            # A second stage of the same run has another directory, and hosts of the same names.
            aside = capsule.LAYERS / self.results.name / host.name
            host.furnish(
                Surroundings(self._code, self._venv, self.results, aside),
                group,
                RESOLVER,
                self.secrets.authority,
            )

        _all_of(_in_parallel(furnish, self.hosts.values()))

    def _render_and_check(self) -> None:
        for host in self.hosts.values():
            for service in host.services:
                self._install(host, service)
                self.daemons.append(Daemon(service, host))
        checks = [(host, line) for host in self.hosts.values() for s in host.services for line in s.check()]
        _all_of(_in_parallel(lambda check: check[0].run(check[1], timeout_s=30.0), checks))

    def _install(self, host: EmulatedHost, service: Service) -> None:
        """Everything the daemon finds on its host's disk, as its package and an operator would leave it."""
        for inside, directory in service.directories().items():
            if directory.fresh:
                host.empty_directory(inside)
            host.make_directory(inside, directory)
        for inside, file in service.render(self.secrets).items():
            host.put(inside, file)
            if not file.secret:
                self.configs.setdefault(host.name, {})[Path(inside).name] = file.text
                kept = self.results / "hosts" / host.name / inside.lstrip("/")
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(file.text)
        for inside, tree in service.trees().items():
            host.install_tree(inside, tree)
        if service.interpreter_at:
            host.bind(f"{SHARED}/venv", service.interpreter_at)
        for key, value in service.sysctls.items():
            host.sysctl(key, value)

    # -- daemons --------------------------------------------------------------------------------------

    def _start_all(self) -> None:
        # The end of a run is a power-off, not a maintenance window: keepalived alone would take a second.
        self._stack.callback(self.stop_daemons, patience_s=POWER_OFF_S)
        self.start_daemons(self.daemons)

    def start_daemons(self, daemons: Iterable[Daemon]) -> None:
        """Start these, each as soon as those it comes after are ready, and wait until all answer.

        Raises NotReady, DaemonDied or CommandFailed for the first that fails.
        """
        wanted = list(daemons)
        ready: dict[str, list[threading.Event]] = {}
        events = {id(daemon): threading.Event() for daemon in wanted}
        for daemon in wanted:
            ready.setdefault(daemon.name, []).append(events[id(daemon)])
        failed = threading.Event()

        def bring_up(daemon: Daemon) -> None:
            try:
                for name in daemon.service.after:
                    for event in ready.get(name, ()):
                        # The predecessor's own deadline bounds this wait.
                        while not event.wait(0.2):
                            if failed.is_set():
                                return
                self.start_daemon(daemon)
                events[id(daemon)].set()
            except BaseException:
                failed.set()
                raise

        _all_of(_in_parallel(bring_up, wanted))
        self.write_state()

    def start_daemon(self, daemon: Daemon) -> None:
        """Start one daemon and wait until it answers in its own protocol."""
        service, host = daemon.service, daemon.host
        start = time.monotonic()
        if not (service.prepared_mark and host.path(service.prepared_mark).exists()):
            for line in service.prepare():
                host.run(line, timeout_s=service.ready_timeout_s)
        if service.oneshot:
            host.run(service.command, timeout_s=service.ready_timeout_s)
            daemon.done, daemon.ready_after_s = True, time.monotonic() - start
            return
        if daemon.process is not None:
            self._clear_runtime(daemon)
        daemon.process = host.spawn(service.name, service.command, service.environment)
        process = daemon.process
        self._say(f"waiting for {daemon.where}")

        def answers() -> bool:
            process.assert_running()
            return service.ready(host)

        wait_until(answers, timeout_s=service.ready_timeout_s, what=f"{daemon.where} to answer")
        daemon.ready_after_s = time.monotonic() - start

    @contextlib.contextmanager
    def reconfigured(self, daemon: Daemon, other: Service) -> Iterator[None]:
        """`daemon` with another configuration during the block, without a restart: checked, put, reloaded.

        Raises CommandFailed when its own checker refuses the configuration, NotReady when it does not answer
        with it; what it had before is back in force afterwards.
        """
        try:
            self.reload(daemon, other)
            yield
        finally:
            self.reload(daemon, daemon.service)

    def reload(self, daemon: Daemon, service: Service) -> None:
        """Put the configuration of `service` in force until another is. Raises as `reconfigured`."""
        for inside, file in service.render(self.secrets).items():
            daemon.host.put(inside, file)
        for line in service.check():
            daemon.host.run(line, timeout_s=30.0)
        if daemon.process is None or service.reload_signal is None:
            raise TestbedError(f"{daemon.where} cannot be reloaded")
        daemon.process.assert_running()
        daemon.process.send_signal(service.reload_signal)
        wait_until(
            lambda: service.ready(daemon.host), timeout_s=service.ready_timeout_s,
            what=f"{daemon.where} to answer with its new configuration",
        )  # fmt: skip

    def _clear_runtime(self, daemon: Daemon) -> None:
        """Empty its directories below /run, as systemd does: a stale pid file may name another process."""
        for inside, directory in daemon.service.directories().items():
            if inside.startswith("/run/"):
                shutil.rmtree(daemon.host.path(inside), ignore_errors=True)
                daemon.host.make_directory(inside, directory)

    def stop_daemons(self, daemons: Iterable[Daemon] | None = None, patience_s: float | None = None) -> None:
        """Stop these (all of them by default) in parallel; whoever takes longer than it may is killed.

        `patience_s` limits every service's own stop_timeout_s.
        """

        def stop(daemon: Daemon) -> None:
            if daemon.process is not None:
                daemon.process.resume()  # a paused process cannot hear a polite request
                own_s = daemon.service.stop_timeout_s
                daemon.process.stop(
                    daemon.service.stop_signal, own_s if patience_s is None else min(own_s, patience_s)
                )

        chosen = list(self.daemons if daemons is None else daemons)
        _all_of(_in_parallel(stop, [d for d in chosen if d.process is not None]))
        self._collect_logs()
        self.write_state()

    def daemon(self, host: str, name: str) -> Daemon:
        """Raises KeyError with what there is instead."""
        for daemon in self.daemons:
            if daemon.host.name == host and daemon.name == name:
                return daemon
        there = ", ".join(d.name for d in self.daemons if d.host.name == host) or "no daemon"
        raise KeyError(f"{host} has no {name}; it runs {there}")

    def assert_healthy(self) -> None:
        """Every daemon runs and answers. Raises DaemonDied or NotReady."""
        for daemon in self.daemons:
            if daemon.process is None and not daemon.done:
                raise DaemonDied(f"{daemon.where} is not running")
            if daemon.process is not None:
                daemon.process.assert_running()
        _all_of(
            _in_parallel(
                lambda d: wait_until(
                    lambda: d.service.ready(d.host), timeout_s=15.0, what=f"{d.where} to answer"
                ),
                self.daemons,
            )
        )

    # -- cables ---------------------------------------------------------------------------------------

    def unplug(self, host: str, *segments: str) -> None:
        """Pull the host's cables at the switch, in one go: its own end sees the carrier disappear."""
        self._switch_ports("down", host, segments)

    def plug(self, host: str, *segments: str) -> None:
        self._switch_ports("up", host, segments)

    def _switch_ports(self, state: str, host: str, segments: Iterable[str]) -> None:
        batch = "".join(f"link set dev {switch_port(segment, host)} {state}\n" for segment in segments)
        done = subprocess.run(
            ["ip", "-batch", "-"], input=batch, capture_output=True, text=True, timeout=10, check=False
        )
        if done.returncode != 0:
            raise TestbedError(f"cannot set the links of {host} {state}: {done.stderr.strip()}")

    def reset_addresses(self, host: str) -> None:
        """Leave the host exactly the addresses it was declared with, and no memory of its neighbours."""
        for segment, address in self.stage.addresses[host].items():
            name, prefix = interface(host, segment), NETWORKS[segment].partition("/")[2]
            self.hosts[host].run(["ip", "addr", "flush", "dev", name])
            self.hosts[host].run(["ip", "addr", "add", f"{address}/{prefix}", "dev", name])
            self.hosts[host].run(["ip", "neigh", "flush", "dev", name])

    # -- budgets and state ----------------------------------------------------------------------------

    def _set_budgets(self) -> None:
        """After the start, which is not measured, every server becomes as small as it was declared."""
        for name, host in self.hosts.items():
            group = host.group
            if group is None:
                continue
            if self.stage.roles[name] == "server":
                group.limit_cpu(self.stage.cores_of(name, os.cpu_count() or 1))
                group.limit_memory(self.stage.settings.server_memory_mb)
            elif self.stage.roles[name] == "monitor":
                group.limit_cpu(MONITOR_CORES)
                group.limit_memory(self.stage.settings.server_memory_mb)
            elif self.stage.roles[name] == "client":
                group.prefer()

    def write_state(self) -> None:
        """Leave for `ps`, inside the capsule, what runs where."""
        state: dict[str, Any] = {
            "run_id": self._run_id,
            "stage": self.stage.number,
            "title": self.stage.title,
            "results": str(self.results),
            "site_addresses": list(self.stage.site_addresses),
            "urls": self.urls,
            "hosts": {
                name: {
                    "pid": host.pid,
                    "role": self.stage.roles[name],
                    "addresses": self.stage.addresses[name],
                    "budget": host.group.entry_files if host.group else [],
                    "log_files": [inside for service in host.services for inside in service.log_files],
                    "daemons": {d.name: d.facts() for d in self.daemons if d.host is host},
                }
                for name, host in self.hosts.items()
            },
        }
        with self._state_lock:
            temporary = capsule.STATE.with_suffix(".new")
            temporary.write_text(json.dumps(state))
            temporary.rename(capsule.STATE)

    def _collect_logs(self) -> None:
        """Logs that daemons keep in their host's /var/log belong to the results, too."""
        for name, host in self.hosts.items():
            for log in (host.path(inside) for service in host.services for inside in service.log_files):
                if log.exists():
                    shutil.copyfile(log, self.results / "hosts" / name / f"{log.parent.name}-{log.name}")


def _in_parallel(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Future[Any]]:
    """Do `work` on every item at once and wait for all; failures stay in the futures."""
    chosen = list(items)
    with ThreadPoolExecutor(max_workers=max(1, len(chosen))) as pool:
        return [pool.submit(work, item) for item in chosen]


def _all_of(futures: Iterable[Future[Any]]) -> list[Any]:
    """Every result; raises the first failure after all have ended."""
    return [future.result() for future in futures]
