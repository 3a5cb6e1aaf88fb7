"""The JSON interface: items to read, orders to write once and to read back.

GET /api/items?after=0&limit=20         GET /api/items/3
GET /api/orders?after=UUID&limit=1000   GET /api/orders/UUID
PUT /api/orders/UUID  {"item_id": 3, "quantity": 1}
    201 new · 200 the same order again · 409 the id has another order · 400 not an order
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import BadRequest, NotFound

from . import shop
from .answers import canonical_uuid, whole_number
from .db import Database
from .pages import LARGEST_ID

MOST_ITEMS, MOST_ORDERS = 100, 1000  # in one answer
LARGEST_QUANTITY = 1000


def blueprint(database: Database, host_name: str) -> Blueprint:
    api = Blueprint("api", __name__, url_prefix="/api")

    @api.get("/items")
    def items() -> Response:
        after = whole_number(request, "after", default=0, low=0, high=LARGEST_ID)
        limit = whole_number(request, "limit", default=20, low=1, high=MOST_ITEMS)
        found = shop.items(database, after, limit)
        return jsonify(items=found, next=found[-1].id if len(found) == limit else None)

    @api.get(f"/items/<int(max={LARGEST_ID}):item_id>")
    def item(item_id: int) -> Response:
        found = shop.item(database, item_id)
        if found is None:
            raise NotFound("there is no such item")
        return jsonify(found)

    @api.get("/orders")
    def orders() -> Response:
        after = request.args.get("after", "")
        limit = whole_number(request, "limit", default=MOST_ORDERS, low=1, high=MOST_ORDERS)
        found = shop.orders(database, canonical_uuid(after) if after else "", limit)
        following = found[-1].id if len(found) == limit else None
        return jsonify(orders=[_readable(order) for order in found], next=following)

    @api.get("/orders/<order_id>")
    def order(order_id: str) -> Response:
        found = shop.order(database, canonical_uuid(order_id))
        if found is None:
            raise NotFound("there is no such order")
        return jsonify(_readable(found))

    @api.put("/orders/<order_id>")
    def put_order(order_id: str) -> Response:
        order_id = canonical_uuid(order_id)
        item_id, quantity = _order_in(request.get_data())
        found, new = shop.place_order(database, order_id, item_id, quantity, host_name)
        response = jsonify(_readable(found))
        response.status_code = 201 if new else 200
        return response

    return api


def _order_in(data: bytes) -> tuple[int, int]:
    """item_id and quantity of a request's body. Raises BadRequest (400) with what is wrong with it."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):  # the latter for ten thousand opening brackets
        body = None
    if not isinstance(body, dict) or set(body) != {"item_id", "quantity"}:
        raise BadRequest('the body must be a JSON object like {"item_id": 3, "quantity": 1}')
    for name, largest in (("item_id", LARGEST_ID), ("quantity", LARGEST_QUANTITY)):
        # bool is an int to Python, and true is no quantity.
        if type(body[name]) is not int or not 1 <= body[name] <= largest:
            raise BadRequest(f"{name} must be a whole number from 1 to {largest}")
    return body["item_id"], body["quantity"]


def _readable(order: shop.Order) -> dict[str, Any]:
    return asdict(order) | {"created_at": order.created_at.isoformat(timespec="microseconds") + "Z"}
