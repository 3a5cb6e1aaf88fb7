"""Routes for machines: is this process alive, do its servers answer, and a request of known CPU cost.

A load balancer asks /health. Asked for /health/deep instead, it would take every application server out at
once when the database dies, and with them all the pages that need no database.
"""

from __future__ import annotations

import hashlib
import time

from flask import Blueprint, Response, jsonify, request

from .answers import RETRY_AFTER_S, number
from .db import Database

#: Asks for a row, not for SELECT 1: a server without our tables answers that one, too.
DEEP_CHECK = "SELECT id FROM items LIMIT 1"

LONGEST_COMPUTE_MS = 1000


def blueprint(database: Database) -> Blueprint:
    health = Blueprint("health", __name__)

    @health.get("/health")
    def shallow() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @health.get("/health/deep")
    def deep() -> Response:
        failures = database.failures(DEEP_CHECK)
        # Without its replica the site still does everything, only slower.
        status = "failed" if failures["primary"] else "degraded" if any(failures.values()) else "ok"
        response = jsonify(status=status, checks={name: why or "ok" for name, why in failures.items()})
        if status == "failed":
            response.status_code = 503
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response

    @health.get("/compute")
    def compute() -> Response:
        asked_ms = number(request, "ms", default=10.0, low=0.0, high=LONGEST_COMPUTE_MS)
        return jsonify(asked_ms=asked_ms, cpu_ms=round(burn_cpu(asked_ms / 1000) * 1000, 3))

    return health


def burn_cpu(cpu_s: float) -> float:
    """Hash until this thread has used `cpu_s` seconds of CPU; returns how many it used.

    The thread's own CPU clock is the calibration. A loop of fixed length, measured at start, would cost
    more on a clock that slows down or beside a busy sibling core, and would be wrong for good if it was
    measured while others were starting. So a server with a budget of B cores answers at most B / cpu_s of
    these per second, whatever the machine. Waiting for the CPU is not counted: that is the queue that a
    capacity experiment looks for.

    Blocks are small on purpose: below 2048 bytes hashlib keeps the interpreter lock, so that one process
    computes on one core, like any Python code.
    """
    start_s = time.thread_time()
    block = bytes(1024)
    while (used_s := time.thread_time() - start_s) < cpu_s:
        block = hashlib.sha256(block).digest() * 32
    return used_s
