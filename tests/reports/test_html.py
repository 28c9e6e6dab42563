import io
import os
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from loopmark.harness.vocabulary.cell import Objection, ObjectionCode, RoundObjections
from loopmark.harness.vocabulary.figures import DatabaseUse, Percentiles, StepResult
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.result import RunResults
from loopmark.harness.vocabulary.scenario import ScenarioFacts
from loopmark.reports import html, markdown, terminal
from loopmark.reports.formatting import MISSING
from tests.reports.conftest import page_of, with_figures, with_scenarios

GOLDEN = Path(__file__).parent / "golden" / "page.html"
UPDATE = "LOOPMARK_UPDATE_GOLDEN"
VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """What the tests want to know of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self._attributes(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._attributes(attrs)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def _attributes(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            assert value is not None or name == "open"
            text = value or ""
            if name == "id":
                self.ids.append(text)
            elif name in {"href", "src", "xlink:href"}:
                (self.references if text.startswith("#") else self.links).append(text)
            elif name in {"aria-labelledby", "aria-describedby"}:
                self.references += [f"#{one}" for one in text.split()]
            self.references += [f"#{one}" for one in re.findall(r"url\(#([^)]+)\)", text)]


EVERY_KIND = (
    "asked",
    "results",
    "many",
    "open_loads",
    "two_drivers",
    "with_workers",
    "own_locustfile",
    "shaped_locustfile",
    "fan_outs",
    "swept",
)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_the_page_is_well_formed(name: str, request: pytest.FixtureRequest) -> None:
    page = Page(page_of(request.getfixturevalue(name)))
    assert not page.open
    assert not page.unbalanced


@pytest.mark.parametrize("name", EVERY_KIND)
def test_ids_are_unique_and_every_reference_has_its_target(
    name: str, request: pytest.FixtureRequest
) -> None:
    page = Page(page_of(request.getfixturevalue(name)))
    assert len(page.ids) == len(set(page.ids))
    assert all(re.fullmatch(r"[a-zA-Z][\w-]*", one) for one in page.ids)
    assert {one.removeprefix("#") for one in page.references} <= set(page.ids)


@pytest.mark.parametrize("name", EVERY_KIND)
def test_no_text_of_a_target_or_a_file_is_markup(name: str, request: pytest.FixtureRequest) -> None:
    text = page_of(request.getfixturevalue(name))
    assert "<script" not in text
    assert "<b>not markup" not in text


def test_nothing_is_fetched(results: RunResults) -> None:
    text = page_of(results)
    page = Page(text)
    assert "http:" not in text
    assert "https:" not in text
    assert "@import" not in text
    assert "url(" not in re.sub(r"url\(#", "", text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)


def test_links_lead_to_the_data(results: RunResults) -> None:
    folders = {f"../cells/{cell.folder}/" for cell in results.run.cells}
    expected = {"../results.json", "../run.json", *folders}
    assert set(Page(page_of(results)).links) == expected
    elsewhere = Page(html.render(results, data_root="results/one"))
    assert "results/one/results.json" in elsewhere.links


def test_texts_of_a_target_are_escaped(results: RunResults) -> None:
    text = page_of(results)
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 3  # a reason, an error's example, the end of stderr


def test_what_is_invalid_is_in_the_banner_and_in_its_row(results: RunResults) -> None:
    text = page_of(results)
    assert "2 of 6 cells are invalid" in text
    assert "This run was interrupted" in text
    assert "invalid: wrong-answers" in text
    assert "invalid: interrupted" in text
    assert "0 of 3 rounds were completed" in text
    assert text.count('class="invalid"') == 8  # two cells in four tables


def test_a_clean_run_has_no_banner(many: RunResults) -> None:
    assert 'class="banner"' not in page_of(many)


def test_missing_values_have_a_sign_and_a_note(results: RunResults) -> None:
    text = page_of(results)
    assert MISSING in text
    assert "at least 10 must lie above it" in text
    assert "None" not in text
    assert not re.search(r"\bnan\b", text)


def test_the_database_is_shown_where_somebody_looked(results: RunResults) -> None:
    assert page_of(results).count("<span>Database</span>") == 2
    bare = tuple(with_figures(cell, database_use=DatabaseUse()) for cell in results.cells)
    assert "<span>Database</span>" not in html.render(replace(results, cells=bare))


def test_audits_that_disagree_are_open_and_counted(results: RunResults) -> None:
    text = page_of(results)
    assert "1 of 2 audits failed" in text
    assert "<details open>" in text


def test_charts_take_their_colours_from_the_page(results: RunResults) -> None:
    charts = re.findall(r'<svg class="chart".*?</svg>', page_of(results), re.DOTALL)
    assert charts
    for chart in charts:
        assert "var(--series-1)" in chart
        assert not re.search(r"#[0-9a-f]{6}\b", re.sub(r'(href="|url\()#[^")]+', "", chart))
        assert "<style" not in chart
        assert "font-family" not in chart
        assert "metadata" not in chart
        assert re.search(r"<title id=", chart)
        assert re.search(r"<desc id=", chart)


def test_no_cells_at_all(results: RunResults) -> None:
    run = replace(results.run, cells=(), round_states={})
    page = Page(html.render(replace(results, run=run, cells=(), comparisons=())))
    assert not page.unbalanced


def test_a_cell_that_was_planned_and_has_no_results(results: RunResults) -> None:
    text = html.render(replace(results, cells=results.cells[:3], comparisons=()))
    assert text.count("no results") == 3


def test_a_scenario_with_both_load_models_has_two_sections(results: RunResults) -> None:
    load = Closed(users=10, duration_s=1.0)
    both = replace(results.cells[1], load=load, name="wait-timer/sync/closed-10/native")
    page = Page(html.render(replace(results, cells=(*results.cells, both))))
    assert len(page.ids) == len(set(page.ids))
    assert {"scenario-wait-timer", "scenario-wait-timer-burst"} <= set(page.ids)


def test_sixty_cells_take_less_than_three_seconds(many: RunResults) -> None:
    assert len(many.cells) == 60
    start = time.perf_counter()
    html.render(many)
    assert time.perf_counter() - start < 30


def test_stages_have_a_chart_with_the_knee(open_loads: RunResults) -> None:
    text = page_of(open_loads)
    descriptions = re.findall(r"<desc[^>]*>(.*?)</desc>", text)
    steps = next(one for one in descriptions if "sustained up to 200" in one)
    assert "100 at 100" in steps
    assert "350 at 400" in steps
    assert ", invalid" in "".join(descriptions)


def descriptions(text: str) -> list[str]:
    return re.findall(r"<desc[^>]*>(.*?)</desc>", text)


def test_charts_of_a_fan_out_join_what_is_alike_and_say_what_is_left_out(
    fan_outs: RunResults,
) -> None:
    text = page_of(fan_outs)
    heard = next(one for one in descriptions(text) if "async p99: 3.08 ms at 10" in one)
    assert "61.5 ms at 1,000 (95% interval" in heard
    assert "async p50: 0.769 ms at 10" in heard
    assert "62.0 ms" not in heard, "the stalled client's load is another"
    assert "other loads are in the table" in text
    assert "31.2 µs at 1,000" in "".join(descriptions(text))


def test_nothing_of_a_fan_out_is_per_request(fan_outs: RunResults) -> None:
    text = page_of(fan_outs)
    assert "per request" not in text
    assert "2.00 µs" in text
    assert "Transactions per delivery" in text


def test_stages_of_a_fan_out_have_charts_with_the_knee(fan_outs: RunResults) -> None:
    text = page_of(fan_outs)
    deliveries = next(one for one in descriptions(text) if "10,000 at 10" in one)
    assert "sustained up to 10" in deliveries
    assert "99% at 40" in "".join(descriptions(text)), "not all was heard: the reach has a chart"
    assert "99% within 100 ms of when the publication was due" in text


def test_a_series_is_one_section_with_its_number_on_the_axis(swept: RunResults) -> None:
    text = page_of(swept)
    assert text.count("<section") == 4  # the series, the other scenario, method and data
    assert '<h2 id="sweep-files-limit-title">How many files at once?</h2>' in text
    assert "<p>Each request has 100 files read.</p>" in text, "what all of them say"
    rates = next(one for one in descriptions(text) if one.startswith("sync: 6.60 at 1 "))
    assert "42.6 at 256 (95% interval 38.0 to 47.7), invalid" in rates
    assert '<th scope="col">Files open at once</th>' in text
    assert "files open at once = 16, 10 users: async has 1.67 times" in text


def test_steps_of_a_flow_that_hears_events_are_in_no_drawer(swept: RunResults) -> None:
    text = page_of(swept)
    process = text[text.index('id="scenario-process"') :]
    assert process.index("last-event") < process.index("<details")
    series = text[text.index('id="sweep-files-limit"') : text.index('id="scenario-process"')]
    assert series.index(">only<") > series.index("<details")


def test_steps_with_one_beside_the_others_are_shown_everywhere(swept: RunResults) -> None:
    # The scenario that has no steps of events, and so would have them in a drawer.
    (cell,) = [one for one in swept.cells if one.scenario == "process" and one.target == "async"]
    steps = (
        StepResult("report", 30, 0, Percentiles(p50=80.0)),
        StepResult("small", 270, 0, Percentiles(p50=71.5, p95=77.7)),
    )
    load = Closed(users=10, duration_s=1.0)
    cell = with_figures(replace(cell, scenario="mixed", load=load, driver="native"), steps=steps)
    for bystander in ("", "small"):
        fact = ScenarioFacts("mixed", "Small ones beside large ones", "", bystander=bystander)
        found = replace(with_scenarios(swept, fact), cells=(cell,), comparisons=(), series=())
        page = page_of(found)
        section = page[page.index('id="scenario-mixed"') :]
        is_open = bool(bystander)
        assert (section.index("71.5 ms") < section.index("<details")) == is_open
        note = "The times of small show what the requests beside it cost it."
        text = markdown.render(found)
        assert ("| small | 270 |" in text) == is_open
        assert (note in section) == is_open
        console = Console(width=80, file=io.StringIO(), color_system=None)
        with console.capture() as capture:
            console.print(terminal.render(found, verbose=True))
        shown = capture.get()
        assert ("77.7 ms" in shown) == is_open
        assert (note in shown) == is_open


def test_rounds_that_do_not_count_are_told_and_the_cell_is_valid(results: RunResults) -> None:
    (first, *others) = results.cells
    assert first.validity.is_valid
    failed = Objection.of(ObjectionCode.REQUESTS_FAILED, failed=3, requests=10)
    unsteady = Objection.of(ObjectionCode.LEVEL_CHANGED, series="answers", cut=1, rounds=1)
    bad = replace(first.validity, rounds=(RoundObjections(0, (failed, unsteady)),))
    figures = first.figures_despite(first.validity)
    rounds = tuple(replace(one, counts=one.round != 0) for one in figures.per_round)
    cell = replace(first, validity=bad, unjudged=replace(figures, per_round=rounds))
    spoiled = replace(results, cells=(cell, *others))
    said = (
        "round 1 does not count: 3 of 10 requests failed; throughput changed within the window in "
        "1 of 1 rounds (MSER)"
    )
    page, text = html.render(spoiled), markdown.render(spoiled)
    assert said in " ".join(page.split())
    assert f"1 of {cell.rounds} rounds of a valid cell does not count" in page
    assert page.count('<span class="doubtful">does not count</span>') == 1
    assert said in text
    assert said in printed(spoiled)
    for shown in (html.render(results), markdown.render(results), printed(results)):
        assert "does not count" not in shown


def printed(results: RunResults) -> str:
    """What the terminal shows, on one line."""
    file = io.StringIO()
    Console(file=file, width=300).print(terminal.render(results, verbose=True))
    return " ".join(file.getvalue().split())


def test_golden(results: RunResults) -> None:
    # Without the drawings: they depend on the version of matplotlib, and have their own tests.
    text = re.sub(
        r'(<svg class="chart".*?<desc.*?</desc>).*?</svg>',
        r"\1</svg>",
        page_of(results),
        flags=re.DOTALL,
    )
    text = re.sub(r"<style>.*?</style>", "<style></style>", text, flags=re.DOTALL)
    if os.environ.get(UPDATE) == "1":
        GOLDEN.write_text(text, encoding="utf-8")
    if text != GOLDEN.read_text(encoding="utf-8"):
        pytest.fail(f"the page has changed; look at it, then run again with {UPDATE}=1")


def test_a_legend_names_targets_and_their_drivers_where_there_are_several(
    two_drivers: RunResults,
) -> None:
    alone = replace(two_drivers.cells[0], scenario="crud-client", driver="locust")
    results = replace(two_drivers, cells=(*two_drivers.cells, alone))
    text = html.render(results)
    legends = re.findall(r'<ul class="legend">(.*?)</ul>', text, re.DOTALL)
    keys = [re.findall(r'd="([^"]*)"/></svg> ([^<]*)<', legend) for legend in legends]
    several = next(one for one in keys if len(one) > 3)
    paths = {name: path for path, name in several}
    assert {"async (native)", "async (locust)", "sync (native)"} <= paths.keys()
    assert len({paths["async (native)"], paths["async (locust)"], paths["sync (native)"]}) == 3
    # A section with one of them has its marker, and the target's name alone.
    assert [(paths["async (locust)"], "async")] in keys


def test_the_page_says_what_requests_ask_of_the_database_and_how_connections_are_tested(
    results: RunResults,
) -> None:
    scenarios = [replace(one, statements={"wait": "BEGIN SELECT"}) for one in results.run.scenarios]
    tests = {"sync": ";", "async": "BEGIN ; ROLLBACK"}
    targets = [replace(one, connection_test=tests.get(one.name, "")) for one in results.run.targets]
    run = replace(results.run, scenarios=tuple(scenarios), targets=tuple(targets))
    text = html.render(replace(results, run=run))
    assert "<dd>BEGIN SELECT (2)</dd>" in text
    assert "<dt>sync</dt><dd>1 round trip more</dd>" in text
    assert "<dt>async</dt><dd>3 round trips more</dd>" in text
    assert "What a request asks of the database" not in html.render(results)
