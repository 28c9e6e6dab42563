"""Whether the drivers agree: in every format, and in words that claim no more than was found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopmark.harness.vocabulary.comparison import Comparison
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import agreement, headline, markdown
from loopmark.reports.formatting import MISSING
from tests.reports.conftest import page_of
from tests.reports.test_tables import printed


def changed(results: RunResults, number: int, **fields: object) -> Comparison:
    found = results.comparisons[number]
    return replace(found, **fields)  # type: ignore[arg-type]


def test_words_for_a_ratio(two_drivers: RunResults) -> None:
    same, apart, few, invalid, *_ = two_drivers.comparisons
    assert agreement.words(same) == ("no significant difference: the interval includes 1")
    assert (
        agreement.words(apart) == "locust measures 4.2% more than native: the interval excludes 1"
    )
    assert agreement.words(few) == "not comparable: too few samples in every round"
    assert agreement.words(invalid) == "inconclusive: locust: driver-limited"
    less = changed(two_drivers, 1, ratio=0.75, ratio_ci=(0.7, 0.8))
    assert agreement.words(less) == "locust measures 25% less than native: the interval excludes 1"
    alone = changed(two_drivers, 1, ratio=1.0004, ratio_ci=None)
    assert agreement.words(alone) == (
        "locust measures less than 0.1% more than native; one round only, it may be chance"
    )


def test_summary_counts_what_agrees_and_what_does_not(two_drivers: RunResults) -> None:
    assert agreement.summary(two_drivers) == (
        "of 3 figures compared between native and locust, 2 show no significant "
        "difference and 1 differs by 4.2%; 3 not comparable"
    )
    far = changed(two_drivers, 0, ratio=0.5, ratio_ci=(0.4, 0.6))
    both = replace(two_drivers, comparisons=(far, two_drivers.comparisons[1]))
    assert agreement.summary(both).endswith("2 differ by 4.2% to 50%")
    alone = replace(two_drivers, comparisons=(replace(far, ratio_ci=None),))
    assert agreement.summary(alone).endswith("1 rests on one round and is inconclusive")
    nothing = replace(two_drivers, comparisons=two_drivers.comparisons[2:5])
    assert agreement.summary(nothing) == "no figure is comparable between native and locust"
    assert agreement.summary(replace(two_drivers, comparisons=())) == ""


def test_it_is_the_answer_of_a_run_with_several_drivers(two_drivers: RunResults) -> None:
    assert headline.answer(two_drivers).startswith(
        "Of 3 figures compared between native and locust"
    )
    assert headline.sentences(two_drivers)[0] == (
        "Async and sync were not measured under the same load."
    )


def test_groups_are_in_the_order_of_the_sections(two_drivers: RunResults) -> None:
    (pair,) = agreement.driver_pairs(two_drivers)
    assert (pair.base, pair.other) == ("native", "locust")
    shown = [(group.title, group.main.target, group.main.metric) for group in pair.groups]
    assert shown == [
        ("Create a resource", "sync", "throughput_rps"),
        ("Create a resource", "async", "throughput_rps"),
        ("The documented timing table", "async", "makespan_s"),
    ]
    assert [group.is_inconclusive for group in pair.groups] == [True, False, False]


def test_the_page_has_both_side_by_side(two_drivers: RunResults) -> None:
    text = page_of(two_drivers)
    assert 'href="#do-the-drivers-agree"' in text
    start = text.index('<section id="do-the-drivers-agree"')
    section = text[start : text.index("</section>", start)]
    for shown in ("800", "780", "0.940 to 1.01", "1.02 to 1.06", "520 ms", "530 ms"):
        assert shown in section
    assert section.count("inconclusive") == 2
    assert section.count("driver-limited") == 1
    assert section.count(" apart") == 1


def test_other_formats_have_it_too(two_drivers: RunResults) -> None:
    md = markdown.render(two_drivers)
    rows = [line for line in md.splitlines() if "the interval" in line and line.startswith("|")]
    assert len(rows) == 3
    assert "| Create a resource | async | 100 users | throughput | 800 | 780 |" in md
    text = printed(two_drivers, 80)
    line = next(line for line in text.splitlines() if "800/s" in line)
    assert line.split() == [
        "create-fresh",
        "async",
        "100",
        "800/s",
        "780/s",
        "0.975",
        f"0.940{MISSING}1.01",
    ]


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_table_fits(two_drivers: RunResults, width: int) -> None:
    assert all(len(line.rstrip()) <= width for line in printed(two_drivers, width).splitlines())
    assert "…" not in printed(two_drivers, width)


def test_without_a_second_driver_there_is_no_such_section(many: RunResults) -> None:
    for text in (page_of(many), markdown.render(many), printed(many, 80)):
        assert agreement.TITLE not in text
