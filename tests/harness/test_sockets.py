"""Every kind of line that `ss` writes becomes the socket it stands for."""

from __future__ import annotations

import pytest

from experiments.harness.sockets import Socket, parse
from services.service import Listener

TEXT = """\
u_str LISTEN    0      10   /run/haproxy/admin.sock.867.tmp 281  * 0   users:(("haproxy",pid=910,fd=14))
u_str LISTEN    0      2048 /run/gunicorn/gunicorn.sock     255  * 0   users:(("python",pid=544,fd=3),("python",pid=475,fd=3))
u_str ESTAB     0      0    /run/gunicorn/gunicorn.sock     619  * 103 users:(("python",pid=544,fd=10))
u_str ESTAB     0      0                                *   103  * 619 users:(("nginx",pid=564,fd=10))
u_dgr UNCONN    0      0                                *   77   * 0   users:(("x",pid=1,fd=1))
raw   UNCONN    0      0                  0.0.0.0:112        0.0.0.0:*     users:(("keepalived",pid=924,fd=13))
raw   UNCONN    0      0                  0.0.0.0:1          0.0.0.0:*     users:(("ping",pid=925,fd=3))
udp   UNCONN    0      0                  8.8.8.53:53        0.0.0.0:*     users:(("named",pid=407,fd=18))
udp   ESTAB     0      0             8.8.8.101:4000         8.8.8.53:53    users:(("dig",pid=9,fd=3))
tcp   LISTEN    0      90                 0.0.0.0:3306       0.0.0.0:*     users:(("mariadbd",pid=565,fd=19))
tcp   LISTEN    0      4096                     *:9100             *:*     users:(("prometheus-node",pid=583,fd=3))
tcp   LISTEN    0      10      127.0.0.1%lo:53               0.0.0.0:*     users:(("named",pid=407,fd=19))
tcp   TIME-WAIT 0      0        [::ffff:127.0.0.1]:9100    [::ffff:127.0.0.1]:47114
tcp   ESTAB     0      0       [::ffff:10.0.9.11]:9100    [::ffff:10.0.9.51]:53696 users:(("prometheus-node",pid=583,fd=7))
"""  # noqa: E501


def test_whoever_waits_is_a_listener_and_nobody_else_is() -> None:
    assert [one.listener for one in parse(TEXT) if one.listener is not None] == [
        Listener("unix", "/run/haproxy/admin.sock"),
        Listener("unix", "/run/gunicorn/gunicorn.sock"),
        Listener("vrrp", "224.0.0.18"),
        Listener("udp", "8.8.8.53", 53),
        Listener("tcp", "0.0.0.0", 3306),
        Listener("tcp", "0.0.0.0", 9100),
        Listener("tcp", "127.0.0.1", 53),
    ]


def test_both_ends_of_a_unix_socket_name_each_other_by_inode() -> None:
    served, asked = (s for s in parse(TEXT) if s.protocol == "unix" and s.established)
    assert (served.address, served.port, served.peer_port) == ("/run/gunicorn/gunicorn.sock", 619, 103)
    assert (asked.address, asked.port, asked.peer_port) == ("", 103, 619)


def test_an_ipv4_connection_to_a_socket_of_both_families_has_ipv4_addresses() -> None:
    assert parse(TEXT)[-1] == Socket("tcp", "ESTAB", "10.0.9.11", 9100, "10.0.9.51", 53696, frozenset({583}))


def test_every_process_that_holds_a_socket_is_named() -> None:
    assert parse(TEXT)[1].pids == {544, 475}
    assert parse(TEXT.splitlines()[-2])[0].pids == frozenset()


def test_sockets_of_datagrams_between_processes_are_left_out() -> None:
    assert len(parse(TEXT)) == len(TEXT.splitlines()) - 1


def test_a_line_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse("tcp LISTEN 0 1 10.0.0.1:http 0.0.0.0:*")
