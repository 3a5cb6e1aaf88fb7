"""Visitors order: each order is sent until it is acknowledged, under the same id, and then read back.

locust -f loadtests/write.py --host https://www.foobar.com
"""

from __future__ import annotations

from acts import place_an_order
from extras import install
from visitors import Visitor

install()


class OrderingVisitor(Visitor):
    tasks = {place_an_order: 1}  # noqa: RUF012  # Locust's name for it, and nobody changes it
