"""The scanner finds what is known: who listens, who does not, who answers, and it keeps to its pace."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from experiments.harness.scan import Endpoint, Pace, room_for, scan

HERE = "127.0.0.1"
QUICK = Pace(timeout_s=0.2)


@pytest.fixture
def listening() -> Iterator[list[int]]:
    """Ports on which somebody accepts connections."""
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server((HERE, 0))) for _ in range(5)]
        yield [server.getsockname()[1] for server in servers]


@pytest.fixture
def closed() -> list[int]:
    """Ports that somebody had a moment ago, and nobody has now."""
    with ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server((HERE, 0))) for _ in range(5)]
        return [server.getsockname()[1] for server in servers]


def test_who_listens_is_open_and_who_does_not_is_closed(listening: list[int], closed: list[int]) -> None:
    states = scan([Endpoint(HERE, port) for port in (*listening, *closed)], QUICK)
    assert {port for (_, port, _), state in states.items() if state == "open"} == set(listening)
    assert {port for (_, port, _), state in states.items() if state == "closed"} == set(closed)


def test_a_full_backlog_is_silent_until_the_time_is_over() -> None:
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind((HERE, 0))
        server.listen(0)
        where = server.getsockname()
        for _ in range(4):  # Linux drops the SYN of whoever comes when the queue is full
            waiting = stack.enter_context(socket.socket(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
            waiting.connect_ex(where)
        start_s = time.monotonic()
        states = scan([Endpoint(*where)], QUICK)
        took_s = time.monotonic() - start_s
    assert states == {Endpoint(*where): "silent"}
    assert 0.2 <= took_s < 1


def test_an_opening_that_was_found_is_closed_with_a_reset(listening: list[int]) -> None:
    with socket.create_server((HERE, 0)) as server:
        port = server.getsockname()[1]
        assert scan([Endpoint(HERE, port)], QUICK) == {Endpoint(HERE, port): "open"}
        accepted, _ = server.accept()
        with accepted, pytest.raises(ConnectionResetError):
            accepted.recv(1)


def at(one: socket.socket) -> Endpoint:
    address, port = one.getsockname()
    return Endpoint(address, port, b"hello")


def test_by_udp_only_an_answer_is_open() -> None:
    with ExitStack() as stack:
        talks, hushed = (stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(2))
        for one in (talks, hushed):
            one.bind((HERE, 0))

        def answer() -> None:
            question, asker = talks.recvfrom(100)
            talks.sendto(question.upper(), asker)

        thread = threading.Thread(target=answer)
        thread.start()
        with socket.socket(type=socket.SOCK_DGRAM) as gone:
            gone.bind((HERE, 0))
            nobody = at(gone)
        first, second = at(talks), at(hushed)
        states = scan([first, second, nobody], QUICK)
        thread.join(5)
    assert states == {first: "open", second: "silent", nobody: "closed"}


def test_the_pace_bounds_the_rate_and_nothing_is_left_out(closed: list[int]) -> None:
    asked = [Endpoint(HERE, port) for port in range(20_000, 20_200)]
    start_s = time.monotonic()
    states = scan(asked, Pace(rate_hz=500, timeout_s=0.2))
    assert states.keys() == set(asked)
    assert time.monotonic() - start_s >= 199 / 500


def test_no_more_sockets_are_open_at_once_than_allowed() -> None:
    with socket.socket() as server:
        server.bind((HERE, 0))
        server.listen(64)
        where = Endpoint(*server.getsockname())
        # Distinct keys for the same port: every question is one connection.
        states = scan([where], Pace(at_once=1, timeout_s=0.2))
    assert states == {where: "open"}
    asked = [Endpoint(HERE, port) for port in range(20_000, 20_050)]
    assert scan(asked, Pace(at_once=1, timeout_s=0.2)).keys() == set(asked)


def test_room_for_sockets_is_made_and_given_back() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, soft), hard))
    try:
        with room_for(600) as allowed:
            assert allowed == 600 or hard < 800
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(hard, 800)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(512, soft)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
