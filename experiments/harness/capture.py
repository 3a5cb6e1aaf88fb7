"""tcpdump at the switch of each segment: what anybody could read who has a cable in it.

with capturing(("public", "app"), Path("/run/tmp")) as capture:
    …                                                    whatever crosses the wires meanwhile
capture.packets["app"]                                   only the packets stay; the files are gone

A switch is a Linux bridge, and a bridge that listens gets every frame that it forwards, once.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from experiments.harness.pcap import Packet, packets
from topologies import process
from topologies.host import environment
from topologies.process import Process
from topologies.waiting import wait_until

#: What a request and its answer travel in, and VRRP's advertisements.
FILTER = "tcp or ip proto 112"
#: A capture that nobody ends ends by itself: 2 kB each, a gigabyte at most.
MOST_PACKETS = 500_000
_DROPPED = re.compile(r"(\d+) packets? dropped by kernel")


@dataclass
class Capture:
    """Segment → the packets that crossed it; filled when the block has ended."""

    packets: dict[str, tuple[Packet, ...]] = field(default_factory=dict)
    dropped: int = 0  # packets that tcpdump was too slow for


@contextmanager
def capturing(segments: Sequence[str], directory: Path) -> Iterator[Capture]:
    """Capture on the switches of `segments` during the block; the files in `directory` do not outlive it.

    Raises DaemonDied when a tcpdump ends early, NotReady when it does not begin.
    """
    capture = Capture()
    with ExitStack() as files:
        running: dict[str, Process] = {}
        for segment in segments:
            file, log = directory / f"{segment}.pcap", directory / f"{segment}-tcpdump.log"
            files.callback(log.unlink, missing_ok=True)
            files.callback(file.unlink, missing_ok=True)
            running[segment] = _tcpdump(segment, file, log)
            files.callback(running[segment].kill)
        for one in running.values():
            _wait_for_it(one)
        yield capture
        for segment, one in running.items():
            one.assert_running()
            one.stop(signal.SIGINT)
            capture.dropped += sum(int(n) for n in _DROPPED.findall(one.log.read_text(errors="replace")))
            capture.packets[segment] = tuple(packets((directory / f"{segment}.pcap").read_bytes()))


def _tcpdump(segment: str, file: Path, log: Path) -> Process:
    # root all the way (-Z): the capture lies where no other user may write. Whole packets, told at once.
    line = ["tcpdump", "-n", "-i", segment, "-s", "0", "-U", "--immediate-mode", "-B", "8192", "-Z", "root"]
    line += ["-c", str(MOST_PACKETS), "-w", str(file), *FILTER.split()]
    return process.start("tcpdump", f"switch {segment}", line, log, environment())


def _wait_for_it(one: Process) -> None:
    def listens() -> bool:
        one.assert_running()
        return "listening on" in one.log.read_text(errors="replace")

    wait_until(listens, timeout_s=10, what=f"tcpdump on {one.host} to listen")
