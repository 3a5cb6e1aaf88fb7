"""What is asked: the ports most often open, and UDP questions that their servers must answer."""

from __future__ import annotations

from pathlib import Path

import dns.message
import pytest

from experiments.harness import ports

TABLE = """\
# fields: name, port, how often it was found open
tcpmux\t1/tcp\t0.001995\t# a comment
domain\t53/udp\t0.213496
http\t80/tcp\t0.484143\t# World Wide Web
https\t443/tcp\t0.208669
telnet\t23/tcp\t0.221265
"""


def test_the_most_common_ports_come_first_and_udp_is_left_out(tmp_path: Path) -> None:
    table = tmp_path / "nmap-services"
    table.write_text(TABLE)
    assert ports.common_ports(3, table) == [80, 23, 443]
    assert ports.common_ports(9, table) == [80, 23, 443, 1]


def test_without_the_table_the_system_ports_are_asked(tmp_path: Path) -> None:
    assert ports.common_ports(1000, tmp_path / "none") == list(range(1, 1001))


def test_the_table_of_this_machine_is_read() -> None:
    if not ports.FREQUENCIES.exists():
        pytest.skip("nmap is not installed")
    common = ports.common_ports(1000)
    assert len(set(common)) == 1000
    assert {22, 25, 80, 443, 3306} <= set(common)


def test_the_question_to_port_53_is_one_that_a_resolver_understands() -> None:
    question = dns.message.from_wire(ports.dns_question("www.foobar.com"))
    (asked,) = question.question
    assert asked.to_text() == "www.foobar.com. IN A"


def test_an_snmp_question_is_whole() -> None:
    assert ports.SNMP_GET_REQUEST[1] == len(ports.SNMP_GET_REQUEST) - 2


def test_every_udp_port_has_a_question() -> None:
    assert all(question() for question in ports.UDP_QUESTIONS.values())
