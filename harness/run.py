"""Carries out a plan: launches the targets, drives every round, keeps what it yields."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from harness import plan as planning
from harness.database import Database, open_database
from harness.driver_process import DriverProcess
from harness.errors import UserError
from harness.machine import fingerprint
from harness.plan import Plan
from harness.process_reaper import reaped
from harness.processors import assign, available
from harness.store import RunFolder
from harness.target_monitor import read_loop_lag
from harness.target_process import TargetFailedError, TargetProcess
from harness.vocabulary.cell import Cell
from harness.vocabulary.job import LoadJob
from harness.vocabulary.record import (
    SCHEMA_VERSION,
    AuditCount,
    Pinning,
    RoundRecord,
    RunRecord,
)
from harness.vocabulary.scenario import Scenario
from scenarios.catalog import SCENARIOS
from scenarios.flows import SEEDED_ACCOUNTS


class Observer(Protocol):
    """Told how the run goes; a progress bar, or nobody."""

    def run_begins(self, folder: RunFolder) -> None:
        """The database is there, the folder has been made, and the first round follows."""

    def round_begins(self, cell: Cell, round_number: int) -> None:
        """A round is about to be driven."""

    def round_ends(self, cell: Cell, record: RoundRecord) -> None:
        """A round has been driven and its record stored."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run.

    Attributes:
        run_id: Name of the run and its folder.
        plan: The plan.
        plan_toml: Its text, kept with the run.
        cells: The cells of the plan that are to be measured.
    """

    run_id: str
    plan: Plan
    plan_toml: str
    cells: tuple[Cell, ...]


def new_run_id(plan: Plan) -> str:
    """A name that sorts by time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{plan.name}"


def carry_out(request: RunRequest, out: Path, observer: Observer) -> None:
    """Measure every round of every cell into a new folder of `out`.

    A target or driver that fails costs its round, not the run. On KeyboardInterrupt the round at
    hand is recorded as interrupted and the run ends in order; an interrupt before the first round
    leaves nothing.

    Raises:
        UserError: There is no usable database, the folder cannot be written, or the database is
            lost on the way; in the last case the folder holds what was measured until then.
    """
    pinning = assign(available())
    started = time.monotonic()
    with reaped() as token, open_database(token, request.run_id, pinning.database) as database:
        folder = RunFolder.create(out, request.run_id)
        record = _begun(request, database, pinning)
        folder.write_run(record)
        observer.run_begins(folder)
        measuring = _Measuring(request, folder, database, pinning, observer)
        try:
            measuring.all_blocks()
        except KeyboardInterrupt:
            measuring.interrupted = True
        except UserError:
            measuring.interrupted = True
            raise
        finally:
            folder.write_run(
                replace(
                    record,
                    interrupted=measuring.interrupted,
                    rounds_done=dict(measuring.rounds_done),
                    wall_s=time.monotonic() - started,
                    finished=_now(),
                )
            )


class _Measuring:
    """The state of one run while it is carried out."""

    def __init__(
        self,
        request: RunRequest,
        folder: RunFolder,
        database: Database,
        pinning: Pinning,
        observer: Observer,
    ) -> None:
        self._request = request
        self._folder = folder
        self._database = database
        self._pinning = pinning
        self._observer = observer
        largest = max(cell.load.concurrency for cell in request.cells)
        self._tokens = _bearer_tokens(request.run_id, max(largest, SEEDED_ACCOUNTS))
        self.rounds_done = {cell.name: 0 for cell in request.cells}
        self.interrupted = False

    def all_blocks(self) -> None:
        """Measure block by block; every block has targets of its own.

        Fresh processes in every block make the layout of a process in memory, its hash seed and
        its age part of the scatter over the rounds, instead of a bias of the whole run.
        """
        blocks = planning.interleave(self._request.cells, self._request.plan.seed)
        for number, block in enumerate(blocks):
            names = sorted({cell.target for cell, _ in block})
            with self._processes(names, number) as processes:
                for cell, round_number in block:
                    self._observer.round_begins(cell, round_number)
                    record = self._one_round(cell, round_number, processes)
                    self._folder.write_round(cell, record)
                    self.rounds_done[cell.name] += 1
                    self._observer.round_ends(cell, record)
                    if record.state == "interrupted":
                        self.interrupted = True
                        return

    @contextmanager
    def _processes(self, targets: Sequence[str], block: int) -> Iterator[_Processes]:
        processes = _Processes(self._folder, self._database, self._pinning, block)
        try:
            for name in targets:
                processes.launch(name)
            yield processes
        finally:
            processes.stop()

    def _one_round(self, cell: Cell, round_number: int, processes: _Processes) -> RoundRecord:
        scenario = SCENARIOS[cell.scenario]
        try:
            target = processes.ready_target(cell.target)
        except TargetFailedError as error:
            tail = f"{error}\n{error.stderr_tail}"
            return _unmeasured(round_number, tail)
        self._database.reset(self._tokens, SEEDED_ACCOUNTS)
        before = self._counts(scenario)
        job = LoadJob(
            scenario=cell.scenario,
            load=cell.load,
            round=round_number,
            seed=self._request.plan.seed,
            base_url=target.base_url,
            tokens=self._tokens[: cell.load.concurrency],
            samples=str(self._folder.samples_file(cell, round_number)),
            report=str(self._folder.make_cell(cell) / f"driver-{round_number}.json"),
            request_timeout_s=self._request.plan.request_timeout_s,
        )
        driven = processes.driver(cell.driver).drive(job, target)
        after = self._counts(scenario)
        lag: tuple[tuple[int, int], ...] = ()
        if driven.report is not None:
            window = driven.report.window_start_ns, driven.report.window_end_ns
            lag = read_loop_lag(target.loop_lag_file, *window)
        return RoundRecord(
            round=round_number,
            state=driven.state,
            wall_s=driven.wall_s,
            driver=driven.report,
            target=driven.readings,
            loop_lag=lag,
            audits=tuple(
                AuditCount(audit.what, b, a)
                for audit, b, a in zip(scenario.audits, before, after, strict=True)
            ),
            stderr_tail=driven.stderr_tail,
        )

    def _counts(self, scenario: Scenario) -> list[int]:
        return [self._database.count(audit.count) for audit in scenario.audits]


class _Processes:
    """The target and driver processes of one block."""

    def __init__(self, folder: RunFolder, database: Database, pinning: Pinning, block: int) -> None:
        self._folder = folder
        self._environment: Mapping[str, str] = database.target_environment
        self._pinning = pinning
        self._block = block
        self._targets: dict[str, TargetProcess] = {}
        self._drivers: dict[str, DriverProcess] = {}
        self._started = 0

    def launch(self, name: str) -> None:
        """Start a target without waiting for it: several get ready at the same time."""
        self._targets[name] = TargetProcess(
            name,
            self._environment,
            self._folder.logs,
            self._label(name),
            cpus=self._pinning.target,
        )

    def ready_target(self, name: str) -> TargetProcess:
        """The target, launched again when it has died in an earlier round.

        Raises:
            TargetFailedError: It does not come up.
        """
        target = self._targets.get(name)
        if target is None or not target.is_alive:
            self.launch(name)
            target = self._targets[name]
        target.wait_until_ready()
        return target

    def driver(self, name: str) -> DriverProcess:
        """The driver, started again when it has ended."""
        driver = self._drivers.get(name)
        if driver is None or not driver.is_alive:
            if driver is not None:
                driver.stop()
            log = self._folder.logs / f"{self._label(f'driver-{name}')}.log"
            driver = self._drivers[name] = DriverProcess(name, log, self._pinning.driver)
        return driver

    def stop(self) -> None:
        """End them all."""
        for driver in self._drivers.values():
            driver.stop()
        for target in self._targets.values():
            target.stop()

    def _label(self, name: str) -> str:
        self._started += 1
        return f"block-{self._block}-{self._started}-{name}"


def _unmeasured(round_number: int, tail: str) -> RoundRecord:
    return RoundRecord(
        round=round_number,
        state="target-died",
        wall_s=0.0,
        driver=None,
        target=(),
        loop_lag=(),
        audits=(),
        stderr_tail=tail,
    )


def _begun(request: RunRequest, database: Database, pinning: Pinning) -> RunRecord:
    return RunRecord(
        schema_version=SCHEMA_VERSION,
        run_id=request.run_id,
        started=_now(),
        finished=None,
        plan=request.plan.name,
        title=request.plan.title,
        plan_toml=request.plan_toml,
        seed=request.plan.seed,
        planned_s=planning.planned_seconds(request.cells),
        wall_s=None,
        interrupted=False,
        machine=fingerprint(),
        database=database.facts,
        pinning=pinning,
        cells=request.cells,
        rounds_done={},
    )


def _bearer_tokens(run_id: str, count: int) -> tuple[str, ...]:
    """Tokens of the seeded accounts: of use for this run's schema only."""
    return tuple(
        hashlib.blake2b(f"{run_id}/{number}".encode(), digest_size=20).hexdigest()
        for number in range(count)
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
