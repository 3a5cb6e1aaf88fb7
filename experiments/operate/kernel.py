"""What this kernel can do, found out by trying: every try happens in namespaces that end with it."""

from __future__ import annotations

import os
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from topologies import cgroup
from topologies.waiting import CannotEmulate

State = Literal["ok", "limited", "missing", "unchecked"]
SETUP = "sudo ./testbed setup"
AS_ROOT = "sudo ./testbed doctor"


@dataclass(frozen=True)
class Check:
    name: str
    state: State
    found: str
    fix: str = ""  # one command or one sentence; empty only when ok


@dataclass(frozen=True)
class Feature:
    """Something of the kernel: it is there when `script` succeeds in a fresh network."""

    name: str
    script: str
    without: str  # what does not work where it is missing
    fix: str
    needed: bool = False


_LINK = "ip link add v0 type veth peer name v1; tc qdisc add dev v0 root"
FEATURES = (
    Feature("veth", "ip link add v0 type veth peer name v1", "no cables", "modprobe veth", True),
    Feature("bridge", "ip link add b0 type bridge", "no switches", "modprobe bridge", True),
    Feature(
        "overlayfs",
        "mount -t tmpfs t /mnt; mkdir /mnt/up /mnt/work; "
        "mount -t overlay o -o lowerdir=/etc,upperdir=/mnt/up,workdir=/mnt/work /etc",
        "no host has files of its own",
        "modprobe overlay",
        True,
    ),
    Feature(
        "firewalls",
        "nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; "
        "add rule inet t c ct state established accept; add rule inet t c limit rate 1/second log group 5'",
        "no firewalls: stages 2 and 3 need them",
        "modprobe -a nf_tables nf_conntrack nfnetlink_log",
        True,
    ),
    Feature("htb", f"{_LINK} htb default 1", "links of a rate need it or tbf", "modprobe sch_htb"),
    Feature(
        "tbf",
        f"{_LINK} tbf rate 1mbit burst 10kb latency 50ms",
        "no links of a rate (--link-mbit)",
        "modprobe sch_tbf",
    ),
    Feature(
        "netem",
        f"{_LINK} netem delay 1ms",
        "no links with delay, jitter or reordering; loss works with nftables",
        "use a kernel with sch_netem (Debian's has it): modprobe sch_netem",
    ),
    Feature(
        "hfsc",
        f"{_LINK} hfsc",
        "no HFSC shaping; htb and tbf shape instead",
        "use a kernel with sch_hfsc (Debian's has it): modprobe sch_hfsc",
    ),
    Feature(
        "fq",
        f"{_LINK} fq",
        "no pacing per flow (BBR); everything else is unaffected",
        "use a kernel with sch_fq (Debian's has it): modprobe sch_fq",
    ),
    Feature(
        "Open vSwitch",
        "command -v ovs-vsctl",
        "no OpenFlow switches; the stages use Linux bridges",
        "only if you want OpenFlow: apt-get install openvswitch-switch",
    ),
    Feature(
        "tun/tap",
        "ip tuntap add dev t0 mode tap",
        "no delay line in user space",
        "modprobe tun, and give a container --device /dev/net/tun",
    ),
)  # fmt: skip


def _in_throwaway(root: bool, script: str) -> subprocess.CompletedProcess[str]:
    """The script in namespaces of its own; without root, in a user namespace as well."""
    mapped = [] if root else ["--user", "--map-root-user"]
    return subprocess.run(
        ["unshare", *mapped, "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc",
         "--", "sh", "-euc", script],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False,
        env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
    )  # fmt: skip


def namespaces_work(root: bool) -> Check:
    tried = _in_throwaway(root, "true")
    if tried.returncode == 0:
        return Check("namespaces", "ok", "network, mount, PID and UTS")
    if not root:
        return Check("namespaces", "unchecked", "not without root", AS_ROOT)
    return Check(
        "namespaces", "missing", _last_line(tried.stderr),
        "use a real or virtual machine, or a container with --privileged",
    )  # fmt: skip


def try_feature(feature: Feature, root: bool, namespaces: bool) -> Check:
    if not namespaces:
        return Check(feature.name, "unchecked", "needs namespaces", AS_ROOT)
    tried = _in_throwaway(root, feature.script)
    if tried.returncode == 0:
        return Check(feature.name, "ok", "works")
    if not root and feature.name != "Open vSwitch":
        return Check(feature.name, "unchecked", f"not without root ({_last_line(tried.stderr)})", AS_ROOT)
    if "not found" in tried.stderr:
        return Check(
            feature.name, "missing" if feature.needed else "limited", _last_line(tried.stderr), SETUP
        )
    reason = _last_line(tried.stderr)
    return Check(
        feature.name, "missing" if feature.needed else "limited",
        f"{feature.without} ({reason})" if reason else feature.without, feature.fix,
    )  # fmt: skip


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1].strip()


def quotas_hold(root: bool) -> Check:
    """A group with a quarter of a core is made, kept busy for a moment, looked at, and removed."""
    try:
        hierarchy = cgroup.find_hierarchy(Path("/proc/mounts").read_text())
    except CannotEmulate as error:
        return Check("cgroups", "missing", str(error), "mount -t cgroup2 none /sys/fs/cgroup")
    version = f"version {hierarchy.version}, cpu and memory"
    if not root:
        return Check("cgroups", "unchecked", f"{version}; quotas not without root", AS_ROOT)
    run_id = f"doctor-{secrets.token_hex(4)}"
    tree = cgroup.Tree(hierarchy, run_id)
    try:
        tree.create()
        group = tree.group("tried")
        group.limit_cpu(0.25)
        group.limit_memory(64)
        busy = 'for f; do echo 0 >"$f"; done; exec timeout 0.2 sh -c "while :; do :; done"'
        subprocess.run(["sh", "-c", busy, "sh", *group.entry_files], timeout=20, check=False)
        limit, throttled_s = group.cpu_limit(), group.throttled_s()
    except (CannotEmulate, OSError) as error:
        return Check("cgroups", "missing", f"{version}: {error}", "run outside an unprivileged container")
    finally:
        cgroup.remove(hierarchy, run_id)
    if limit != 0.25 or throttled_s == 0:
        return Check(
            "cgroups", "missing", f"{version}, but a quota of 0.25 cores has no effect",
            "use a kernel with CONFIG_CFS_BANDWIDTH",
        )  # fmt: skip
    return Check("cgroups", "ok", f"{version}; quotas hold")
