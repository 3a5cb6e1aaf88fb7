"""Open-loop HTTP: a request is sent when it is due, however the ones before it fare. One thread, one epoll.

    due ─► launch ─► (loadtests/wire.py: dns, connect, tls, send, first byte, complete) ─► ended
     ▲       │ behind? at once, and the lateness is in the record
     └───────┴─ between any two events, so that a burst of answers does not make the next request late

Never skipped, never retried. Not asyncio: it costs a millisecond per TLS request and rounds timers to one.
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final

from loadtests.connection import Beat, Connection, Lane, Request, Schedule, Stream
from loadtests.histogram import Histogram
from loadtests.outcomes import (
    CLOSED,
    IDLE,
    IN_FLIGHT_CAP,
    LINGERING,
    LOCAL_ERROR,
    QUEUED,
    RESOLVING,
    of_timeout,
)
from loadtests.probes import Probe
from loadtests.wire import Wire

TICK_S: Final = 0.05
GAP_S: Final = 0.0005  # housekeeping waits for a gap this long between requests, but at most another TICK_S
LAUNCHES_AT_ONCE: Final = 16  # of a backlog, before looking after the answers again

#: Told once of every request: the connection that carried it (still in the stage it ended in; its `request`
#: and `answer` are good until the call returns), the outcome, and when.
Ended = Callable[[Connection, str, float], None]

_due = attrgetter("due_s")
_clock = time.monotonic


class OpenLoop:
    """Runs schedules and calls `ended` for each request, in order of completion.

    A request has `timeout_s` from the moment it is taken up (a client that starts late does not give up
    early), of which DNS may take `dns_timeout_s`; right answers later than `slo_s` after due are "slow".
    `nameserver` is (address, port), needed by places without `connect_to`. Beyond `max_in_flight`, those that
    wait for a connection included, a request ends at once as "in-flight-cap".
    """

    def __init__(
        self, schedules: Sequence[Schedule], ended: Ended, *, timeout_s: float, slo_s: float = math.inf,
        dns_timeout_s: float | None = None, nameserver: tuple[str, int] | None = None,
        max_in_flight: int = 4096,
    ) -> None:  # fmt: skip
        self._schedules = schedules
        self._report = ended
        self._timeout_s = timeout_s
        self._dns_timeout_s = timeout_s if dns_timeout_s is None else min(dns_timeout_s, timeout_s)
        self._max_in_flight = max_in_flight
        self.in_flight = 0
        self.in_flight_max = 0
        self._until_s = math.inf
        self._serial = 0
        self._timers: list[tuple[float, int, Connection]] = []  # heap of (deadline, serial, …)
        self._crowded: set[Lane] = set()  # where requests wait for a connection
        self._wire = Wire(self._ended, slo_s=slo_s, nameserver=nameserver or ("", 0))

    @property
    def handling_delay(self) -> Histogram:
        """How long answers, and other events, waited for this process: the other half of its own lateness."""
        return self._wire.delay

    def stop(self) -> None:
        """No request that is due from now on is sent; run() returns when those in flight are over.

        Safe in a signal handler; noticed within a tick.
        """
        self._until_s = min(self._until_s, _clock())

    def run(self, t0_s: float, until_s: float = math.inf, tick: Callable[[], None] | None = None) -> None:
        """Sends all that is due in [t0_s, until_s), then waits for what is in flight: at most one timeout.

        `tick` is called from t0_s on, every 50 to 100 ms, when no request is just about to be due. An engine
        runs once: ValueError from closed descriptors if asked again.
        """
        self._until_s = min(self._until_s, until_s)
        for schedule in self._schedules:
            schedule.start(t0_s)
        self._next = min(self._schedules, key=_due)
        self._next_due_s = self._next.due_s
        try:
            self._loop(t0_s, tick or (lambda: None))
        finally:
            self._wire.close()
            self._timers.clear()

    def _loop(self, tick_s: float, tick: Callable[[], None]) -> None:
        wire, timers, crowded = self._wire, self._timers, self._crowded
        hurry = False
        while True:
            now_s = _clock()
            if now_s >= self._next_due_s:
                self._launch_due(LAUNCHES_AT_ONCE)
                now_s = _clock()
            if self._next_due_s >= self._until_s:
                self._next_due_s = math.inf
                if not self.in_flight:
                    return
            if now_s >= tick_s and (self._next_due_s - now_s > GAP_S or now_s - tick_s > TICK_S):
                tick()
                tick_s = now_s + TICK_S
            first_timer_s = timers[0][0] if timers else math.inf
            wake_s = now_s if hurry else min(self._next_due_s, first_timer_s, max(tick_s, now_s + GAP_S))
            for fd in wire.ready(wake_s - _clock()):
                wire.step(fd)
                if crowded:
                    self._serve_waiting()
                if _clock() >= self._next_due_s:
                    self._launch_due(1)  # one: the next answer frees a kept-alive connection for the next
            self._expire()  # after the events: an answer that lay waiting while we were stopped did arrive
            hurry = bool(crowded) and self._serve_waiting()
            wire.close_dropped()

    def _launch_due(self, at_most: int) -> None:
        for _ in range(at_most):
            due_s = self._next_due_s
            if due_s > _clock() or due_s >= self._until_s:
                return
            request = self._next.take()
            if len(self._schedules) > 1:
                self._next = min(self._schedules, key=_due)
            self._next_due_s = self._next.due_s
            self._launch(request)

    def _launch(self, request: Request) -> None:
        sent_s = _clock()
        if self.in_flight >= self._max_in_flight:
            self._unsent(request, sent_s, IN_FLIGHT_CAP, sent_s)
            return
        self.in_flight += 1
        if self.in_flight > self.in_flight_max:
            self.in_flight_max = self.in_flight
        lane = request.lane
        if lane.waiting or not self._begin(request, sent_s, 0.0):
            lane.waiting.append((request, sent_s))
            self._crowded.add(lane)

    def _begin(self, request: Request, sent_s: float, waited_s: float) -> bool:
        """Sends it on an idle connection, or begins a new one; False if all there may be are busy."""
        lane = request.lane
        idle = self._take_idle(lane)
        if idle is None and lane.full:
            return False
        self._serial += 1
        deadline_s = sent_s + self._timeout_s
        connection = idle or Connection(lane)
        connection.begin(request, self._serial, sent_s, deadline_s, waited_s)
        heapq.heappush(self._timers, (deadline_s, self._serial, connection))
        if idle is not None:
            self._wire.resume(idle)
            return True
        if lane.question is not None and self._dns_timeout_s < self._timeout_s:
            heapq.heappush(self._timers, (sent_s + self._dns_timeout_s, self._serial, connection))
        self._wire.open(connection)
        return True

    def _take_idle(self, lane: Lane) -> Connection | None:
        idle = lane.idle
        while idle:
            connection = idle.popleft() if lane.place.rotate else idle.pop()
            if connection.still_open():
                return connection
            self._wire.drop(connection)  # closed by the server between two requests: its right, no error
        return None

    def _serve_waiting(self) -> bool:
        """Gives free connections to the requests that wait for one; True if there are more of both.

        First come, first served: whoever was taken up before gives its connection back, or is given up,
        before the time of the next is over. Only one taken up at almost the same moment is given up unsent.
        """
        hurry = False
        for lane in tuple(self._crowded):
            for _ in range(LAUNCHES_AT_ONCE):
                request, sent_s = lane.waiting[0]
                now_s = _clock()
                if now_s - sent_s >= self._timeout_s:
                    self.in_flight -= 1
                    self._unsent(request, sent_s, of_timeout(QUEUED), now_s)
                elif not self._begin(request, sent_s, now_s - sent_s):
                    break
                lane.waiting.popleft()
                if not lane.waiting:
                    self._crowded.discard(lane)
                    break
            else:
                hurry = True
        return hurry

    def _expire(self) -> None:
        timers, now_s = self._timers, _clock()
        while timers:
            deadline_s, serial, connection = timers[0]
            stage = connection.stage
            over = connection.serial != serial or stage in (IDLE, CLOSED)
            if not over and deadline_s > now_s:
                return
            heapq.heappop(timers)
            if over or (deadline_s < connection.deadline_s and stage != RESOLVING):
                continue  # the second case is a DNS deadline that was met
            if stage == LINGERING:
                self._wire.drop(connection)
            else:  # what came in time but was not looked at is no fault of the server
                self._wire.fail(connection, LOCAL_ERROR if connection.ready_s else of_timeout(stage))

    def _ended(self, connection: Connection, outcome: str, end_s: float) -> None:
        self.in_flight -= 1
        self._report(connection, outcome, end_s)

    def _unsent(self, request: Request, sent_s: float, outcome: str, end_s: float) -> None:
        """It ends without ever having had a connection."""
        connection = Connection(request.lane)
        connection.begin(request, 0, sent_s, end_s, end_s - sent_s)
        self._report(connection, outcome, end_s)
        connection.forget()


class Engine(OpenLoop):
    """The prober's view: streams in, a Probe for each request out.

    Raises ValueError for a stream without `connect_to` when there is no `nameserver`.
    """

    def __init__(
        self, streams: Sequence[Stream], report: Callable[[Probe], None], *, timeout_s: float, slo_s: float,
        dns_timeout_s: float | None = None, nameserver: tuple[str, int] | None = None,
        max_in_flight: int = 4096,
    ) -> None:  # fmt: skip
        if nameserver is None and any(s.connect_to is None for s in streams):
            raise ValueError("a stream without connect_to needs a name server")
        super().__init__(
            [Beat(s) for s in streams], lambda c, outcome, end_s: report(probe_of(c, outcome, end_s)),
            timeout_s=timeout_s, slo_s=slo_s, dns_timeout_s=dns_timeout_s, nameserver=nameserver,
            max_in_flight=max_in_flight,
        )  # fmt: skip


def probe_of(c: Connection, outcome: str, end_s: float) -> Probe:
    """The row of a request that has just ended."""
    r, answer = c.request, c.answer
    return Probe(
        r.kind.name, r.k, r.due_s, c.sent_s, c.connected_s, c.first_byte_s, end_s, outcome, answer.status,
        c.address, answer.served_by,
    )  # fmt: skip
