"""A virtual host: its own network, file systems, name and budget. What runs on it sees an ordinary Debian.

    /etc, /var    copy-on-write over the machine's (what is written here, stays here)
    /var/log/daemons   what each daemon writes to its standard output, as journald would keep it
    /run, /tmp    fresh; /root and /home empty; everything else read-only
    resolver      the emulated DNS
    budget        one cgroup: CPU quota and memory limit

Mininet makes the network and the shell; everything else starts through `nsenter` so that the process started
is the daemon itself, with an exit status, a log file and a deadline.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mininet.node import Node

from services.service import Directory, File, Service, Tree
from topologies import process
from topologies.cgroup import Group
from topologies.netns import socket_in
from topologies.waiting import CommandFailed

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TRUST_STORE = "/etc/ssl/certs/ca-certificates.crt"
AUTHORITY = "/etc/ssl/certs/testbed-ca.pem"
DAEMON_LOGS = "/var/log/daemons"
SHARED = "/run/testbed"  # where the project's code and the results appear inside every host

# Runs in the host's fresh mount namespace. The new /run is made ready aside, because results and code may lie
# below the directories that the later mounts hide; then it moves into place.
_MOUNTS = r"""
aside=$1 code=$2 venv=$3 results=$4 name=$5
mkdir -p "$aside/etc" "$aside/etc.work" "$aside/var" "$aside/var.work" "$aside/run"
mount -n -t tmpfs -o mode=0755 tmpfs "$aside/run"
mkdir -p "$aside/run/testbed/code" "$aside/run/testbed/venv" "$aside/run/testbed/results" "$aside/run/lock"
mount -n --bind "$code" "$aside/run/testbed/code"
mount -n -o remount,bind,ro "$aside/run/testbed/code"
mount -n --bind "$venv" "$aside/run/testbed/venv"
mount -n -o remount,bind,ro "$aside/run/testbed/venv"
mount -n --bind "$results" "$aside/run/testbed/results"
mount -n -t overlay overlay -o "lowerdir=/etc,upperdir=$aside/etc,workdir=$aside/etc.work" /etc
mount -n -t overlay overlay -o "lowerdir=/var,upperdir=$aside/var,workdir=$aside/var.work" /var
mkdir -p /var/log/daemons "$results/hosts/$name"
mount -n --bind "$results/hosts/$name" /var/log/daemons
mount -n -t tmpfs -o mode=1777 tmpfs /tmp
for private in /root /home; do [ -d "$private" ] && mount -n -t tmpfs -o mode=0755 tmpfs "$private"; done
mount -n --move "$aside/run" /run
mount -n -o remount,bind,ro /
rm -f /etc/resolv.conf
"""


@dataclass(frozen=True)
class Surroundings:
    """Where a host finds what all hosts share."""

    code: Path  # the checkout
    venv: Path  # the virtual environment
    results: Path  # this run's directory
    aside: Path  # the capsule's own directory for this host's layers


class EmulatedHost(Node):  # type: ignore[misc]  # mininet has no types
    """A Mininet node with a Debian of its own."""

    def __init__(self, name: str, **params: Any) -> None:
        self.group: Group | None = None
        self.surroundings: Surroundings | None = None
        super().__init__(name, **params)

    # -- construction ---------------------------------------------------------------------------------------

    def _popen(self, cmd: list[str], **params: Any) -> Any:
        """Mininet starts the shell through this; a UTS namespace gives the host a name of its own."""
        if self.shell is None:
            cmd = ["unshare", "--uts", "--", *cmd]
            terminal = os.environ.get("TERM", "dumb")
            params = {**params, "cwd": "/", "env": {**environment(), "TERM": terminal}}
        return super()._popen(cmd, **params)

    def furnish(self, surroundings: Surroundings, group: Group, resolver: str, authority: str) -> None:
        """Give the host its file systems, name, resolver, trusted CA and budget. Raises CommandFailed."""
        self.surroundings, self.group = surroundings, group
        s = surroundings
        paths = [str(path) for path in (s.aside, s.code, s.venv, s.results)]
        self.run(["sh", "-eu", "-c", _MOUNTS, "sh", *paths, self.name], wd=None)
        self.run(["hostname", self.name])
        self.put("/etc/hostname", File(f"{self.name}\n"))
        self.put("/etc/hosts", File(f"127.0.0.1 localhost {self.name}\n"))
        self.put(
            "/etc/resolv.conf",
            File(f"search foobar.com\nnameserver {resolver}\noptions timeout:1 attempts:2\n"),
        )
        self.put(AUTHORITY, File(authority))
        bundle = self.path(TRUST_STORE)
        bundle.write_text(bundle.read_text() + authority if bundle.exists() else authority)
        self.sysctl("net.ipv6.conf.all.disable_ipv6", "1")
        self.sysctl("net.ipv6.conf.default.disable_ipv6", "1")

    # -- files ----------------------------------------------------------------------------------------------

    def path(self, inside: str) -> Path:
        """The path by which this process reaches the host's file `inside`."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def put(self, inside: str, file: File) -> None:
        target = self.path(inside)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():
            target.unlink()  # sites-enabled and the like point back to the packaged file
        # Born private: a secret must not be readable for the moment between open and chmod.
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as text:
            text.write(file.text)
        _own(target, file.owner)
        target.chmod(file.mode)

    def make_directory(self, inside: str, directory: Directory) -> None:
        target = self.path(inside)
        target.mkdir(parents=True, exist_ok=True)
        _own(target, directory.owner)
        target.chmod(directory.mode)

    def empty_directory(self, inside: str) -> None:
        """Hide what the machine has there: an empty directory of the host's own in its place.

        All of them on one file system: rsyslog tells the logs it follows apart by their inodes.
        """
        empty = f"{SHARED}/empty{inside}"
        self.path(empty).mkdir(parents=True, exist_ok=True)
        self.bind(empty, inside)

    def install_tree(self, inside: str, tree: Tree) -> None:
        """Copy the tree, readable for every user whatever the checkout's own permissions are."""
        target = self.path(inside)
        shutil.copytree(tree.source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        for path in (target, *target.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)

    def bind(self, source: str, target: str) -> None:
        """Make `source` (a path inside the host) appear at `target`, too."""
        self.path(target).mkdir(parents=True, exist_ok=True)
        self.run(["mount", "--bind", source, target])

    # -- commands -------------------------------------------------------------------------------------------

    def enter(self, command: Sequence[str], *, in_budget: bool = False, wd: str | None = "/") -> list[str]:
        """The command line that runs `command` inside this host's namespaces, and its budget if wanted."""
        budget = self.group.entry_files if in_budget and self.group is not None else ()
        return entering(self.pid, command, budget=budget, wd=wd)

    @property
    def environment(self) -> dict[str, str]:
        """What processes on the host see."""
        return environment()

    def run(
        self, command: Sequence[str], *, timeout_s: float = 10.0, check: bool = True, wd: str | None = "/"
    ) -> subprocess.CompletedProcess[str]:
        """Run to its end and return output and exit status. Raises CommandFailed (also after `timeout_s`)."""
        try:
            done = subprocess.run(
                self.enter(command, wd=wd), capture_output=True, text=True, errors="replace",
                timeout=timeout_s, stdin=subprocess.DEVNULL, env=self.environment, check=False,
                # A session of its own: `keepalived -t` signals its whole group, and Ctrl-C is ours to handle.
                start_new_session=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(
                f"{self.name}: `{_short(command)}` took longer than {timeout_s:g} s"
            ) from error
        if check and done.returncode != 0:
            said = (done.stderr or done.stdout).strip()
            raise CommandFailed(
                f"{self.name}: `{_short(command)}` exited with {done.returncode}: {said[-1500:]}"
            )
        return done

    def spawn(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
    ) -> process.Process:
        """Start a long-running command inside the host's budget; its output goes to hosts/HOST/NAME.log."""
        if self.surroundings is None:
            raise CommandFailed(f"{self.name}: not furnished yet")
        log = self.surroundings.results / "hosts" / self.name / f"{name}.log"
        line = self.enter(command, in_budget=True)
        seen = {**self.environment, **(environment or {})}
        return process.start(name, self.name, line, log, seen, descriptors)

    def sysctl(self, key: str, value: str) -> None:
        """Set a sysctl of this host's network. Raises CommandFailed."""
        self.run(["sysctl", "-q", "-w", f"{key}={value}"])

    # -- what a service needs (services.service.Host) -------------------------------------------------------

    def connect(self, address: str, port: int, timeout_s: float) -> socket.socket:
        connection = socket_in(self.pid, socket.AF_INET, socket.SOCK_STREAM)
        return _connected(connection, (address, port), timeout_s)

    def connect_unix(self, path: str, timeout_s: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        return _connected(connection, str(self.path(path)), timeout_s)

    def ask_udp(self, address: str, port: int, question: bytes, timeout_s: float) -> bytes:
        with socket_in(self.pid, socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(timeout_s)
            asker.connect((address, port))
            asker.send(question)
            return asker.recv(4096)

    def authority(self) -> str:
        return self.path(AUTHORITY).read_text()

    # -- services -------------------------------------------------------------------------------------------

    @property
    def services(self) -> tuple[Service, ...]:
        """The services the stage declared for this host."""
        declared: tuple[Service, ...] = self.params.get("services", ())
        return declared


def entering(
    pid: int, command: Sequence[str], *, budget: Sequence[str] = (), wd: str | None = "/"
) -> list[str]:
    """The command line that runs `command` in the namespaces of the host whose shell is `pid`.

    `budget`: files of its cgroups to join first. `wd` is looked up inside: `nsenter --wd` would open it
    outside, and what such a process calls etc/passwd would be the machine's own.
    """
    # --root: entering a mount namespace goes to its topmost root, which is not ours where we run in a chroot.
    line = ["nsenter", "--target", str(pid), "--net", "--mount", "--uts", "--root"]
    line += [f"--wdns={wd}"] if wd else []
    line += ["--", *command]
    if budget:
        join = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo 0 >"$1"; shift; n=$((n-1)); done; exec "$@"'
        line = ["sh", "-c", join, "sh", str(len(budget)), *budget, *line]
    return line


def environment() -> dict[str, str]:
    """What processes on a host see: nothing of the caller's."""
    return {
        "PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
        # Python's own HTTP clients bring their own list of authorities; these make them use the host's.
        "REQUESTS_CA_BUNDLE": TRUST_STORE, "SSL_CERT_FILE": TRUST_STORE,
    }  # fmt: skip


def _connected(connection: socket.socket, where: Any, timeout_s: float) -> socket.socket:
    connection.settimeout(timeout_s)
    try:
        connection.connect(where)
    except OSError:
        connection.close()
        raise
    return connection


def _own(path: Path, owner: str) -> None:
    user, _, group = owner.partition(":")
    shutil.chown(path, user, group or None)


def _short(command: Sequence[str]) -> str:
    """The command as one short line; a script is named by its first words."""
    return re.sub(r"\s+", " ", " ".join(command))[:120]
