"""Visitors read: mostly pages, some static files, some JSON; each thinks for about a second between clicks.

    locust -f loadtests/browse.py --host https://www.foobar.com

HttpUser, not FastHttpUser: it verifies certificates and reports a reset connection instead of sending again.
"""

from __future__ import annotations

import random

from locust import HttpUser, between, task
from recording import install

install()


class Visitor(HttpUser):
    """One visitor with one kept-alive connection, as a browser has."""

    wait_time = between(0.5, 1.5)

    def on_start(self) -> None:
        """Come at a random moment, so that visitors do not click in step."""
        self.wait()

    @task(6)
    def read_an_item(self) -> None:
        self.client.get(f"/items/{random.randint(1, 100)}", name="/items/[id]")

    @task(3)
    def read_the_catalogue(self) -> None:
        self.client.get("/")

    @task(3)
    def ask_the_api(self) -> None:
        self.client.get(f"/api/items/{random.randint(1, 100)}", name="/api/items/[id]")

    @task(2)
    def load_the_style(self) -> None:
        self.client.get("/static/site.css")
