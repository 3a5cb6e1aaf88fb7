"""An answer means the same however the network cut it into pieces."""

from __future__ import annotations

import pytest

from loadtests.http1 import MAX_HEAD_BYTES, Answer, MalformedAnswer, get_request

OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = OK + b"Content-Length: 5\r\n\r\nhello"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
TRAILER = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nChecksum: 1\r\n\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + LENGTH


def read(data: bytes, step: int) -> tuple[Answer, bool]:
    """Feeds `data` in pieces of `step` bytes; True if the last piece, and no earlier one, completed it."""
    answer = Answer()
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    *early, last = [answer.feed(piece) for piece in pieces]
    assert not any(early)
    return answer, last


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(
    "data", [LENGTH, CHUNKED, TRAILER, INTERIM], ids=["length", "chunked", "trailer", "interim"]
)
def test_an_answer_is_complete_with_its_last_byte(data: bytes, step: int) -> None:
    answer, complete = read(data, step)
    assert complete
    assert (answer.status, bytes(answer.body), answer.keep_alive) == (200, b"hello", True)


@pytest.mark.parametrize("data", [LENGTH, CHUNKED])
def test_the_end_of_the_stream_does_not_complete_a_delimited_answer(data: bytes) -> None:
    answer = Answer()
    assert not answer.feed(data[:-1])
    assert not answer.end_of_stream()


def test_an_answer_without_length_lasts_until_the_server_closes() -> None:
    answer = Answer()
    assert not answer.feed(OK + b"\r\nhel")
    assert not answer.feed(b"lo")
    assert answer.end_of_stream()
    assert (bytes(answer.body), answer.keep_alive) == (b"hello", False)


def test_a_stream_that_ends_before_the_head_is_not_an_answer() -> None:
    answer = Answer()
    assert not answer.feed(OK)
    assert not answer.end_of_stream()
    assert answer.status is None


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_is_complete_with_its_head(status: int) -> None:
    assert Answer().feed(f"HTTP/1.1 {status} Whatever\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (OK, True),
        (OK + b"Connection: close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", True),
    ],
)
def test_the_connection_may_be_used_again_when_the_server_says_so(head: bytes, keep_alive: bool) -> None:
    answer = Answer()
    assert answer.feed(head + b"Content-Length: 0\r\n\r\n")
    assert answer.keep_alive is keep_alive


@pytest.mark.parametrize("data", [LENGTH, CHUNKED])
def test_bytes_nobody_asked_for_end_the_connection(data: bytes) -> None:
    answer = Answer()
    assert answer.feed(data + b"HTTP/1.1 200 OK\r\n")
    assert bytes(answer.body) == b"hello"
    assert not answer.keep_alive


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        OK + b"Content-Length: five\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        OK + b"Content-Length: -5\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFF\r\n",
        OK + b"X: " + b"y" * MAX_HEAD_BYTES,
    ],
)
def test_what_is_not_http_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        Answer().feed(data)


@pytest.mark.parametrize(
    ("fields", "served_by"),
    [
        (b"X-Served-By: app1\r\nx-served-by: web2\r\nX-SERVED-BY:lb1\r\n", "lb1>web2>app1"),
        (b"X-Served-By: app1, web2\r\nX-Served-By: lb1\r\n", "lb1>web2>app1"),
        (b'X-Served-By: a"p\np>1\r\n', "app1"),
        (b"X-Served-By:\r\n", ""),
        (b"", ""),
    ],
)
def test_served_by_reads_client_side_first_and_is_fit_for_a_csv(fields: bytes, served_by: str) -> None:
    answer = Answer()
    answer.feed(OK + fields + b"Content-Length: 0\r\n\r\n")
    assert answer.served_by == served_by


def test_a_request_for_a_new_connection_lets_the_server_close_first() -> None:
    once = get_request("www.foobar.com", "/news?page=2", keep_alive=False)
    kept = get_request("www.foobar.com", "/news?page=2", keep_alive=True)
    assert once.startswith(b"GET /news?page=2 HTTP/1.1\r\nHost: www.foobar.com\r\n")
    assert b"\r\nConnection: close\r\n" in once
    assert b"onnection" not in kept
    assert once.endswith(b"\r\n\r\n")
    assert once.count(b"\r\n\r\n") == kept.count(b"\r\n\r\n") == 1
