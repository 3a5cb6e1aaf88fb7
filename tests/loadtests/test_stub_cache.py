"""A stub cache believes an answer for as long as its TTL says, asks again then, and not before."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import dns.message
import dns.rcode
import dns.rrset
import pytest

from loadtests.lookup import Question
from loadtests.stub_cache import RETRY_S, Lookup, StubCache, keep_asking

HOST = "www.foobar.com"


def answering(*addresses: str, ttl_s: int = 30) -> Callable[[bytes], bytes]:
    def answer(datagram: bytes) -> bytes:
        query = dns.message.from_wire(datagram)
        response = dns.message.make_response(query)
        if addresses:
            response.answer.append(dns.rrset.from_text(query.question[0].name, ttl_s, "IN", "A", *addresses))
        else:
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()

    return answer


def silence(_datagram: bytes) -> bytes:
    raise TimeoutError


def test_an_answer_is_kept_for_its_ttl_from_when_it_came() -> None:
    cache = StubCache(1.0, "a")
    seen = cache.look_up(Question(HOST), answering("8.8.8.8", ttl_s=7))
    assert (seen.client, seen.due_s, seen.addresses) == ("a", 1.0, ("8.8.8.8",))
    assert seen.asked_s <= seen.told_s
    assert cache.due_s == seen.told_s + 7


def test_one_that_ignores_the_ttl_never_asks_again() -> None:
    cache = StubCache(0.0, "deaf", honours_ttl=False)
    cache.look_up(Question(HOST), answering("8.8.8.8"))
    assert cache.due_s == math.inf


@pytest.mark.parametrize("ask", [silence, answering(), lambda _: b"not DNS"])
def test_whoever_gets_no_address_asks_again_after_a_second(ask: Callable[[bytes], bytes]) -> None:
    cache = StubCache(0.0, "a")
    seen = cache.look_up(Question(HOST), ask)
    assert seen.addresses == ()
    assert cache.due_s == seen.told_s + RETRY_S


def test_one_that_ignores_the_ttl_still_needs_a_first_answer() -> None:
    cache = StubCache(0.0, "deaf", honours_ttl=False)
    cache.look_up(Question(HOST), silence)
    assert cache.due_s < math.inf


def asked_for(seconds: float, *caches: StubCache, ttl_s: int) -> list[Lookup]:
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as pool:
        asking = pool.submit(keep_asking, caches, HOST, answering("8.8.8.8", ttl_s=ttl_s), stop)
        assert not stop.wait(seconds)
        stop.set()
        return asking.result(timeout=2)


def test_everybody_asks_when_due_and_again_when_the_ttl_is_over() -> None:
    now_s = time.monotonic()
    made = asked_for(1.5, StubCache(now_s + 0.3, "late"), StubCache(now_s, "early"), ttl_s=1)
    assert [one.client for one in made] == ["early", "late", "early", "late"]
    assert all(0 <= one.asked_s - one.due_s < 0.1 for one in made)
    by_name = [one for one in made if one.client == "early"]
    assert by_name[1].asked_s - by_name[0].told_s == pytest.approx(1.0, abs=0.1)


def test_it_ends_when_told_to_though_nobody_is_due() -> None:
    begin_s = time.monotonic()
    made = asked_for(0.1, StubCache(begin_s, "a"), StubCache(begin_s, "deaf", False), ttl_s=3600)
    assert len(made) == 2
    assert time.monotonic() - begin_s < 1.0


def test_nobody_asks_nothing() -> None:
    assert keep_asking([], HOST, silence, threading.Event()) == []
