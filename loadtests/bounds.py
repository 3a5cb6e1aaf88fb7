"""--most-users and --most-seconds: what nobody can exceed, also not by a slip of the finger in the web UI."""

from __future__ import annotations

import argparse
from typing import Any

import gevent
from flask import Response, jsonify, request
from locust import events
from locust.env import Environment


def install() -> None:
    events.init_command_line_parser.add_listener(_add_options)
    events.init.add_listener(_guard)


def _add_options(parser: argparse.ArgumentParser, **_: Any) -> None:
    hidden: dict[str, Any] = {"include_in_web_ui": False}  # Locust's own addition to argparse
    parser.add_argument("--most-users", type=int, default=0, metavar="N", help="refuse more users", **hidden)
    parser.add_argument("--most-seconds", type=int, default=0, metavar="S", help="end a test then", **hidden)


def _guard(environment: Environment, **_: Any) -> None:
    options = environment.parsed_options
    if options is None or options.worker:
        return
    if options.most_users and environment.web_ui is not None and environment.web_ui.app is not None:
        environment.web_ui.app.before_request(lambda: refusal(options.most_users))
    if options.most_seconds:
        _end_after(environment, options.most_seconds)


def refusal(most_users: int) -> Response | None:
    """Locust's own way of saying no to the form of its start page; None for every other request."""
    if request.method != "POST" or not request.path.endswith("/swarm"):
        return None
    wanted = request.form.get("user_count", "0")
    if wanted.strip().isdecimal() and int(wanted) <= most_users:
        return None
    return jsonify(success=False, message=f"at most {most_users} users; {wanted} were asked for")


def _end_after(environment: Environment, seconds: int) -> None:
    """Each test, from its start. Locust's own --run-time knows only the first one in the web UI."""
    timers: list[Any] = []

    def on_start(**_: Any) -> None:
        if environment.runner is not None:
            timers.append(gevent.spawn_later(seconds, environment.runner.stop))

    def on_stop(**_: Any) -> None:
        while timers:
            timer = timers.pop()
            if timer is not gevent.getcurrent():
                timer.kill(block=False)

    environment.events.test_start.add_listener(on_start)
    environment.events.test_stop.add_listener(on_stop)
