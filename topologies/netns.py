"""A socket belongs to the network namespace its thread was in when it was made (network_namespaces(7)).

So a short-lived thread enters the host's network, makes one socket and ends; the socket stays there.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading

CLONE_NEWNET = 0x40000000


def socket_in(pid: int, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
    """A new socket inside the network of process `pid`. Raises OSError."""
    made: list[socket.socket] = []
    failed: list[OSError] = []

    def enter_and_make() -> None:
        try:
            namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(namespace, CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(namespace)
            made.append(socket.socket(family, kind))
        except OSError as error:
            failed.append(error)

    thread = threading.Thread(target=enter_and_make, name=f"netns-of-{pid}")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return made[0]
