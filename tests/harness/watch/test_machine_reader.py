"""What others took of the processors, from folders like /proc."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

import pytest

from loopmark.harness.vocabulary.conditions import Conditions, Pressure, Taken
from loopmark.harness.watch.machine_reader import (
    MachineReader,
    MachineReading,
    OwnProcess,
    ProcessorTimes,
    conditions_between,
)
from loopmark.harness.watch.process_counters import LINUX

ME = os.getpid()
TARGET, WORKER, DRIVER, DAEMON, BACKEND, OTHER = range(9_000_001, 9_000_007)
BOTH = frozenset({0, 1})


def reading(  # noqa: PLR0913 - the fields of a reading
    at_s: float,
    processors: dict[int, ProcessorTimes] | None = None,
    own: dict[int, OwnProcess] | None = None,
    *,
    pressure_s: dict[str, float] | None = None,
    throttled_s: float | None = None,
    waits_ns: dict[int, int] | None = None,
) -> MachineReading:
    return MachineReading(at_s, processors or {}, own, pressure_s or {}, throttled_s, waits_ns)


def times(total_s: float, busy_s: float, steal_s: float = 0.0) -> ProcessorTimes:
    return ProcessorTimes(total_s, total_s - busy_s, steal_s)


def between(before: MachineReading, after: MachineReading, *cpus: tuple[int, ...]) -> Conditions:
    return conditions_between(before, after, dict.fromkeys(cpus or ((0,), (1,)), ()))


def test_outside_is_what_is_busy_beyond_the_runs_own() -> None:
    target, driver = frozenset({0}), frozenset({1})
    before = reading(
        100.0,
        {0: times(50, 20, 1), 1: times(50, 10)},
        {ME: OwnProcess(1, 1.0, target), DRIVER: OwnProcess(ME, 7.0, driver)},
    )
    after = reading(
        110.0,
        {0: times(60, 28, 1.5), 1: times(60, 14)},
        {
            ME: OwnProcess(1, 2.0, target),
            TARGET: OwnProcess(ME, 4.5, target),  # Started meanwhile.
            DRIVER: OwnProcess(ME, 10.0, driver),
        },
    )
    found = between(before, after)
    assert found.seconds == 10
    assert found.taken == (Taken((0,), 0.5, 2.5), Taken((1,), 0.0, 1.0))
    assert found.steal_share == pytest.approx(0.05)
    assert found.outside_share == pytest.approx(0.25)


def test_processor_of_a_group_is_as_good_as_another() -> None:
    before = reading(0.0, {0: times(0, 0), 1: times(0, 0)}, {})
    after = reading(4.0, {0: times(4, 1), 1: times(4, 3)}, {})
    assert between(before, after, (0, 1)).taken == (Taken((0, 1), 0.0, 4.0),)
    assert between(before, after, (0, 1)).outside_share == pytest.approx(0.5)


def test_unpinned_process_of_the_run_is_never_taken_for_another() -> None:
    before = reading(0.0, {0: times(0, 0), 1: times(0, 0)}, {ME: OwnProcess(1, 0.0, BOTH)})
    after = reading(4.0, {0: times(4, 1), 1: times(4, 1)}, {ME: OwnProcess(1, 2.0, BOTH)})
    assert [one.outside_s for one in between(before, after).taken] == [0.0, 0.0]


def test_what_others_run_on_an_unused_sibling_is_taken() -> None:
    of_target = frozenset({0})
    before = reading(
        0.0,
        {0: times(0, 0), 1: times(0, 0, 0), 2: times(0, 0)},
        {TARGET: OwnProcess(ME, 0.0, of_target), WORKER: OwnProcess(ME, 0.0, frozenset({0, 2}))},
    )
    after = reading(
        10.0,
        {0: times(10, 4), 1: times(10, 5), 2: times(10, 3, 1)},
        {TARGET: OwnProcess(ME, 3.0, of_target), WORKER: OwnProcess(ME, 2.0, frozenset({0, 2}))},
    )
    found = conditions_between(before, after, {(0,): (2,), (1,): ()}).taken
    # Busy for 4 and 3 seconds, 5 of which were the run's own; steal counts where the side ran.
    assert found == (Taken((0,), 0.0, 2.0), Taken((1,), 0.0, 5.0))


def test_a_side_loses_no_more_than_all_of_its_processors() -> None:
    before = reading(0.0, {0: times(0, 0), 2: times(0, 0)}, {})
    after = reading(4.0, {0: times(4, 3), 2: times(4, 4)}, {})
    assert conditions_between(before, after, {(0,): (2,)}).taken == (Taken((0,), 0.0, 4.0),)


def test_sibling_that_is_not_counted_changes_nothing() -> None:
    before = reading(0.0, {0: times(0, 0), 2: times(5, 1)}, {})
    after = reading(4.0, {0: times(4, 1), 2: times(5, 1)}, {})
    assert conditions_between(before, after, {(0,): (2, 3)}).taken == (Taken((0,), 0.0, 1.0),)


def test_child_that_ended_is_counted_once() -> None:
    own = frozenset({0})
    before = reading(
        0.0,
        {0: times(0, 0)},
        {DAEMON: OwnProcess(1, 1.0, own), BACKEND: OwnProcess(DAEMON, 3, own)},
    )
    # The backend used one second more; all four are in the sum of its parent now.
    after = reading(5.0, {0: times(5, 2)}, {DAEMON: OwnProcess(1, 5.0, own)})
    assert between(before, after, (0,)).taken == (Taken((0,), 0.0, 1.0),)


def test_without_knowing_the_runs_own_only_steal_is_reported() -> None:
    before, after = reading(0.0, {0: times(0, 0)}), reading(2.0, {0: times(2, 2, 0.5)})
    found = between(before, after, (0,))
    assert found.taken == (Taken((0,), 0.5, None),)
    assert found.outside_share is None
    assert found.steal_share == 0.25


@pytest.mark.parametrize("after", [{}, {0: times(0, 0)}], ids=["none", "stand still"])
def test_processors_that_are_not_counted_report_nothing(after: dict[int, ProcessorTimes]) -> None:
    found = between(reading(0.0, {0: times(0, 0)}, {}), reading(2.0, after, {}), (0,))
    assert found.taken == (Taken((0,)),)
    assert "steal" in found.missing
    assert "CPU time of processes outside the run" in found.missing


def test_pressure_throttling_and_waits_are_differences() -> None:
    before = reading(
        0.0, pressure_s={"cpu": 1.0, "io": 2.0}, throttled_s=3.0, waits_ns={1: 10**9, 2: 5}
    )
    after = reading(
        1.0, pressure_s={"cpu": 1.5, "io": 2.0}, throttled_s=3.25, waits_ns={1: 2 * 10**9, 3: 10**8}
    )
    found = between(before, after, (0,))
    assert found.pressure == Pressure(cpu_s=0.5, memory_s=None, io_s=0.0)
    assert found.throttled_s == 0.25
    assert found.target_waited_s == pytest.approx(1.1)


def test_machine_that_tells_nothing_says_what_is_missing() -> None:
    found = between(reading(0.0), reading(1.0), ())
    assert len(found.missing) == 5
    assert found.steal_share is None


class Proc:
    """A folder like /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cpu_s: dict[int, float] = {}
        self.file("uptime", "1 1")
        self.process(ME, 1)

    def file(self, path: str, content: str) -> None:
        (self.root / "proc" / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / "proc" / path).write_text(content)

    def process(self, pid: int, parent: int, environ: str = "", ended_ticks: int = 0) -> None:
        before, after = f"S {parent} 0 0 0 0 0 0 0 0 0 5 6", "20 0 1 0 777 0 0"
        self.file(f"{pid}/stat", f"{pid} (a) b) {before} {ended_ticks} 0 {after}")
        self.file(f"{pid}/environ", environ)
        self.cpu_s[pid] = 1.0

    def waits(self, pid: int, **threads: int) -> None:
        for thread, waited_ns in threads.items():
            self.file(f"{pid}/task/{thread[1:]}/schedstat", f"5 {waited_ns} 7\n")

    def read(self, target: int | None = None, mark: str | None = "RUN=7") -> MachineReading:
        def cpu_ns(pid: int) -> int:
            if pid not in self.cpu_s:
                raise ProcessLookupError
            return round(self.cpu_s[pid] * 1e9)

        return MachineReader(mark, self.root, cpu_ns, everywhere).read(target)


def everywhere(_pid: int) -> Collection[int]:
    return BOTH


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def names(found: Iterable[int]) -> set[int]:
    return set(found) - {ME}


def test_the_runs_own_are_descendants_and_those_with_its_mark(proc: Proc) -> None:
    proc.process(TARGET, ME)
    proc.process(WORKER, TARGET)
    proc.process(DAEMON, 1, "A=1\0RUN=7\0", ended_ticks=250)
    proc.process(BACKEND, DAEMON, "postgres: idle")  # Has written its title over it.
    proc.process(OTHER, 1, "RUN=77\0XRUN=7\0")
    found = proc.read()
    assert found.own is not None
    assert names(found.own) == {TARGET, WORKER, DAEMON, BACKEND}
    assert found.own[BACKEND].parent == DAEMON
    assert found.own[DAEMON] == OwnProcess(1, 1.0 + 250 / os.sysconf("SC_CLK_TCK"), BOTH)


def test_process_that_ends_while_it_is_read_is_omitted(proc: Proc) -> None:
    proc.process(TARGET, ME)
    del proc.cpu_s[TARGET]
    found = proc.read()
    assert found.own is not None
    assert names(found.own) == set()


def test_without_a_mark_nothing_is_known_of_the_runs_own(proc: Proc) -> None:
    assert proc.read(mark=None).own is None


def test_processors_are_read_one_by_one(proc: Proc) -> None:
    proc.file(
        "stat",
        "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 100 10 20 300 5 1 2 7 0 0\ncpu3 1 0 0 1 0 0 0 0\nintr 4\n",
    )
    tick = 1 / os.sysconf("SC_CLK_TCK")
    found = proc.read().processors
    assert set(found) == {0, 3}
    assert found[0].total_s == pytest.approx(445 * tick)
    assert found[0].not_run_s == pytest.approx(315 * tick)
    assert found[0].steal_s == pytest.approx(7 * tick)


def test_threads_of_the_target_and_its_children_have_waited(proc: Proc) -> None:
    for pid, parent in ((TARGET, ME), (WORKER, TARGET), (DRIVER, ME)):
        proc.process(pid, parent)
    proc.waits(TARGET, t1=100, t2=200)
    proc.waits(WORKER, t3=300)
    proc.waits(DRIVER, t4=400)
    assert proc.read(TARGET).waits_ns == {1: 100, 2: 200, 3: 300}
    assert proc.read(None).waits_ns is None


def test_kernel_without_schedstat_reports_no_waits(proc: Proc) -> None:
    proc.process(TARGET, ME)
    proc.file(f"{TARGET}/task/1/status", "")
    assert proc.read(TARGET).waits_ns is None


def test_pressure_is_that_of_some_tasks(proc: Proc) -> None:
    assert proc.read().pressure_s == {}
    line = "avg10=0.00 avg60=0.00 avg300=0.00 total="
    proc.file("pressure/cpu", f"some {line}2500000\nfull {line}1\n")
    proc.file("pressure/io", f"some {line}0\nfull {line}1\n")
    assert proc.read().pressure_s == {"cpu": 2.5, "io": 0.0}


def test_system_without_proc_reports_nothing(tmp_path: Path) -> None:
    found = MachineReader("RUN=7", tmp_path / "nothing").read(ME)
    assert found.processors == {}
    assert found.throttled_s is None
    assert found.own == {}
    assert found.waits_ns is None


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_real_process_with_the_mark_is_among_the_runs_own() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE,
        env={**os.environ, "RUN": "7"},
        start_new_session=True,
    ) as process:
        reader = MachineReader("RUN=7")
        first, second = reader.read(process.pid), reader.read(process.pid)
        assert process.pid in (first.own or {})
        assert second.processors.keys() == first.processors.keys() != set()
        assert second.at_s >= first.at_s
