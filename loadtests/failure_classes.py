"""Why a request of Locust's failed, in the prober's words.

    dns · refused · unreachable · connect-timeout      nobody was reached
    tls · reset · closed-early · read-timeout          somebody was, and no whole answer came
    http-503 · wrong-body                              an answer came

Inside TLS a reset is closed-early where Python is older than 3.12, which loses OpenSSL's errno there.
requests wraps urllib3's errors, which wrap Python's; Locust unwraps some of them. The first link of the chain
that says something specific is taken.
"""

from __future__ import annotations

import errno
import http.client
import socket
import ssl
from collections.abc import Iterator

from requests import exceptions as outer
from urllib3 import exceptions as inner

_REFUSED_BY_THE_PATH = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN, errno.EACCES)
_CLOSED = (
    http.client.RemoteDisconnected, http.client.IncompleteRead, inner.IncompleteRead,
    inner.InvalidChunkLength, ssl.SSLEOFError, ssl.SSLZeroReturnError,
)  # fmt: skip
#: Type → class, the specific before the general: RemoteDisconnected is a ConnectionResetError to Python.
_BY_TYPE: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    ((socket.gaierror, inner.NameResolutionError), "dns"),
    ((outer.ConnectTimeout, inner.ConnectTimeoutError), "connect-timeout"),
    ((outer.ReadTimeout, inner.ReadTimeoutError), "read-timeout"),
    (_CLOSED, "closed-early"),
    (ssl.SSLError, "tls"),
    (ConnectionRefusedError, "refused"),
    ((ConnectionResetError, BrokenPipeError, ConnectionAbortedError), "reset"),
    (TimeoutError, "read-timeout"),
)


def class_of(error: BaseException | None) -> str:
    """The class; "ok" for no error, "error-NAME" for a kind that nobody foresaw."""
    if error is None:
        return "ok"
    for link in _chain(error):
        response = getattr(link, "response", None)
        if isinstance(link, outer.HTTPError) and response is not None:
            return f"http-{response.status_code}"
        if isinstance(link, OSError) and link.errno in _REFUSED_BY_THE_PATH:
            return "unreachable"
        # A NewConnectionError that is a ConnectTimeoutError by birth: what caused it says more.
        if isinstance(link, inner.NewConnectionError):
            continue
        for kind, name in _BY_TYPE:
            if isinstance(link, kind):
                return name
    if type(error).__name__ == "CatchResponseError":  # Locust's: a scenario looked at the answer
        return "wrong-body"
    return f"error-{type(error).__name__}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, then what it says it was caused by, and so on."""
    seen: set[int] = set()
    pending: list[BaseException] = [error]
    while pending:
        link = pending.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        causes = (link.__context__, link.__cause__, getattr(link, "reason", None), *link.args)
        pending += [cause for cause in causes if isinstance(cause, BaseException)]
