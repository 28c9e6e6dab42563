"""Which processors each side is kept on, and that the pinning does not outlive its use."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.launch.processors import (
    assign,
    available,
    beside,
    cores,
    staying_on,
    with_siblings,
)
from loopmark.harness.vocabulary.record import Pinning


def apart(cpus: Iterable[int]) -> list[list[int]]:
    """Processors that are a core each."""
    return [[cpu] for cpu in cpus]


@pytest.mark.parametrize(
    ("cpus", "pinning"),
    [
        ([], Pinning(target=(), driver=(), database=())),
        ([5], Pinning(target=(), driver=(), database=())),
        ([0, 1], Pinning(target=(0,), driver=(1,), database=(0,))),
        ([0, 2, 3], Pinning(target=(0,), driver=(3,), database=(2,))),
        ([0, 1, 2, 3], Pinning(target=(0, 1), driver=(3,), database=(2,))),
    ],
)
def test_processors_are_shared_out(cpus: list[int], pinning: Pinning) -> None:
    assert assign(apart(cpus)) == pinning


@given(st.lists(st.integers(0, 500), min_size=2, unique=True))
def test_driver_has_a_processor_of_its_own_and_none_is_idle(cpus: list[int]) -> None:
    pinning = assign(apart(cpus))
    assert len(pinning.driver) == len(pinning.database) == 1
    assert not set(pinning.driver) & {*pinning.target, *pinning.database}
    assert {*pinning.target, *pinning.driver, *pinning.database} == set(cpus)
    if len(cpus) > 2:
        assert not set(pinning.database) & set(pinning.target)


@pytest.mark.parametrize(
    ("count", "workers", "driver"),
    [(2, 2, (1,)), (3, 2, (2,)), (4, 2, (2, 3)), (4, 9, (2, 3)), (8, 3, (5, 6, 7)), (8, 1, (7,))],
)
def test_workers_have_processors_as_long_as_one_is_left_for_the_target(
    count: int, workers: int, driver: tuple[int, ...]
) -> None:
    pinning = assign(apart(range(count)), workers)
    assert pinning.driver == driver
    assert {*pinning.target, *pinning.driver, *pinning.database} == set(range(count))
    assert pinning.target


@pytest.mark.parametrize(
    ("count", "workers", "driver"), [(0, 1, ()), (1, 1, ()), (2, 1, (1,)), (4, 1, (3,)), (4, 2, ())]
)
def test_driver_keeps_its_processor_beside_a_target_that_may_use_any(
    count: int, workers: int, driver: tuple[int, ...]
) -> None:
    pinning = beside(apart(range(count)), workers)
    assert pinning == Pinning(target=(), driver=driver, database=())
    assert pinning.sides == ()


@pytest.mark.parametrize(
    ("siblings", "pinning"),
    [
        # A single core: it cannot be helped.
        ([(0, 1)], Pinning(target=(0,), driver=(1,), database=(0,))),
        ([(0, 2), (1, 3)], Pinning(target=(0, 2), driver=(3,), database=(0, 2))),
        (
            [(0, 1), (2, 3), (4, 5), (6, 7)],
            Pinning(target=(0, 1, 2, 3), driver=(7,), database=(4, 5)),
        ),
        # A cpuset has torn a core: the processor that is left is as good as one.
        ([(0,), (2, 3)], Pinning(target=(0,), driver=(3,), database=(0,))),
    ],
)
def test_nothing_runs_beside_the_driver_on_its_core(
    siblings: list[tuple[int, ...]], pinning: Pinning
) -> None:
    assert assign(siblings) == pinning


@pytest.mark.parametrize(
    ("workers", "driver"), [(1, (7,)), (2, (5, 7)), (3, (4, 5, 6, 7)), (9, (4, 5, 6, 7))]
)
def test_workers_share_a_core_among_themselves_before_they_share_a_processor(
    workers: int, driver: tuple[int, ...]
) -> None:
    pinning = assign([(0, 1), (2, 3), (4, 5), (6, 7)], workers)
    assert pinning.driver == driver
    assert not set(driver) & {*pinning.target, *pinning.database}


@given(
    st.lists(st.integers(1, 3), min_size=2, max_size=9),
    st.integers(1, 9),
)
def test_target_and_driver_never_share_a_core_where_there_are_two(
    threads: list[int], workers: int
) -> None:
    numbers = iter(range(sum(threads)))
    grouped = [tuple(next(numbers) for _ in range(count)) for count in threads]
    pinning = assign(grouped, workers)
    assert pinning.target
    assert pinning.driver
    for core in grouped:
        assert not (
            set(core) & set(pinning.driver) and set(core) & {*pinning.target, *pinning.database}
        )


class Affinity:
    """Stands in for the kernel: knows which processors this process is on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = {0, 1, 2}
        monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(self.now), raising=False)
        monkeypatch.setattr(os, "sched_setaffinity", self.set, raising=False)

    def set(self, pid: int, cpus: Iterable[int]) -> None:
        assert pid == 0
        self.now = set(cpus)


@pytest.fixture
def affinity(monkeypatch: pytest.MonkeyPatch) -> Affinity:
    return Affinity(monkeypatch)


def test_available_processors_are_sorted(affinity: Affinity) -> None:
    affinity.now = {3, 0, 2}
    assert available() == (0, 2, 3)


@pytest.fixture
def smt(tmp_path: Path) -> Path:
    """The root of a machine with two cores of two processors each, and others it tells less of."""
    for cpu, siblings in ((0, "0-1\n"), (1, "0-1\n"), (2, "2,4\n"), (5, "not a list\n")):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings)
    return tmp_path


def test_siblings_are_grouped_as_far_as_they_are_available(affinity: Affinity, smt: Path) -> None:
    affinity.now = {0, 1, 2, 5, 9}
    assert cores(smt) == ((0, 1), (2,), (5,), (9,))


@pytest.mark.parametrize(
    ("sides", "siblings"),
    [
        ([(0, 1), (2,)], [(), (4,)]),  # 4 is not available to this process, but to others.
        ([(0,), (2, 5)], [(1,), (4,)]),
        ([(0,), (1,)], [(), ()]),
        ([(9,), ()], [(), ()]),
    ],
)
def test_unused_siblings_of_each_side(
    smt: Path, sides: list[tuple[int, ...]], siblings: list[tuple[int, ...]]
) -> None:
    assert with_siblings(sides, smt) == dict(zip(sides, siblings, strict=True))


def test_started_processes_stay_and_this_one_returns(affinity: Affinity) -> None:
    with staying_on((1,)):
        assert affinity.now == {1}
    assert affinity.now == {0, 1, 2}


def test_this_process_returns_after_a_failure_too(affinity: Affinity) -> None:
    with pytest.raises(OSError, match="no such program"), staying_on((1,)):
        raise OSError("no such program")
    assert affinity.now == {0, 1, 2}


def test_pinning_within_pinning_returns_step_by_step(affinity: Affinity) -> None:
    with staying_on((0, 1)):
        with staying_on((0,)):
            assert affinity.now == {0}
        assert affinity.now == {0, 1}


def test_staying_on_nothing_changes_nothing(affinity: Affinity) -> None:
    with staying_on(()):
        assert affinity.now == {0, 1, 2}


def test_system_that_cannot_pin_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    assert available() == ()
    with staying_on((0,)):
        assert assign(cores()) == Pinning(target=(), driver=(), database=())
