"""Shares and gaps of a round's conditions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loopmark.harness.vocabulary.conditions import Conditions, Pressure, Taken
from loopmark.harness.vocabulary.thresholds import SHIPPED, Thresholds
from tests.harness.builders import conditions


def test_share_is_that_of_the_side_that_lost_most() -> None:
    found = conditions(2.0, steal_s=0.1, outside_s=0.2, on_driver_s=0.5)
    assert found.steal_share == pytest.approx(0.05)
    assert found.outside_share == pytest.approx(0.25)


def test_several_processors_share_what_was_taken_of_them() -> None:
    assert Conditions(2.0, (Taken((0, 1, 2, 3), None, 4.0),)).outside_share == pytest.approx(0.5)


def test_nothing_is_missing_where_all_is_reported() -> None:
    assert conditions().missing == ()


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (replace(conditions(), taken=(Taken((0,), 0.0),)), "CPU time of processes outside the run"),
        (replace(conditions(), pressure=Pressure()), "pressure"),
        (conditions(throttled_s=None), "throttling by a quota"),
        (conditions(target_waited_s=None), "the target's wait for a processor"),
    ],
)
def test_what_is_not_reported_is_named(found: Conditions, words: str) -> None:
    assert found.missing == (words,)


@pytest.mark.parametrize("found", [Conditions(0.0, (Taken((0,), 0.0, 0.0),)), Conditions(1.0)])
def test_without_time_or_processors_there_is_no_share(found: Conditions) -> None:
    assert found.steal_share is found.outside_share is None


@pytest.mark.parametrize(
    "found",
    [
        conditions(2.0),
        conditions(2.0, outside_s=0.11),  # 5% of 2 s, and 20 ms.
        conditions(2.0, outside_s=0.07, on_driver_s=0.07),  # Neither side lost much.
        conditions(2.0, steal_s=None, outside_s=None),
        conditions(0.2, outside_s=0.02),  # Two steps of the kernel's counters.
        conditions(2.0, throttled_s=1.0, target_waited_s=40.0),
        Conditions(2.0, (Taken((0, 1, 2, 3), 0.0, 0.41),)),
        Conditions(2.0),
    ],
)
def test_round_of_which_others_took_little_is_not_disturbed(found: Conditions) -> None:
    assert not found.is_disturbed(SHIPPED)


@pytest.mark.parametrize(
    "found",
    [
        conditions(2.0, outside_s=0.13),
        conditions(2.0, steal_s=0.13),
        conditions(2.0, steal_s=0.07, outside_s=0.06),
        conditions(2.0, on_driver_s=0.13),
        conditions(2.0, steal_s=None, outside_s=0.13),
        conditions(0.2, outside_s=0.04),
        Conditions(2.0, (Taken((0, 1, 2, 3), 0.0, 0.43),)),
    ],
)
def test_round_of_which_others_took_much_of_one_side_is_disturbed(found: Conditions) -> None:
    assert found.is_disturbed(SHIPPED)


def test_thresholds_of_the_run_decide() -> None:
    assert conditions(2.0, outside_s=0.11).is_disturbed(Thresholds(max_taken_share=0.04))
