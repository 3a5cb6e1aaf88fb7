"""Visitors read: mostly pages, with the files that belong to them, and some JSON.

locust -f loadtests/browse.py --host https://www.foobar.com
"""

from __future__ import annotations

from acts import ask_for_an_item, list_items, read_an_item, read_the_catalogue, turn_a_page
from extras import install
from visitors import Visitor

install()


class BrowsingVisitor(Visitor):
    tasks = {  # noqa: RUF012  # Locust's name for it, and nobody changes it
        read_an_item: 6,
        read_the_catalogue: 3,
        turn_a_page: 1,
        list_items: 1,
        ask_for_an_item: 2,
    }
