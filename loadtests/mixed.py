"""A shop's day in weights: most look, some ask the API, few order, and now and then something is expensive.

locust -f loadtests/mixed.py --host https://www.foobar.com
"""

from __future__ import annotations

from acts import (
    ask_for_an_item,
    compute,
    list_items,
    place_an_order,
    read_an_item,
    read_the_catalogue,
    turn_a_page,
)
from extras import install
from visitors import Visitor

install()


class MixedVisitor(Visitor):
    tasks = {  # noqa: RUF012  # Locust's name for it, and nobody changes it
        read_an_item: 40,
        read_the_catalogue: 20,
        turn_a_page: 5,
        list_items: 10,
        ask_for_an_item: 15,
        place_an_order: 8,
        compute(20): 2,
    }
