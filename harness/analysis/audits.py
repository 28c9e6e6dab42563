"""Rows counted in the database, compared with the acknowledged writes."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from loopmark.harness.vocabulary.figures import AuditResult
from loopmark.harness.vocabulary.record import RoundRecord
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.scenario import Audit

UNCERTAIN = frozenset(
    {
        ErrorKind.TIMEOUT,
        ErrorKind.RESET,
        ErrorKind.PROTOCOL,
        ErrorKind.SERVER_ERROR,
        ErrorKind.ABANDONED,
        ErrorKind.FAILED,
        # The status said that it was done, the body something else: it may have been done.
        ErrorKind.WRONG_ANSWER,
    }
)
"""Errors after which it is unknown whether the write was executed."""


def of_round(audit: Audit, record: RoundRecord, samples: pd.DataFrame) -> AuditResult | None:
    """Compare the rows with the acknowledged writes of one round.

    Returns:
        None for a driver that was killed or lost a worker: some writes have no samples to compare
        with.
    """
    if record.state == "worker-lost":
        return None
    counts = [c.after - c.before for c in record.audits if c.what == audit.what]
    if record.state != "measured" and (not counts or samples.empty):
        return None
    relevant = samples[samples["step"].isin(list(audit.effect))]
    alike = relevant.groupby(["step", "error"], observed=True, sort=False).size()
    surely = least = most = uncertain = 0
    for (step, error), requests in zip(alike.index.to_list(), alike, strict=True):
        rows = audit.effect[str(step)] * int(requests)
        if error == "":
            surely += rows
        elif error in UNCERTAIN:
            # A create without an answer may have added its row; it cannot excuse one that is gone.
            least += min(rows, 0)
            most += max(rows, 0)
            uncertain += int(requests) if rows else 0
    return AuditResult(
        what=audit.what,
        acknowledged=surely,
        uncertain=uncertain,
        found=sum(counts),
        ok=bool(counts) and surely + least <= counts[0] <= surely + most,
        kind=audit.kind,
    )


def of_connections(record: RoundRecord) -> tuple[AuditResult, ...]:
    """Whether the connections that a target held after a round are as they should be.

    Returns:
        Nothing for a round that was not measured to its end: requests may have been in flight.
    """
    left = record.connections
    if left is None or record.state != "measured":
        return ()
    in_transaction, beyond = left.idle_in_transaction, left.beyond
    return (
        AuditResult(
            "connections left in a transaction",
            acknowledged=0,
            uncertain=0,
            found=in_transaction,
            ok=not in_transaction,
            kind="idle-in-transaction",
        ),
        AuditResult(
            f"connections beyond the {left.kept} of its pool",
            acknowledged=0,
            uncertain=0,
            found=beyond,
            ok=not beyond,
            kind="leaked",
        ),
    )


def over_rounds(rounds: Sequence[AuditResult]) -> AuditResult:
    """One audit over all rounds: each round must agree, or errors could cancel out."""
    return AuditResult(
        what=rounds[0].what,
        acknowledged=sum(one.acknowledged for one in rounds),
        uncertain=sum(one.uncertain for one in rounds),
        found=sum(one.found for one in rounds),
        ok=all(one.ok for one in rounds),
        kind=rounds[0].kind,
    )
