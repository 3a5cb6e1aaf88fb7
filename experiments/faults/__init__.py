"""One fault, one small file; this is the list of them."""

from __future__ import annotations

from experiments.faults.fault import BadTarget, Fault, Target, together
from experiments.faults.graceful_stop import GracefulStop
from experiments.faults.hang import Hang
from experiments.faults.host_crash import HostCrash
from experiments.faults.link_down import LinkDown
from experiments.faults.none import NoFault
from experiments.faults.process_kill import ProcessKill
from experiments.faults.slow_answers import SlowAnswers

FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (NoFault, HostCrash, LinkDown, ProcessKill, Hang, GracefulStop, SlowAnswers)
}

__all__ = ["FAULTS", "BadTarget", "Fault", "Target", "together"]
