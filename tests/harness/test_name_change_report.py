"""Claims about names hold for what the zone and its TTL promise, and for nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.harness import name_change_report as report
from experiments.harness.dig import Answer, Record, Zone, parse
from experiments.harness.figure_following import draw_following
from experiments.harness.following import BUSY, DEAF, IN_STEP, Followed, Prediction
from experiments.harness.model import Claim, Control
from tests.harness.synthetic_findings import findings
from tests.harness.test_dig import REFUSED, SITE

ZONE = Zone(10, 1, frozenset({"8.8.8.8", "8.8.8.9"}))
GOOD = parse(SITE)
DENIED = replace(GOOD, status="NXDOMAIN", records=())
FOREIGN = parse(REFUSED)
TTL_S = 10.0


def told(directory: Path, say: Callable[[Any], object]) -> tuple[list[Claim], list[Control]]:
    found = findings(directory)
    say(found)
    return list(found._claims), list(found._controls)


def verdicts(claims: list[Claim]) -> list[str]:
    return [claim.verdict for claim in claims]


# -- answers ---------------------------------------------------------------------------------------------


def answered(
    directory: Path, site: Answer = GOOD, nobody: Answer = DENIED, foreign: Answer = FOREIGN
) -> list[str]:
    return verdicts(told(directory, lambda f: report.answers(f, site, nobody, foreign, ZONE))[0])


def test_answers_as_in_the_zone_hold(tmp_path: Path) -> None:
    assert answered(tmp_path) == ["held", "held"]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (replace(GOOD, flags=frozenset({"qr", "rd", "ra"})), "authority"),
        (replace(GOOD, records=GOOD.records[:1]), "addresses"),
        (replace(GOOD, records=tuple(replace(r, ttl_s=9) for r in GOOD.records)), "TTL"),
        (replace(GOOD, server="127.0.0.53"), "resolver"),
        (replace(GOOD, records=(Record("www.foobar.com", 10, "CNAME", "lb1.foobar.com."),)), "name and type"),
    ],
)
def test_whatever_is_not_as_in_the_zone_deviates_and_is_named(
    tmp_path: Path, wrong: Answer, named: str
) -> None:
    claims, _ = told(tmp_path, lambda f: report.answers(f, wrong, DENIED, FOREIGN, ZONE))
    assert verdicts(claims) == ["deviated", "held"]
    assert claims[0].reason.startswith(named)


def test_a_resolver_that_answers_for_others_deviates(tmp_path: Path) -> None:
    open_resolver = replace(FOREIGN, status="NOERROR", flags=frozenset({"qr", "rd", "ra"}))
    assert answered(tmp_path, foreign=open_resolver) == ["held", "deviated"]
    assert answered(tmp_path, nobody=replace(DENIED, status="SERVFAIL")) == ["held", "deviated"]


def test_the_zone_before_a_change_is_not_what_dig_says_after_it(tmp_path: Path) -> None:
    moved = replace(GOOD, records=(Record("www.foobar.com", 10, "A", "8.8.8.80"),))
    for answer, deviates in ((moved, True), (GOOD, False)):
        _, (control,) = told(tmp_path, lambda f, a=answer: report.before_after(f, a, ZONE))  # type: ignore[misc]
        assert control.deviated is deviates


def test_an_address_that_does_not_answer_deviates(tmp_path: Path) -> None:
    for statuses, verdict in (
        ([("8.8.8.8", "200"), ("8.8.8.80", "200")], "held"),
        ([("8.8.8.8", "200"), ("8.8.8.80", "ConnectionRefusedError()")], "deviated"),
    ):
        (claim,), _ = told(tmp_path, lambda f, s=statuses: report.reachable(f, s))  # type: ignore[misc]
        assert claim.verdict == verdict


# -- follow times ----------------------------------------------------------------------------------------


def crowd(
    times_s: list[float | None], deaf: float | None = None, step_s: tuple[float, ...] = (4.0,) * 20
) -> list[Followed]:
    return [
        *(Followed(f"{BUSY}/{k}", BUSY, t) for k, t in enumerate(times_s)),
        *(Followed(f"{IN_STEP}/{k}", IN_STEP, t) for k, t in enumerate(step_s)),
        *(Followed(f"{DEAF}/{k}", DEAF, deaf) for k in range(10)),
    ]  # fmt: skip


def even(count: int = 100) -> list[float | None]:
    return [TTL_S * (k + 0.5) / count for k in range(count)]


def judged(directory: Path, *changes: list[Followed], stale: int = 0) -> tuple[list[Claim], list[Control]]:
    return told(directory, lambda f: report.follow_times(f, changes, TTL_S, stale, 11.25, 7))


def test_clients_that_follow_evenly_within_the_ttl_hold(tmp_path: Path) -> None:
    claims, controls = judged(tmp_path, crowd(even()), crowd(even()))
    assert verdicts(claims) == ["held", "held", "held"]
    assert all(control.deviated for control in controls)
    assert claims[0].measured.n == 200


def test_one_client_that_does_not_follow_is_enough_to_deviate(tmp_path: Path) -> None:
    for slow in (None, TTL_S + 0.3):
        claims, _ = judged(tmp_path, crowd([*even(), slow]))
        assert claims[0].verdict == "deviated"
    assert verdicts(judged(tmp_path, crowd([*even(), TTL_S + 0.1]))[0])[0] == "held", (
        "a look-up takes its time"
    )


def test_a_server_that_gives_old_answers_deviates(tmp_path: Path) -> None:
    assert judged(tmp_path, crowd(even()), stale=1)[0][0].verdict == "deviated"


def test_clients_that_follow_too_early_are_within_the_ttl_but_not_even(tmp_path: Path) -> None:
    hasty: list[float | None] = [t / 3 for t in even() if t is not None]
    assert verdicts(judged(tmp_path, crowd(hasty))[0]) == ["held", "deviated", "deviated"]


def test_without_clients_nothing_is_said(tmp_path: Path) -> None:
    claims, controls = judged(tmp_path, [])
    assert verdicts(claims) == ["inconclusive"] * 3
    assert not any(control.deviated for control in controls)


def test_controls_that_behave_like_the_rest_are_seen_as_blind(tmp_path: Path) -> None:
    spread = tuple(t for t in even(20) if t is not None)
    _, (deaf, in_step) = judged(tmp_path, crowd(even(), deaf=5.0, step_s=spread))
    assert not deaf.deviated
    assert not in_step.deviated


def test_the_curve_of_even_clients_lies_in_its_band() -> None:
    draw = random.Random(5)
    changes = [crowd([draw.uniform(0, TTL_S) for _ in range(100)]) for _ in range(2)]
    figure = draw_following(changes, Prediction(TTL_S, 200), 11.25)
    (ax,) = figure.axes
    labels = {text.get_text() for text in ax.get_legend().get_texts()}  # type: ignore[union-attr]
    assert {"predicted: U(0, 10 s)", "each change", f"{BUSY}: 200 clients"} <= labels
    assert any("10 clients" not in label and "20 clients, none" in label for label in labels)
