"""Loads of rising rates, stage by stage: offered and answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pandas as pd

from loopmark.harness.analysis import statistics
from loopmark.harness.analysis.latencies import Latencies, joined
from loopmark.harness.analysis.windows import right, within
from loopmark.harness.vocabulary.figures import StageResult
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.loads.model import Stage
from loopmark.harness.vocabulary.sample import ErrorKind


@dataclass(frozen=True, slots=True)
class StageCount:
    """The outcome of the requests, or deliveries, due in a stage of one round.

    Attributes:
        due: Their number.
        response: Response times of the right answers in milliseconds, in the order of their due
            moments.
        error_kinds: By kind, how many of the others failed.
    """

    due: int
    response: Latencies
    error_kinds: Counter[str] = field(default_factory=Counter)


def counts(
    of: Sequence[Stage], report: DriverReport, samples: pd.DataFrame
) -> tuple[StageCount, ...]:
    """Count one round, stage by stage."""
    edges = [report.window_start_ns + round(stage.start_s * 1e9) for stage in of]
    edges.append(report.window_end_ns)
    found = []
    for start, end in pairwise(edges):
        due = within(samples, "due_ns", start, end)
        good = right(due).sort_values("due_ns")
        kinds = due.loc[due["error"] != "", "error"].astype(str).value_counts()
        response: Latencies = (good["done_ns"] - good["due_ns"]).to_numpy() / 1e6
        found.append(
            StageCount(len(due), response, Counter({str(k): int(n) for k, n in kinds.items()}))
        )
    return tuple(found)


def results(
    of: Sequence[Stage],
    rounds: Sequence[Sequence[StageCount]],
    kept_up: Sequence[Sequence[bool]],
) -> tuple[StageResult, ...]:
    """The stages over all rounds, in time order.

    Args:
        of: The stages.
        rounds: By round, the counts of each stage.
        kept_up: By round, whether the target kept up with each.
    """
    return tuple(
        _result(
            stage,
            [counted[number] for counted in rounds],
            kept_up=2 * sum(kept[number] for kept in kept_up) > len(kept_up),
        )
        for number, stage in enumerate(of)
    )


def _result(stage: Stage, rounds: Sequence[StageCount], *, kept_up: bool) -> StageResult:
    seconds = stage.duration_s * len(rounds)
    due = sum(one.due for one in rounds)
    refused = sum(one.error_kinds[ErrorKind.REFUSED] for one in rounds)
    response = joined([one.response for one in rounds])
    p50, p99 = (
        statistics.percentile(response, p)
        if statistics.has_enough_beyond(response.size, p)
        else None
        for p in (0.5, 0.99)
    )
    return StageResult(
        start_s=stage.start_s,
        duration_s=stage.duration_s,
        rate=stage.rate,
        offered_rps=due / seconds,
        sent_rps=(due - refused) / seconds,
        answered_rps=response.size / seconds,
        refused=refused,
        errors=sum(sum(one.error_kinds.values()) for one in rounds),
        p50_ms=p50,
        p99_ms=p99,
        kept_up=kept_up,
    )
