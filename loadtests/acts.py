"""What a visitor can do, one function each: scenarios are tables of these with weights.

reads     the catalogue, an item (pages with their files) · items as JSON
files     a static file, as somebody asks who keeps none
writes    an order: the client chooses its id, so that sending it again cannot order twice
cost      a request whose CPU time on the application server is known
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import Any

from visitors import Visitor

Act = Callable[[Visitor], None]

ITEMS = 100  # in the catalogue
PAGE_SIZE = 20
ATTEMPTS = 4  # of one order
PAGE_FILES = ("/static/site.css", "/static/logo.svg")
BANNER = "/static/racks.png"


def read_the_catalogue(visitor: Visitor) -> None:
    visitor.open_page("/", "/", (*PAGE_FILES, BANNER))


def turn_a_page(visitor: Visitor) -> None:
    after = random.randrange(PAGE_SIZE, ITEMS, PAGE_SIZE)
    visitor.open_page(f"/?after={after}", "/?after=[id]", PAGE_FILES)


def read_an_item(visitor: Visitor) -> None:
    visitor.open_page(f"/items/{_some_item()}", "/items/[id]", PAGE_FILES)


def list_items(visitor: Visitor) -> None:
    after = random.randrange(0, ITEMS, PAGE_SIZE)
    visitor.client.get(f"/api/items?after={after}&limit={PAGE_SIZE}", name="/api/items?after=[id]")


def ask_for_an_item(visitor: Visitor) -> None:
    visitor.client.get(f"/api/items/{_some_item()}", name="/api/items/[id]")


def fetch(path: str) -> Act:
    """Ask for this file, whether it was seen before or not."""

    def fetch_file(visitor: Visitor) -> None:
        visitor.client.get(path)

    return fetch_file


def compute(cost_ms: int) -> Act:
    """A request that costs the application server this much CPU time."""

    def compute_for_a_while(visitor: Visitor) -> None:
        visitor.client.get(f"/compute?ms={cost_ms}")

    return compute_for_a_while


def place_an_order(visitor: Visitor) -> None:
    """Order until it is acknowledged, always under the same id, and then look whether it is there."""
    order_id = str(uuid.uuid4())
    order = {"item_id": _some_item(), "quantity": random.randint(1, 5)}
    for attempt in range(ATTEMPTS):
        status = _send(visitor, order_id, order, again=attempt > 0)
        if status in (200, 201):  # 200: an earlier attempt had arrived, only its answer had not
            _read_back(visitor, order_id, order)
            return
        if 400 <= status < 500:
            return  # it is our order that is wrong, and will be
        visitor.wait()


def _send(visitor: Visitor, order_id: str, order: dict[str, int], *, again: bool) -> int:
    """The status of the answer; 0 where none came."""
    name = "/api/orders/[id] again" if again else "/api/orders/[id]"
    status: int = visitor.client.put(f"/api/orders/{order_id}", json=order, name=name).status_code
    return status


def _read_back(visitor: Visitor, order_id: str, order: dict[str, int]) -> None:
    name = "/api/orders/[id]"
    with visitor.client.get(f"/api/orders/{order_id}", name=name, catch_response=True) as answer:
        if answer.status_code == 200 and not _is(answer.json(), {"id": order_id, **order}):
            answer.failure("another order than the one that was acknowledged")


def _is(found: Any, wanted: dict[str, Any]) -> bool:
    return isinstance(found, dict) and wanted.items() <= found.items()


def _some_item() -> int:
    return random.randint(1, ITEMS)
