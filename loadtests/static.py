"""Visitors who keep nothing fetch the site's files, again and again: work for the web servers alone.

locust -f loadtests/static.py --host https://www.foobar.com
"""

from __future__ import annotations

from acts import fetch
from extras import install
from visitors import Visitor

install()


class FetchingVisitor(Visitor):
    tasks = {  # noqa: RUF012  # Locust's name for it, and nobody changes it
        fetch("/static/site.css"): 4,
        fetch("/static/logo.svg"): 4,
        fetch("/static/racks.png"): 1,
    }
