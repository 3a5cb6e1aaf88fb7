"""The stage behind the load, in Locust's web UI: who runs and serves, what is broken, how to break it.

    GET  /stage           the whole picture, with the form     ┐ both from one JSON file, which the process
    GET  /stage.json      the same for programs                ┘ that runs the stage rewrites every second
    POST /stage/fault     token, action, fault, target  ──► a file in the door, which that process picks up

Nothing here knows the stage or touches it: whoever has no token can only look.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, make_response, request

PAGE = "stage_tab.html"
ACTIONS = ("inject", "heal")
MOST_WAITING = 20
_WORD = re.compile(r"[A-Za-z0-9_./-]{1,64}")
#: The columns of the tab; each row is a host.
COLUMNS = (
    ("name", "Host"), ("addresses", "Addresses"), ("daemons", "Daemons"), ("holds", "Holds"),
    ("answers", "Answers"), ("share", "Share of its layer, last seconds"), ("fault", "Fault"),
)  # fmt: skip
LINK = (
    '<a href="./stage" target="_blank" style="position:fixed;left:16px;bottom:16px;z-index:9;'
    "padding:8px 14px;border-radius:4px;background:#0072B2;color:#fff;font:14px sans-serif;"
    'text-decoration:none">'
    "Stage and faults</a>"
)


@dataclass(frozen=True)
class Door:
    """A directory only root may enter: `token` is what a request must know, `requests/` is where it waits."""

    directory: Path

    def opens_for(self, token: str) -> bool:
        """Compared in constant time; False when there is no token at all."""
        try:
            wanted = (self.directory / "token").read_bytes().strip()
        except OSError:
            return False
        return bool(wanted) and hmac.compare_digest(wanted, token.encode())

    def leave(self, order: Mapping[str, str]) -> str | None:
        """Put an order there, whole or not at all; returns its id. None when too many wait already."""
        waiting = self.directory / "requests"
        if sum(1 for _ in waiting.glob("*.json")) >= MOST_WAITING:
            return None
        order_id = secrets.token_hex(4)
        temporary = waiting / f".{order_id}.new"
        temporary.write_text(json.dumps({"id": order_id, **order}))
        temporary.rename(waiting / f"{order_id}.json")
        return order_id


def blueprint(stage_json: Path, door: Door) -> Blueprint:
    """The three routes."""
    stage = Blueprint("stage", __name__)

    @stage.get("/stage")
    def page() -> Response:
        answer = make_response(Path(__file__).with_name(PAGE).read_text(encoding="utf-8"))
        answer.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
        )
        return answer

    @stage.get("/stage.json")
    def document() -> Response:
        known = read(stage_json)
        answer = jsonify(known) if known else _refuse(503, "the stage has said nothing yet")
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @stage.post("/stage/fault")
    def fault() -> Response:
        if not door.opens_for(request.form.get("token", "")):
            return _refuse(403, "wrong or missing token; the terminal of `testbed load` has it")
        order = {name: request.form.get(name, "") for name in ("action", "fault", "target")}
        if order["action"] not in ACTIONS:
            return _refuse(400, f"action must be {' or '.join(ACTIONS)}")
        for name, value in order.items():
            if not _WORD.fullmatch(value):
                return _refuse(400, f"{name} must be a name")
        order_id = door.leave(order)
        if order_id is None:
            return _refuse(429, f"{MOST_WAITING} requests wait already")
        return make_response(jsonify(request=order_id), 202)

    return stage


def read(stage_json: Path) -> dict[str, Any]:
    """Empty where nothing has been said yet; the writer renames, so there is never half a file."""
    try:
        known = json.loads(stage_json.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def rows(known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the tab: plain words and numbers, because its table shows nothing else."""
    broken = {fault["host"]: fault for fault in known.get("faults", ())}

    def row(host: Mapping[str, Any]) -> dict[str, Any]:
        fault = broken.get(host["name"])
        return {
            "name": host["name"],
            "addresses": " ".join(host["addresses"]),
            "daemons": ", ".join(f"{daemon['name']} {daemon['state']}" for daemon in host["daemons"]),
            "holds": " ".join(host["holds"]),
            "answers": host["answers"] or "",
            "share": "" if host["share"] is None else f"{host['share']:.0%}",
            "fault": f"{fault['fault']} of {fault['target']} for {fault['for_s']:.0f} s" if fault else "",
        }

    return [row(host) for host in known.get("hosts", ())]


def add_rows(answer: Response, stage_json: Path) -> None:
    """/stats/requests, which the UI asks for every two seconds, with the tab's rows added."""
    document = answer.get_json(silent=True)
    if isinstance(document, dict):
        document["extended_stats"] = [{"key": "stage", "data": rows(read(stage_json))}]
        answer.set_data(json.dumps(document))


def add_link(answer: Response) -> None:
    """Locust shows tabs only while a test runs; the link is there before and after, too."""
    answer.set_data(answer.get_data(as_text=True).replace("</body>", f"{LINK}</body>"))


def template_arguments() -> dict[str, Any]:
    """What Locust's page must know to show the tab."""
    return {
        "extended_tabs": [{"title": "Stage", "key": "stage"}],
        "extended_tables": [
            {"key": "stage", "structure": [{"key": key, "title": title} for key, title in COLUMNS]}
        ],
        "extended_csv_files": [{"href": "./stage.json", "title": "Download the stage as JSON"}],
    }


def _refuse(status: int, why: str) -> Response:
    return make_response(jsonify(error=why), status)
