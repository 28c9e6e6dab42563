"""What is said of the conditions of a run, and where."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from loopmark.harness.vocabulary.conditions import Conditions
from loopmark.harness.vocabulary.figures import DatabaseUse
from loopmark.harness.vocabulary.record import SCHEMA_VERSION, Pinning, ProcessorFacts
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.harness.vocabulary.target import Target
from loopmark.reports import conditions, csv_table, html, markdown, terminal
from tests.harness import builders
from tests.harness.builders import cell, round_result, run_record


def result(
    target: str,
    fates: Sequence[str],
    found: Conditions | None = None,
    of_round: Conditions | None = None,
) -> CellResult:
    """A cell whose rounds were calm, disturbed, or set aside."""
    rounds = [
        replace(
            round_result(number),
            disturbed=fate != "calm",
            set_aside=fate == "aside",
            counts=fate != "aside",
            conditions=of_round,
        )
        for number, fate in enumerate(fates)
    ]
    made = builders.cell_result(cell(target), rounds)
    return replace(made, unjudged=replace(made.unjudged, conditions=found))


def results(*cells: CellResult) -> RunResults:
    return RunResults(SCHEMA_VERSION, run_record(*map(cell, "ab"[: len(cells)])), cells, ())


def test_disturbed_rounds_are_counted_by_side_and_fate() -> None:
    found = results(
        result("sync", ["calm", "aside", "calm"]), result("async", ["disturbed", "aside", "aside"])
    )
    assert conditions.disturbed(found) == (
        "others took the processors during 4 of 6 rounds (async 3, sync 1): "
        "3 were set aside, as others were measured instead; "
        "1 counts, as too few undisturbed ones were measured"
    )


def test_nothing_is_said_of_a_quiet_run() -> None:
    quiet = results(result("sync", ["calm", "calm"], builders.conditions()))
    assert conditions.disturbed(quiet) == ""
    assert conditions.not_reported(quiet) == ""
    assert conditions.of_cells(quiet.cells) == ()


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (result("sync", ["aside", "calm"]), "1 disturbed round set aside"),
        (
            result("sync", ["disturbed", "calm"], builders.conditions(2.0, outside_s=0.5)),
            (
                "1 of 2 rounds disturbed; processes outside the run took 25% of the processors of "
                "one side"
            ),
        ),
        (
            result("sync", ["calm"], builders.conditions(2.0, steal_s=0.06)),
            "the hypervisor took 3% of the processors",
        ),
        (
            result("sync", ["calm"], builders.conditions(2.0, throttled_s=0.5)),
            "a quota stopped processes for 500 ms in 2.00 s",
        ),
        (result("sync", ["calm"], builders.conditions(2.0, steal_s=0.01, outside_s=0.03)), ""),
        (result("sync", ["calm"], builders.conditions(target_waited_s=30.0)), ""),
    ],
)
def test_conditions_are_said_where_they_matter(found: CellResult, text: str) -> None:
    assert conditions.of_cell(found) == text


def test_what_is_not_reported_is_said_once() -> None:
    blind = builders.conditions(throttled_s=None)
    found = results(*(result(one, ["calm", "calm"], of_round=blind) for one in ("sync", "async")))
    assert conditions.not_reported(found) == "not reported on this machine: throttling by a quota"


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (ProcessorFacts(((0,), (1,)), None, None, 0.0, ""), ""),
        (
            ProcessorFacts(((0, 2), (1, 3)), 1.5, 0.1, 0.02, "powersave"),
            (
                "a quota of 1.5 processors, SMT siblings 0+2 1+3, steal 2% since the system "
                "started, frequency governor powersave"
            ),
        ),
    ],
)
def test_limits_of_the_processors_are_listed(facts: ProcessorFacts, text: str) -> None:
    assert conditions.processors(facts) == text


@pytest.mark.parametrize(
    ("cores", "quota", "text"),
    [
        (((0,), (1,)), None, ""),
        (((0,), (1,)), 2.0, ""),
        (((0,), (1,)), 1.5, "driver and target share a quota of 1.5 processors"),
        (((0,),), 0.5, "driver and target share a quota of 0.5 processors and one processor"),
        (((0, 1),), None, "driver and target share the threads of one core"),
    ],
)
def test_what_driver_and_target_share_is_said(
    cores: tuple[tuple[int, ...], ...], quota: float | None, text: str
) -> None:
    machine = replace(run_record().machine, processors=ProcessorFacts(cores, quota, None, None, ""))
    run = replace(run_record(), machine=machine, targets=(Target(name="a", variant="sync"),))
    assert conditions.shared(run) == text
    assert conditions.shared(replace(run, targets=(Target(name="a", url="http://a"),))) == ""


def test_reports_show_them() -> None:
    lost = builders.conditions(2.0, steal_s=0.06, outside_s=0.5)
    blind = builders.conditions(throttled_s=None)
    found = results(result("sync", ["disturbed", "calm"], lost, blind), result("async", ["calm"]))
    limits = ProcessorFacts(((0,), (1,)), 1.5, None, None, "")
    machine = replace(found.run.machine, processors=limits)
    found = replace(found, run=replace(found.run, machine=machine))
    written = io.StringIO()
    Console(file=written, width=1000).print(terminal.render(found))
    page = html.render(found)
    for report in (written.getvalue(), page, markdown.render(found)):
        assert "thers took the processors during 1 of 3 rounds" in report
        assert report.count("ot reported on this machine") == 1
    for report in (page, markdown.render(found)):
        assert "1 of 2 rounds disturbed; processes outside the run took 25%" in report
    assert page.count("a quota of 1.5 processors") == 1, "no target was launched"


def test_table_has_every_condition() -> None:
    lost = builders.conditions(2.0, steal_s=0.5, outside_s=1.0, target_waited_s=7.0)
    found = results(result("sync", ["aside", "calm"], lost), result("async", ["calm"]))
    first, second = csv.DictReader(io.StringIO(csv_table.render(found)))
    assert (first["rounds_disturbed"], first["rounds_set_aside"]) == ("1", "1")
    shown = {name: first[name] for name in ("steal_share", "outside_share", "target_waited_s")}
    assert shown == {"steal_share": "0.25", "outside_share": "0.5", "target_waited_s": "7.0"}
    assert first["observed_s"] == "2.0"
    assert second["steal_share"] == ""
    assert second["rounds_disturbed"] == "0"


@pytest.mark.parametrize(
    ("use", "pinning", "text"),
    [
        (
            DatabaseUse(cpu_fraction=0.9),
            Pinning((0,), (2,), (1,)),
            "the database used 90% of its processors, and may be the limit",
        ),
        (DatabaseUse(cpu_fraction=0.9), Pinning((0,), (3,), (1, 2)), ""),
        # Beside the target it takes what the target leaves.
        (DatabaseUse(cpu_fraction=0.9), Pinning((0,), (1,), (0,)), ""),
        (DatabaseUse(cpu_fraction=0.9), Pinning((), (), ()), ""),
        (
            DatabaseUse(active=10.0, waiting=4.0),
            Pinning((0,), (1,), (0,)),
            "40% of the statements waited for a lock, which may be the limit",
        ),
        (DatabaseUse(active=10.0, waiting=2.0), Pinning((0,), (1,), (0,)), ""),
        (DatabaseUse(active=0.2, waiting=0.2), Pinning((0,), (1,), (0,)), ""),
    ],
)
def test_a_database_that_may_be_the_limit_is_named(
    use: DatabaseUse, pinning: Pinning, text: str
) -> None:
    calm = result("sync", ["calm"])
    found = replace(calm, unjudged=replace(calm.unjudged, database_use=use))
    assert conditions.of_cell(found, pinning) == text


def test_where_most_rounds_are_disturbed_an_answer_says_what_it_holds_for() -> None:
    busy = builders.conditions(10.0, outside_s=4.9)
    half = results(result("sync", ["calm", "disturbed"], None, busy))
    assert conditions.holds_while(half) == ""
    most = results(result("sync", ["calm", "disturbed", "disturbed", "aside"], None, busy))
    assert conditions.holds_while(most) == "this holds while others take about 49% of a processor"
    assert conditions.holds_while(results(result("sync", ["disturbed"]))) == ""
