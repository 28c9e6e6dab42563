"""Runs a plan: launches the targets, drives every round, stores the results."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from random import Random
from secrets import randbits
from typing import Protocol

from loopmark.harness.drivers.catalog import DRIVERS
from loopmark.harness.drivers.process.forked_process import ForkServer
from loopmark.harness.errors import UserError
from loopmark.harness.launch.process_pool import ProcessPool
from loopmark.harness.launch.process_reaper import MARK, reaped
from loopmark.harness.launch.processors import (
    assign,
    available,
    beside,
    cores,
    staying_on,
    with_siblings,
)
from loopmark.harness.launch.provision import Provision, provision
from loopmark.harness.launch.running_target import RunningTarget, TargetFailedError
from loopmark.harness.planning.order import compared, interleave, shuffled
from loopmark.harness.planning.plan import planned_seconds
from loopmark.harness.run.driver_process import DriverProcess
from loopmark.harness.run.journal import Observer, RunJournal, now
from loopmark.harness.run.machine import fingerprint
from loopmark.harness.run.overhead import Overhead, Stopwatch
from loopmark.harness.run.request import RunRequest
from loopmark.harness.run.reserve import Reserve
from loopmark.harness.run.watched_target import WatchedTarget
from loopmark.harness.store import RunFolder, no_space_told
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import LoadJob, LocustfilePart
from loopmark.harness.vocabulary.record import (
    SCHEMA_VERSION,
    AuditCount,
    ConnectionsLeft,
    DatabaseReading,
    Pinning,
    RoundRecord,
    RunRecord,
)
from loopmark.harness.vocabulary.scenario import Audit
from loopmark.harness.vocabulary.thresholds import SHIPPED
from loopmark.harness.watch.database_monitor import database_readings
from loopmark.harness.watch.machine_reader import MachineReader, conditions_between
from loopmark.harness.watch.target_monitor import read_loop_lag
from loopmark.scenarios.flows import SEEDED_ACCOUNTS


class Allocation(Protocol):
    """Decides on the rounds that follow the planned ones, block by block."""

    def __call__(self, folder: RunFolder, deadline: float, overhead: Overhead) -> Sequence[Cell]:
        """The cells of the next block; none if there is nothing more to measure, or no time.

        Args:
            folder: Of the run.
            deadline: When measuring is to end (`time.monotonic`).
            overhead: What passes beside the rounds.
        """


def carry_out(
    request: RunRequest, out: Path, observer: Observer, allocation: Allocation | None = None
) -> None:
    """Measure every round of every cell into a new folder of `out`, then those of `allocation`.

    A target or driver that fails costs its round, not the run. On KeyboardInterrupt the current
    round is recorded as interrupted and the run ends cleanly; an interrupt before the first round
    leaves nothing.

    Raises:
        UserError: There is no usable database, the folder cannot be written, or the database or all
            workers are lost during the run; the folder then holds the rounds until then.
    """
    workers = request.workers
    here = workers.count if workers and not workers.listen else 1
    is_launched = any(target.is_launched for target in request.targets)
    pinning = assign(cores(), here) if is_launched else beside(cores(), here)
    started = time.monotonic()
    with (
        reaped() as token,
        _fork_servers(request) as servers,
        provision(request.targets, token, request.run_id, pinning.database) as provided,
    ):
        if provided is None or not provided.database.facts.embedded:
            pinning = replace(pinning, database=())  # Somebody else's: it runs where it runs.
        folder = RunFolder.create(out, request.run_id)
        record = _begun(request, provided, pinning)
        with RunJournal(folder, record, observer, started) as journal:
            reserve = Reserve(request, started)
            measuring = _Measuring(request, journal, provided, servers, reserve)
            # What reads the target must not take the driver's processor from it.
            with staying_on(pinning.target), no_space_told(folder.path):
                measuring.all_blocks(allocation)


def _mark(request: RunRequest, provided: Provision | None) -> str | None:
    """What marks the processes of the run; None where not all that is measured is among them."""
    external = provided is not None and not provided.database.facts.embedded
    if external or not all(target.is_launched for target in request.targets):
        return None
    return f"{MARK}={os.environ[MARK]}"


def _fork_servers(request: RunRequest) -> ProcessPool[ForkServer]:
    """One fork server for each driver: they import it while the database and the targets start."""
    servers = ProcessPool(lambda name, _: ForkServer(DRIVERS[name]))
    for name in sorted({cell.driver for cell in request.cells}):
        servers.launch(name)
    return servers


class _Measuring:
    """The state of a run in progress."""

    def __init__(
        self,
        request: RunRequest,
        journal: RunJournal,
        provided: Provision | None,
        servers: ProcessPool[ForkServer],
        reserve: Reserve,
    ) -> None:
        self._request = request
        self._journal = journal
        self._folder = journal.folder
        self._provided = provided
        self._servers = servers
        self._reserve = reserve
        self._machine = MachineReader(_mark(request, provided))
        self._sides = with_siblings(journal.record.pinning.sides or (available(),))
        self._random = Random(journal.record.order_seed)  # noqa: S311 - an order, not a secret
        self._stopwatch = Stopwatch()
        self._block = 0
        largest = max(cell.load.concurrency for cell in request.cells)
        count = max(largest, SEEDED_ACCOUNTS) if request.locustfile is None else 0
        self._tokens = _bearer_tokens(request.run_id, count)

    def all_blocks(self, allocation: Allocation | None) -> None:
        """Measure block by block; every block starts its own targets.

        Fresh processes in every block turn the effects of a process's memory layout, hash seed and
        age into scatter between rounds instead of a bias of the whole run.
        """
        blocks = interleave(self._request.cells, self._request.questions, self._random)
        with ExitStack() as stack:
            lasting = self._with_workers_elsewhere(stack)
            may_go_on = self._undisturbed(blocks, lasting)
            if not may_go_on or allocation is None or self._request.budget_s is None:
                return
            while cells := allocation(self._folder, self._reserve.end, self._stopwatch.overhead):
                self._journal.observer.rounds_added(cells)
                if not self._undisturbed([self._ordered(cells)], lasting):
                    return

    def _undisturbed(
        self,
        blocks: Sequence[Sequence[tuple[Cell, int]]],
        lasting: ProcessPool[DriverProcess] | None,
    ) -> bool:
        """Measure these blocks, and disturbed pairs of rounds again while the reserve lasts.

        Returns whether the run may go on.
        """
        may_go_on = self._measure(blocks, lasting)
        while may_go_on and (again := self._reserve.due()):
            self._journal.observer.rounds_repeated([cell for block in again for cell in block])
            for cells in again:
                began = time.monotonic()
                may_go_on = self._measure([self._ordered(cells)], lasting)
                self._reserve.use(began)
                if not may_go_on or self._reserve.left_s <= 0:
                    break
        return may_go_on

    def _measure(
        self,
        blocks: Sequence[Sequence[tuple[Cell, int]]],
        lasting: ProcessPool[DriverProcess] | None,
    ) -> bool:
        """Measure these blocks; returns whether the run may go on."""
        for block in blocks:
            number = self._block
            self._block += 1
            with (
                self._stopwatch.block(),
                nullcontext(lasting) if lasting else self._drivers(number) as drivers,
            ):
                self._one_block(number, block, drivers)
            self._journal.observer.block_ends()
            if self._journal.interrupted:
                return False
        return True

    def _ordered(self, cells: Sequence[Cell]) -> tuple[tuple[Cell, int], ...]:
        """A block of these cells, each with the number of its next round."""
        states = self._journal.record.round_states
        order = shuffled(compared(cells, self._request.questions), self._random)
        return tuple((cell, len(states[cell.name])) for cell in order)

    def _with_workers_elsewhere(self, stack: ExitStack) -> ProcessPool[DriverProcess] | None:
        """Drivers that live for the whole run: those with workers on other machines.

        Their workers are awaited before any target is started, because people start them by hand;
        the run's time begins after that. A locustfile's drivers are excluded: each round must
        import the file anew.
        """
        workers = self._request.workers
        if workers is None or not workers.listen:
            return None
        self._journal.observer.workers_awaited(workers)
        if self._request.locustfile is not None:
            return None
        drivers = stack.enter_context(self._drivers(None))
        began = time.monotonic()
        for name in sorted({cell.driver for cell in self._request.cells}):
            drivers.ready(name)
        self._reserve.waited(began)
        return drivers

    def _drivers(self, block: int | None) -> ProcessPool[DriverProcess]:
        label = "run" if block is None else f"block-{block}"
        cpus, workers = self._journal.record.pinning.driver, self._request.workers
        logs = self._folder.logs
        started: set[str] = set()

        def start(name: str, number: int) -> DriverProcess:
            if block is None and name in started:
                raise UserError(
                    f"the {name} driver exited, and with it the workers on other machines; see "
                    f"{logs}"
                )
            started.add(name)
            log = logs / f"{label}-driver-{number}-{name}.log"
            return DriverProcess(name, self._servers.ready(name), log, cpus, workers)

        return ProcessPool(start)

    def _targets(self, block: int) -> ProcessPool[RunningTarget]:
        provided = {} if self._provided is None else self._provided.environment
        cpus, host = self._journal.record.pinning.target, self._request.host

        def start(name: str, number: int) -> RunningTarget:
            kind = WatchedTarget if self._request.plan.probe else RunningTarget
            return kind(
                self._request.plan.targets[name],
                self._folder.logs,
                f"block-{block}-{number}-{name}",
                provided=provided,
                cpus=cpus,
                host=host,
                # A locustfile's own clients may know another way, or start it themselves.
                awaited=self._request.locustfile is None,
            )

        return ProcessPool(start)

    def _one_block(
        self,
        number: int,
        block: Sequence[tuple[Cell, int]],
        drivers: ProcessPool[DriverProcess],
    ) -> None:
        with self._targets(number) as targets:
            for name in sorted({cell.target for cell, _ in block}):
                # Those with a declared fault start when it is their turn: many starts at once would
                # take the processors from the first rounds of the others.
                if self._journal.record.fault_of(name) is None:
                    targets.launch(name)
            self._reserve.block_begins()
            for cell, round_number in block:
                with self._stopwatch.round():
                    self._journal.observer.round_begins(cell, round_number)
                    record = self._one_round(cell, round_number, number, targets, drivers)
                    self._stopwatch.drove(record.wall_s)
                    self._reserve.keep(cell, record)
                    self._journal.keep(cell, record)
                if self._journal.interrupted:
                    return

    def _one_round(
        self,
        cell: Cell,
        round_number: int,
        block: int,
        targets: ProcessPool[RunningTarget],
        drivers: ProcessPool[DriverProcess],
    ) -> RoundRecord:
        self._reset(targets)
        try:
            with self._stopwatch.starting():
                target = targets.ready(cell.target)
        except TargetFailedError as error:
            return _unmeasured(round_number, block, f"{error}\n{error.stderr_tail}")
        audits = self._journal.record.audits_of(cell)
        before = self._counts(audits)
        job = LoadJob(
            scenario=cell.scenario,
            load=cell.load,
            round=round_number,
            seed=self._request.plan.seed,
            base_url=target.base_url,
            tokens=self._tokens[
                : cell.load.accounts or max(cell.load.concurrency, SEEDED_ACCOUNTS)
            ],
            samples=str(self._folder.samples_file(cell, round_number)),
            report=str(self._folder.make_cell(cell) / f"driver-{round_number}.json"),
            timeouts=self._request.plan.timeouts,
            locustfile=self._locustfile(cell, round_number, target),
        )
        with self._stopwatch.starting():
            driver = drivers.ready(cell.driver)
        pid = None if target.process is None else target.process.pid
        with self._database_readings(target) as database:
            began = self._machine.read(pid)
            driven = driver.drive(job, target.process)
            ended = self._machine.read(pid)
        after = self._counts(audits)
        connections = self._connections_left(target) if audits else None
        lag: tuple[tuple[int, int], ...] = ()
        stderr_tail = driven.stderr_tail
        failed = driven.state != "measured"
        never_awaited: tuple[str, ...] = ()
        if driven.report is not None:
            window = driven.report.window_start_ns, driven.report.window_end_ns
            lag = read_loop_lag(target.loop_lag_file, *window)
            if loops := target.loops_within(*window):
                self._folder.write_loops(cell, round_number, loops)
                lag = lag or loops[0].lags
            if driven.report.error_examples:
                failed = True
                stderr_tail = stderr_tail or target.stderr_tail
                never_awaited = target.never_awaited
        # What is open holds locks, and the next round begins with empty tables.
        if failed or (connections is not None and connections.idle_in_transaction):
            # What it was asked before it may still be working on: the next round gets a new one.
            targets.end(cell.target)
        return RoundRecord(
            round=round_number,
            block=block,
            state=driven.state,
            wall_s=driven.wall_s,
            driver=driven.report,
            target=driven.readings,
            database=tuple(database),
            loop_lag=lag,
            audits=tuple(
                AuditCount(audit.what, b, a)
                for audit, b, a in zip(audits, before, after, strict=True)
            ),
            stderr_tail=stderr_tail,
            conditions=conditions_between(began, ended, self._sides),
            connections=connections,
            never_awaited=never_awaited,
        )

    def _locustfile(
        self, cell: Cell, round_number: int, target: RunningTarget
    ) -> LocustfilePart | None:
        file = self._request.locustfile
        if file is None:
            return None
        choice = file.choice
        if target.target.is_launched:
            choice = replace(choice, host=target.base_url)
        return replace(file, choice=choice, is_last=round_number == cell.rounds - 1)

    def _reset(self, targets: ProcessPool[RunningTarget]) -> None:
        """Reset the tables, if necessary by ending the targets that lock them."""
        if self._provided is None:
            return
        database = self._provided.database
        try:
            database.reset(self._tokens, SEEDED_ACCOUNTS)
        except UserError:
            # A target that holds a lock lets go of it when it ends.
            targets.end_all()
            database.reset(self._tokens, SEEDED_ACCOUNTS)

    def _counts(self, audits: Sequence[Audit]) -> list[int]:
        if self._provided is None:
            return []
        return [self._provided.database.count(audit.count) for audit in audits]

    def _connections_left(self, target: RunningTarget) -> ConnectionsLeft | None:
        """What a target still holds, now that it has answered all requests; None of a dead one."""
        if self._provided is None or not target.is_alive:
            return None
        kept = target.target.kept_connections
        return self._provided.database.connections_of(target.session_name, kept)

    def _database_readings(
        self, target: RunningTarget
    ) -> AbstractContextManager[Sequence[DatabaseReading]]:
        if self._provided is None or not target.target.is_ours:
            return nullcontext(())
        url = self._provided.environment["DATABASE_URL"]
        embedded = self._provided.database.facts.embedded
        return database_readings(url, target.session_name, embedded=embedded)


def _unmeasured(round_number: int, block: int, tail: str) -> RoundRecord:
    return RoundRecord(
        round=round_number,
        block=block,
        state="target-died",
        wall_s=0.0,
        driver=None,
        target=(),
        database=(),
        loop_lag=(),
        audits=(),
        stderr_tail=tail,
    )


def _begun(request: RunRequest, provided: Provision | None, pinning: Pinning) -> RunRecord:
    return RunRecord(
        schema_version=SCHEMA_VERSION,
        run_id=request.run_id,
        started=now(),
        finished=None,
        plan=request.plan.name,
        title=request.plan.title,
        plan_toml=request.plan_toml,
        seed=request.plan.seed,
        planned_s=planned_seconds(request.cells),
        wall_s=None,
        interrupted=False,
        machine=fingerprint(),
        database=None if provided is None else provided.database.facts,
        pinning=pinning,
        cells=request.cells,
        round_states={},
        scenarios=request.scenarios,
        targets=request.targets,
        thresholds=SHIPPED,
        documented=() if provided is None else request.documented,
        workers=request.workers.count if request.workers else 0,
        questions=request.questions,
        budget_s=request.budget_s,
        order_seed=randbits(32),
    )


def _bearer_tokens(run_id: str, count: int) -> tuple[str, ...]:
    """Tokens of the seeded accounts, valid only for this run's schema."""
    return tuple(
        hashlib.blake2b(f"{run_id}/{number}".encode(), digest_size=20).hexdigest()
        for number in range(count)
    )
