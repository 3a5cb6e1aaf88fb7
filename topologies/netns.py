"""A socket belongs to the network namespace its thread was in when it was made (network_namespaces(7)).

So a short-lived thread enters the host's network, makes its sockets and ends; the sockets stay there.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

CLONE_NEWNET = 0x40000000

Made = TypeVar("Made")


def in_network(pid: int, work: Callable[[], Made]) -> Made:
    """What `work` returns, done by a thread inside the network of process `pid`.

    Raises OSError when that network cannot be entered, and whatever `work` raises.
    """

    def enter_and_work() -> Made:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(namespace, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        finally:
            os.close(namespace)
        return work()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"netns-of-{pid}") as thread:
        return thread.submit(enter_and_work).result()


def socket_in(pid: int, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    """A new socket inside the network of process `pid`. Raises OSError."""
    return in_network(pid, lambda: socket.socket(family, kind))
