"""Claims about wiring hold only where everything is as declared, and say what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from experiments.harness import wiring_report
from experiments.harness.certificates import Presented, Shown
from experiments.harness.held import Carried
from experiments.harness.links import Connection, Hop, Link, hops_of
from experiments.harness.listening import Listening, declared
from experiments.harness.looking import Look
from experiments.harness.model import Claim
from experiments.harness.timed_visits import Visits
from experiments.harness.waterfall import Request, WebTimes
from services.service import Listener
from tests.harness.synthetic_findings import findings
from tests.harness.test_waterfall import SEEN, WHOLE
from topologies.stage2_secured import Stage2

STAGE = Stage2()
HOPS = hops_of(STAGE)
STRANGER = Listening("server1", Listener("tcp", "0.0.0.0", 8888), "python3", "root")


def claims_of(directory: Path, say: Callable[[Any], object]) -> list[Claim]:
    found = findings(directory)
    say(found)
    return list(found._claims)


def verdicts(claims: list[Claim]) -> list[str]:
    return [claim.verdict for claim in claims]


def looked(listening: list[Listening]) -> Look:
    return cast(Look, SimpleNamespace(testbed=SimpleNamespace(stage=STAGE), listening=listening))


def test_listeners_as_declared_hold(tmp_path: Path) -> None:
    claims = claims_of(tmp_path, lambda f: wiring_report.listeners(f, looked(declared(STAGE)), ""))
    assert verdicts(claims) == ["held", "held", "held"]
    assert all(claim.measured.median == 0 for claim in claims)


def test_a_stranger_who_listens_deviates_and_is_named(tmp_path: Path) -> None:
    there = [*declared(STAGE), STRANGER]
    _, surplus, _ = claims = claims_of(tmp_path, lambda f: wiring_report.listeners(f, looked(there), ""))
    assert verdicts(claims) == ["held", "deviated", "held"]
    assert "0.0.0.0:8888 on server1" in surplus.reason


def test_a_dead_daemon_deviates_and_leaves_its_flows_without_an_end(tmp_path: Path) -> None:
    alive = [one for one in declared(STAGE) if (one.host, one.daemon) != ("db1", "mysql")]
    missing, surplus, flows = claims_of(tmp_path, lambda f: wiring_report.listeners(f, looked(alive), ""))
    assert (missing.verdict, missing.measured.median) == ("deviated", 2), "its port and its UNIX socket"
    assert surplus.verdict == "held"
    assert (flows.verdict, flows.measured.median) == ("deviated", 2), "from both servers"


# -- hops ------------------------------------------------------------------------------------------------

CARRIED = Carried(hops={hop.link: "lb1" for hop in HOPS}, requests=2)


def shown_as_declared(hop: Hop) -> Shown:
    if not hop.certified:
        return Shown(None, "plain text", True)
    return Shown(Presented(hop.certified, (hop.certified,), "CA", "TLSv1.3", "AES"), "TLSv1.3, AES", True)


SHOWN = {hop.link: shown_as_declared(hop) for hop in HOPS}


def judged(directory: Path, carried: Carried = CARRIED, shown: dict[Link, Shown] = SHOWN) -> list[Claim]:
    return claims_of(directory, lambda f: wiring_report.hops(f, STAGE, HOPS, carried, shown, ""))


def test_hops_as_declared_hold(tmp_path: Path) -> None:
    assert verdicts(judged(tmp_path)) == ["held", "held", "held"]


def test_a_hop_that_no_request_took_deviates(tmp_path: Path) -> None:
    some = replace(CARRIED, hops=dict(list(CARRIED.hops.items())[:-1]))
    claims = judged(tmp_path, some)
    assert verdicts(claims) == ["deviated", "held", "held"]
    assert str(HOPS[-1].link) in claims[0].reason


def test_a_connection_that_no_flow_declares_deviates(tmp_path: Path) -> None:
    link = Link("client1", "", "db1", "mysql", "tcp 0.0.0.0:3306")
    stray = replace(CARRIED, undeclared={Connection(link, "8.8.8.101", "10.0.2.41", 3306)})
    assert verdicts(judged(tmp_path, stray)) == ["held", "deviated", "held"]


def test_plain_text_where_tls_was_declared_deviates(tmp_path: Path) -> None:
    stripped = SHOWN | {HOPS[0].link: Shown(None, "no TLS (WRONG_VERSION_NUMBER)", False)}
    claims = judged(tmp_path, shown=stripped)
    assert verdicts(claims) == ["held", "held", "deviated"]
    assert "WRONG_VERSION_NUMBER" in claims[2].reason


# -- the waterfall ---------------------------------------------------------------------------------------


def made(request: Request = WHOLE, count: int = 5, curl_ms: float = 0.0) -> Visits:
    curl_s = tuple(length_s + curl_ms / 1e3 for length_s in SEEN.parts_s)
    return Visits([request] * count, [curl_s] * count)


def visited(directory: Path, visits: Visits) -> list[Claim]:
    return claims_of(directory, lambda f: wiring_report.visits(f, visits, 7, ""))


def adding_up(apart_ms: float) -> Request:
    return replace(WHOLE, seen=replace(SEEN, total_s=SEEN.sum_s + apart_ms / 1e3))


def test_a_request_that_adds_up_holds(tmp_path: Path) -> None:
    assert verdicts(visited(tmp_path, made(adding_up(0.002)))) == ["held", "held", "held"]


def test_a_part_that_was_left_out_deviates(tmp_path: Path) -> None:
    assert verdicts(visited(tmp_path, made(adding_up(0.1))))[0] == "deviated"


def test_a_daemon_that_took_longer_than_its_client_waited_deviates(tmp_path: Path) -> None:
    impossible = replace(adding_up(0), web=WebTimes(0.5, None), balancer=None)
    assert verdicts(visited(tmp_path, made(impossible)))[1] == "deviated"


def test_requests_that_no_log_knows_say_nothing_of_the_daemons(tmp_path: Path) -> None:
    assert (
        verdicts(visited(tmp_path, made(replace(adding_up(0), web=None, balancer=None))))[1] == "inconclusive"
    )


def test_a_curl_that_sees_something_else_deviates(tmp_path: Path) -> None:
    assert verdicts(visited(tmp_path, made(adding_up(0), curl_ms=0.9)))[2] == "held"
    assert verdicts(visited(tmp_path, made(adding_up(0), curl_ms=1.1)))[2] == "deviated"


def test_a_curl_that_chance_may_have_slowed_is_no_proof(tmp_path: Path) -> None:
    slow, usual = made(curl_ms=5.0).curl_s[0], made().curl_s[0]
    few = Visits([adding_up(0)] * 3, [slow, slow, usual])
    assert verdicts(visited(tmp_path, few))[2] == "inconclusive"


@pytest.mark.parametrize(
    ("tcp_ms", "verdict"),
    [((1.6, 1.7, 1.8), "held"), ((3.6, 3.7, 3.8), "deviated"), ((1.6, 2.6, 3.9), "inconclusive")],
)
def test_a_pair_of_turns_is_one_observation(tmp_path: Path, tcp_ms: tuple[float, ...], verdict: str) -> None:
    def turn(first_ms: float) -> Visits:
        parts_s = (*SEEN.parts_s[:3], first_ms / 1e3, SEEN.parts_s[4])
        return made(replace(WHOLE, seen=replace(SEEN, parts_s=parts_s)))

    turns = {"tcp": [turn(ms) for ms in tcp_ms], "unix": [turn(1.5)] * 3}
    (claim,) = claims_of(tmp_path, lambda f: wiring_report.wirings(f, turns, 7))
    assert claim.verdict == verdict
    assert claim.measured.n == 3
