"""Provides what our own variants need: a database, files to process, a folder for uploads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from loopmark.harness.launch.database import Database, open_database
from loopmark.harness.launch.process_reaper import temporary_folder
from loopmark.harness.vocabulary.target import Target


@dataclass(frozen=True, slots=True)
class Provision:
    """The resources of one run's variants, removed with the run.

    Attributes:
        database: A schema of their own.
        environment: Environment variables that name all of it.
    """

    database: Database
    environment: Mapping[str, str]


@contextmanager
def provision(
    targets: Iterable[Target], token: str, run_id: str, cpus: Sequence[int] = ()
) -> Iterator[Provision | None]:
    """Provide what our own variants among the targets need; None without any.

    Args:
        targets: Of the run.
        token: Of `process_reaper.reaped`.
        run_id: The schema is named after it.
        cpus: Processors for an embedded server; empty means any.

    Raises:
        UserError: There is no usable database.
    """
    ours = [target for target in targets if target.is_ours]
    if not ours:
        yield None
        return
    with open_database(token, run_id, ours[0].prepared_by, cpus, len(ours)) as database:
        folders = database.preparation.make_folders(temporary_folder(token, "files"))
        yield Provision(database, database.target_environment | folders)
