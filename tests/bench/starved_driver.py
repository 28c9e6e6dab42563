"""Does a cell say so when its driver was starved, and only then?

    python -m tests.bench.starved_driver [TRIALS] [DRIVER]

Drives the reference target `async` with a closed and an open load. Half of the trials, in random
order, are driven by a second driver of the least priority (nice 19) beside busy loops on its
processor: at equal priority, a scheduler lets a process that mostly waits run at once all the
same. Tells how often each was called driver-limited, and how much of the main figure the driver's
delay can account for; `delay_bounds.py` tells whether such a bound is right.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import pandas as pd

from loopmark.harness.analysis.summaries import summarise
from loopmark.harness.commands.plans import catalog_targets
from loopmark.harness.drivers.catalog import DRIVERS
from loopmark.harness.drivers.process.forked_process import ForkServer
from loopmark.harness.launch.process_reaper import reaped, temporary_folder
from loopmark.harness.launch.processors import assign, cores, staying_on
from loopmark.harness.launch.provision import provision
from loopmark.harness.launch.running_target import RunningTarget
from loopmark.harness.run.driver_process import DriverProcess
from loopmark.harness.vocabulary.cell import Cell, ValidityState
from loopmark.harness.vocabulary.job import LoadJob, Timeouts
from loopmark.harness.vocabulary.load import FlowLoad
from loopmark.harness.vocabulary.loads.arriving import Open
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.record import RoundRecord
from loopmark.harness.vocabulary.result import CellResult
from loopmark.harness.vocabulary.sample import SUMMARISED
from loopmark.reports import objections
from loopmark.scenarios.flows import SEEDED_ACCOUNTS
from tests.bench.conclusions.neighbours import always

TARGET = "async"
SCENARIO = "read-mostly"
LOADS: tuple[FlowLoad, ...] = (Closed(users=50, duration_s=2.0), Open(rate=50.0, duration_s=2.0))
BUSY_LOOPS = 2
LEAST_PRIORITY = 19
RESULTS = Path("results") / "bench-starved"


def main(trials: int, name: str) -> None:
    pinning = assign(cores())
    if not pinning.driver:
        sys.exit("there is one processor only: the driver shares it with the target in any case")
    tokens = tuple(f"starved-{number}" for number in range(SEEDED_ACCOUNTS))
    found: list[tuple[str, bool, CellResult]] = []
    reference = catalog_targets()[TARGET]
    with (
        reaped() as token,
        provision([reference], token, f"starved_{token}", pinning.database) as provided,
    ):
        assert provided is not None
        provided.database.reset(tokens, SEEDED_ACCOUNTS)
        folder = temporary_folder(token, "starved")
        environment, cpus = provided.environment, pinning.target
        target = RunningTarget(reference, folder, TARGET, provided=environment, cpus=cpus)
        target.wait_until_ready()
        server = ForkServer(DRIVERS[name])
        drivers = {
            starved: DriverProcess(name, server, folder / f"{starved}.log", pinning.driver)
            for starved in (False, True)
        }
        try:
            for load, starved in _order(trials):
                if starved:  # Each time: a driver that has just been forked begins its session.
                    _give_way(drivers[True].pid)
                busy = _busy_loops(pinning.driver) if starved else _nothing()
                with busy, staying_on(pinning.target):
                    asked = Cell(SCENARIO, TARGET, load, name, 1)
                    cell = _measured(asked, drivers[starved], target, tokens, folder)
                found.append((load.label, starved, cell))
                sys.stderr.write(f"{'starved' if starved else 'alone':<8}{cell.name}: ")
                why = "; ".join(objections.sentences(cell.validity))
                sys.stderr.write(f"{cell.validity.state} {why}\n")
        finally:
            for driver in drivers.values():
                driver.stop()
            server.stop()
            target.stop()
    _tell(found)


def _give_way(pid: int) -> None:
    """Give a process the least priority: among all others, and among those of its session.

    Linux schedules sessions as groups first (sched(7), "The autogroup feature"): a nice value alone
    counts within a session only, and a driver has one of its own.
    """
    os.setpriority(os.PRIO_PROCESS, pid, LEAST_PRIORITY)
    autogroup = Path(f"/proc/{pid}/autogroup")
    if autogroup.exists():
        autogroup.write_text(f"{LEAST_PRIORITY}\n", encoding="ascii")


def _order(trials: int) -> Sequence[tuple[FlowLoad, bool]]:
    """Every load with and without busy loops, in a random order."""
    order = [(load, starved) for load in LOADS for starved in (False, True)] * trials
    Random(1).shuffle(order)
    return order


def _measured(
    cell: Cell,
    driver: DriverProcess,
    target: RunningTarget,
    tokens: tuple[str, ...],
    folder: Path,
) -> CellResult:
    samples, report = folder / "samples.parquet", folder / "report.json"
    job = LoadJob(
        scenario=SCENARIO,
        load=cell.load,
        round=0,
        seed=1,
        base_url=target.base_url,
        tokens=tokens if isinstance(cell.load, Open) else tokens[: cell.load.concurrency],
        samples=str(samples),
        report=str(report),
        timeouts=Timeouts(connect_s=5.0, first_byte_s=30.0, response_s=30.0),
    )
    driven = driver.drive(job, target.process)
    record = RoundRecord(
        round=0,
        block=0,
        state=driven.state,
        wall_s=driven.wall_s,
        driver=driven.report,
        target=driven.readings,
        database=(),
        loop_lag=(),
        audits=(),
    )
    frame = pd.read_parquet(samples, columns=list(SUMMARISED))
    return summarise(cell, [record], lambda _: frame, ())


@contextmanager
def _busy_loops(cpus: Sequence[int]) -> Iterator[None]:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=always, args=cpus[:1]) for _ in range(BUSY_LOOPS)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


@contextmanager
def _nothing() -> Iterator[None]:
    time.sleep(0.1)  # As long as the other kind takes to get ready.
    yield


def _tell(found: Sequence[tuple[str, bool, CellResult]]) -> None:
    rows = [_row(label, cell, starved=starved) for label, starved, cell in found]
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    for load in LOADS:
        of_load = [row for row in rows if row["load"] == load.label]
        alone = [row for row in of_load if not row["starved"]]
        most = max(row["delayed"] for row in alone)
        for kind, group in (
            ("starved", [row for row in of_load if row["starved"]]),
            ("alone", alone),
        ):
            limited = sum(row["state"] == ValidityState.DRIVER_LIMITED for row in group)
            noticed = sum(row["delayed"] > most for row in group)
            share = median(row["delayed"] for row in group)
            sys.stdout.write(
                f"{load.label:<12}{kind:<18}{len(group)} cells: {limited} driver-limited; in "
                f"{noticed} more delay than in any alone; median {share:.1%} of the main figure\n"
            )
    sys.stdout.write(f"{path}\n")


def _row(label: str, cell: CellResult, *, starved: bool) -> dict[str, Any]:
    use = cell.figures_despite(cell.validity).driver_use
    return {
        "load": label,
        "starved": starved,
        "state": str(cell.validity.state),
        "reasons": objections.sentences(cell.validity),
        "delayed": use.delayed_fraction or 0.0,
        "cpu_fraction": use.cpu_fraction,
        "waited_fraction": use.waited_fraction,
        "loop_lag_ms_p99": use.loop_lag_ms.p99,
    }


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    main(int(given.get(1, 20)), given.get(2, "native"))
