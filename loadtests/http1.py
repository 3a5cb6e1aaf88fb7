"""An HTTP/1.1 answer, read as the bytes arrive (RFC 9112).

feed ──► status line, fields ──► body by Content-Length │ chunked │ until the server closes ──► complete
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 16 * 1024 * 1024

_HEAD, _LENGTH, _CHUNKED, _UNTIL_CLOSE, _COMPLETE = range(5)
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: |$)")
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,16}")
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9._:-]")  # also keeps commas and newlines out of probes.csv


class MalformedAnswer(ValueError):
    """What came back is not HTTP/1.1, or is larger than the limits above."""


def get_request(authority: str, target: str, *, keep_alive: bool) -> bytes:
    """The bytes of a GET; the same for every probe of a stream, so made once."""
    return request_head("GET", authority, target, keep_alive=keep_alive).encode("ascii") + b"\r\n"


def request_head(
    method: str, authority: str, target: str, *, keep_alive: bool, user_agent: str = "prober"
) -> str:
    """Request line and fields, without those of a body and without the empty line at the end.

    `Connection: close` asks the *server* to close first. TIME_WAIT then lies with it: 28,000 client ports
    would otherwise last half a minute at 1,000 new connections a second.
    """
    close = "" if keep_alive else "Connection: close\r\n"
    return (
        f"{method} {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {user_agent}\r\nAccept: */*\r\n"
        f"Accept-Encoding: identity\r\n{close}"
    )


class Answer:
    """One answer being read. `status` is None until the head is complete.

    `keep_alive` says, once complete, whether the connection may carry another request.
    """

    __slots__ = ("_framing", "_left", "_rest", "_served_by", "body", "keep_alive", "status")

    def __init__(self) -> None:
        self.status: int | None = None
        self.body = bytearray()
        self.keep_alive = False
        self._served_by: list[bytes] = []
        self._framing = _HEAD
        self._left = 0  # bytes of a Content-Length body still to come
        self._rest = b""  # bytes that do not make a whole element yet

    def feed(self, data: bytes) -> bool:
        """Takes what arrived; True once the answer is complete. Raises MalformedAnswer."""
        if self._framing == _HEAD:
            data = self._rest + data
            while self._framing == _HEAD:  # more than once only after a 1xx
                end = data.find(b"\r\n\r\n")
                if max(end, 0) > MAX_HEAD_BYTES or (end < 0 and len(data) > MAX_HEAD_BYTES):
                    raise MalformedAnswer(f"no end of the header fields within {MAX_HEAD_BYTES} bytes")
                if end < 0:
                    self._rest = data
                    return False
                self._read_head(data[:end])
                data = data[end + 4 :]
            self._rest = b""
        if self._framing == _LENGTH:
            self._feed_length(data)
        elif self._framing == _CHUNKED:
            self._feed_chunks(data)
        else:
            self.body += data
        if len(self.body) > MAX_BODY_BYTES:
            raise MalformedAnswer(f"a body of more than {MAX_BODY_BYTES} bytes")
        return self._framing == _COMPLETE

    def end_of_stream(self) -> bool:
        """The server closed: True if that is what completes this answer."""
        if self._framing != _UNTIL_CLOSE:
            return False
        self._framing = _COMPLETE
        return True

    @property
    def served_by(self) -> str:
        """The hosts that made the answer, client side first: "lb1>web2>app1"."""
        return served_by(self.served_by_lines) if self.served_by_lines else ""

    @property
    def served_by_lines(self) -> tuple[bytes, ...]:
        """The X-Served-By lines as they came: enough to count by, and cheaper than their meaning."""
        return tuple(self._served_by)

    def _read_head(self, head: bytes) -> None:
        lines = head.split(b"\r\n")
        match = _STATUS_LINE.match(lines[0])
        if match is None:
            raise MalformedAnswer(f"not a status line: {lines[0][:60]!r}")
        status = int(match[2])
        if status < 200:
            return  # interim: the answer proper follows
        self.keep_alive = match[1] == b"1"
        length: int | None = None
        chunked = False
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            name = name.lower()
            if name == b"content-length":
                value = value.strip()
                if not value.isdigit() or (length is not None and length != int(value)):
                    raise MalformedAnswer(f"Content-Length {value[:40]!r}")
                length = int(value)
            elif name == b"x-served-by":
                self._served_by.append(value)
            elif name == b"connection":
                options = value.lower()
                if b"close" in options:
                    self.keep_alive = False
                elif b"keep-alive" in options:
                    self.keep_alive = True
            elif name == b"transfer-encoding":
                chunked = value.strip().lower() == b"chunked"
                if not chunked:
                    raise MalformedAnswer(f"Transfer-Encoding {value[:40]!r}")
        self.status = status
        if status in (204, 304):
            self._framing = _COMPLETE
        elif chunked:  # wins over Content-Length: RFC 9112 section 6.3
            self._framing = _CHUNKED
        elif length is None:
            self._framing, self.keep_alive = _UNTIL_CLOSE, False
        else:
            self._framing, self._left = _LENGTH, length

    def _feed_length(self, data: bytes) -> None:
        if len(data) > self._left:
            data, self.keep_alive = data[: self._left], False  # nobody asked for the rest
        self.body += data
        self._left -= len(data)
        if not self._left:
            self._framing = _COMPLETE

    def _feed_chunks(self, data: bytes) -> None:
        data = self._rest + data
        at = 0
        while (size_end := data.find(b"\r\n", at)) >= 0:
            size_field = data[at:size_end].partition(b";")[0].strip()
            if not _CHUNK_SIZE.fullmatch(size_field):
                raise MalformedAnswer(f"chunk size {size_field[:40]!r}")
            size = int(size_field, 16)
            if size == 0:  # trailers, if any, end with an empty line
                if (end := data.find(b"\r\n\r\n", size_end)) >= 0:
                    self._framing = _COMPLETE
                    self.keep_alive = self.keep_alive and end + 4 == len(data)
                break
            start, end = size_end + 2, size_end + 2 + size
            if size > MAX_BODY_BYTES or data[end : end + 2] not in (b"\r\n", b"\r", b""):
                raise MalformedAnswer(f"a chunk of {size} bytes does not end there")
            if len(data) < end + 2:
                break
            self.body += data[start:end]
            at = end + 2
        self._rest = data[at:]
        if len(self._rest) > MAX_BODY_BYTES + MAX_HEAD_BYTES:
            raise MalformedAnswer("an endless chunk")


def served_by(lines: Sequence[bytes]) -> str:
    """What X-Served-By lines mean: each tier appends its own, the application first, so the order of arrival
    is reversed.
    """
    hosts = [name for line in lines for name in line.decode("latin-1").split(",")]
    return ">".join(name for host in reversed(hosts[:8]) if (name := _NOT_IN_A_NAME.sub("", host)[:64]))
