"""How long until somebody is told? The timers that an alert passes, added up before anything breaks.

    fault ─► scraped ─► evaluated ─► for ─► grouped ─► delivered
             U(0,s)+T   U(0,e)       ⌈f/e⌉·e  g        late

    s  scrape_interval: a target is asked every s at a phase of its own; the fault falls between two scrapes
       (Prometheus docs, "Configuration", scrape_config; scrape/target.go, `offset`)
    T  what the failing answer takes: nothing where it is refused, scrape_timeout where no packet comes back.
       `up` is 0 then, in a sample of the scrape's own moment (docs, "Jobs and instances"). A series that only
       the dead target had is stale from then on (docs, "Staleness"); `up` is Prometheus's own and never is.
    e  evaluation_interval: rules look at the last sample, every e at a phase of their own (docs, "Recording
       rules")
    f  `for`: an alert is pending from the first evaluation that sees it, and fires at the first at which it
       has been pending for f; evaluations are e apart, so f is rounded up (docs, "Alerting rules";
       rules/alerting.go)
    g  group_wait, before the first notification of a new group (Alertmanager docs, "Configuration", route)

All times in seconds; every function returns a Timing, whose `because` is its arithmetic with numbers.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from experiments.harness.blocks import ConfigError
from experiments.harness.model import Prediction, Verdict
from experiments.harness.timing import Reach, Timing, seconds

#: Scraping, evaluating, sending and receiving cost CPU, and the monitor has a tenth of a core in slices: each
#: of the four may have to wait some slices for its turn. Nothing of it is a timer.
LATE_S = 0.25


@dataclass(frozen=True)
class Timers:
    """What is in force for one alert on one target."""

    scrape_interval_s: float
    scrape_timeout_s: float
    evaluation_interval_s: float
    for_s: float
    group_wait_s: float


def scraped(timers: Timers, reach: Reach, agent_timeout_s: float | None = None) -> Timing:
    """From the fault to the first sample that shows it.

    `agent_timeout_s`: the agent lives and asks the broken daemon, for which it waits that long. Without it
    the agent itself is what is broken, and Prometheus waits.
    """
    limit_s = timers.scrape_timeout_s if agent_timeout_s is None else agent_timeout_s
    takes_s = 0.0 if reach == "refused" else min(limit_s, timers.scrape_timeout_s)
    who = "scrape_timeout" if agent_timeout_s is None else "the agent's own time-out"
    wait = f" + {seconds(takes_s)} s ({who})" if takes_s else ""
    interval_s = timers.scrape_interval_s
    return Timing("scrape", takes_s, interval_s + takes_s, f"scrape U(0,{seconds(interval_s)}){wait}")


def checked(inter_s: float, takes_s: float) -> Timing:
    """From the first slow answer to the first slow health check: its turn comes, and it is slow itself."""
    words = f"health check U(0,{seconds(inter_s)}) + {seconds(takes_s)} s that it takes now"
    return Timing("check", takes_s, inter_s + takes_s, words)


def rounded_up_s(for_s: float, evaluation_interval_s: float) -> float:
    """⌈f/e⌉·e: an alert can only fire at an evaluation."""
    return math.ceil(round(for_s / evaluation_interval_s, 9)) * evaluation_interval_s


def evaluated(timers: Timers) -> Timing:
    """From the first bad sample to the evaluation at which the alert fires."""
    e, held_s = timers.evaluation_interval_s, rounded_up_s(timers.for_s, timers.evaluation_interval_s)
    words = (
        f"evaluation U(0,{seconds(e)}); for {seconds(timers.for_s)} s in evaluations {seconds(e)} s apart: "
        f"{seconds(held_s)} s"
    )
    return Timing("evaluate", held_s, held_s + e, words)


def delivered(timers: Timers) -> Timing:
    """From the evaluation to the receipt at the webhook."""
    words = (
        f"group_wait {seconds(timers.group_wait_s)} s; on a tenth of a core at most {seconds(LATE_S)} s late"
    )
    return Timing("deliver", timers.group_wait_s, timers.group_wait_s + LATE_S, words)


def on_the_way(timers: Timers, *noticed: Timing) -> tuple[Timing, ...]:
    """All steps: those up to the first bad sample, then the same for every alert."""
    return (*noticed, evaluated(timers), delivered(timers))


def judge(prediction: Prediction, soonest_s: float | None, latest_s: float | None) -> tuple[Verdict, str]:
    """A delay between two bounds, since the fault began somewhere in between. None: nobody was told."""
    if prediction.high_s is None:
        raise ValueError("an alert that nobody would ever get is not waited for")
    span = f"{prediction.low_s:.2f}–{prediction.high_s:.2f} s"
    if soonest_s is None or latest_s is None:
        return "deviated", f"nobody was told; predicted {span}"
    told = f"{latest_s:.2f} s" if latest_s - soonest_s < 0.005 else f"{soonest_s:.2f}–{latest_s:.2f} s"
    if latest_s < prediction.low_s or soonest_s > prediction.high_s:
        return "deviated", f"told after {told}, outside {span}"
    return "held", f"told after {told}, inside {span}"


@dataclass(frozen=True)
class Condition:
    """What a rule compares: a selector, and which values of it are bad."""

    name: str
    labels: str  # as PromQL writes them, without braces
    operator: str
    bound: float

    def bad(self, value: float) -> bool:
        if self.operator == "==":
            return value == self.bound
        return value > self.bound if self.operator == ">" else value < self.bound

    def selector(self, **labels: str) -> str:
        """PromQL for its series with these labels."""
        inside = [self.labels] if self.labels else []
        inside += [f'{name}="{value}"' for name, value in labels.items()]
        return f"{self.name}{{{', '.join(inside)}}}"


_CONDITION = re.compile(
    r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>[^}]*)\})? (?P<operator>==|>|<) (?P<bound>[\d.]+)"
)


def condition_of(query: str) -> Condition:
    """`nginx_up == 0`, taken apart. Raises ConfigError for a rule that compares in any other way."""
    found = _CONDITION.fullmatch(query)
    if found is None:
        raise ConfigError(f"rule {query!r}: expected one series compared with one number")
    return Condition(found["name"], found["labels"] or "", found["operator"], float(found["bound"]))
