"""The options that experiments share, with one way to say what is wrong with them.

Every experiment takes --stage --repeat --seed --results --json --quiet; others are usage errors (exit 2).
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from experiments.harness.model import EXIT_USAGE
from experiments.harness.run import CHECKOUT
from topologies.flows import BadFlow, parse_flow
from topologies.stage import LAYERS, BadSettings, Settings, Stage
from topologies.stages import STAGES

Number = TypeVar("Number", int, float)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the page of usage that argparse puts before it hides that line."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def parser(verb: str, claim: str, examples: str) -> argparse.ArgumentParser:
    """A parser with the project's habits; `claim` is the sentence that is tested."""
    return Parser(
        prog=f"testbed {verb}", description=claim, epilog=f"examples:\n{examples}", allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def add_common(p: argparse.ArgumentParser, *, repeat: int, stage: str = "3") -> None:
    p.add_argument(
        "--stage", default=stage, choices=sorted(STAGES), help=f"design to build (default {stage})"
    )
    p.add_argument(
        "--repeat", type=number(int, 1, 1000), default=repeat, metavar="N", help=f"trials (default {repeat})"
    )
    add_output(p)
    p.add_argument(
        "--json", action="store_true", help="print result.json, and nothing else, on standard output"
    )


def add_output(p: argparse.ArgumentParser) -> None:
    p.add_argument(
        "--seed", type=number(int, 0, 2**63), default=secrets.randbelow(2**31), metavar="N",
        help="of every random choice (default: a new one, which the result records)",
    )  # fmt: skip
    p.add_argument(
        "--results", default=str(CHECKOUT / "results"), metavar="DIR", type=_directory,
        help="where results go (default: results/ in the checkout)",
    )  # fmt: skip
    p.add_argument("--quiet", action="store_true", help="no progress on standard error")


def add_sizes(p: argparse.ArgumentParser) -> None:
    """Sizes and timers of the stage; the defaults are those of topologies.stage.Settings."""
    d = Settings()
    p.add_argument(
        "--mode", choices=("active-active", "active-passive"), default=d.mode, help="of the load balancers"
    )
    p.add_argument(
        "--wiring", choices=("unix", "tcp"), default=d.wiring, help="stage 0: sockets between its daemons"
    )
    p.add_argument(
        "--advert-int", type=float, default=d.advert_int_s, metavar="S", help="VRRP advert_int (default 1)"
    )
    p.add_argument(
        "--check-inter", type=float, default=d.check_inter_s, metavar="S", help="HAProxy inter (default 2)"
    )
    p.add_argument(
        "--check-fall", type=int, default=d.check_fall, metavar="N", help="HAProxy fall (default 3)"
    )
    p.add_argument(
        "--check-rise", type=int, default=d.check_rise, metavar="N", help="HAProxy rise (default 2)"
    )
    p.add_argument(
        "--balancers", type=int, default=d.balancers, metavar="N", help="load balancers (default 2)"
    )
    p.add_argument(
        "--web-servers", type=int, default=d.web_servers, metavar="N", help="web servers (default 2)"
    )
    p.add_argument(
        "--app-servers", type=int, default=d.app_servers, metavar="N", help="app servers (default 2)"
    )
    p.add_argument("--server-cores", type=float, default=None, metavar="X", help="CPU budget of each server")
    p.add_argument(
        "--server-memory", type=int, default=d.server_memory_mb, metavar="MB", help="limit of each server"
    )
    p.add_argument(
        "--link-mbit", type=float, default=None, metavar="X", help="rate of every link (default: unshaped)"
    )
    p.add_argument(
        "--balance", choices=("roundrobin", "leastconn", "source"), default=d.balance,
        help="HAProxy's algorithm",
    )  # fmt: skip
    p.add_argument(
        "--dns-ttl", type=int, default=d.dns_ttl_s, metavar="S", help="of the site's A records (30)"
    )
    _add_switches(p, d)


def _add_switches(p: argparse.ArgumentParser, d: Settings) -> None:
    """What the classroom takes away, adds or makes faster, on stages that have it."""
    p.add_argument("--no-tls", action="store_true", help="plain HTTP to the site")
    p.add_argument("--reencrypt", action="store_true", help="TLS on every hop behind the load balancer, too")
    p.add_argument("--no-agents", action="store_true", help="no exporters and no log shipping")
    p.add_argument(
        "--firewall-off", action="append", default=[], metavar="LAYER",
        help=f"no firewall on this layer: {', '.join(LAYERS)} (may be repeated)",
    )  # fmt: skip
    p.add_argument(
        "--flow", action="append", default=[], metavar="FLOW",
        help="one more declared flow, as in 'monitor1>db1:tcp/3306' (may be repeated)",
    )  # fmt: skip
    p.add_argument(
        "--scrape-interval",
        type=float,
        default=d.scrape_interval_s,
        metavar="S",
        help="Prometheus (default 2)",
    )
    p.add_argument(
        "--evaluation-interval", type=float, default=d.evaluation_interval_s, metavar="S",
        help="of its alert rules (default 2)",
    )  # fmt: skip
    p.add_argument(
        "--alert-for", type=float, default=d.alert_for_s, metavar="S",
        help="how long a rule must hold before it alerts (default 4)",
    )  # fmt: skip


def stage_of(p: argparse.ArgumentParser, options: argparse.Namespace) -> Stage:
    """The declared stage. Exits with 2 and one line for sizes and switches that cannot be."""
    try:
        settings = Settings(
            mode=options.mode, wiring=options.wiring, balancers=options.balancers,
            web_servers=options.web_servers, app_servers=options.app_servers,
            server_cores=options.server_cores, server_memory_mb=options.server_memory,
            advert_int_s=options.advert_int, check_inter_s=options.check_inter,
            check_fall=options.check_fall, check_rise=options.check_rise, link_mbit=options.link_mbit,
            balance=options.balance, tls=not options.no_tls, reencrypt=options.reencrypt,
            agents=not options.no_agents, firewalls_off=tuple(options.firewall_off),
            flows=tuple(parse_flow(text) for text in options.flow),
            scrape_interval_s=options.scrape_interval, evaluation_interval_s=options.evaluation_interval,
            alert_for_s=options.alert_for, dns_ttl_s=options.dns_ttl,
        )  # fmt: skip
        return STAGES[options.stage](settings)
    except (BadSettings, BadFlow) as error:
        p.error(str(error))


def number(kind: Callable[[str], Number], low: Number, high: Number) -> Callable[[str], Number]:
    """An argparse type: a number from `low` to `high`."""

    def parse(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text}: must be {low:g} to {high:g}")
        return value

    return parse


def _directory(text: str) -> str:
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a file, not a directory")
    return str(path.resolve())
