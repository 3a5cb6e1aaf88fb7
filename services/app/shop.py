"""The rows of the shop and every SQL statement of the site: items are read, orders are written once.

An order's id is chosen by the client, so a client that never saw the answer can send the order again and
cannot order twice. That makes a write countable: after an outage each acknowledged id is found, or was lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pymysql

from .db import Database, Row, Unavailable
from .passwords import NOBODY, password_matches

ITEMS = "SELECT id, name, description, price_cents FROM items WHERE id > %s ORDER BY id LIMIT %s"
ITEM = "SELECT id, name, description, price_cents FROM items WHERE id = %s"
ORDERS = "SELECT id, item_id, quantity, created_at, node FROM orders WHERE id > %s ORDER BY id LIMIT %s"
ORDER = "SELECT id, item_id, quantity, created_at, node FROM orders WHERE id = %s"
NEW_ORDER = (
    "INSERT INTO orders (id, item_id, quantity, created_at, node) VALUES (%s, %s, %s, UTC_TIMESTAMP(6), %s)"
)
USER = "SELECT password_hash FROM users WHERE name = %s"

DUPLICATE_KEY, NO_SUCH_PARENT = 1062, 1452  # MySQL's error numbers


class NoSuchItem(Exception):
    """An order for an item that is not in the catalogue."""


class OtherOrder(Exception):
    """The order's id is taken by an order with another content."""


@dataclass(frozen=True, slots=True)
class Item:
    id: int
    name: str
    description: str
    price_cents: int


@dataclass(frozen=True, slots=True)
class Order:
    id: str  # a UUID in its canonical form
    item_id: int
    quantity: int
    created_at: datetime  # UTC, by the database's clock
    node: str  # the host whose application wrote it


def items(database: Database, after: int, limit: int) -> list[Item]:
    """The next `limit` items after id `after`: by key, so that the last page costs no more than the first."""
    return [Item(**row) for row in database.read(ITEMS, (after, limit))]


def item(database: Database, item_id: int) -> Item | None:
    rows = database.read(ITEM, (item_id,))
    return Item(**rows[0]) if rows else None


def orders(database: Database, after: str, limit: int) -> list[Order]:
    """The next `limit` orders after id `after`, by id; "" starts. Complete for a table at rest."""
    return [_order(row) for row in database.read_latest(ORDERS, (after, limit))]


def order(database: Database, order_id: str) -> Order | None:
    rows = database.read_latest(ORDER, (order_id,))
    return _order(rows[0]) if rows else None


def place_order(
    database: Database, order_id: str, item_id: int, quantity: int, node: str
) -> tuple[Order, bool]:
    """Insert first and ask later: the primary key decides between two that come at the same time.

    Returns the row and whether it is new. Raises NoSuchItem, OtherOrder, Unavailable.
    """
    new = True
    try:
        database.write(NEW_ORDER, (order_id, item_id, quantity, node))
    except pymysql.IntegrityError as error:
        if error.args[0] == NO_SUCH_PARENT:
            raise NoSuchItem from error
        if error.args[0] != DUPLICATE_KEY:
            raise
        new = False
    found = order(database, order_id)
    if found is None:
        raise Unavailable("the order was written and cannot be read back yet")
    if (found.item_id, found.quantity) != (item_id, quantity):
        raise OtherOrder
    return found, new


def _order(row: Row) -> Order:
    return Order(**row)


def password_is_right(database: Database, name: str, password: str) -> bool:
    """Checks a hash also for a name nobody has, so that the time of the answer does not tell names."""
    rows = database.read(USER, (name,))
    stored = rows[0]["password_hash"] if rows else NOBODY
    return password_matches(password, stored) and bool(rows)
