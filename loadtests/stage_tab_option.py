"""--stage-json FILE --stage-door DIR: Locust's web UI gets the tab and the routes of stage_tab.py."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import stage_tab
from flask import Response, request
from locust import events
from locust.env import Environment


def install() -> None:
    events.init_command_line_parser.add_listener(_add_options)
    events.init.add_listener(_extend)


def _add_options(parser: argparse.ArgumentParser, **_: Any) -> None:
    hidden: dict[str, Any] = {"include_in_web_ui": False}  # Locust's own addition to argparse
    parser.add_argument(
        "--stage-json", metavar="FILE", default="", help="show this stage in the web UI", **hidden
    )
    parser.add_argument(
        "--stage-door", metavar="DIR", default="", help="where requests to break it are left", **hidden
    )


def _extend(environment: Environment, web_ui: Any, **_: Any) -> None:
    options = environment.parsed_options
    if web_ui is None or options is None or not options.stage_json:
        return
    stage_json = Path(options.stage_json)
    web_ui.template_args.update(stage_tab.template_arguments())
    web_ui.app.register_blueprint(stage_tab.blueprint(stage_json, stage_tab.Door(Path(options.stage_door))))

    def extend(answer: Response) -> Response:
        if request.path == "/stats/requests":
            stage_tab.add_rows(answer, stage_json)
        elif request.path == "/":
            stage_tab.add_link(answer)
        return answer

    web_ui.app.after_request(extend)
