"""Percentiles of latencies, and their phases. Arrays in, values out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from loopmark.harness.analysis import statistics
from loopmark.harness.vocabulary.figures import (
    Interval,
    PercentileIntervals,
    Percentiles,
    Phase,
    Phases,
)
from loopmark.harness.vocabulary.load import Load

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}

Latencies = npt.NDArray[np.float64]
"""Milliseconds."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The times of the right answers within one window, in milliseconds; an entry for each.

    Attributes:
        response: From due to done.
        service: From sent to done.
        to_send: From due to sent.
        connecting: From sent to connected; only of those that needed a new connection.
        to_first_byte: From sent, or connected, to the first byte; only where that time is known.
            transfer: From the first byte to the last; only where the time of the first is known.
        steps: Number of the step of the flow.
        step_names: Names by that number.
    """

    response: Latencies
    service: Latencies
    to_send: npt.NDArray[np.float32]
    connecting: npt.NDArray[np.float32]
    to_first_byte: npt.NDArray[np.float32]
    transfer: npt.NDArray[np.float32]
    steps: npt.NDArray[np.int16]
    step_names: tuple[str, ...]

    def latency(self, load: Load) -> Latencies:
        """The main latency under a load.

        Where arrivals follow a schedule it begins when the request was due, so it includes the
        delay by a stalled target or a busy driver (Tene, "coordinated omission"); so it does in a
        burst, whose users all arrive at its start. Without a schedule it is unknown when the
        request would have arrived, so it begins when the request was sent. A delivery is sent when
        the target emits the event; the time before is the latency of the publication.
        """
        return self.response if load.traits.latency_from == "due" else self.service

    def of_step(self, step: str, load: Load) -> Latencies:
        """The main latency of one step of the flow."""
        if step not in self.step_names:
            return np.empty(0)
        latency = self.latency(load)
        chosen: Latencies = latency[self.steps == self.step_names.index(step)]
        return chosen


def answers(right: pd.DataFrame) -> Answers:
    """The times of right answers, one per row."""
    due, sent, connected, first_byte, done = (
        right[name].to_numpy(dtype=np.int64)
        for name in ("due_ns", "sent_ns", "connected_ns", "first_byte_ns", "done_ns")
    )
    new = connected > 0
    heard = first_byte > 0  # A locustfile's own client reports only the end.
    codes, names = pd.factorize(right["step"])
    return Answers(
        response=(done - due) / 1e6,
        service=(done - sent) / 1e6,
        # Half the memory is precise enough for what is only looked at beside the latency.
        to_send=((sent - due) / 1e6).astype(np.float32),
        connecting=((connected - sent)[new] / 1e6).astype(np.float32),
        to_first_byte=((first_byte - np.maximum(sent, connected))[heard] / 1e6).astype(np.float32),
        transfer=((done - first_byte)[heard] / 1e6).astype(np.float32),
        steps=codes.astype(np.int16),
        step_names=tuple(str(name) for name in names),
    )


def joined(arrays: Sequence[npt.NDArray[np.floating]]) -> Latencies:
    """The values of all rounds."""
    return np.concatenate(arrays).astype(np.float64, copy=False) if arrays else np.empty(0)


def percentiles(latencies: Latencies) -> Percentiles:
    """The percentiles with enough samples, and the maximum."""
    names = [
        name for name, p in PERCENTILES.items() if statistics.has_enough_beyond(latencies.size, p)
    ]
    found = statistics.percentiles(latencies, [PERCENTILES[name] for name in names])
    return Percentiles(
        **dict(zip(names, found, strict=True)),
        max=float(latencies.max()) if latencies.size else None,
    )


def seconds_for(found: Percentiles, count: int, measured_s: float) -> dict[str, float]:
    """How many seconds in all would give the missing percentiles enough samples.

    Args:
        found: Of these samples.
        count: Number of samples.
        measured_s: Seconds in which they came.
    """
    return {
        name: statistics.needed_for(p) * measured_s / count
        for name, p in PERCENTILES.items()
        if count and getattr(found, name) is None
    }


def percentile_intervals(
    found: Percentiles, per_round: Sequence[Latencies]
) -> tuple[PercentileIntervals, str | None]:
    """The intervals of percentiles over all rounds, and what they are computed from.

    Fewer than three rounds have none. The requests of one share a queue, and intervals that treat
    them as independent held the percentile of the next round in a quarter of the cases.
    """
    known = {name: p for name, p in PERCENTILES.items() if getattr(found, name) is not None}
    if not known:
        return PercentileIntervals(), None
    of_rounds = [statistics.percentiles(one, list(known.values())) for one in per_round if one.size]
    if len(of_rounds) < statistics.FEWEST_ROUNDS:
        return PercentileIntervals(), None
    intervals: dict[str, Interval | None] = {
        name: statistics.interval_over_rounds(getattr(found, name), values)
        for name, values in zip(known, zip(*of_rounds, strict=True), strict=True)
    }
    return PercentileIntervals(**intervals), "rounds"


def phases(rounds: Sequence[Answers]) -> Phases:
    """The phases, over all rounds."""
    return Phases(
        to_send=_phase([one.to_send for one in rounds]),
        connecting=_phase([one.connecting for one in rounds]),
        to_first_byte=_phase([one.to_first_byte for one in rounds]),
        transfer=_phase([one.transfer for one in rounds]),
    )


def _phase(arrays: Sequence[npt.NDArray[np.float32]]) -> Phase:
    found = percentiles(joined(arrays))
    return Phase(sum(one.size for one in arrays), found.p50, found.p99)
