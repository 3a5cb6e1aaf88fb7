"""A secret is counted as often as it crossed the wire: when two segments share it, once when sent twice."""

from __future__ import annotations

import pytest

from experiments.harness.pcap import VRRP, Direction, packets, streams
from tests.harness.synthetic_pcap import capture, frame, ipv4, said, tcp

WAY = Direction("8.8.8.101", 40000, "8.8.8.8", 80)


def text(*parts: tuple[int, bytes]) -> bytes:
    return streams(packets(capture(said(*parts))))[WAY]


def test_a_secret_across_two_segments_is_one_secret() -> None:
    assert text((1, b"name=student&passw"), (19, b"ord=canary")).count(b"password=canary") == 1


def test_segments_out_of_order_are_put_in_order() -> None:
    assert text((4, b"bar"), (1, b"foo")) == b"foobar"


def test_what_was_sent_twice_counts_once() -> None:
    assert text((1, b"secret"), (1, b"secret"), (7, b"!")) == b"secret!"
    assert text((1, b"secret"), (4, b"ret and more")) == b"secret and more"
    assert text((1, b"secret and more"), (4, b"ret")) == b"secret and more"


def test_nothing_is_found_across_a_gap() -> None:
    assert text((1, b"can"), (5, b"ary")) == b"can\0ary"


def test_sequence_numbers_wrap() -> None:
    assert text((2**32 - 3, b"can"), (2**32, b"ary")) == b"canary"


def test_both_directions_and_connections_are_kept_apart() -> None:
    back = frame(ipv4("8.8.8.8", "8.8.8.101", 6, tcp(80, 40000, 9, b"answer")))
    other = frame(ipv4("8.8.8.101", "8.8.8.8", 6, tcp(40001, 80, 1, b"ary")))
    found = streams(packets(capture([*said((1, b"can")), back, other])))
    assert set(found.values()) == {b"can", b"answer", b"ary"}
    assert found[Direction("8.8.8.8", 80, "8.8.8.101", 40000)] == b"answer"


def test_headers_with_options_and_padding_are_no_payload() -> None:
    body = tcp(40000, 80, 1, b"x", options=bytes(12))
    found = streams(packets(capture([frame(ipv4("8.8.8.101", "8.8.8.8", 6, body, options=bytes(4)))])))
    assert found == {WAY: b"x"}


def test_what_the_kernel_has_not_cut_up_yet_has_no_length_of_its_own() -> None:
    packet = bytearray(ipv4("8.8.8.101", "8.8.8.8", 6, tcp(40000, 80, 1, b"y" * 70_000)[:60_000]))
    packet[2:4] = bytes(2)
    assert len(streams(packets(capture([frame(bytes(packet))])))[WAY]) == 60_000 - 20


def test_other_protocols_are_told_apart_and_empty_segments_say_nothing() -> None:
    advert = frame(ipv4("8.8.8.11", "224.0.0.18", VRRP, b"!1"))
    arp = frame(bytes(28), kind=0x0806)
    found = list(packets(capture([advert, arp, *said((1, b""))])))
    assert [(p.source, p.protocol) for p in found] == [("8.8.8.11", 112), ("8.8.8.101", 6)]
    assert streams(found) == {}


@pytest.mark.parametrize("order", ["<", ">"])
def test_captures_of_machines_of_either_byte_order_are_read(order: str) -> None:
    assert len(list(packets(capture(said((1, b"x")), order=order)))) == 1


def test_a_packet_that_was_cut_off_at_the_end_is_left_out() -> None:
    whole = capture(said((1, b"x" * 100), (101, b"y" * 100)))
    assert len(list(packets(whole[:-1]))) == 1
    assert len(list(packets(whole[:24]))) == 0


def test_what_is_no_capture_of_ethernet_is_refused() -> None:
    with pytest.raises(ValueError, match="not a capture"):
        list(packets(b"\x0a\x0d\x0d\x0a" + bytes(100)))
    with pytest.raises(ValueError, match="link type 113"):
        list(packets(capture([], link=113)))
