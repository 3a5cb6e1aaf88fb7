"""What dig prints and what a zone promises are read as they stand there."""

from __future__ import annotations

import pytest

from experiments.harness.dig import Record, Zone, parse, zone_of
from services.credentials import Secrets
from services.named import ZONE_FILE, Named

SITE = """
; <<>> DiG 9.18.33-1~deb12u2-Debian <<>> +tries=2 +time=1 www.foobar.com A
;; global options: +cmd
;; Got answer:
;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 4711
;; flags: qr aa rd; QUERY: 1, ANSWER: 2, AUTHORITY: 0, ADDITIONAL: 1
;; WARNING: recursion requested but not available

;; OPT PSEUDOSECTION:
; EDNS: version: 0, flags:; udp: 1232
;; QUESTION SECTION:
;www.foobar.com.\t\t\tIN\tA

;; ANSWER SECTION:
www.foobar.com.\t\t10\tIN\tA\t8.8.8.9
www.foobar.com.\t\t10\tIN\tA\t8.8.8.8

;; Query time: 0 msec
;; SERVER: 8.8.8.53#53(8.8.8.53) (UDP)
;; WHEN: Tue Nov 24 04:50:45 UTC 2026
;; MSG SIZE  rcvd: 75
"""
REFUSED = SITE.replace("NOERROR", "REFUSED").replace("qr aa rd", "qr rd")
REFUSED = REFUSED[: REFUSED.index(";; ANSWER")] + REFUSED[REFUSED.index(";; Query time") :]


def test_an_answer_has_status_flags_server_and_records() -> None:
    answer = parse(SITE)
    assert (answer.status, answer.server) == ("NOERROR", "8.8.8.53")
    assert answer.flags == {"qr", "aa", "rd"}
    assert answer.records == (
        Record("www.foobar.com", 10, "A", "8.8.8.9"),
        Record("www.foobar.com", 10, "A", "8.8.8.8"),
    )
    assert answer.values == {"8.8.8.8", "8.8.8.9"}


def test_records_of_other_sections_are_no_answer() -> None:
    denied = SITE.replace(";; ANSWER SECTION:", ";; AUTHORITY SECTION:").replace("NOERROR", "NXDOMAIN")
    assert parse(denied).records == ()
    assert parse(REFUSED).records == ()
    assert parse(REFUSED).flags == {"qr", "rd"}


def test_records_after_the_answer_section_are_no_answer_either() -> None:
    authority = ";; AUTHORITY SECTION:\nfoobar.com.\t\t10\tIN\tNS\tns1.foobar.com.\n\n;; Query time"
    assert len(parse(SITE.replace(";; Query time", authority)).records) == 2


def test_no_answer_is_an_error() -> None:
    with pytest.raises(ValueError, match="timed out"):
        parse(";; communications error to 8.8.8.53#53: timed out\n;; no servers could be reached\n")


def test_the_rendered_zone_says_what_it_was_declared_to() -> None:
    named = Named(listen="8.8.8.53", addresses=("8.8.8.8", "8.8.8.9"), ttl_s=10, serial=12345678)
    zone = named.render(Secrets())[ZONE_FILE].text
    assert zone_of(zone, "www") == Zone(10, 12345678, frozenset({"8.8.8.8", "8.8.8.9"}))
    with pytest.raises(ValueError, match="nobody"):
        zone_of(zone, "nobody")


def test_a_changed_zone_has_its_own_serial() -> None:
    texts = {
        Named(listen="8.8.8.53", addresses=("8.8.8.8",), serial=n).render(Secrets())[ZONE_FILE].text
        for n in (1, 2)
    }
    assert {zone_of(text, "www").serial for text in texts} == {1, 2}
