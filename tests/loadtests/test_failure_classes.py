"""Each way in which a request fails has the prober's word, found in what requests raises for it."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from services.credentials import Secrets
from tests.loadtests.small_servers import GOOD, Handler, answering, closed_port, silent, tcp_server
from tests.loadtests.small_site import server_context

sys_path = str(Path(__file__).parents[2] / "loadtests")


@pytest.fixture
def class_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException | None], str]:
    """As a locustfile imports it: a sibling."""
    monkeypatch.syspath_prepend(sys_path)
    import failure_classes

    found: Callable[[BaseException | None], str] = failure_classes.class_of
    return found


def raised(url: str, verify: str | bool = True, timeout_s: float = 0.3) -> BaseException:
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.RequestException) as failed:
            session.get(url, timeout=timeout_s, verify=verify).raise_for_status()
    return failed.value


def resetting(connection: socket.socket) -> None:
    connection.recv(4096)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("handler", "word"),
    [
        (resetting, "reset"),
        (answering(), "closed-early"),
        (lambda connection: connection.recv(4096) and None, "closed-early"),
        (answering(GOOD[:-3]), "closed-early"),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"), "closed-early"),
        (silent, "read-timeout"),
        (answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"), "http-503"),
        (answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "http-404"),
    ],
    ids=["reset", "closed at once", "closed", "short body", "short chunk", "silent", "503", "404"],
)
def test_what_a_server_does_has_its_word(
    handler: Handler, word: str, class_of: Callable[[BaseException | None], str]
) -> None:
    with tcp_server(handler) as port:
        seen = class_of(raised(f"http://127.0.0.1:{port}/"))
    # Closed while the request was on its way, the kernel may answer with a reset.
    assert seen == word or (handler is not resetting and word == "closed-early" and seen == "reset")


def test_nobody_listening_is_refused(class_of: Callable[[BaseException | None], str]) -> None:
    assert class_of(raised(f"http://127.0.0.1:{closed_port()}/")) == "refused"


def test_a_name_that_does_not_exist_is_dns(
    class_of: Callable[[BaseException | None], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_answer(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_answer)
    assert class_of(raised("http://nobody.invalid/")) == "dns"


def test_a_backlog_that_is_full_is_a_connect_timeout(class_of: Callable[[BaseException | None], str]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        try:
            assert class_of(raised(f"http://127.0.0.1:{listener.getsockname()[1]}/")) == "connect-timeout"
        finally:
            for each in waiting:
                each.close()


def test_no_route_is_unreachable(class_of: Callable[[BaseException | None], str]) -> None:
    error = OSError(113, "No route to host")
    wrapped = requests.ConnectionError("aborted")
    wrapped.__context__ = error
    assert class_of(wrapped) == "unreachable"


@pytest.mark.parametrize("trusted", [True, False])
def test_a_certificate_that_is_not_trusted_is_tls_and_a_silent_handshake_a_read_timeout(
    trusted: bool, class_of: Callable[[BaseException | None], str], tmp_path: Path
) -> None:
    secrets = Secrets()
    (tmp_path / "ca.pem").write_text(secrets.authority)
    context = server_context((secrets if trusted else Secrets()).certificate("localhost"))

    def handshake(connection: socket.socket) -> None:
        try:
            context.wrap_socket(connection, server_side=True).close()
        except ssl.SSLError:
            return

    ca = str(tmp_path / "ca.pem")
    with tcp_server(silent if trusted else handshake) as port:
        seen = class_of(raised(f"https://localhost:{port}/", ca))
    assert seen == ("read-timeout" if trusted else "tls")


def test_no_error_is_ok_and_an_unforeseen_one_keeps_its_name(
    class_of: Callable[[BaseException | None], str],
) -> None:
    class CatchResponseError(Exception):
        """Locust's, by name: the test does not import Locust."""

    assert class_of(None) == "ok"
    assert class_of(CatchResponseError("another order")) == "wrong-body"
    assert class_of(ZeroDivisionError()) == "error-ZeroDivisionError"
