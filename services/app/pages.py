"""Pages for people: the catalogue, one item, and a login that sends its password as browsers do."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.exceptions import BadRequest, NotFound

from . import shop
from .answers import whole_number
from .db import Database

ITEMS_PER_PAGE = 20
LARGEST_ID = 2**31 - 1  # of the column items.id
LONGEST_FIELD = 128


def blueprint(database: Database) -> Blueprint:
    pages = Blueprint("pages", __name__)

    @pages.get("/")
    def catalogue() -> str:
        after = whole_number(request, "after", default=0, low=0, high=LARGEST_ID)
        # One more than fits says whether there is a next page, without counting the table.
        found = shop.items(database, after, ITEMS_PER_PAGE + 1)
        items, more = found[:ITEMS_PER_PAGE], len(found) > ITEMS_PER_PAGE
        return render_template("catalogue.html", items=items, first=after == 0, more=more)

    @pages.get(f"/items/<int(max={LARGEST_ID}):item_id>")
    def item(item_id: int) -> str:
        found = shop.item(database, item_id)
        if found is None:
            raise NotFound("There is no such item.")
        return render_template("item.html", item=found)

    @pages.get("/login")
    def login_form() -> str:
        return render_template("login.html", message="")

    @pages.post("/login")
    def login() -> Response:
        name, password = request.form.get("name", ""), request.form.get("password", "")
        if not (0 < len(name) <= LONGEST_FIELD and 0 < len(password) <= LONGEST_FIELD):
            raise BadRequest(f"name and password must have 1 to {LONGEST_FIELD} characters")
        if shop.password_is_right(database, name, password):
            return make_response(render_template("login.html", message=f"Welcome, {name}."))
        refused = make_response(render_template("login.html", message="Wrong name or password."), 401)
        # RFC 9110 section 15.5.2 wants a challenge; this scheme makes no browser open its own dialogue.
        refused.headers["WWW-Authenticate"] = 'Form realm="foobar"'
        return refused

    return pages
