"""Prometheus and Alertmanager are asked over HTTP from inside the host they run on.

    Prometheus    /api/v1/query · query_range · targets · rules      (prometheus.io/docs, "HTTP API")
    Alertmanager  /api/v2/status · silences                          (its OpenAPI description)

What is in force is asked of the running daemons, not read from their files. Times are wall-clock (UNIX).
"""

from __future__ import annotations

import datetime
import http.client
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from experiments.harness.blocks import ConfigError, duration_s
from services import alertmanager, prometheus
from services.service import Host
from topologies.waiting import CommandFailed


@dataclass(frozen=True)
class Sample:
    t_s: float
    value: float


@dataclass(frozen=True)
class Series:
    """One series: its labels (`__name__` is one of them) and its samples, the oldest first."""

    labels: Mapping[str, str]
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class ScrapedTarget:
    job: str
    host: str
    interval_s: float
    timeout_s: float


@dataclass(frozen=True)
class Rule:
    """An alert rule and the group that evaluates it."""

    alert: str
    query: str
    for_s: float
    evaluation_interval_s: float


class Api:
    """One exchange per question, each with a deadline."""

    def __init__(self, host: Host, port: int, timeout_s: float = 10.0) -> None:
        self._host, self._port, self._timeout_s = host, port, timeout_s

    def ask(self, path: str, method: str = "GET", document: object = None, **query: str) -> Any:
        """The JSON of the answer, None for an empty one. Raises CommandFailed with what the server said."""
        target = path + (f"?{urlencode(query)}" if query else "")
        body = b"" if document is None else json.dumps(document).encode()
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        where = f"{self._host.name}: {method} :{self._port}{path}"
        try:
            with self._host.connect("127.0.0.1", self._port, self._timeout_s) as connection:
                connection.sendall(head.encode() + body)
                answer = http.client.HTTPResponse(connection, method=method)
                answer.begin()
                said = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise CommandFailed(f"{where}: {error}") from error
        if answer.status != http.client.OK:
            raise CommandFailed(f"{where}: {answer.status} {said[:300].decode(errors='replace').strip()}")
        return json.loads(said) if said else None


class Prometheus(Api):
    def __init__(self, host: Host, timeout_s: float = 10.0) -> None:
        super().__init__(host, prometheus.PORT, timeout_s)

    def instant(self, query: str, at_s: float | None = None) -> list[Series]:
        """The value of `query` at one moment. A range selector ("up[30s]") gives every raw sample in it."""
        moment = {} if at_s is None else {"time": f"{at_s:.3f}"}
        return series_of(self.ask("/api/v1/query", query=query, **moment)["data"])

    def range(self, query: str, start_s: float, end_s: float, step_s: float) -> list[Series]:
        """The values of `query` every `step_s`."""
        span = {"start": f"{start_s:.3f}", "end": f"{end_s:.3f}", "step": f"{step_s:g}"}
        return series_of(self.ask("/api/v1/query_range", query=query, **span)["data"])

    def raw(self, selector: str, start_s: float, end_s: float) -> list[Series]:
        """Every sample as it was scraped or computed, with its own time, from `start_s` to `end_s`."""
        milliseconds = max(1, round((end_s - start_s) * 1000))
        return self.instant(f"{selector}[{milliseconds}ms]", at_s=end_s)

    def targets(self) -> list[ScrapedTarget]:
        return targets_of(self.ask("/api/v1/targets", state="active"))

    def rules(self) -> dict[str, Rule]:
        """Alert → its rule."""
        return rules_of(self.ask("/api/v1/rules", type="alert"))


class Alertmanager(Api):
    def __init__(self, host: Host, timeout_s: float = 10.0) -> None:
        super().__init__(host, alertmanager.PORT, timeout_s)

    def group_wait_s(self) -> float:
        """Of the configuration in force. Raises ConfigError unless it has just one."""
        return group_wait_of(self.ask("/api/v2/status")["config"]["original"])

    @contextmanager
    def silence(self, labels: Mapping[str, str], at_most_s: float, because: str) -> Iterator[None]:
        """Tell nobody of alerts with these labels during the block."""
        now = datetime.datetime.now(datetime.UTC)
        wanted = {
            "matchers": [{"name": k, "value": v, "isRegex": False} for k, v in labels.items()],
            "startsAt": now.isoformat(), "endsAt": (now + datetime.timedelta(seconds=at_most_s)).isoformat(),
            "createdBy": "monitoring", "comment": because,
        }  # fmt: skip
        made = self.ask("/api/v2/silences", "POST", wanted)["silenceID"]
        try:
            yield
        finally:
            self.ask(f"/api/v2/silence/{made}", "DELETE")


# -- answers -------------------------------------------------------------------------------------------


def series_of(data: Mapping[str, Any]) -> list[Series]:
    """A vector's single value or a matrix's many, as series. Raises ValueError for any other kind."""
    if data["resultType"] not in ("vector", "matrix"):
        raise ValueError(f"a {data['resultType']} is no series")
    found = []
    for row in data["result"]:
        pairs = row["values"] if "values" in row else [row["value"]]
        found.append(Series(row["metric"], tuple(Sample(float(t), float(value)) for t, value in pairs)))
    return found


def targets_of(answer: Mapping[str, Any]) -> list[ScrapedTarget]:
    """Raises KeyError for a target without a host: every one of ours has that label."""
    return [
        ScrapedTarget(
            t["labels"]["job"], t["labels"]["host"],
            duration_s(t["scrapeInterval"], "s"), duration_s(t["scrapeTimeout"], "s"),
        )
        for t in answer["data"]["activeTargets"]
    ]  # fmt: skip


def rules_of(answer: Mapping[str, Any]) -> dict[str, Rule]:
    return {
        rule["name"]: Rule(rule["name"], rule["query"], float(rule["duration"]), float(group["interval"]))
        for group in answer["data"]["groups"]
        for rule in group["rules"]
    }


def group_wait_of(configuration: str) -> float:
    """From Alertmanager's own YAML. Raises ConfigError unless there is just one."""
    found = re.findall(r"^\s*group_wait: (\S+)$", configuration, re.MULTILINE)
    if len(found) != 1:
        raise ConfigError(f"alertmanager.yml in force has {len(found)} times group_wait, not once")
    return duration_s(found[0], "s")
