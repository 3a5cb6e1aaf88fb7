"""Visitors ask for work of a known cost: it loads the application servers and nothing else.

locust -f loadtests/compute.py --host https://www.foobar.com
"""

from __future__ import annotations

from acts import compute
from extras import install
from visitors import Visitor

install()


class ComputingVisitor(Visitor):
    tasks = {  # noqa: RUF012  # Locust's name for it, and nobody changes it
        compute(5): 6,
        compute(20): 3,
        compute(80): 1,
    }
