"""What ss, nft and nmap say is read as values; a scan from a host's own network needs no other host."""

from __future__ import annotations

from experiments.harness.overheard import replication_ports_in
from experiments.harness.reachability import Door
from experiments.harness.survey import listeners_in, nmap_states, states_of

SS = """\
udp UNCONN 0      0       8.8.8.53:53 0.0.0.0:*
tcp LISTEN 0      4096   127.0.0.1:8404 0.0.0.0:*
tcp LISTEN 0      4096   10.0.9.11:8405 0.0.0.0:*
tcp LISTEN 0      90       0.0.0.0:3306 0.0.0.0:*
tcp LISTEN 0      4096           *:9100       *:*
tcp LISTEN 0      511         [::]:80      [::]:*
tcp LISTEN 0      511        [::1]:8080    [::]:*
udp UNCONN 0      0      8.8.8.8%lb1-public:68 0.0.0.0:*
"""
NMAP = """\
<?xml version="1.0"?><nmaprun><host><ports>
<port protocol="tcp" portid="22"><state state="filtered" reason="no-response"/></port>
<port protocol="tcp" portid="80"><state state="open" reason="syn-ack"/><service name="http"/></port>
<port protocol="tcp" portid="81"><state state="closed" reason="reset"/></port>
<port protocol="tcp" portid="82"><state state="unfiltered" reason="reset"/></port>
</ports></host></nmaprun>
"""
ESTABLISHED = """\
0      0      8.8.8.22:57584 8.8.8.21:3306 users:(("mariadbd",pid=338,fd=47))
0      0      8.8.8.22:41000 8.8.8.21:3306 users:(("python",pid=401,fd=9))
0      0      8.8.8.22:57590 8.8.8.21:3306 users:(("mysqld",pid=338,fd=48))
"""


def test_listeners_are_those_that_others_may_reach() -> None:
    assert listeners_in(SS) == {
        ("udp", "8.8.8.53", 53), ("tcp", "10.0.9.11", 8405), ("tcp", "0.0.0.0", 3306),
        ("tcp", "0.0.0.0", 9100), ("tcp", "0.0.0.0", 80), ("udp", "8.8.8.8", 68),
    }  # fmt: skip
    assert listeners_in("") == frozenset()


def test_nmap_speaks_of_filtered_ports_where_the_scan_heard_nothing() -> None:
    assert nmap_states(NMAP) == {22: "silent", 80: "open", 81: "closed", 82: "unreachable"}


def test_the_replicas_connections_are_those_of_the_database_server_itself() -> None:
    assert replication_ports_in(ESTABLISHED) == {57584, 57590}
    assert replication_ports_in("") == set()


def test_states_are_counted() -> None:
    door = Door("a", "b", "app", "10.0.1.1", "tcp", 1)
    assert states_of({door: "open", door._replace(port=2): "silent", door._replace(port=3): "open"}) == {
        "open": 2, "silent": 1,
    }  # fmt: skip
