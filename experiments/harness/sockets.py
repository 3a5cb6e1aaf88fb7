"""What `ss` says of one host's sockets, as values: who waits for others, and who is connected to whom.

    tcp   LISTEN 0 511      10.0.1.21:80      0.0.0.0:*     users:(("nginx",pid=564,fd=4))
    u_str ESTAB  0 0  /run/gunicorn/gunicorn.sock 619  * 103  users:(("python",pid=544,fd=10))

Pure: text in, values out (ss(8), iproute2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.keepalived import VRRP_GROUP
from services.service import EVERY_ADDRESS, Listener

#: All states, numbers, processes; everything at once, so that it is of the same moment.
SS = ("ss", "-Hantuwxp")
_PROTOCOL_VRRP = 112  # RFC 5798 §5.1.1.4
_PID = re.compile(r"pid=(\d+)")
#: HAProxy binds its socket under a name of its own and moves it into place; the kernel remembers the first.
_BEFORE_RENAMING = re.compile(r"\.\d+\.tmp$")
#: As `ss` calls them. A UNIX socket for datagrams (u_dgr) waits for nobody in particular.
_KINDS = {"tcp": "tcp", "udp": "udp", "raw": "raw", "u_str": "unix", "u_seq": "unix"}
_WAITS = {"tcp": "LISTEN", "unix": "LISTEN", "udp": "UNCONN", "raw": "UNCONN"}


@dataclass(frozen=True)
class Socket:
    """One line of `ss`. For a UNIX socket the address is its path ("" for none) and the port its inode."""

    protocol: str  # tcp, udp, unix or raw
    state: str
    address: str
    port: int
    peer: str
    peer_port: int  # 0: any
    pids: frozenset[int]

    @property
    def established(self) -> bool:
        return self.state == "ESTAB"

    @property
    def listener(self) -> Listener | None:
        """Where it waits, if it does. Whether it speaks TLS is not for `ss` to say."""
        if self.state != _WAITS[self.protocol]:
            return None
        if self.protocol == "unix":
            return Listener("unix", self.address)
        if self.protocol == "raw":
            # keepalived has one raw socket to send and another to receive, which the kernel shows alike.
            return Listener("vrrp", VRRP_GROUP) if self.port == _PROTOCOL_VRRP else None
        return Listener("tcp" if self.protocol == "tcp" else "udp", self.address, self.port)


def parse(text: str) -> tuple[Socket, ...]:
    """Every line that is a socket of a kind named above. Raises ValueError for one that cannot be read."""
    return tuple(found for line in text.splitlines() if (found := _socket(line)) is not None)


def _socket(line: str) -> Socket | None:
    words = line.split()
    kind = _KINDS.get(words[0]) if words else None
    if kind is None:
        return None
    pids = frozenset(int(pid) for pid in _PID.findall(line))
    if kind == "unix":
        path, inode, peer, peer_inode = words[4:8]
        return Socket(kind, words[1], _path(path), int(inode), _path(peer), int(peer_inode), pids)
    (address, port), (peer, peer_port) = _endpoint(words[4]), _endpoint(words[5])
    return Socket(kind, words[1], address, port, peer, peer_port, pids)


def _path(text: str) -> str:
    return "" if text == "*" else _BEFORE_RENAMING.sub("", text)


def _endpoint(text: str) -> tuple[str, int]:
    """ "10.0.1.21:80", "*:9100", "[::ffff:10.0.9.11]:9100", "127.0.0.1%lo:53", "0.0.0.0:*" """
    address, _, port = text.rpartition(":")
    plain = address.strip("[]").partition("%")[0].removeprefix("::ffff:")
    return (EVERY_ADDRESS if plain in ("*", "::") else plain), (0 if port == "*" else int(port))
