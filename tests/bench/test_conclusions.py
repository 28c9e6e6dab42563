"""The pages of what runs conclude, from built runs; the runs themselves take minutes."""

from __future__ import annotations

import math
import os
import time
from dataclasses import replace

import psutil
import pytest

from tests.bench.conclusions.__main__ import page
from tests.bench.conclusions.neighbours import KINDS, neighbours
from tests.bench.conclusions.runs import Answer, Concluded
from tests.hang_limit import HANG_S

FASTER = Answer("crud, closed-10: async against sync", "throughput_rps", 2.0, 1.8, 2.2, 3, "more")
OPEN = replace(FASTER, low=0.7, high=4.0, verdict="open")


def run(kind: str, *answers: Answer) -> Concluded:
    return Concluded(kind, 0, 361.0, 360.0, 1, 30, answers)


@pytest.mark.parametrize(
    ("other", "contradicts"),
    [
        (FASTER, False),
        (replace(FASTER, ratio=2.5, low=2.1, high=3.0), False),
        (replace(FASTER, ratio=3.0, low=2.5, high=3.5), True),
        (replace(FASTER, ratio=0.5, low=0.4, high=0.6, verdict="less"), True),
        (replace(OPEN, low=3.0, high=9.0), False),
    ],
)
def test_two_settled_answers_apart_contradict_each_other(
    other: Answer, *, contradicts: bool
) -> None:
    assert FASTER.contradicts(other) is contradicts
    assert other.contradicts(FASTER) is contradicts


def test_quiet_and_busy_stand_side_by_side() -> None:
    slower = replace(FASTER, ratio=0.5, low=0.4, high=0.6, verdict="less")
    text = page("profiles", [run("quiet", FASTER), run("half", OPEN), run("always", slower)])
    assert "| quiet | 1 | 1 of 1 | 1 of 30 | 361 s | 360 s | 0 |" in text
    assert "| half | 2 | 0 of 1 |" in text
    assert "in other words and with intervals that lie apart: 1.\n0 more say the same" in text
    answers = "0.500 (0.400 to 0.600), less | 2.00 (1.80 to 2.20), more"
    assert (
        f"| always | 3 | crud, closed-10: async against sync | throughput_rps | {answers} |" in text
    )
    larger = replace(FASTER, ratio=3.0, low=2.5, high=3.5)
    of_another_size = page("profiles", [run("quiet", FASTER), run("always", larger)])
    assert "lie apart: 0.\n1 more say the same" in of_another_size
    row = "2.00 (1.80 to 2.20), more | 2.00 (0.700 to 4.00), open | 0.500 (0.400 to 0.600), less |"
    assert f"| crud, closed-10: async against sync | throughput_rps | {row}" in text


def test_differences_of_the_same_are_counted_by_metric() -> None:
    same = replace(FASTER, ratio=1.0, low=0.9, high=1.1, verdict="alike")
    cpu = replace(same, metric="cpu_ms_per_request")
    unknown = replace(cpu, low=0.0, high=math.inf)
    one, other = (run("quiet", same, two, cpu, unknown) for two in (FASTER, same))
    text = page("same", [one, other])
    assert "2 runs" in text
    assert "| throughput_rps | 4 | 1 | 25.0% |" in text
    assert "| cpu_ms_per_request | 2 | 0 | 0.0% |" in text
    assert "| all | 6 | 1 | 16.7% |" in text


@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_compute_as_long_as_they_are_wanted(kind: str) -> None:
    def children() -> list[psutil.Process]:
        return psutil.Process(os.getpid()).children()

    before = children()
    with neighbours(kind):
        beside = [one for one in children() if one not in before]
        many = {"quiet": 0, "half": len(os.sched_getaffinity(0)), "always": 1}[kind]
        assert len(beside) == many
        deadline = time.monotonic() + HANG_S
        while any(sum(one.cpu_times()[:2]) == 0 for one in beside):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert children() == before
