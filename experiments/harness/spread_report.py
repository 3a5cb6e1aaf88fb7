"""From phases to the claims, controls, tables and figures of balance: each choice before its prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from experiments.harness import spread
from experiments.harness.chi_square import SIGNIFICANT
from experiments.harness.findings import VERDICT_OF, Findings
from experiments.harness.model import Interval
from experiments.harness.phases import Phase
from experiments.harness.spread import Choice, Layout, p_text
from experiments.harness.verdict import interval

EVEN = ("roundrobin", "leastconn", "source")  # names of conditions, each that of its algorithm, too
WEIGHTS = "control: roundrobin, weights 2:1"
SLOW_TURNS, SLOW_LEAST = "roundrobin, one slow server", "leastconn, one slow server"
BEHIND = "leastconn, a slow server one tier further"

#: (web server's address, …) that met (servers) — what many clients saw under `source`
Met = Mapping[tuple[str, str], set[str]]
Phases = Mapping[str, Sequence[Phase]]  # condition → one for each round


class Judge:
    """Puts each condition's choices before the prediction. Without a measurement nothing is claimed."""

    def __init__(self, found: Findings, layout: Layout, phases: Phases) -> None:
        self._found, self._layout, self._phases = found, layout, phases
        self._rows: list[tuple[str, Choice]] = []

    def even(self, split_roles: bool) -> None:
        """Equally quick servers, for each algorithm; with `split_roles`, nginx has a choice of its own."""
        turns = self._of("roundrobin", lambda p: spread.web_choices(self._layout, p, "roundrobin"))
        self._shares(
            "3.3" if split_roles else "1.1",
            "round robin gives every web server the same share, on each balancer", "roundrobin", turns,
        )  # fmt: skip
        apps = self._of("roundrobin", lambda p: spread.app_choices(self._layout, p))
        if apps:
            self._shares(
                "3.3", "round robin gives every application server the same share, on each nginx",
                "roundrobin", apps, "; health checks take turns, too",
            )  # fmt: skip
        least = self._of("leastconn", lambda p: spread.web_choices(self._layout, p, "leastconn"))
        self._shares("1.1", "leastconn is as even while servers are equally quick", "leastconn", least)

    def source(self, met: Met) -> None:
        """One client address, one server, on every balancer the same; and many addresses, many servers."""
        choices = self._of("source", lambda p: spread.web_choices(self._layout, p, "source"))
        if not choices:
            return
        winners = {next(iter(c.predicted)) for c in choices}
        faithful = all(len(servers) == 1 for servers in met.values())
        agree = len(winners) == 1
        self._shares(
            "1.1", "source sends all requests of one client address to one server, on each balancer the same",
            "source", choices,
            f"; {len(met)} more pairs of client and site address, each asked twice: "
            + ("one server each" if faithful else "some met two servers"),
            also=faithful and agree,
        )  # fmt: skip
        homes = [next(iter(servers)) for servers in met.values()]
        counted = ", ".join(f"{web} {homes.count(web)}" for web in self._layout.webs)
        self._found.control(
            "source, many client addresses", "not all on one server", len(set(homes)) > 1, counted
        )

    def weights(self, weights: Mapping[str, int]) -> None:
        """The control: what is not even must not pass for even."""
        choices = self._of(WEIGHTS, lambda p: spread.web_choices(self._layout, p, "roundrobin"))
        if choices:
            self._found.control(
                "weights " + ", ".join(f"{server} {weight}" for server, weight in weights.items()),
                "unequal shares, χ² with p < 0.01, on each balancer",
                all(c.held is False and (c.p or 0) < SIGNIFICANT for c in choices),
                "; ".join(c.words for c in choices),
            )

    def slow(self) -> None:
        """One slow server among the balancers' own: who avoids it, and what that is worth."""
        layout = self._layout
        fast_s = spread.mean_served_s(self._phases.get("leastconn", ()))
        delay = f"one server {layout.delay_s * 1e3:g} ms late"
        turns = self._of(SLOW_TURNS, lambda p: spread.web_choices(layout, p, "roundrobin"))
        self._shares("1.1", f"{delay}: round robin sends it as much as before", SLOW_TURNS, turns)
        little = f"{delay}: leastconn sends it what Little's law leaves it"
        try:
            least = self._of(SLOW_LEAST, lambda p: spread.avoiding_choices(layout, p, fast_s))
        except ValueError as error:
            self._found.claim("1.1", little, held=None, reason=f"no prediction: {error}")
            return
        self._shares(
            "1.1", little, SLOW_LEAST, least, f"; a fast one took {fast_s * 1e3:.1f} ms", only=layout.slow_web
        )
        self._ratio(delay)

    def _ratio(self, delay: str) -> None:
        """More than 5% of the answers are slow under round robin; fewer under leastconn, so its p95 is fast.

        That took less than the time between two requests, or where the servers' own tail is longer, less than
        the slowest did while no server was slow.
        """
        turns, least = self._phases.get(SLOW_TURNS, ()), self._phases.get(SLOW_LEAST, ())
        doubts = self._doubts(SLOW_TURNS, SLOW_LEAST)
        if not turns or not least or not all(p.probes for p in (*turns, *least)):
            return
        pairs = [(spread.p95_s(a), spread.p95_s(b)) for a, b in zip(turns, least, strict=False)]
        slowest_s = max(spread.latencies_s(self._phases.get("leastconn", ())), default=0.0)
        bound_s = max(1 / self._layout.rate_hz, slowest_s)
        low = self._layout.delay_s / bound_s
        ratios = [a / b for a, b in pairs]
        p95s = "; ".join(f"p95 {a * 1e3:.0f} ms against {b * 1e3:.0f} ms" for a, b in pairs)
        self._found.claim(
            "1.1", f"{delay}: leastconn wins, by the ratio of p95",
            held=None if doubts else min(ratios) >= low,
            reason=doubts or f"{p95s}; predicted: at least {self._layout.delay_s * 1e3:g} ms against "
            f"less than {bound_s * 1e3:.0f} ms",
            predicted=(low, None), measured=interval(ratios, "times"),
        )  # fmt: skip

    def behind(self) -> None:
        """A slow server that is not the balancers' own: nginx takes turns, and nobody counts connections."""
        phases = self._phases.get(BEHIND, ())
        if not phases or not all(p.probes for p in phases):
            return
        choices = self._of(BEHIND, lambda p: spread.app_choices(self._layout, p))
        worst_s = min(spread.p95_s(p) for p in phases)
        late_ms = self._layout.delay_s * 1e3
        self._shares(
            "1.1", "leastconn cannot avoid a slow server one tier further: nginx goes on taking turns",
            BEHIND, choices, f"; p95 {worst_s * 1e3:.0f} ms, predicted at least {late_ms:g} ms",
            also=worst_s >= self._layout.delay_s,
        )  # fmt: skip

    # -- the rest -------------------------------------------------------------------------------------

    def _of(self, condition: str, choose: Callable[[Phase], list[Choice]]) -> list[Choice]:
        """The choices of every round under this condition, remembered for table and figure."""
        choices = [choice for phase in self._phases.get(condition, ()) for choice in choose(phase)]
        self._rows += [(condition, choice) for choice in choices]
        return choices

    def _shares(
        self, id: str, sentence: str, condition: str, choices: Sequence[Choice], more: str = "", *,
        also: bool = True, only: str | None = None,
    ) -> None:  # fmt: skip
        """A claim about shares: those of `only`, or of all that something was predicted for."""
        if not choices:
            return
        doubts = self._doubts(condition)
        spans = [s for c in choices for server, s in c.predicted.items() if only in (None, server)]
        seen = [c.shares.get(s, 0.0) for c in choices for s in c.predicted if only in (None, s) and c.n]
        undecided = any(c.held is None for c in choices)
        self._found.claim(
            id, sentence, held=None if doubts or undecided else also and all(c.held for c in choices),
            reason=doubts or "; ".join(c.words for c in choices) + more,
            predicted=(min(low for low, _ in spans), max(high for _, high in spans)),
            measured=_extent(seen),
        )  # fmt: skip

    def _doubts(self, *conditions: str) -> str:
        found = [d for condition in conditions for p in self._phases.get(condition, ()) for d in p.doubts]
        return "; ".join(dict.fromkeys(found))

    def tables(self) -> None:
        rows = [
            (
                condition, c.chooser, ", ".join(f"{s} {n}" for s, n in c.counts.items()),
                ", ".join(f"{s} {share:.3f}" for s, share in c.shares.items()),
                ", ".join(f"{s} {low:.3f}–{high:.3f}" for s, (low, high) in c.predicted.items()),
                None if c.p is None else p_text(c.p),
            )
            for condition, c in self._rows
        ]  # fmt: skip
        if rows:
            self._found.table(
                "Who chose whom", "Every chooser in every condition; p is that of χ² against equal shares.",
                ("condition", "chooser", "requests", "shares", "predicted", "p"), rows,
                [VERDICT_OF[c.held] for _, c in self._rows],
            )  # fmt: skip
        self._in_a_row()

    def _in_a_row(self) -> None:
        """Two that take turns, one behind the other: the second sees every k-th request of the first."""
        if len(self._layout.apps) < 2 or not self._phases.get("roundrobin"):
            return
        paths: dict[tuple[str, str], dict[str, int]] = {}
        for phase in self._phases["roundrobin"]:
            for probe in phase.probes:
                if len(path := spread.hops(probe)) == 3:
                    counts = paths.setdefault((path[0], path[1]), dict.fromkeys(self._layout.apps, 0))
                    counts[path[2]] = counts.get(path[2], 0) + 1
        self._found.table(
            "Turns behind turns",
            "Under round robin each nginx is even, and yet what came through one balancer need not be: both "
            "balancers and all health checks share its turns. Nothing was predicted here.",
            ("balancer", "web server", *self._layout.apps),
            [(*way, *counts.values()) for way, counts in sorted(paths.items())],
        )

    def figures(self) -> None:
        found, rows = self._found, self._rows
        if not rows:
            return
        # Imported late: matplotlib takes a second that a usage error should not wait for.
        from experiments.harness import figure_spread

        groups = [
            (condition, [c for name, c in rows if name == condition])
            for condition in dict.fromkeys(name for name, _ in rows)
        ]
        found.figure(
            "shares", "Who got how much",
            "A point is a server's share of what its chooser passed on, with its 95% interval (Wilson), that "
            "is made for chance: turns are more even. Hatched: predicted; the control must miss it.",
            "Shares per server, a row for each chooser under each condition, over predicted bands.",
            lambda: figure_spread.draw_shares(groups),
        )  # fmt: skip
        shown = ("leastconn", SLOW_TURNS, SLOW_LEAST, BEHIND)
        series = {name: spread.latencies_s(self._phases.get(name, ())) for name in shown}
        series = {"no slow server" if name == "leastconn" else name: v for name, v in series.items() if v}
        found.figure(
            "latencies", "What clients waited", "Each line is a condition; where it crosses 95% is its p95.",
            "Cumulative shares of answers over latency for each condition.",
            lambda: figure_spread.draw_latencies(series, self._layout.delay_s),
        )  # fmt: skip


def _extent(shares: Sequence[float]) -> Interval:
    """Median, lowest and highest of the shares that were seen."""
    if not shares:
        return Interval(None, None, None, 0, "share")
    ordered = sorted(shares)
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return Interval(middle, ordered[0], ordered[-1], len(ordered), "share")
