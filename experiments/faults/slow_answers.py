"""A bad release: every answer of an application server is right, and late. Nothing is down.

site.toml gets answer_delay_ms ──► SIGHUP: new workers read it ──► the old ones end what they began
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import ClassVar

from experiments.faults.fault import BadTarget, Fault, Target, daemon_of, hit
from services.gunicorn import Gunicorn
from topologies.stage import Stage
from topologies.testbed import Daemon, Testbed
from topologies.waiting import TestbedError

#: Each answer occupies a thread while it sleeps. With enough of them what is seen is the delay, not a queue.
THREADS = 64


@dataclass(frozen=True)
class SlowAnswers(Fault):
    """`delay_ms` is more than a health check may take without an alert, and less than any client waits."""

    name: ClassVar[str] = "slow-answers"
    shows: ClassVar[str] = "all checks that only want an answer pass: somebody must look at how long it took"

    delay_ms: int = 300

    @classmethod
    def aim(cls, target: Target, stage: Stage) -> Fault:
        slow = stage.hosts_of(Gunicorn.name)
        if target.host not in slow:
            raise BadTarget(f"slow-answers hits an application server: say {' or '.join(slow)}, not {target}")
        aimed = daemon_of(Target(target.host, target.part or Gunicorn.name), stage, cls.name)
        if aimed.part != Gunicorn.name:
            raise BadTarget(f"slow-answers is a release of the site: say {target.host}, not {target}")
        return cls(aimed)

    @property
    def delay_s(self) -> float:
        return self.delay_ms / 1000

    def meant(self, daemon: Daemon) -> bool:
        """Nothing is down because of it."""
        return False

    def inject(self, testbed: Testbed) -> None:
        testbed.reload(hit(testbed, self.target), self._released(testbed))

    def took_effect(self, testbed: Testbed) -> bool:
        """A request of our own is late; until the old workers have gone, some are not."""
        asked_s = time.monotonic()
        answered = self._released(testbed).ready(testbed.hosts[self.target.host])
        return answered and time.monotonic() - asked_s >= self.delay_s

    def heal(self, testbed: Testbed) -> None:
        daemon = hit(testbed, self.target)
        testbed.reload(daemon, daemon.service)

    def _released(self, testbed: Testbed) -> Gunicorn:
        daemon = hit(testbed, self.target)
        if not isinstance(daemon.service, Gunicorn):
            raise TestbedError(f"{daemon.where} has no releases of the site")
        return replace(daemon.service, answer_delay_ms=self.delay_ms, threads=THREADS)
