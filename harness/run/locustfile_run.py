"""Carries out a run of a user's own locustfile: looks at it, and drives every round."""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from loopmark.harness.errors import UserError
from loopmark.harness.launch.ports import require_free
from loopmark.harness.launch.process_reaper import reaped
from loopmark.harness.run.driver_process import DriverProcess
from loopmark.harness.run.journal import Observer, RunJournal, new_run_id, now
from loopmark.harness.run.locustfile_inspection import inspect
from loopmark.harness.run.machine import fingerprint
from loopmark.harness.store import RunFolder
from loopmark.harness.vocabulary.address import Address
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.job import LocustfileJob, Workers
from loopmark.harness.vocabulary.loads.bounds import MAX_SECONDS
from loopmark.harness.vocabulary.loads.population import Population
from loopmark.harness.vocabulary.locustfile import Inspection, LocustfileChoice
from loopmark.harness.vocabulary.record import (
    SCHEMA_VERSION,
    Pinning,
    RoundRecord,
    RunRecord,
)
from loopmark.harness.vocabulary.scenario import LocustfileFacts, ScenarioFacts
from loopmark.harness.vocabulary.target import Target
from loopmark.harness.vocabulary.thresholds import SHIPPED

DRIVER = "locust"
MODULE = "loopmark.harness.drivers.locust_driver.locustfile.driver"

DEFAULT_USERS = 1
DEFAULT_SPAWN_RATE = 1.0
"""Both as Locust has them."""

DEFAULT_WINDOW_S = 30.0
DEFAULT_SHAPE_S = 600.0
"""A shape ends by itself, or here."""

WEB_HOST = "127.0.0.1"
NO_HOST = "own-client"
"""In place of a target where the users have clients of their own that need no host."""


@dataclass(frozen=True, slots=True)
class LocustfileRequest:
    """What to run.

    Attributes:
        run_id: Name of the run and its folder.
        choice: The locustfile, and what of it.
        facts: What is kept of it.
        url: Of its targets; empty where only the file knows.
        cell: The only one of the run.
        web_port: For Locust's live page; None for none.
        workers: Who has the users, when they are to be on several processes.
    """

    run_id: str
    choice: LocustfileChoice
    facts: LocustfileFacts
    url: str
    cell: Cell
    web_port: int | None
    workers: Workers | None = None


def prepare(
    choice: LocustfileChoice, rounds: int, web_port: int | None, workers: Workers | None = None
) -> LocustfileRequest:
    """Look at everything that can be wrong before something is started.

    Raises:
        UserError: Something is.
    """
    path = Path(choice.path)
    text = _read(path)
    if choice.host is not None:
        _require_url(choice.host)
    if web_port is not None:
        require_free(Address(WEB_HOST, web_port), "--web-port")
    found = inspect(choice)
    load = _population(choice, found)
    if found.shape is None:
        # What a file that looks at its options finds there is what is done.
        choice = replace(
            choice, users=load.users, spawn_rate=load.spawn_rate, run_time_s=load.run_time_s
        )
    name = re.sub(r"[^\w.-]+", "-", path.stem, flags=re.ASCII).strip("-.") or "locustfile"
    target = "+".join(_place(host) for host in found.hosts) or NO_HOST
    facts = LocustfileFacts(
        name=path.name.encode("utf-8", "replace").decode("utf-8"),
        text=text,
        user_classes=found.user_classes,
        shape=found.shape,
    )
    cell = Cell(scenario=name, target=target, load=load, driver=DRIVER, rounds=rounds)
    url = ", ".join(found.hosts)
    return LocustfileRequest(new_run_id(name), choice, facts, url, cell, web_port, workers)


def carry_out(request: LocustfileRequest, out: Path, observer: Observer) -> None:
    """Measure every round into a new folder of `out`.

    A driver that fails costs its round, not the run. On KeyboardInterrupt the round at hand is
    recorded as interrupted and the run ends in order.

    Raises:
        UserError: The folder cannot be written, or workers do not come.
    """
    started = time.monotonic()
    with reaped():
        folder = RunFolder.create(out, request.run_id)
        with RunJournal(folder, _begun(request), observer, started) as journal:
            if request.workers is not None and request.workers.listen:
                journal.observer.workers_awaited(request.workers)
            for number in range(request.cell.rounds):
                journal.observer.round_begins(request.cell, number)
                journal.keep(request.cell, _one_round(request, folder, number))
                if journal.interrupted:
                    return


def _one_round(request: LocustfileRequest, folder: RunFolder, number: int) -> RoundRecord:
    """Every round has a process of its own: what the file sets up is as new, and there once."""
    cell = request.cell
    job = LocustfileJob(
        choice=request.choice,
        load=_load(cell),
        round=number,
        samples=str(folder.samples_file(cell, number)),
        report=str(folder.make_cell(cell) / f"driver-{number}.json"),
        web_port=request.web_port,
        is_last=number == cell.rounds - 1,
    )
    log = folder.logs / f"round-{number}.log"
    driver = DriverProcess(DRIVER, log, (), request.workers, MODULE)
    try:
        driver.wait_until_ready()
        driven = driver.drive(job, None)
    finally:
        driver.stop()
    return RoundRecord(
        round=number,
        block=number,
        state=driven.state,
        wall_s=driven.wall_s,
        driver=driven.report,
        target=(),
        database=(),
        loop_lag=(),
        audits=(),
        stderr_tail=driven.stderr_tail,
    )


def _load(cell: Cell) -> Population:
    assert isinstance(cell.load, Population), "the only load of a locustfile"
    return cell.load


def _begun(request: LocustfileRequest) -> RunRecord:
    cell = request.cell
    return RunRecord(
        schema_version=SCHEMA_VERSION,
        run_id=request.run_id,
        started=now(),
        finished=None,
        plan=cell.scenario,
        title=f"{request.facts.name} against {request.url or 'what its clients know'}",
        plan_toml="",
        seed=0,
        planned_s=cell.rounds * cell.load.planned_s,
        wall_s=None,
        interrupted=False,
        machine=fingerprint(),
        database=None,
        pinning=Pinning(target=(), driver=(), database=()),
        cells=(cell,),
        round_states={},
        scenarios=(ScenarioFacts.of_locustfile(cell.scenario, request.facts),),
        targets=(Target(name=cell.target, url=request.url),),
        thresholds=SHIPPED,
        workers=request.workers.count if request.workers else 0,
    )


def _population(choice: LocustfileChoice, found: Inspection) -> Population:
    if found.shape is not None:
        said = choice.users is not None or choice.spawn_rate is not None
        if said and not found.shape_takes_options:
            raise UserError(
                f"the shape {found.shape} decides how many users there are: leave out --users and "
                "--spawn-rate"
            )
        rate = choice.spawn_rate or DEFAULT_SPAWN_RATE
        return Population(None, rate, choice.run_time_s or DEFAULT_SHAPE_S)
    users = DEFAULT_USERS if choice.users is None else choice.users
    rate = DEFAULT_SPAWN_RATE if choice.spawn_rate is None else choice.spawn_rate
    # As Locust's dispatcher has it: so many at a time, the first of them at once.
    at_a_time = max(1, math.floor(rate))
    all_there_s = (math.ceil(users / at_a_time) - 1) * at_a_time / rate
    run_time_s = choice.run_time_s
    if run_time_s is None:
        run_time_s = min(all_there_s + DEFAULT_WINDOW_S, MAX_SECONDS)
    if run_time_s <= all_there_s:
        raise UserError(
            f"all {users} users are there after {all_there_s:g} s, and the run ends after "
            f"{run_time_s:g} s: raise --spawn-rate or --run-time"
        )
    return Population(users, rate, run_time_s)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError as error:
        raise UserError(f"cannot read the locustfile {path}: {error.strerror}") from None


def _require_url(host: str) -> None:
    try:
        parts = urlsplit(host)
        usable = bool(parts.scheme and parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not host.isascii() or not host.isprintable() or " " in host:
        hint = f"; did you mean http://{host}?" if "://" not in host and host else ""
        raise UserError(f"--host {host!r} is no URL{hint or ', such as http://127.0.0.1:8000'}")


def _place(host: str) -> str:
    """Host and port of a URL; what is none stays as it is."""
    return (urlsplit(host).netloc or host).rpartition("@")[2]
