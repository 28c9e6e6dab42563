"""A run of somebody's own locustfile: what it asked, and nothing that was not measured."""

from __future__ import annotations

import re
from dataclasses import replace

from loopmark.harness.vocabulary.cell import Objection, ObjectionCode
from loopmark.harness.vocabulary.figures import Percentiles, StepResult
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import columns, csv_table, headline, html, markdown, measured, wording
from loopmark.reports.formatting import MISSING
from tests.reports.conftest import LOCUSTFILE, against, page_of, with_figures
from tests.reports.test_tables import printed


def test_answer_is_what_the_target_did(own_locustfile: RunResults) -> None:
    assert headline.answer(own_locustfile) == (
        "The target at shop.example:8080 served 120 requests per second, median latency 12.5 ms, "
        "p99 41.0 ms."
    )
    assert headline.short(own_locustfile) == (headline.answer(own_locustfile),)
    first, *_ = headline.sentences(own_locustfile)
    assert first == (
        "3,600 requests were measured and none failed in 3 rounds, by 50 users of the locustfile."
    )


def test_answer_says_which_of_several_cells_it_means(own_locustfile: RunResults) -> None:
    (cell,) = own_locustfile.cells
    burst = replace(with_figures(cell, makespan_s=1.5), load=Burst(20), driver="httpx")
    two = replace(own_locustfile, cells=(cell, burst))
    assert measured.answer(two) == (
        "the target at shop.example:8080 (50 users of the locustfile, locust) served 120 requests "
        "per second, median latency 12.5 ms, p99 41.0 ms; the target at shop.example:8080 (20 "
        "concurrent requests, httpx) answered all 20 after 1.50 s"
    )
    assert measured.sentences(two) == (), "the tables have them"
    many = replace(own_locustfile, cells=(cell,) * 4)
    assert measured.answer(many) == (
        "4 cells were measured, 4 of them valid; the tables have the figures"
    )
    assert measured.answer(replace(own_locustfile, cells=())) == "nothing was measured"


def test_answer_of_doubtful_figures_has_no_figure(shaped_locustfile: RunResults) -> None:
    assert headline.answer(shaped_locustfile) == (
        "The figures of shop.example:8080 are invalid (errors): 3 of 3,600 requests failed."
    )
    assert headline.sentences(shaped_locustfile) == ()


def test_page_says_what_was_measured(own_locustfile: RunResults) -> None:
    text = page_of(own_locustfile)
    assert "locustfile <code>shop.py</code>" in text
    for name, value in (
        ("Locustfile", "shop.py"),
        ("User classes", "Reader, Buyer"),
        ("Shape", "none: a fixed number of users"),
        ("Target", "http://shop.example:8080"),
        (
            "Load",
            "50 users of the locustfile, 10 started per second, for 60.0 s in total",
        ),
    ):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in text
    (source,) = re.findall(r"<details>\s*<summary>The locustfile.*?</details>", text, re.DOTALL)
    assert "class Reader(FastHttpUser):" in source
    assert "<dt>Plan</dt>" not in text
    assert "<summary>The plan<" not in text


def test_shape_is_named(shaped_locustfile: RunResults) -> None:
    text = page_of(shaped_locustfile)
    assert "<dt>Shape</dt><dd>Wave</dd>" in text
    assert "the users of the locustfile&#39;s shape, for at most 10 min 0 s" in text


def test_work_of_the_client_is_said_and_how_long_a_missing_percentile_takes(
    own_locustfile: RunResults,
) -> None:
    (cell,) = own_locustfile.cells
    cost = "its own work adds about 3.34 ms to each."
    assert cost in page_of(own_locustfile)
    assert cost in " ".join(printed(own_locustfile, 80).split())
    (note,) = columns.client_notes(cell)
    assert "p99" not in note, "it has one"
    slow = with_figures(
        cell, throughput_rps=3.0, seconds_for={"p50": 30.2, "p99": 400.0, "p999": 4000.0}
    )
    assert columns.client_notes(slow) == (
        "Locust's client measures these times itself: a few milliseconds are its own work",
        "p50 needs about 31 s of measuring at this rate",
        "p99 needs about 7 min of measuring at this rate",
    )
    assert columns.client_notes(with_figures(cell, latency_ms=Percentiles())) == ()


def test_nothing_of_the_documentation_is_claimed(own_locustfile: RunResults) -> None:
    for text in (
        page_of(own_locustfile),
        markdown.render(own_locustfile),
        printed(own_locustfile, 80),
    ):
        body = re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL).lower()
        assert "documented" not in body
        assert "documentation" not in body
        assert "async" not in body


def test_requests_are_rows_by_their_name(own_locustfile: RunResults) -> None:
    page, md = page_of(own_locustfile), markdown.render(own_locustfile)
    assert '<th scope="row" class="name">GET /items</th>' in page
    assert f"| 12.5 ms | 20.2 ms | 25.5 ms | 41.0 ms | {MISSING} | 133 ms |" in md
    assert "| GET /items | 3,240 | 0 | 12.5 ms |" in md
    line = next(one for one in printed(own_locustfile, 80).splitlines() if "GET /items " in one)
    assert line.split()[:3] == ["GET", "/items", "3,240"]
    assert line.strip().endswith("0  12.5 ms  25.5 ms  41.0 ms")
    assert "Step by step" not in page


def test_columns_that_nobody_could_fill_are_not_there(own_locustfile: RunResults) -> None:
    page, md = page_of(own_locustfile), markdown.render(own_locustfile)
    for heading in (
        "Memory",
        "Threads",
        "CPU per request",
        "Send spread",
        "Response p50",
        "To send",
    ):
        assert f'<th scope="col">{heading}' not in page
        assert f"| {heading}" not in md
    for heading in ("Driver CPU", "Service p50"):
        assert f'<th scope="col">{heading}' in page
    assert "CPU/req" not in printed(own_locustfile, 80)
    assert "<span>Database</span>" not in page
    assert 'class="charts"' not in page


def test_errors_are_shown_by_kind_with_examples(shaped_locustfile: RunResults) -> None:
    page, md = page_of(shaped_locustfile), markdown.render(shaped_locustfile)
    assert "<details open>\n  <summary>Errors by kind, with examples</summary>" in page
    assert "POST /orders: &lt;script&gt;" in page
    assert "| failed | 2 | POST /orders: \\<script\\>" in md
    assert "| server-error | 1 |  |" in md


def test_what_tasks_raised_is_shown_everywhere(own_locustfile: RunResults) -> None:
    raised = "Shopper: KeyError: 'price' at buy, line 9"
    (cell,) = own_locustfile.cells
    cell = replace(
        cell,
        validity=against(Objection.of(ObjectionCode.TASKS_RAISED, times=7, example=raised)),
        error_kinds={"locustfile": 7},
        error_examples={"locustfile": (f"{raised} (6 times)", "Shopper: ValueError: no")},
    )
    results = replace(own_locustfile, cells=(cell,))
    page, md, text = html.render(results), markdown.render(results), printed(results, 80)
    assert "<code>Shopper: ValueError: no</code>" in page
    assert "counts exceptions raised by tasks" in page
    assert f"| locustfile | 7 | {raised} (6 times); Shopper: ValueError: no |" in md
    (line,) = [one for one in text.splitlines() if one.startswith("locustfile")]
    assert line.split()[:3] == ["locustfile", "7", "Shopper:"]


def test_a_remark_without_a_number_is_shown_too(own_locustfile: RunResults) -> None:
    (cell,) = own_locustfile.cells
    cell = replace(cell, error_examples={"locustfile": ("an exception in a listener",)})
    results = replace(own_locustfile, cells=(cell,))
    assert f"| locustfile | {MISSING} | an exception in a listener |" in markdown.render(results)
    assert "<code>an exception in a listener</code>" in html.render(results)
    assert "an exception in a listener" in printed(results, 80)


def test_a_terminal_has_the_requests_that_were_asked_most(own_locustfile: RunResults) -> None:
    (cell,) = own_locustfile.cells
    steps = tuple(StepResult(f"GET /{n}/", n, 0, Percentiles()) for n in range(1, 31))
    cell = with_figures(cell, steps=steps)
    text = printed(replace(own_locustfile, cells=(cell,)), 80)
    assert [n for n in range(1, 31) if f"GET /{n}/ " in text] == list(range(11, 31))
    assert "and 10 more kinds of request, in the report" in text
    assert "more kinds of request" not in printed(own_locustfile, 80)


def test_an_interrupted_locustfile_had_no_plan(own_locustfile: RunResults) -> None:
    results = replace(own_locustfile, run=replace(own_locustfile.run, interrupted=True))
    for text in (html.render(results), markdown.render(results), printed(results, 80)):
        assert "t ended before the run time was over" in text
        assert "its plan was" not in text


def test_a_percentile_that_nobody_could_tell_makes_room(own_locustfile: RunResults) -> None:
    (cell,) = own_locustfile.cells
    headings = [one.heading for one in columns.shown_answers(own_locustfile.cells)]
    assert "p99" in headings
    assert "p99.9" not in headings
    told = with_figures(cell, latency_ms=Percentiles(p50=1.0, p999=9.0))
    assert "p99.9" in [one.heading for one in columns.shown_answers((told,))]


def test_markdown_keeps_the_file_in_a_fence_that_it_cannot_close(
    own_locustfile: RunResults,
) -> None:
    text = markdown.render(own_locustfile)
    assert f"```python\n{LOCUSTFILE.rstrip()}\n```" in text


def test_csv_has_the_cell(shaped_locustfile: RunResults) -> None:
    _, row = csv_table.render(shaped_locustfile).splitlines()
    assert row.startswith("20260102-030405-example,shop/shop.example:8080/shape/locust,shop,")


def test_loads_in_words() -> None:
    crowd = Population(users=1_500, spawn_rate=0.5, run_time_s=60.0)
    assert wording.at_once(crowd) == "1,500 users of the locustfile"
    assert wording.size(crowd) == "1,500"
    shape = Population(users=None, spawn_rate=1.0, run_time_s=60.0)
    assert wording.size(shape) == "shape"
    assert shape.words.note != crowd.words.note
