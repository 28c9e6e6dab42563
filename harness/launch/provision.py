"""Provides what our own variants need: a database, folders, and the services that they ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from loopmark.harness.errors import UserError
from loopmark.harness.launch.database import Database, open_database
from loopmark.harness.launch.process_reaper import temporary_folder
from loopmark.harness.launch.running_target import RunningTarget, TargetFailedError
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
        cpus: Processors for an embedded server and the other services; empty means any.

    Raises:
        UserError: There is no usable database, or another service does not start.
    """
    ours = [target for target in targets if target.is_ours]
    if not ours:
        yield None
        return
    with open_database(token, run_id, ours[0].prepared_by, cpus, len(ours)) as database:
        preparation = database.preparation
        folders = preparation.make_folders(temporary_folder(token, "files"))
        with _services(preparation.SERVICES, token, cpus) as urls:
            environment = {
                **preparation.MEASURED_ENVIRONMENT,
                **database.target_environment,
                **folders,
                **urls,
            }
            yield Provision(database, environment)


@contextmanager
def _services(
    services: Mapping[str, str], token: str, cpus: Sequence[int]
) -> Iterator[Mapping[str, str]]:
    """Start them; yields the URL of each by its environment variable."""
    folder = temporary_folder(token, "services")
    running = dict[str, RunningTarget]()
    with ExitStack() as stack:
        try:
            for variable, asgi in services.items():
                target = Target(name=asgi, asgi=asgi, ready="/ready")
                running[variable] = service = RunningTarget(target, folder, variable, cpus=cpus)
                stack.callback(service.stop)
            for service in running.values():
                service.wait_until_ready()
        except TargetFailedError as error:
            last = error.stderr_tail.rpartition("\n")[2]
            why = f"{error}: {last}" if last else str(error)
            raise UserError(f"a service that targets ask: {why}") from None
        yield {variable: service.base_url for variable, service in running.items()}
