"""In topologies/README.md the picture and tables of each stage stand between two marks, as it declares them.

    <!-- stage 3: written by ./testbed draw --write -->
    ![…](diagrams/stage3.svg)   hosts, daemons, flows
    <!-- stage 3: end -->

What a stage shows and what it lacks is written by hand, around the marks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from experiments.harness.drawing import svg
from experiments.harness.figure_stage import draw, title_of
from experiments.harness.stage_legend import openings_of
from experiments.harness.stage_streams import named, networks_of, streams_of
from services.service import Service
from topologies.listening import EVERY_ADDRESS, LOOPBACK, Listener, exposed, listeners
from topologies.stage import Stage

README = Path("topologies/README.md")
DIAGRAMS = Path("topologies/diagrams")


class NoPlace(Exception):
    """Raised when the page has no marks for a stage; says which lines to add."""


def pages(checkout: Path, stages: Iterable[Stage]) -> dict[Path, str]:
    """File below the checkout → what these stages want it to say. Raises NoPlace."""
    page = (checkout / README).read_text()
    found = {}
    for stage in stages:
        found[DIAGRAMS / f"stage{stage.number}.svg"] = svg(draw(stage))
        page = with_section(page, stage)
    return {README: page, **found}


def with_section(page: str, stage: Stage) -> str:
    """The page with what stands between the marks of `stage` replaced. Raises NoPlace."""
    begin = f"<!-- stage {stage.number}: written by ./testbed draw --write -->"
    end = f"<!-- stage {stage.number}: end -->"
    before, there, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not there or not ended:
        raise NoPlace(f"{README} has no place for stage {stage.number}; add the two lines {begin} and {end}")
    return f"{before}{begin}\n{section(stage)}{end}{after}"


def section(stage: Stage) -> str:
    """Picture and tables, in Markdown."""
    number = stage.number
    blocks = [
        f"[![{title_of(stage)}](diagrams/stage{number}.svg)](diagrams/stage{number}.svg)",
        table(_host_columns(stage), _hosts(stage)),
        table(("daemon", "on", "listens on"), _daemons(stage)),
        table(("", "from", "to", "port", "what for"), _flows(stage)),
        *(
            f"**Open without being declared**, as there is no firewall: {', '.join(gap.openings)} of "
            f"{named(gap.hosts)}, to everybody on {gap.segment}."
            for gap in exposed(stage)
        ),
    ]
    return "\n".join(f"{block}\n" for block in blocks)


def table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(columns)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _host_columns(stage: Stage) -> list[str]:
    return ["host", "role", *(["layer"] if stage.layers else []), *networks_of(stage), "daemons"]


def _hosts(stage: Stage) -> Iterator[list[str]]:
    for host, on in stage.addresses.items():
        layer = next((name for name, hosts in stage.layers.items() if host in hosts), "")
        runs = ", ".join(service.name for service in stage.declared[host])
        where = [on.get(segment, "") for segment in networks_of(stage)]
        yield [host, stage.roles[host], *([layer] if stage.layers else []), *where, runs]


def _daemons(stage: Stage) -> Iterator[list[str]]:
    """Daemons that listen, one row for all hosts where they do it alike."""
    alike: dict[tuple[str, str], list[str]] = {}
    for host, services in stage.declared.items():
        for service in services:
            if where := places(stage, host, service):
                alike.setdefault((service.name, where), []).append(host)
    for (daemon, where), hosts in alike.items():
        yield [daemon, named(hosts), where]


def places(stage: Stage, host: str, service: Service) -> str:
    """ "tcp/443 (TLS), tcp/80 on public; tcp/8404 on 127.0.0.1"; "" for a daemon that does not listen."""
    on: dict[str, list[str]] = {}  # opening → where
    for listener in listeners(service):
        told = f"{listener.opening}{' (TLS)' if listener.tls else ''}"
        on.setdefault(told.replace("vrrp", "VRRP"), []).append(_place(stage, host, listener))
    together: dict[str, list[str]] = {}
    for opening, where in on.items():
        together.setdefault(" and ".join(dict.fromkeys(where)), []).append(opening)
    return "; ".join(f"{', '.join(openings)} on {where}" for where, openings in together.items())


def _place(stage: Stage, host: str, listener: Listener) -> str:
    """Networks say more than addresses, and are the same for hosts that do the same."""
    if listener.address in (LOOPBACK, EVERY_ADDRESS):
        return "every address" if listener.address == EVERY_ADDRESS else LOOPBACK
    for segment, address in stage.addresses[host].items():
        if address == listener.address:
            return segment
    return "virtual addresses" if listener.address in stage.site_addresses else f"`{listener.address}`"


def _flows(stage: Stage) -> Iterator[list[str]]:
    for stream in streams_of(stage):
        yield [str(stream.number), stream.sources, stream.destinations, openings_of(stream), stream.purpose]
