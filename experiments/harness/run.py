"""A run: its directory, where it came from, and its files, complete or absent but never half written."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.harness.model import Event
from topologies.waiting import CannotEmulate

CHECKOUT = Path(__file__).resolve().parents[2]
VENV = CHECKOUT / ".venv"


@dataclass(frozen=True)
class Run:
    """One execution of one experiment and the directory that is its result."""

    run_id: str
    directory: Path
    seed: int

    def write_text(self, name: str, text: str) -> Path:
        """Write and rename, so that a reader never meets half a file."""
        path = self.directory / name
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_text(text)
        temporary.rename(path)
        return path

    def write_json(self, name: str, document: Any) -> Path:
        return self.write_text(name, json.dumps(document, indent=2) + "\n")

    def write_events(self, events: Iterable[Event]) -> None:
        """events.csv: t_s (CLOCK_MONOTONIC), kind, host, detail."""
        rows = ["t_s,kind,host,detail"]
        rows += [f'{e.t_s:.6f},{e.kind},{e.host},"{e.detail.replace(chr(34), chr(39))}"' for e in events]
        self.write_text("events.csv", "\n".join(rows) + "\n")


def new_run_id() -> str:
    """Sortable by start, unique among runs that start in the same second."""
    return f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def make_directory(base: Path, title: str, run_id: str) -> Path:
    """BASE/TITLE/RUN_ID, proven writable. Raises CannotEmulate with the remedy."""
    directory = base / title / run_id
    if str(directory).startswith(("/run/", "/proc/", "/sys/", "/dev/")):
        raise CannotEmulate(
            f"results cannot lie in {base}: inside the capsule another file system is there; "
            "choose --results DIR"
        )
    try:
        directory.mkdir(parents=True)
        probe = directory / ".probe"
        with probe.open("wb") as file:
            file.write(b"\0" * (1 << 20))
            os.fsync(file.fileno())
        probe.unlink()
    except OSError as error:
        with contextlib.suppress(OSError):
            shutil.rmtree(directory)
            directory.parent.rmdir()
        raise CannotEmulate(
            f"cannot write results to {base}: {error.strerror}; choose another place with --results DIR"
        ) from error
    return directory


def point_latest(base: Path, directory: Path) -> None:
    """BASE/latest → the newest run; replaced in one step. Beside two runs, the later wins."""
    temporary = base / f".latest-{directory.name}"
    with contextlib.suppress(OSError):
        temporary.symlink_to(directory.relative_to(base))
        temporary.rename(base / "latest")


def give_to_caller(base: Path, directory: Path) -> None:
    """Under sudo, results belong to the user who called it, not to root."""
    user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if user is None:
        return
    owner = int(user), int(group or user)
    for path in (base, base / "latest", directory.parent, directory, *directory.rglob("*")):
        with contextlib.suppress(FileNotFoundError):
            os.chown(path, *owner, follow_symlinks=False)


def provenance(run: Run, parameters: dict[str, Any]) -> dict[str, Any]:
    """Where the numbers come from: enough to repeat the run."""
    return {
        "id": run.run_id,
        "argv": sys.argv[1:],
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if (status := _git("status", "--porcelain")) is None else bool(status),
        "versions": versions(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "seed": run.seed,
        "parameters": parameters,
        "started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
    }


def _git(*arguments: str) -> str | None:
    """None outside a git checkout, or without git."""
    # No optional locks: whoever commits at this moment must not find the index locked by a question of ours.
    git = ["git", "--no-optional-locks", "-c", f"safe.directory={CHECKOUT}", "-C", str(CHECKOUT)]
    command = [*git, *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def versions() -> dict[str, str]:
    """What each daemon says of itself, in one short line."""
    questions = {
        "haproxy": ["haproxy", "-v"], "keepalived": ["keepalived", "--version"], "nginx": ["nginx", "-v"],
        "named": ["named", "-v"],
        "mysql": ["mariadbd" if shutil.which("mariadbd") else "mysqld", "--version"],
        "prometheus": ["prometheus", "--version"], "alertmanager": ["prometheus-alertmanager", "--version"],
        "node-exporter": ["prometheus-node-exporter", "--version"],
        "nginx-exporter": ["prometheus-nginx-exporter", "--version"],
        "mysqld-exporter": ["prometheus-mysqld-exporter", "--version"],
        "rsyslog": ["rsyslogd", "-v"], "nftables": ["nft", "--version"], "ulogd": ["ulogd", "--version"],
    }  # fmt: skip
    found = {"python": platform.python_version()}
    for name, command in questions.items():
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            continue
        lines = (done.stdout or done.stderr).strip().splitlines()
        if lines:
            found[name] = lines[0][:120]
    return found
