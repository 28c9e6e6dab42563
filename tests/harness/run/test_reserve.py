"""How long disturbed rounds are repeated."""

from __future__ import annotations

import pytest

from loopmark.harness.planning.plan import BLOCK_S, ROUND_S, Plan, expected_seconds
from loopmark.harness.run.request import RunRequest
from loopmark.harness.run.reserve import CLOSING_S, Reserve
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.record import RoundRecord
from tests.harness.builders import closed, conditions, record, report

STARTED = 1000.0
CELLS = tuple(
    Cell("crud", target, closed(duration_s=20.0), "native", 2) for target in ("sync", "async")
)
SYNC, ASYNC = CELLS


class Clock:
    def __init__(self) -> None:
        self.now = STARTED

    def __call__(self) -> float:
        return self.now


def reserve_of(clock: Clock, share: float = 0.5, budget_s: float | None = None) -> Reserve:
    plan = Plan("test", "Test", reserve=share)
    return Reserve(RunRequest("run", plan, "", CELLS, (), budget_s=budget_s), STARTED, clock)


def calm() -> RoundRecord:
    return record(driver=report(), conditions=conditions())


def disturbed() -> RoundRecord:
    return record(driver=report(), conditions=conditions(outside_s=1.0))


def measured(reserve: Reserve, *of: tuple[Cell, RoundRecord]) -> None:
    reserve.block_begins()
    for cell, one in of:
        reserve.keep(cell, one)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_disturbed_pair_is_due_once(clock: Clock) -> None:
    reserve = reserve_of(clock)
    measured(reserve, (SYNC, disturbed()), (ASYNC, calm()))
    assert reserve.due() == ((SYNC, ASYNC),)
    assert reserve.due() == ()


def test_repeat_that_was_disturbed_is_due_again(clock: Clock) -> None:
    reserve = reserve_of(clock, share=1.0)
    measured(reserve, (SYNC, disturbed()), (ASYNC, calm()))
    reserve.due()
    measured(reserve, (ASYNC, disturbed()), (SYNC, calm()))
    assert reserve.due() == ((ASYNC, SYNC),)


@pytest.mark.parametrize(
    "one",
    [
        calm(),
        record(driver=report()),  # Its conditions are not known.
        record(driver=report(), conditions=conditions(throttled_s=1.0, target_waited_s=9.0)),
        record(state="target-died", conditions=conditions(outside_s=1.0)),
        record(state="driver-died", conditions=conditions(outside_s=1.0)),
    ],
    ids=["calm", "unknown", "throttled and queued", "target died", "driver died"],
)
def test_other_rounds_are_not_repeated(clock: Clock, one: RoundRecord) -> None:
    reserve = reserve_of(clock)
    measured(reserve, (SYNC, one), (ASYNC, one))
    assert reserve.due() == ()


def test_reserve_is_half_of_the_planned_time(clock: Clock) -> None:
    reserve = reserve_of(clock)
    assert reserve.left_s == pytest.approx(expected_seconds(CELLS) / 2)
    assert reserve_of(clock, budget_s=360.0).left_s == pytest.approx(180.0)


def test_what_was_used_is_gone_and_extends_the_run(clock: Clock) -> None:
    reserve = reserve_of(clock, budget_s=360.0)
    assert reserve.end == STARTED + 360.0 - CLOSING_S
    clock.now += 50.0
    reserve.use(STARTED)
    assert reserve.left_s == pytest.approx(130.0)
    assert reserve.end == STARTED + 410.0 - CLOSING_S


def test_time_for_which_workers_were_awaited_is_nobodys(clock: Clock) -> None:
    reserve = reserve_of(clock, budget_s=360.0)
    left_s = reserve.left_s
    clock.now += 600.0
    reserve.waited(STARTED)
    assert reserve.end == STARTED + 600.0 + 360.0 - CLOSING_S
    assert reserve.left_s == left_s


def test_rounds_that_took_longer_leave_less_for_repeats(clock: Clock) -> None:
    reserve = reserve_of(clock, budget_s=360.0)
    clock.now += 450.0
    assert reserve.left_s == pytest.approx(540.0 - CLOSING_S - 450.0)


def test_pair_that_takes_longer_than_the_reserve_is_not_repeated(clock: Clock) -> None:
    pair_s = 2 * (SYNC.load.planned_s + ROUND_S) + BLOCK_S
    for budget_s, due in ((2 * pair_s - 1, ()), (2 * pair_s + 1, ((SYNC, ASYNC),))):
        reserve = reserve_of(clock, budget_s=budget_s)
        measured(reserve, (SYNC, disturbed()), (ASYNC, calm()))
        assert reserve.due() == due


def test_machine_that_is_never_quiet_leaves_the_reserve_to_the_questions(clock: Clock) -> None:
    reserve = reserve_of(clock, budget_s=360.0)
    measured(reserve, (SYNC, disturbed()), (ASYNC, disturbed()))
    assert reserve.due() == ()
    assert reserve.end == STARTED + 1.5 * 360.0 - CLOSING_S


def test_rounds_of_fixed_number_are_repeated_on_such_a_machine_too(clock: Clock) -> None:
    reserve = reserve_of(clock, share=1.0)
    measured(reserve, (SYNC, disturbed()), (ASYNC, disturbed()))
    assert reserve.due() == ((SYNC, ASYNC),)


def test_disturbed_block_in_a_quiet_run_is_repeated(clock: Clock) -> None:
    reserve = reserve_of(clock, budget_s=360.0)
    for _ in range(3):
        measured(reserve, (SYNC, calm()), (ASYNC, calm()))
    reserve.due()
    measured(reserve, (SYNC, disturbed()), (ASYNC, disturbed()))
    assert reserve.due() == ((SYNC, ASYNC),)
    assert reserve.end == STARTED + 360.0 - CLOSING_S


def test_without_a_reserve_nothing_is_repeated(clock: Clock) -> None:
    reserve = reserve_of(clock, share=0.0)
    measured(reserve, (SYNC, disturbed()), (ASYNC, calm()))
    assert reserve.due() == ()
