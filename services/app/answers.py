"""What every answer of the site has in common: who served it, how long it may be kept, how errors look.

An error is one JSON line under /api and a small page elsewhere. It tells what the client may know; what the
operator needs goes to the log.
"""

from __future__ import annotations

import math
import time
import uuid

from flask import Flask, Request, Response, g, jsonify, render_template, request
from werkzeug.exceptions import BadRequest, HTTPException

from . import shop
from .db import Role, Unavailable

#: Seconds after which a client may ask again; sent with every 503.
RETRY_AFTER_S = 1

PAGE_HEADERS = {
    # Everything a page needs comes from the site itself, and no page contains a script.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    # Strict-Transport-Security belongs to whoever terminates TLS: the application cannot know.
}


def install(app: Flask, host_name: str) -> None:
    """Headers for every answer, errors included, and the error pages."""

    def finish(response: Response) -> Response:
        # add, not set: each host on the way adds its own, and together they are the path.
        response.headers.add("X-Served-By", host_name)
        if role := g.get("database"):
            response.headers["X-Database"] = role
        if request.endpoint != "static" or response.status_code >= 400:
            response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        if response.mimetype == "text/html":
            response.headers.update(PAGE_HEADERS)
        return response

    app.after_request(finish)
    app.context_processor(lambda: {"host_name": host_name})
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Unavailable, _unavailable)
    app.register_error_handler(shop.NoSuchItem, lambda _: error(400, "there is no item with this item_id"))
    app.register_error_handler(shop.OtherOrder, lambda _: error(409, "this id belongs to another order"))


def note_database(role: Role) -> None:
    """Rows of this answer came from there, or went there: X-Database says so, the last one if several did."""
    g.database = role


def delay(app: Flask, delay_s: float) -> None:
    """Make every answer late, health and errors included, without using the CPU: a bad release."""
    app.before_request(lambda: time.sleep(delay_s))


def error(status: int, message: str) -> Response:
    """An error in the form that the client of this path reads."""
    if request.path.startswith("/api/"):
        response = jsonify(error=message, status=status)
    else:
        response = Response(render_template("error.html", status=status, message=message))
    response.status_code = status
    return response


def _http_error(problem: HTTPException) -> Response:
    response = error(problem.code or 500, problem.description or problem.name)
    # Some errors carry headers that belong to them: 405 has Allow.
    for name, value in problem.get_headers(request.environ):
        if name != "Content-Type":
            response.headers[name] = value
    return response


def _unavailable(problem: Unavailable) -> Response:
    response = error(503, f"the database cannot be used just now: {problem}")
    response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def whole_number(request: Request, name: str, default: int, low: int, high: int) -> int:
    """The query parameter `name`. Raises BadRequest (400) unless it is a whole number in low..high."""
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and low <= int(text) <= high):
        raise BadRequest(f"{name} must be a whole number from {low} to {high}")
    return int(text)


def number(request: Request, name: str, default: float, low: float, high: float) -> float:
    """The query parameter `name`. Raises BadRequest (400) unless it is a number in low..high."""
    try:
        value = float(request.args.get(name, default))
    except ValueError:
        value = math.nan
    if not low <= value <= high:  # false for nan, too
        raise BadRequest(f"{name} must be a number from {low:g} to {high:g}")
    return value


def canonical_uuid(text: str) -> str:
    """`text` in lower case. Raises BadRequest (400) unless it is a UUID as RFC 9562 writes it."""
    try:
        canonical = str(uuid.UUID(text))
    except ValueError:
        canonical = ""
    if canonical != text.lower():
        raise BadRequest("an order's id must be a UUID like 123e4567-e89b-42d3-a456-426614174000")
    return canonical
