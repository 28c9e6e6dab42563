"""Plans: which cells they make."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopmark.harness.drivers.catalog import DRIVERS, drivers_for
from loopmark.harness.errors import UserError
from loopmark.harness.planning.plan import (
    cells_of,
    drivable,
    driven_by,
    planned_seconds,
    select,
)
from loopmark.harness.planning.plan_file import parse_plan
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.scenarios.catalog import SCENARIOS
from tests.harness.builders import burst, cell, closed
from tests.harness.planning.plan_texts import KNOWN, SHIPPED, plan_text, shipped

DRIVABLE_BY = {name: drivers_for(one) for name, one in SCENARIOS.items()}
FITTING = replace(KNOWN, drivable_by={"crud": ["native"]})


# ---- select ----

CELLS = (
    cell("sync", burst(10), scenario="wait-timer"),
    cell("async", burst(10), scenario="wait-timer"),
    cell("async", burst(100), scenario="wait-timer"),
    cell("async", closed(100), scenario="crud"),
)


@pytest.mark.parametrize(
    ("pattern", "chosen"),
    [
        (None, CELLS),
        ("wait-timer", CELLS[:3]),
        ("/async/", CELLS[1:]),
        ("crud/async/closed-100/native", CELLS[3:]),
        ("*/burst-10/*", CELLS[:2]),
        ("wait-*/a*", CELLS[1:3]),
        ("*/sync/burst-1[0-9]/native", CELLS[:1]),
        ("*-10?/*", CELLS[2:]),
    ],
)
def test_select_takes_a_part_of_the_name_or_a_glob(
    pattern: str | None, chosen: tuple[Cell, ...]
) -> None:
    assert select(CELLS, pattern) == chosen


@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("wait-tmier", "wait-timer"),
        ("burst-11", "burst-10"),
        ("crud/async/closed-10/native", "crud/async/closed-100/native"),
    ],
)
def test_selecting_nothing_names_the_nearest(pattern: str, nearest: str) -> None:
    with pytest.raises(UserError) as caught:
        select(CELLS, pattern)
    message = str(caught.value)
    assert message.startswith(f"--only: no cell is '{pattern}'; the nearest: {nearest}, ")
    assert message.count(",") == 2


def test_glob_must_match_the_whole_name() -> None:
    with pytest.raises(UserError):
        select(CELLS, "wait-*/sync")


# ---- planned time ----


def test_planned_seconds_are_the_loads_times_the_rounds() -> None:
    cells = (
        cell("a", burst(10, planned_s=0.5), rounds=3),
        cell("b", Closed(users=1, duration_s=2.0, warmup_s=0.25), rounds=2),
    )
    assert planned_seconds(cells) == pytest.approx(3 * 0.5 + 2 * 2.25)
    assert planned_seconds(()) == 0


# ---- what a driver cannot drive ----

FITTING = replace(KNOWN, drivable_by={"crud": ["native"]})


BOTH = plan_text(scenarios='["wait-timer", "crud"]', targets='["async"]', drivers='["native"]')


def test_other_drivers_take_the_place_of_the_plans() -> None:
    plan = driven_by(("fake",), parse_plan(BOTH, "my.toml", KNOWN))
    assert drivable(cells_of(plan), KNOWN.drivable_by) == (cells_of(plan), "")
    assert {(cell.scenario, cell.driver) for cell in cells_of(plan)} == {
        ("wait-timer", "fake"),
        ("crud", "fake"),
    }


def test_cells_that_another_driver_cannot_drive_are_skipped_and_told() -> None:
    cells = cells_of(driven_by(("fake", "native"), parse_plan(BOTH, "my.toml", FITTING)))
    kept, skipped = drivable(cells, FITTING.drivable_by)
    assert {(cell.scenario, cell.driver) for cell in kept} == {
        ("wait-timer", "fake"),
        ("wait-timer", "native"),
        ("crud", "native"),
    }
    assert skipped == "--driver fake: 1 of 4 cells skipped: only native can drive crud"


def test_another_driver_that_can_drive_no_cell_is_refused() -> None:
    cells = cells_of(driven_by(("fake",), parse_plan(BOTH, "my.toml", FITTING)))
    with pytest.raises(UserError) as caught:
        drivable(select(cells, "crud"), FITTING.drivable_by)
    assert str(caught.value) == ("--driver fake: no cells to measure: only native can drive crud")


def test_blocks_that_are_the_same_with_another_driver_are_refused() -> None:
    block = BOTH[BOTH.index("[[measure]]") :].replace('"native"', '"fake"')
    plan = parse_plan(f"{BOTH}\n{block}", "my.toml", KNOWN)
    with pytest.raises(UserError, match=r"test with --driver: the cell .* is planned twice"):
        driven_by(("fake",), plan)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("driver", sorted(DRIVERS))
def test_shipped_plans_have_cells_for_drivers_and_leave_out_the_rest(
    name: str, driver: str
) -> None:
    cells = cells_of(driven_by((driver,), shipped(name)))
    fit = [cell for cell in cells if driver in drivers_for(SCENARIOS[cell.scenario])]
    if not fit:
        with pytest.raises(UserError, match="no cells to measure"):
            drivable(cells, DRIVABLE_BY)
        return
    kept, skipped = drivable(cells, DRIVABLE_BY)
    assert list(kept) == fit
    assert bool(skipped) == (len(fit) < len(cells))
    assert "\n" not in skipped


def test_an_empty_pattern_is_a_mistake() -> None:
    with pytest.raises(UserError, match="the pattern is empty"):
        select(CELLS, "")
