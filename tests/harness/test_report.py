"""report.html says what the run supports, in the order a teacher needs it, in one file."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from experiments.harness.model import (
    Claim,
    Control,
    Interval,
    Picture,
    Prediction,
    Report,
    Table,
    Verdict,
)
from experiments.harness.report import (
    cell_text,
    claim_row,
    flat,
    label,
    render_report,
    stream_rows,
    trial_row,
    value_text,
)
from tests.harness import synthetic

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><title>x</title></svg>'
SVGS = {"failover": SVG, "trials": SVG, "classroom": SVG}


class Page(HTMLParser):
    """The tags, attributes and visible words of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._silent = False
        self.feed(text)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._silent = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        self.words += "" if self._silent else data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def page(report: Report) -> Page:
    return Page(render_report(report, SVGS))


def test_the_page_is_one_file_that_needs_nothing_else() -> None:
    p = page(synthetic.recovered().report)
    assert not p.all("script")
    assert not p.all("link")
    assert [img["src"] or "" for img in p.all("img")] == [str(i["src"]) for i in p.all("img")]
    assert all(str(img["src"]).startswith("data:image/svg+xml;base64,") for img in p.all("img"))
    assert len(p.all("img")) == 3
    assert not [a for a in p.all("a") if "//" in str(a["href"]) or str(a["href"]).startswith("/")]


def test_the_page_can_be_read_aloud() -> None:
    p = page(synthetic.recovered().report)
    assert all(img["alt"] for img in p.all("img"))
    assert all(th.get("scope") in ("row", "col") for th in p.all("th"))
    assert len(p.all("caption")) == len(p.all("table")) == 5
    assert p.all("html")[0]["lang"] == "en"


def test_sections_come_in_the_order_a_teacher_needs() -> None:
    text = page(synthetic.recovered().report).words
    wanted = (
        "✓ held · lb1 crashes", "Predicted and measured", "Where the prediction comes from",
        "Master_Down = 3", "The failover, probe by probe", "How to read the figure", "Every trial",
        "Every stream apart",
        "Why Locust is not the stopwatch", "Does this run count?", "What was built", "VRRP -- lb2",
        "Where this comes from", "Files of this run", "hosts/lb1/etc/haproxy/haproxy.cfg",
    )  # fmt: skip
    found = [text.find(part) for part in wanted]
    assert -1 not in found
    assert found == sorted(found)


@pytest.mark.parametrize(
    ("verdict", "said"), [("held", "✓ held"), ("deviated", "✗ deviated"), ("inconclusive", "? inconclusive")]
)
def test_the_verdict_is_a_word_and_a_symbol(verdict: Verdict, said: str) -> None:
    assert said in page(synthetic.run((3.1,), verdict=verdict).report).words


def claim(
    verdict: Verdict, measured: Interval, low: float | None = 2.61, high: float | None = 3.61
) -> dict[str, str]:
    return claim_row(Claim("3.1", "fails over", low, high, measured, verdict, "because"))


def test_a_held_claim_shows_median_interval_and_how_many() -> None:
    row = claim("held", Interval(3.1, 2.9, 3.3, 10, "s"))
    assert (row["predicted"], row["measured"]) == ("2.61–3.61 s", "3.10 s [2.90–3.30] (n = 10)")


def test_an_inconclusive_claim_shows_no_measured_number() -> None:
    assert claim("inconclusive", Interval(3.1, 2.9, 3.3, 10, "s"))["measured"] == "–"


def test_a_claim_is_never_given_numbers_it_does_not_have() -> None:
    assert claim("deviated", Interval(None, None, None, 0, "s"), None, None) == {
        "id": "3.1", "sentence": "fails over", "predicted": "–", "measured": "–",
        "verdict": "deviated", "symbol": "✗", "reason": "because",
    }  # fmt: skip
    assert claim("deviated", Interval(None, 30.0, None, 3, "s"), 5.0, None)["measured"] == "> 30 s (n = 3)"
    assert claim("held", Interval(2.0, None, None, 1, ""), 1.8, None)["predicted"] == "≥ 1.80"
    assert claim("held", Interval(0.0, None, None, 1, "s"), 0.0, 0.0)["predicted"] == "0 s"


def test_what_was_counted_once_has_neither_interval_nor_n() -> None:
    assert claim("held", Interval(0.0, None, None, 1, "openings"), 0.0, 0.0)["measured"] == "0 openings"
    assert claim("held", Interval(3.1, 3.1, 3.1, 1, "s"))["measured"] == "3.10 s [3.10–3.10] (n = 1)"


def test_a_censored_trial_says_how_long_it_was_watched() -> None:
    row = trial_row(synthetic.censored().report.trials[0])
    assert row["outage"] == "> 8.0 s, not recovered"
    assert row["bracket"] == "8.0 s … ?"
    assert row["predicted"] == "no recovery until healed"
    assert row["failback"] == "–"


def test_a_trial_that_does_not_count_has_its_reason_and_no_outage() -> None:
    t = synthetic.inconclusive().report.trials[0]
    row = trial_row(t)
    assert (row["outage"], row["bracket"], row["phases"]) == ("–", "–", "–")
    assert row["note"].startswith("Does not count: probe lateness p99 12.3 ms")
    assert all(r["outage"] == "–" for r in stream_rows(t))
    words = page(synthetic.inconclusive().report).words
    assert "3.11 s" not in words
    assert "✗ It does not, because:" in words


def test_streams_are_listed_apart_with_the_headline_first() -> None:
    rows = stream_rows(synthetic.recovered().report.trials[0])
    assert [r["stream"] for r in rows] == ["vip", "by-name", "kept-alive"]
    assert [r["headline"] for r in rows] == [True, False, False]
    assert len({r["lost"] for r in rows}) == 3


def test_no_python_word_for_nothing_reaches_the_page() -> None:
    for run in (synthetic.recovered(), synthetic.censored(), synthetic.control(), synthetic.inconclusive()):
        words = page(run.report).words
        assert not [w for w in ("None", "nan", "inf ", "Undefined") if w in words]


def test_the_same_arithmetic_is_told_once() -> None:
    assert page(synthetic.recovered().report).words.count("Master_Down = 3") == 1


def test_what_daemons_and_users_wrote_is_text_and_not_markup() -> None:
    report = synthetic.recovered().report
    evil = "<script>alert(1)</script>"
    prediction = Prediction(0.0, 1.0, evil)
    report = replace(
        report, headline=evil, diagram=evil, configs=("javascript:alert(1)", "a b/c?.cfg"),
        trials=(replace(report.trials[0], fault=evil, prediction=prediction),),
        run={"argv": ["x", evil], "parameters": {evil: evil}},
    )  # fmt: skip
    p = page(report)
    assert not p.all("script")
    assert {"javascript%3Aalert%281%29", "a%20b/c%3F.cfg"} <= {str(a["href"]) for a in p.all("a")}


def test_provenance_tells_how_to_run_it_again() -> None:
    words = page(synthetic.recovered().report).words
    for part in (
        "experiments/failover.py --stage 3 --note 'two words'", "0123456789abcdef",
        "changed since the commit yes",
        "haproxy = 2.6.12", "advert_int_s = 1.0", "seed 7", "6.1.0", "probe lateness p99 0.31 ms",
    ):  # fmt: skip
        assert part in words or part.replace(" ", "") in words.replace(" ", "")


def test_the_verdict_is_not_said_twice() -> None:
    report = replace(synthetic.recovered().report, headline="held: it fails over")
    assert "✓ held · it fails over" in page(report).words


def test_nested_measurements_become_rows_with_units() -> None:
    values = {"run_queue_wait_share": 0.024, "streams": {"vip": {"sent": 5018, "lateness_ms": {"p99": 1.35}}}}
    assert flat(values) == [
        ("run queue wait", "2.4%"),
        ("streams, vip, sent", "5,018"),
        ("streams, vip, lateness, p99", "1.35 ms"),
    ]
    report = replace(synthetic.recovered().report, fidelity={"verdict": "pass", "prober": values})
    assert "What the prober says of itself" in page(report).words


def test_units_leave_the_name_and_join_the_value() -> None:
    assert (label("probe_lateness_p99_ms"), value_text(0.31, "probe_lateness_p99_ms")) == (
        "probe lateness p99",
        "0.31 ms",
    )
    assert (label("kernel_ok"), value_text(True), value_text(None)) == ("kernel ok", "yes", "–")


def test_a_run_without_trials_or_pictures_is_still_a_page() -> None:
    report = replace(
        synthetic.recovered().report, trials=(), claims=(), configs=(), diagram="", fidelity={}, run={}
    )
    p = Page(render_report(report, {}))
    assert "✓ held" in p.words
    assert not p.all("img")
    assert "Nothing was checked in this run." in p.words


def test_a_figure_that_was_not_drawn_is_said_to_be_missing() -> None:
    assert "This figure was not drawn" in Page(render_report(synthetic.recovered().report, {})).words


def test_the_same_run_gives_the_same_page() -> None:
    report = synthetic.recovered().report
    assert render_report(report, SVGS) == render_report(report, SVGS)


# -- findings: claims and controls without trials ----------------------------------------------------

CONTROLS = (
    Control("firewall off", "openings towards db1", True, "14 openings"),
    Control("a port too many", "one opening", False, "no opening"),
)
TABLES = (
    Table("Who reaches whom", "Open ports.", ("from", "db1"), (("lb1", "none"), ("app1", "3306"))),
    Table("Certificates", "As seen.", ("name", "answer"), (("own", "yes"), ("alien", "no")), ("held", None)),
)
PICTURE = Picture("A handshake", "handshakes", "Full and resumed.", "Two bars, 3 and 5 high.", SVG)


def found(**changes: object) -> Report:
    report = replace(
        synthetic.recovered().report, trials=(), controls=CONTROLS, tables=TABLES, pictures=(PICTURE,),
        fidelity={"verdict": "pass", "reasons": []},
    )  # fmt: skip
    return replace(report, **changes)  # type: ignore[arg-type]


def test_findings_have_their_sections_in_order_and_none_about_trials() -> None:
    text = Page(render_report(found())).words
    wanted = (
        "✓ held", "Predicted and measured", "Negative controls: made wrong on purpose", "firewall off",
        "A handshake", "Full and resumed.", "Who reaches whom", "app13306", "Certificates",
        "Does this run count?", "What was built", "Where this comes from", "Files of this run",
    )  # fmt: skip
    places = [text.find(part) for part in wanted]
    assert -1 not in places
    assert places == sorted(places)
    for unwanted in (
        "Every trial",
        "A trial does not",
        "probe by probe",
        "stopwatch",
        "was not drawn",
        "median",
    ):
        assert unwanted not in text.partition("Where this comes from")[0]


def test_a_run_with_trials_says_what_a_trial_must_meet_and_has_no_section_of_findings() -> None:
    text = page(synthetic.recovered().report).words
    assert "A trial does not count if" in text
    assert "Negative controls" not in text


def test_a_control_that_saw_nothing_stands_out_in_words() -> None:
    text = Page(render_report(found())).words
    assert "firewall offopenings towards db114 openings✓ deviated, as it must" in text
    assert "a port too manyone openingno opening✗ did not deviate" in text


def test_the_mark_of_a_row_is_a_word_and_a_symbol_and_rows_may_have_none() -> None:
    text = Page(render_report(found())).words
    assert "nameanswerVerdict ownyes✓ held alienno Does this run count?" in text
    assert "fromdb1 lb1none app13306 Certificates" in text


def test_findings_can_be_read_aloud_and_their_tables_scroll_by_themselves() -> None:
    many = Table("Every port", "All.", ("port", "open"), tuple((str(n), "no") for n in range(40)))
    p = Page(render_report(found(tables=(*TABLES, many))))
    assert [img["alt"] for img in p.all("img")] == [PICTURE.alt]
    assert all(th.get("scope") in ("row", "col") for th in p.all("th"))
    assert len(p.all("caption")) == len(p.all("table")) == 6
    regions = [div for div in p.all("div") if div.get("role") == "region"]
    assert all(region["tabindex"] == "0" for region in regions)
    labels = {str(region["aria-labelledby"]) for region in regions}
    assert labels <= {str(h2.get("id")) for h2 in p.all("h2")}
    assert {"table-1", "table-2", "table-3"} <= labels
    assert len([region for region in regions if region["class"] == "scroll tall"]) == 1


def test_what_was_seen_in_findings_is_text_and_not_markup() -> None:
    evil = '<script>alert("1")</script>'
    report = found(
        controls=(Control(evil, evil, True, evil),), pictures=(Picture(evil, "x", evil, evil, SVG),),
        tables=(Table(evil, evil, (evil,), ((evil,),)),),
    )  # fmt: skip
    p = Page(render_report(report))
    assert not p.all("script")
    assert p.words.count(evil) == 9
    assert p.all("img")[0]["alt"] == evil


def test_a_cell_has_the_digits_that_mean_something() -> None:
    assert [cell_text(v) for v in (3306, 0.1 + 0.2, 12.3456, True, None, "x", float("nan"))] == [
        "3306", "0.300", "12.35", "yes", "–", "x", "–",
    ]  # fmt: skip
