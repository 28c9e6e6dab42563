"""One reference target with its database, for manual use: `loopmark serve`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from loopmark.harness.launch.ports import HOST, require_free
from loopmark.harness.launch.process_reaper import reaped, temporary_folder
from loopmark.harness.launch.provision import provision
from loopmark.harness.launch.running_target import RunningTarget
from loopmark.harness.vocabulary.address import Address
from loopmark.harness.vocabulary.record import DatabaseFacts
from loopmark.harness.vocabulary.target import Target
from loopmark.scenarios.flows import SEEDED_ACCOUNTS


@contextmanager
def served(target: Target, port: int | None) -> Iterator[tuple[RunningTarget, str, DatabaseFacts]]:
    """Run a variant on a seeded schema of its own.

    Args:
        target: One of our own variants.
        port: Port to listen on; a free one if None.

    Yields:
        The ready target, a bearer token of account 1, and facts about the database.

    Raises:
        UserError: The port is in use, or there is no usable database.
        TargetFailedError: The target does not get ready.
    """
    if port is not None:
        require_free(Address(HOST, port), "--port")
    with reaped() as token, provision([target], token, f"serve_{token}") as provided:
        assert provided is not None, "it is one of our own"
        tokens = tuple(f"{token}-{number}" for number in range(1, SEEDED_ACCOUNTS + 1))
        provided.database.reset(tokens, SEEDED_ACCOUNTS)
        folder = temporary_folder(token, "serve")
        running = RunningTarget(
            target, folder, target.name, provided=provided.environment, port=port
        )
        try:
            running.wait_until_ready()
            yield running, tokens[0], provided.database.facts
        finally:
            running.stop()
