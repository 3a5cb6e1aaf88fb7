"""A browser's way in: listening sockets on 127.0.0.1 only, and a relay that loses nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.variants import VARIANTS
from topologies import forward, relay
from topologies.forward import Forward
from topologies.listening import Listener, listeners
from topologies.stage import Settings, Stage
from topologies.stage0_simple import Stage0
from topologies.stage1_distributed import Stage1
from topologies.stage3_scaleup import Stage3
from topologies.waiting import wait_until


def test_a_stage_offers_its_site_every_balancers_statistics_and_the_monitors_pages() -> None:
    offered = [(f.name, f.scheme, f.host, f.address, f.port) for f in forward.interfaces_of(Stage3())]
    assert offered == [
        ("site", "https", "client1", "8.8.8.8", 443),
        ("haproxy on lb1", "http", "lb1", "127.0.0.1", 8404),
        ("haproxy on lb2", "http", "lb2", "127.0.0.1", 8404),
        ("prometheus", "http", "monitor1", "127.0.0.1", 9090),
        ("alertmanager", "http", "monitor1", "127.0.0.1", 9093),
    ]
    assert [f.name for f in forward.interfaces_of(Stage0(Settings()))] == ["site"]
    assert [f.name for f in forward.interfaces_of(Stage1())] == ["site", "haproxy on lb1"]


@pytest.mark.parametrize("stage", VARIANTS.values(), ids=VARIANTS.keys())
def test_what_is_offered_to_a_browser_listens_where_the_way_in_leads(stage: Stage) -> None:
    for offer in forward.interfaces_of(stage):
        if offer.name == "site":
            assert (offer.scheme, offer.port) == (("https", 443) if stage.scheme == "https" else ("http", 80))
            assert offer.preferred_port == {443: 8443, 80: 8080}[offer.port]
            assert any((f.source, f.opening) == (offer.host, f"tcp/{offer.port}") for f in stage.flows)
        else:
            there = [one for service in stage.declared[offer.host] for one in listeners(service)]
            assert Listener("tcp", offer.address, offer.port) in there


def test_a_port_that_is_taken_is_passed_over_and_nothing_listens_beyond_loopback() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wanted = [Forward(name, "http", port, "lb1", "127.0.0.1", 80) for name in ("first", "second")]
        with forward.listening(wanted) as descriptors:
            got = [forward.port_of(descriptors[name]) for name in ("first", "second")]
            assert port < got[0] < got[1] <= port + 99
            for descriptor in descriptors.values():
                with socket.socket(fileno=os.dup(descriptor)) as listener:
                    assert listener.getsockname()[0] == "127.0.0.1"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptors["first"])


def test_no_other_process_of_the_run_inherits_the_sockets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        forward.keep_private({"site": listener.fileno()})
        assert not listener.get_inheritable()


@pytest.fixture
def upstream() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        yield listener


@pytest.fixture
def way_in(upstream: socket.socket, tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A relay to `upstream`, as it runs inside: another process that was given a listening socket."""
    said = tmp_path / "log"
    with socket.create_server(("127.0.0.1", 0)) as listener, said.open("w") as log:
        line = [
            sys.executable,
            "-I",
            relay.__file__,
            str(listener.fileno()),
            *map(str, upstream.getsockname()),
        ]
        process = subprocess.Popen(line, pass_fds=[listener.fileno()], stdout=log)
        try:
            wait_until(lambda: relay.READY in said.read_text(), timeout_s=10, what="the relay to start")
            yield listener.getsockname()
        finally:
            process.terminate()
            process.wait(5)


def test_what_goes_in_comes_out_whole_and_the_answer_follows_a_half_close(
    upstream: socket.socket, way_in: tuple[str, int]
) -> None:
    sent = os.urandom(3_000_000)
    received = bytearray()

    def answer() -> None:
        connection, _ = upstream.accept()
        with connection:
            connection.settimeout(5)
            while data := connection.recv(1 << 16):
                received.extend(data)
            connection.sendall(b"got " + str(len(received)).encode())

    server = threading.Thread(target=answer)
    server.start()
    with socket.create_connection(way_in, timeout=5) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"got 3000000"
        assert client.recv(100) == b""
    server.join(5)
    assert bytes(received) == sent


def test_one_silent_connection_does_not_hold_up_another(
    upstream: socket.socket, way_in: tuple[str, int]
) -> None:
    with socket.create_connection(way_in, timeout=5), socket.create_connection(way_in, timeout=5) as second:
        first_there, _ = upstream.accept()
        second_there, _ = upstream.accept()
        with first_there, second_there:
            second.sendall(b"hello")
            second_there.settimeout(5)
            assert second_there.recv(10) == b"hello"


def test_a_dead_upstream_closes_the_connection_instead_of_letting_the_browser_wait(
    upstream: socket.socket, way_in: tuple[str, int]
) -> None:
    upstream.close()
    with socket.create_connection(way_in, timeout=5) as client:
        assert client.recv(1) == b""
