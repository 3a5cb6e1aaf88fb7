"""A room where a daemon's own checker reads rendered files at their real paths, byte for byte; without root.

In new user, network and mount namespaces /etc shows the rendered files above the machine's, /var and /run are
fresh, and every IPv4 address may be bound. The one user inside is www-data by name, whoever it is outside.

keepalived alone cannot be fooled: it wants its script below directories of root's. `as_root` gives it the
same room without a user namespace.
"""

from __future__ import annotations

import pwd
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from services.service import Service

_FURNISH = """
top=$1 interpreter=$2 at=$3 interfaces=$4
shift 4
ip link set lo up
for name in $interfaces; do ip link add "$name" type bridge; done
ip route add local 0.0.0.0/0 dev lo
mount -t overlay overlay -o "lowerdir=$top/etc:/etc" /etc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var
mkdir -p /var/log/nginx /var/lib/nginx /var/lib/haproxy
cp -a "$top/var/." /var/
cp -a "$top/run/." /run/
if [ -n "$at" ]; then mkdir -p "$at"; mount --bind "$interpreter" "$at"; fi
cd /
exec "$@"
"""


@cache
def why_not() -> str:
    """Empty, or why this machine (a container, mostly) lets nobody make such a room."""
    if missing := [tool for tool in ("unshare", "ip", "mount") if not shutil.which(tool)]:
        return f"not installed: {', '.join(missing)}"
    done = subprocess.run(
        _entered(["mount", "-t", "tmpfs", "tmpfs", "/mnt"]), capture_output=True, check=False
    )
    return "" if done.returncode == 0 else done.stderr.decode(errors="replace").strip()


def check(
    service: Service,
    texts: Mapping[str, str],
    top: Path,
    interfaces: Sequence[str] = (),
    *,
    as_root: bool = False,
) -> tuple[int, str]:
    """Lay `texts` (path → text) out below `top` and run the service's checks.

    The room has `interfaces`. Returns the first status that is not 0, or 0, and all output.
    """
    lay_out(service, texts, top)
    said = ""
    for command in service.check():
        status, output = run(service, command, top, interfaces, as_root=as_root)
        said += output
        if status != 0:
            return status, said
    return 0, said


def lay_out(service: Service, texts: Mapping[str, str], top: Path) -> None:
    for directory in ("/etc", "/var", "/run", *service.directories()):
        (top / directory[1:]).mkdir(parents=True, exist_ok=True)
    for path, tree in service.trees().items():
        shutil.copytree(tree.source, top / path[1:], ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in texts.items():
        target = top / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(0o755 if text.startswith("#!") else 0o600)


def run(
    service: Service,
    command: Sequence[str],
    top: Path,
    interfaces: Sequence[str] = (),
    *,
    as_root: bool = False,
) -> tuple[int, str]:
    """Exit status and output of `command` in the room furnished from `top`."""
    room = [str(top), sys.prefix, service.interpreter_at or "", " ".join(interfaces)]
    done = subprocess.run(
        _entered(["sh", "-eu", "-c", _FURNISH, "sh", *room, *command], as_root),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=30, check=False, start_new_session=True,
    )  # fmt: skip
    return done.returncode, done.stdout.decode(errors="replace")


def _entered(command: Sequence[str], as_root: bool = False) -> list[str]:
    inside = pwd.getpwnam("www-data")
    user = ["--user", f"--map-user={inside.pw_uid}", f"--map-group={inside.pw_gid}", "--keep-caps"]
    return ["unshare", *([] if as_root else user), "--net", "--mount", "--", *command]
