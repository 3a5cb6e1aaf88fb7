"""A real browser, driven as the W3C WebDriver standard says: chromium through chromedriver, nothing but HTTP.

with browser() as page:
    page.open("http://127.0.0.1:8089/")
    page.click("button[type=submit]")
"""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from topologies.waiting import wait_until

#: No look-ups and downloads of its own; root cannot have chromium's sandbox.
ARGUMENTS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
    "--window-size=1400,1000",
)  # fmt: skip
MISSING = "no chromium and chromium-driver here; sudo ./testbed test installs them"


def there_is_one() -> bool:
    return all(shutil.which(program) for program in ("chromium", "chromedriver"))


class Page:
    """The one window of a session."""

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, url: str) -> None:
        _ask("POST", f"{self._session}/url", {"url": url})

    def script(self, javascript: str, *arguments: Any) -> Any:
        """What `return …` in it returns."""
        return _ask("POST", f"{self._session}/execute/sync", {"script": javascript, "args": arguments})

    def text(self, selector: str = "body") -> str:
        return str(self.script("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def click(self, selector: str) -> None:
        _ask("POST", f"{self._element(selector)}/click", {})

    def click_text(self, selector: str, text: str) -> None:
        """The first element of `selector` that says exactly `text`."""
        found = self.script(
            "const [where, says] = arguments; const found = [...document.querySelectorAll(where)]"
            ".find(e => e.innerText.trim().toLowerCase() === says.toLowerCase());"
            "if (found) found.click(); return !!found",
            selector, text,
        )  # fmt: skip
        assert found, f"no {selector} says {text!r}; the page says: {self.text()[:2000]}"

    def fill(self, selector: str, text: str) -> None:
        element = self._element(selector)
        _ask("POST", f"{element}/clear", {})
        _ask("POST", f"{element}/value", {"text": text})

    def until(self, javascript: str, what: str, timeout_s: float = 20.0) -> None:
        """Wait until the expression is true."""
        try:
            wait_until(
                lambda: bool(self.script(f"return {javascript}")),
                timeout_s=timeout_s,
                what=what,
                interval_s=0.2,
            )
        except Exception as error:
            raise AssertionError(f"{error}; the page says: {self.text()[:2000]}") from error

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(_ask("GET", f"{self._session}/screenshot")))

    def complaints(self) -> list[str]:
        """What the page wrote to its console as errors."""
        entries = _ask("POST", f"{self._session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def _element(self, selector: str) -> str:
        found = _ask("POST", f"{self._session}/element", {"using": "css selector", "value": selector})
        (identifier,) = found.values()
        return f"{self._session}/element/{identifier}"


@contextmanager
def browser() -> Iterator[Page]:
    """One window, with a profile of its own; the driver and the browser end with the block."""
    with tempfile.TemporaryDirectory(prefix="testbed-browser-") as profile:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        driver = subprocess.Popen(
            ["chromedriver", f"--port={port}", "--allowed-ips=127.0.0.1"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        base = f"http://127.0.0.1:{port}"
        try:
            wait_until(
                lambda: _ask("GET", f"{base}/status")["ready"], timeout_s=20, what="chromedriver to start"
            )
            options = {"binary": shutil.which("chromium"), "args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            session = _ask("POST", f"{base}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
            try:
                yield Page(f"{base}/session/{session}")
            finally:
                _ask("DELETE", f"{base}/session/{session}")
        finally:
            driver.terminate()
            driver.wait(10)


def _ask(method: str, url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    # A proxy of the environment is not meant for the driver on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=40) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {url}: {error.read().decode(errors='replace')[:1000]}") from error
