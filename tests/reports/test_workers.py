"""The workers of a distributed driver: who they were, whose clock counts, and who was lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopmark.harness.vocabulary.figures import WorkerUse
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import clocks, html, markdown
from tests.reports.conftest import with_figures


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        (WorkerUse("a", 1, 1, "shared"), "shared: same machine"),
        (WorkerUse("a", 1, 1, "aligned", 0.35), "aligned to ±0.350 ms"),
        (WorkerUse("a", 1, 1, "aligned"), "aligned"),
        (
            WorkerUse("a", 1, 1, "durations", 90.0),
            "durations only: offset unknown",
        ),
    ],
)
def test_clock_in_words(worker: WorkerUse, words: str) -> None:
    assert clocks.words(worker) == words


def test_every_clock_that_was_used_is_explained_and_no_other() -> None:
    shared, aligned, wider = (
        WorkerUse("a", 1, 1, "shared"),
        WorkerUse("b", 1, 1, "aligned", 0.35),
        WorkerUse("c", 1, 1, "aligned", 0.8),
    )
    assert len(clocks.notes([shared, shared])) == 1
    first, second = clocks.notes([aligned, shared, wider])
    assert "share its clock" in first
    assert "clock-offset error: 0.800 ms" in second
    (only,) = clocks.notes([WorkerUse("d", 1, 1, "durations")])
    assert "Only the durations" in only
    assert clocks.notes([]) == ()


def test_page_has_a_row_for_each_worker(with_workers: RunResults) -> None:
    text = html.render(with_workers)
    assert "2 cells, 2 workers, 6 min 0 s" in text
    assert "<dt>Workers</dt><dd>2</dd>" in text
    for shown in ("bench-101", "far-202", "far-303", "aligned to ±0.350 ms", "4,700"):
        assert shown in text
    assert "ended &lt;script&gt;" in text
    assert "Several workers sent the load" in text
    assert "<details open>\n  <summary>Workers and their clocks" in text


def test_drawer_is_closed_when_nobody_was_lost(with_workers: RunResults) -> None:
    whole = replace(with_workers, cells=with_workers.cells[:1])
    assert "<details>\n  <summary>Workers and their clocks" in html.render(whole)


def test_markdown_has_them_too(with_workers: RunResults) -> None:
    text = markdown.render(with_workers)
    assert "2 cores, 2 workers." in text
    assert (
        "| async | 100 | far-202 | 3 | 4,700 | aligned to ±0.350 ms | 44% | 0.625 ms | no |" in text
    )
    assert "their own clocks" in text


def test_driver_alone_says_nothing_of_workers(with_workers: RunResults) -> None:
    cells = tuple(with_figures(cell, workers=()) for cell in with_workers.cells)
    alone = replace(with_workers, cells=cells, run=replace(with_workers.run, workers=0))
    for text in (html.render(alone), markdown.render(alone)):
        assert "orkers" not in text
