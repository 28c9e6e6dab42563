"""One reference target with its database, for people: `loopmark serve`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from loopmark.harness.launch.database import open_database
from loopmark.harness.launch.process_reaper import reaped, temporary_folder
from loopmark.harness.launch.sandbox import target_folders
from loopmark.harness.launch.target_process import TargetProcess, require_free
from loopmark.harness.vocabulary.record import DatabaseFacts
from loopmark.scenarios.flows import SEEDED_ACCOUNTS


@contextmanager
def served(variant: str, port: int | None) -> Iterator[tuple[TargetProcess, str, DatabaseFacts]]:
    """Run a variant on a seeded schema of its own.

    Args:
        variant: Name of the target.
        port: To listen on; a free one when None.

    Yields:
        The ready target, a bearer token of account 1, and facts about the database.

    Raises:
        UserError: The port is taken, or there is no usable database.
        TargetFailedError: The target does not come up.
    """
    if port is not None:
        require_free(port)
    with reaped() as token, open_database(token, f"serve_{token}") as database:
        tokens = tuple(f"{token}-{number}" for number in range(1, SEEDED_ACCOUNTS + 1))
        database.reset(tokens, SEEDED_ACCOUNTS)
        folder = temporary_folder(token, "serve")
        environment = database.target_environment | target_folders(token)
        target = TargetProcess(variant, environment, folder, variant, port=port)
        try:
            target.wait_until_ready()
            yield target, tokens[0], database.facts
        finally:
            target.stop()
