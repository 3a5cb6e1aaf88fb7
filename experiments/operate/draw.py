"""The picture of a stage, drawn from its declaration: networks, hosts, firewalls, flows. Nothing is run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from experiments.harness import options
from experiments.harness.drawing import png, svg
from experiments.harness.figure_stage import draw
from experiments.harness.model import EXIT_CANNOT, EXIT_USAGE
from experiments.harness.run import CHECKOUT
from experiments.harness.stage_pages import NoPlace, pages
from experiments.operate import attach
from experiments.operate.attach import Refused
from topologies.stages import STAGES

EXAMPLES = """\
  ./testbed draw 3 > stage3.svg                        open it in a browser
  ./testbed draw 3 --png stage3.png --app-servers 5    a stage of another size, for slides
  ./testbed draw 2 --firewall-off database --reencrypt --svg weaker.svg
  ./testbed draw --write                               after a stage changed: topologies/README.md, pictures
"""


def main(argv: list[str]) -> int:
    p = options.parser("draw", (__doc__ or "").split("\n")[0], EXAMPLES)
    p.add_argument(
        "stage", nargs="?", choices=sorted(STAGES), metavar="STAGE", help=f"one of {', '.join(STAGES)}"
    )
    where = p.add_mutually_exclusive_group()
    where.add_argument("--svg", metavar="FILE", type=Path, help="there, and not on standard output")
    where.add_argument(
        "--png", metavar="FILE", type=Path, help="as an image of about 3000 pixels, for slides"
    )
    where.add_argument(
        "--write",
        action="store_true",
        help="what topologies/README.md shows of every stage as it is by default",
    )
    options.add_sizes(p)
    chosen = p.parse_args(argv)
    if chosen.write and chosen != p.parse_args(["--write"]):
        p.error("--write is about every stage as it is by default: no stage and no sizes")
    if chosen.stage is None and not chosen.write:
        p.error(f"which stage? one of {', '.join(STAGES)}")
    return attach.answering("draw", _all if chosen.write else _one(p, chosen))


def _one(p: argparse.ArgumentParser, chosen: argparse.Namespace) -> Callable[[], int]:
    stage = options.stage_of(p, chosen)

    def work() -> int:
        drawing = draw(stage)
        if chosen.svg is None and chosen.png is None:
            sys.stdout.write(svg(drawing))
            return 0
        try:
            if chosen.png is not None:
                png(drawing, chosen.png)
            else:
                chosen.svg.write_text(svg(drawing))
        except OSError as error:
            raise Refused(EXIT_USAGE, f"cannot write {error.filename}: {error.strerror}") from error
        return 0

    return work


def _all() -> int:
    try:
        written = pages(CHECKOUT, (kind() for kind in STAGES.values()))
        for path, text in written.items():
            (CHECKOUT / path).parent.mkdir(exist_ok=True)
            (CHECKOUT / path).write_text(text)
            print(path)
    except NoPlace as missing:
        raise Refused(EXIT_CANNOT, str(missing)) from missing
    except OSError as error:
        raise Refused(EXIT_CANNOT, f"cannot write {error.filename}: {error.strerror}") from error
    return 0
