"""The figures show what the run supports, say when it does not count, and are the same every time."""

import math
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from experiments.harness import charts, figure_style
from experiments.harness.figure_labels import place_labels
from experiments.harness.figure_scene import scene, shown_events, vip_spans
from experiments.harness.figure_trials import median_interval
from experiments.harness.model import Event, StreamResult, Trial
from tests.harness import synthetic
from tests.harness.synthetic_trial import PERIOD_S, SLO_S, TIMEOUT_S, probes, trial


def failover(run: synthetic.Run, *, projector: bool = False) -> Figure:
    report = run.report
    return charts.draw_failover(
        report.trials[0],
        run.probes[1],
        report.events,
        run.load[1],
        PERIOD_S,
        slo_s=SLO_S,
        projector=projector,
    )


def words(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.findobj(Text) if isinstance(t, Text) and t.get_text()]


def test_a_recovered_outage_shows_headline_and_bracket() -> None:
    run = synthetic.recovered()
    outage = run.report.trials[0].headline.outage
    assert outage is not None
    assert outage.upper_s is not None
    text = words(failover(run))
    assert f"upper {outage.upper_s:.2f} s" in text
    assert f"lower {outage.lower_s:.2f} s" in text
    assert f"Zoom: it ends, headline {outage.outage_s:.2f} s" in text
    assert "back 2.61–3.61 s after injection" in text


def test_all_lanes_share_one_time_axis_that_starts_at_the_injection() -> None:
    figure = failover(synthetic.recovered())
    assert {ax.get_xlim() for ax in figure.axes[:6]} == {(-4.0, 8.0)}


@pytest.mark.parametrize("projector", [False, True])
def test_a_censored_outage_is_a_bound_and_never_a_number(projector: bool) -> None:
    text = words(failover(synthetic.censored(), projector=projector))
    assert "> 8.0 s" in text
    assert not [t for t in text if "headline" in t or "upper" in t]
    assert (
        "Trial 1: host-crash of lb1 – down > 8.0 s, not back (predicted: no recovery until healed)  ✓ held"
        in text
    )


@pytest.mark.parametrize("projector", [False, True])
def test_a_trial_that_does_not_count_says_why_and_gives_no_outage(projector: bool) -> None:
    run = synthetic.inconclusive()
    text = words(failover(run, projector=projector))
    assert "Trial 1: host-crash of lb1" in text
    assert any("DOES NOT COUNT" in t and "probe lateness p99 12.3 ms" in t for t in text)
    outage = run.report.trials[0].headline.outage
    assert outage is not None
    assert outage.upper_s is not None
    for value in (outage.outage_s, outage.lower_s, outage.upper_s):
        assert not [t for t in text if f"{value:.2f} s" in t]


def test_the_control_without_fault_shows_no_outage() -> None:
    text = words(failover(synthetic.control()))
    assert "no bad probe of 2,400" in text
    assert "Trial 1: control, no fault – no outage (predicted: no outage)  ✓ held" in text


def test_classes_differ_by_marker_and_not_by_colour_alone() -> None:
    markers = [marker for _, marker in figure_style.CLASS_STYLES.values()]
    assert len(set(markers)) == len(markers)
    assert figure_style.class_of("http-503") == "http-5xx"
    assert figure_style.style_of("never-heard-of") == figure_style.OTHER_STYLE


def test_the_legend_counts_every_probe_of_the_headline_stream() -> None:
    run = synthetic.recovered()
    named = [t.rsplit(" ", 1) for t in words(failover(run)) if t.split(" ")[0] in figure_style.CLASS_STYLES]
    counts = [int(n.replace(",", "")) for name, n in named if n.replace(",", "").isdigit()]
    assert sum(counts) == run.report.trials[0].headline.sent


@pytest.mark.parametrize("seed", range(20))
def test_labels_never_overlap(seed: int) -> None:
    rng = random.Random(seed)
    xs = sorted(rng.uniform(0, 10) for _ in range(14))
    places = place_labels(xs, [rng.uniform(0.2, 4) for _ in xs], 0.0, 10.0)
    assert [p.x for p in places] == xs
    assert not [(p, q) for p in places for q in places if p is not q and p.touches(q)]
    assert all(p.left >= 0 and p.right <= 10 for p in places)


@pytest.mark.parametrize("projector", [False, True])
def test_event_labels_do_not_overlap_as_drawn(projector: bool) -> None:
    figure = failover(synthetic.run((0.34,), chatty=True), projector=projector)
    figure.draw_without_rendering()
    boxes = [t.get_window_extent() for t in figure.axes[5].texts]
    assert len(boxes) >= 4
    assert not [1 for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    inside = figure.axes[5].get_window_extent()
    assert all(b.x0 >= inside.x0 - 1 and b.x1 <= inside.x1 + 1 for b in boxes)


def test_log_lines_give_way_to_events_and_the_rest_is_counted() -> None:
    run = synthetic.run((0.34,), chatty=True)
    sc = scene(run.report.trials[0], run.probes[1], run.report.events, (), PERIOD_S, SLO_S, figure_style.PAGE)
    chosen, left_out = shown_events(sc, 6)
    assert [e.kind for e in chosen if e.kind != "log"] == ["inject", "detected", "switched", "heal", "healed"]
    assert left_out == 20


def test_who_holds_the_vip_is_read_from_events_before_and_within_the_trial() -> None:
    run = synthetic.recovered()
    sc = scene(run.report.trials[0], run.probes[1], run.report.events, (), PERIOD_S, SLO_S, figure_style.PAGE)
    held = vip_spans(sc)
    assert len(held["8.8.8.8", "lb1"]) == 1
    assert held["8.8.8.8", "lb1"][0] == pytest.approx((-4.0, 0.004))
    assert held["8.8.8.8", "lb2"][0][0] == pytest.approx(3.06, abs=0.01)
    assert held["8.8.8.9", "lb2"] == [(-4.0, 8.0)]


def test_two_holders_of_one_vip_are_both_seen() -> None:
    t, rows = trial()
    both = [Event(t.start_s, "vip-up", host, "8.8.8.8") for host in ("lb1", "lb2")]
    sc = scene(t, rows, both, (), PERIOD_S, SLO_S, figure_style.PAGE)
    assert list(vip_spans(sc)) == [("8.8.8.8", "lb1"), ("8.8.8.8", "lb2")]


def test_a_trial_without_a_single_probe_is_still_drawn() -> None:
    t, _ = trial()
    empty = replace(t, headline=StreamResult("vip", 0, 0, None, {}), others=())
    assert "nobody answered, and no VIP was seen" in words(
        charts.draw_failover(empty, [], [], [], PERIOD_S, slo_s=SLO_S)
    )
    charts.draw_classroom(empty, [], []).draw_without_rendering()


def test_long_names_stay_within_the_figure() -> None:
    name = "keepalived-stopped-by-its-operator-during-maintenance"
    t, rows = trial(fault=name, target="lb1.public.foobar.com")
    longer = [
        replace(p, served_by="balancer-number-one.public.foobar.com>web1") if p.served_by else p for p in rows
    ]
    figure = charts.draw_failover(t, longer, [], [], PERIOD_S, slo_s=SLO_S)
    figure.draw_without_rendering()
    width = figure.get_figwidth() * figure.dpi
    drawn = [label for ax in figure.axes for label in ax.get_yticklabels() if label.get_text()] + list(
        figure.texts
    )
    assert all(label.get_window_extent().x0 >= 0 and label.get_window_extent().x1 <= width for label in drawn)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 60])
def test_trials_are_drawn_from_none_to_sixty(count: int) -> None:
    figure = charts.draw_trials(synthetic.many(count))
    figure.draw_without_rendering()
    assert figure.axes[0].get_ylim()[0] == 0
    assert any(t.startswith("median 3") for t in "\n".join(words(figure)).splitlines()) == (count >= 3)


def test_one_trial_that_does_not_count_is_left_out_of_the_median_and_named() -> None:
    text = words(charts.draw_trials(synthetic.many()))
    assert "Outage of 59 trials, each with its bracket" in text
    assert any("1 of 60 trials (hollow): probe lateness p99 9 ms" in t for t in text)
    assert any("2 of 39 not recovered" in t for t in text)


def test_the_median_interval_lies_around_the_median_and_repeats() -> None:
    values = [2.8, 2.9, 3.0, 3.1, 3.2, 3.3, 3.4]
    median, low, high = median_interval(values)
    assert median == 3.1
    assert low < median < high
    assert (median, low, high) == median_interval(values)


def test_a_median_among_censored_trials_is_not_a_number() -> None:
    assert median_interval([3.0, math.inf, math.inf])[0] == math.inf
    low_half = median_interval([3.0, 3.1, 3.2, 3.3, math.inf])
    assert low_half[0] == 3.2
    trials = [_trial(i, outage_s) for i, outage_s in enumerate((3.0, None, None), 1)]
    assert any("median: not recovered" in t for t in words(charts.draw_trials(trials)))


def _trial(number: int, outage_s: float | None) -> Trial:
    return trial(number, outage_s, extra_streams=False)[0]


def test_the_classroom_picture_sets_locust_against_what_was() -> None:
    run = synthetic.recovered()
    figure = charts.draw_classroom(run.report.trials[0], run.probes[1], run.load[1])
    text = words(figure)
    assert "What Locust shows while nobody was served: p95 of at most 5 ms, at least 0 answers/s." in text
    assert "What visitors met: 3.11 s without service, 620 probes lost." in text
    above, below = figure.axes[0], figure.axes[2]
    assert above.get_ylim() == below.get_ylim()
    assert max(_finite(below.lines[-1].get_ydata())) > 3000  # ms, where Locust never says more than 5
    assert max(_finite(above.lines[-1].get_ydata())) == 5


def _finite(values: object) -> Sequence[float]:
    return [v for v in list(values) if math.isfinite(v)]  # type: ignore[call-overload]


def test_an_outage_between_two_reports_of_locust_is_not_described_by_them() -> None:
    run = synthetic.run((0.34,))
    load = [s for s in run.load[1] if s.t_s != run.report.trials[0].inject_s]
    text = words(charts.draw_classroom(run.report.trials[0], run.probes[1], load))
    assert "What Locust shows: one report a second, and none falls into the outage." in text


def test_a_wait_that_did_not_end_is_marked_as_a_bound() -> None:
    run = synthetic.censored()
    text = words(charts.draw_classroom(run.report.trials[0], run.probes[1], run.load[1]))
    assert "still waiting at the end:\nat least this long" in text


def test_the_classroom_picture_gives_no_numbers_when_the_trial_does_not_count() -> None:
    run = synthetic.inconclusive()
    text = words(charts.draw_classroom(run.report.trials[0], run.probes[1], run.load[1]))
    assert "What visitors met." in text
    assert any("DOES NOT COUNT" in t for t in text)


def test_five_thousand_probes_fit_a_small_svg_and_come_out_the_same_twice(tmp_path: Path) -> None:
    t, _ = trial()
    rows = probes(
        t.start_s, 12.0, (t.inject_s, t.inject_s + 3), how=("refused", "read-timeout"), period_s=0.0024
    )
    for name in ("a", "b.1"):
        figure = charts.draw_failover(t, rows, [], [], 0.0024, slo_s=SLO_S)
        charts.save(figure, tmp_path / name)
    svg = (tmp_path / "a.svg").read_bytes()
    assert len(rows) == 5000
    assert len(svg) < 600_000
    assert b"<text" in svg  # text stays text
    assert svg == (tmp_path / "b.1.svg").read_bytes()
    assert (tmp_path / "b.1.png").read_bytes()[:4] == b"\x89PNG"


def test_bad_probes_stand_where_they_were_due_and_as_high_as_they_took() -> None:
    run = synthetic.run((3.1,), how=("read-timeout",))
    lines = [line for line in failover(run).axes[1].lines if str(line.get_label()).startswith("read-timeout")]
    x, y = lines[0].get_xdata(), lines[0].get_ydata()
    assert min(_finite(x)) == pytest.approx(0.005, abs=0.001)
    assert max(_finite(x)) == pytest.approx(3.1, abs=0.01)
    assert min(_finite(y)) == pytest.approx(TIMEOUT_S * 1e3, rel=0.01)


def test_figures_leave_the_settings_of_matplotlib_as_they_were() -> None:
    before = dict(mpl.rcParams)
    failover(synthetic.recovered())
    assert dict(mpl.rcParams) == before


def test_pyplot_and_its_global_state_are_never_imported() -> None:
    code = "import sys, experiments.harness.charts; sys.exit('matplotlib.pyplot' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, timeout=60, check=False).returncode == 0
