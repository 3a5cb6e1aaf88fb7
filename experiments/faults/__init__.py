"""One fault, one small file; this is the list of them."""

from __future__ import annotations

from experiments.faults.fault import BadTarget, Fault, Target
from experiments.faults.graceful_stop import GracefulStop
from experiments.faults.hang import Hang
from experiments.faults.host_crash import HostCrash
from experiments.faults.link_down import LinkDown
from experiments.faults.none import NoFault
from experiments.faults.process_kill import ProcessKill

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault for fault in (NoFault, HostCrash, LinkDown, ProcessKill, Hang, GracefulStop)
}

__all__ = ["FAULTS", "BadTarget", "Fault", "Target"]
