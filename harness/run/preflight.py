"""Checks before a run starts, and those of `loopmark doctor`."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from loopmark.harness.errors import UserError
from loopmark.harness.launch import database
from loopmark.harness.launch.ports import free_port
from loopmark.harness.launch.process_reaper import reaped
from loopmark.harness.launch.running_target import RunningTarget, TargetFailedError
from loopmark.harness.run.finding import Finding
from loopmark.harness.run.processor_checks import (
    load_finding,
    processor_findings,
    reported_findings,
)
from loopmark.harness.run.processor_facts import processor_facts
from loopmark.harness.vocabulary.target import Target

FILES_BESIDE_CONNECTIONS = 150
"""Open files for libraries, logs, the event loop and database connections."""

LARGEST_SHIPPED_CONCURRENCY = 1000


def require_open_files(connections: int) -> None:
    """Raise the limit of open files as far as these connections need it.

    Children inherit it: the driver and the target hold one end of every connection each.

    Raises:
        UserError: The hard limit is too low.
    """
    needed = connections + FILES_BESIDE_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _reaches(soft, needed):
        return
    if not _reaches(hard, needed):
        raise UserError(
            f"{connections} connections need {needed} open files, and the limit is {hard}; "
            f"raise it (ulimit -Hn {needed}, or LimitNOFILE= of the service), "
            "or select fewer users with --only"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def require_writable(out: Path) -> None:
    """Check that a folder can be written, or made where it is missing; leave it as it is.

    Raises:
        UserError: It cannot.
    """
    try:
        place = next(path for path in (out, *out.absolute().parents) if path.exists())
        TemporaryDirectory(dir=place).cleanup()
    except OSError as error:
        raise UserError(
            f"cannot write to {out}: {error.strerror}; name another folder with --out"
        ) from None


def require_targets(targets: Iterable[Target]) -> None:
    """Check targets as far as possible before they are started.

    Raises:
        UserError: With a line for each missing folder or command, and for each URL that refuses
            connections.
    """
    if problems := [problem for target in targets if (problem := _missing(target))]:
        raise UserError("\n".join(problems))


def _missing(target: Target) -> str:
    folder = Path(target.folder)
    if not folder.is_dir():
        return f"target {target.name}: there is no folder {folder}"
    if target.command:
        program = target.command[0]
        path = {**os.environ, **target.environment}.get("PATH")
        place = str(folder / program) if os.sep in program else program
        return "" if which(place, path=path) else f"target {target.name}: no command {program}"
    if not target.is_launched:
        try:
            RunningTarget(target, folder, target.name).wait_until_ready()
        except TargetFailedError as error:
            return f"target {error}"
    return ""


def diagnose(prepared_by: str) -> Iterator[Finding]:
    """Check everything that a run needs, one finding after another.

    Args:
        prepared_by: The module that makes the tables of our own variants.
    """
    yield from processor_findings(processor_facts())
    yield load_finding()
    yield from reported_findings()
    yield _open_files()
    yield from _database(prepared_by)
    yield _port()


def _open_files() -> Finding:
    needed = LARGEST_SHIPPED_CONCURRENCY + FILES_BESIDE_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _reaches(soft, needed):
        return Finding("ok", f"{soft} open files allowed")
    if _reaches(hard, needed):
        return Finding("ok", f"{soft} open files allowed; a run raises this to {needed}")
    return Finding(
        "problem",
        f"at most {hard} open files, 1000 connections need {needed}",
        f"raise the hard limit: ulimit -Hn {needed}, or LimitNOFILE= of the service",
    )


def _database(prepared_by: str) -> Iterator[Finding]:
    try:
        external = database.external_server()
        if external is None:
            with (
                reaped() as token,
                database.open_database(token, "doctor", prepared_by) as opened,
            ):
                yield Finding(
                    "ok", f"embedded PostgreSQL {opened.facts.version} starts and responds"
                )
            return
    except UserError as error:
        yield Finding("problem", str(error))
        return
    facts, free, left_behind = external
    yield Finding("ok", f"PostgreSQL {facts.version} at {facts.url}")
    needed = 3 * database.CONNECTIONS_PER_TARGET + database.CONNECTIONS_OF_HARNESS
    if free < needed:
        yield Finding(
            "problem",
            f"{free} connections are free; three targets and the harness need {needed}",
            "raise max_connections, or disconnect other clients",
        )
    if left_behind:
        drops = " ".join(f'DROP SCHEMA "{schema}" CASCADE;' for schema in left_behind)
        yield Finding(
            "warning",
            f"{len(left_behind)} schema(s) of other runs, running or killed",
            f"drop those of killed runs: {drops}",
        )


def _port() -> Finding:
    try:
        return Finding("ok", f"can bind ports on 127.0.0.1 (tried {free_port()})")
    except OSError as error:
        return Finding(
            "problem",
            f"cannot bind a port on 127.0.0.1: {error.strerror}",
            "allow this process to listen on the loopback interface",
        )


def _reaches(limit: int, needed: int) -> bool:
    return limit in {resource.RLIM_INFINITY, -1} or limit >= needed
