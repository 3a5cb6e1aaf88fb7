"""The web UI as a student meets it, in a browser: start a load, see numbers, open the tab, break things."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import MISSING, browser, there_is_one
from tests.live.test_load import web_load

pytestmark = [
    pytest.mark.live,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not there_is_one(), reason=MISSING),
]

TAB = "[role=tab]"


def test_a_load_is_started_watched_and_disturbed_in_a_browser(tmp_path: Path) -> None:
    with web_load(tmp_path, "0", "--users", "8") as web, browser() as page:
        page.open(web.url)
        page.until("document.querySelector('button[type=submit]')", "Locust's start page")
        assert page.script("return document.querySelector('[name=userCount]').value") == "8"
        assert page.script("return [...document.links].some(a => a.href.endsWith('/stage'))"), (
            "before it runs"
        )
        page.click("button[type=submit]")

        # Numbers, on Locust's own page.
        page.until("document.body.innerText.includes('/items/[id]')", "the first rows of statistics")
        page.until("/USERS\\s*8/i.test(document.body.innerText)", "all users to be there")

        # The tab, kept up to date by Locust's own polling.
        page.click_text(TAB, "Stage")
        page.until(
            "/server1[^]*nginx running[^]*100%/.test(document.body.innerText)", "the tab to show the host"
        )
        before = page.text("table")
        page.until(f"document.querySelector('table').innerText !== {before!r}", "the tab to refresh itself")
        page.screenshot(tmp_path / "tab.png")

        # The page of the stage: looking is free, breaking needs the token.
        page.open(f"{web.url}stage")
        page.until("document.querySelectorAll('#fault option').length > 3", "the list of faults")
        page.script("document.querySelector('#fault').value = 'hang'")
        page.fill("#target", "server1/gunicorn")
        page.fill("#token", "not-the-token")
        page.click("#break button")
        page.until(
            "document.querySelector('#said').innerText.includes('wrong or missing token')", "the refusal"
        )
        page.fill("#token", web.token)
        page.click("#break button")
        page.until("document.querySelector('#faults').innerText.includes('server1/gunicorn')", "the fault")
        page.until(
            "/paused: gunicorn/.test(document.querySelector('#hosts').innerText)", "its daemon to be paused"
        )
        page.screenshot(tmp_path / "broken.png")
        page.click("#faults button")
        page.until("/every daemon answers/.test(document.querySelector('#orders').innerText)", "the healing")
        page.until("/nothing/.test(document.querySelector('#faults').innerText)", "nothing to be broken")
        assert page.text("#stale") == ""
        assert [line for line in page.complaints() if "403" not in line] == []
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("tab.png", "broken.png"))
