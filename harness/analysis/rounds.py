"""One round that was measured to its end: from its samples to the values for the summary."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pandas as pd

from loopmark.harness.analysis import (
    delays,
    fan_out,
    knee,
    latencies,
    littles_law,
    resource_use,
    schedule,
    stages,
    steady_state,
)
from loopmark.harness.analysis.latencies import Answers
from loopmark.harness.analysis.windows import in_window, right, within
from loopmark.harness.vocabulary.figures import RoundResult
from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.record import RoundRecord
from loopmark.harness.vocabulary.sample import CONNECT_STEP, ErrorKind
from loopmark.harness.vocabulary.thresholds import Thresholds

LATE_MS = 1.0
"""Above it a request counts as sent late."""


@dataclass(frozen=True, slots=True)
class Round:
    """The values of one round; the samples themselves are not kept.

    Attributes:
        result: Its figures.
        answers: Times of the right answers that its figures are about; of the deliveries of a
            fan-out.
        requests_by_step: Requests that its figures are about, failed ones included; under a fan-out
            also those of all other steps.
        answers_by_step: Times of the right ones among these.
        refused: How many of them were refused.
        served: Requests answered within the window, or deliveries received there: the target's
            work.
        users: Users that received an answer, right or wrong, within the window.
        balance: Both sides of Little's law; None where the load is not steady.
        halves: The second half of the window compared with the first; None where nothing need be
            steady.
        cut: Whether MSER found a material change; None where nothing need be steady.
        trend: The end of the window over its start, by a straight line; None unless that is a
            material drift.
        arrivals: The schedule of an open load, and how it was kept.
        stages: Of loads that have any.
        kept_up: Whether the target kept up, stage by stage.
        send_spread_ms: Largest time from due to sent; under a fan-out of the publications.
        late_sends: Share of requests sent over 1 ms late; under a fan-out of the publications.
        delayed: Share of the main figure that the driver's own delay can account for at most.
        fan_out: The outcome of a fan-out's publications; None where the driver did not report it.
    """

    result: RoundResult
    answers: Answers
    requests_by_step: Counter[str]
    answers_by_step: Answers
    refused: int
    served: int
    users: int
    balance: littles_law.Balance | None
    halves: steady_state.Change | None
    cut: bool | None
    trend: float | None
    arrivals: schedule.Arrivals | None
    stages: tuple[stages.StageCount, ...]
    kept_up: tuple[bool, ...]
    send_spread_ms: float
    late_sends: float
    delayed: float | None
    fan_out: fan_out.FanOutCount | None = None


def measured_round(  # noqa: PLR0913, PLR0917 - what a round consists of
    load: Load,
    record: RoundRecord,
    report: DriverReport,
    samples: pd.DataFrame,
    thresholds: Thresholds,
    planned: float,
) -> Round:
    """Evaluate one round.

    Args:
        load: The load.
        record: Of the round.
        report: Of its driver.
        samples: All of the round's.
        thresholds: Those in force.
        planned: Flows, or publications, that were to be due within its window.
    """
    start, end = report.window_start_ns, report.window_end_ns
    window_s = (end - start) / 1e9
    fans_out = load.traits.fans_out
    counted = fan_out.deliveries(samples) if fans_out else samples
    inside = in_window(load, report, counted)
    good = right(inside)
    # What is due in the window may be answered or received after it: that is no throughput.
    due = load.traits.counted == "due"
    answered = within(counted, "done_ns", start, end) if due else inside
    answers = latencies.answers(good)
    all_steps = _all_steps(load, report, samples) if fans_out else inside
    waited_ms = _waited_ms(load, report, samples, inside)
    cpu_ms = resource_use.cpu_ms(load, record)
    served = (
        len(fan_out.heard(answered))
        if fans_out
        else int((answered["error"] != ErrorKind.REFUSED).sum())
    )
    result = RoundResult(
        round=record.round,
        block=record.block,
        requests=len(inside),
        errors=len(inside) - len(good),
        window_s=window_s,
        makespan_s=window_s if load.traits.ends_with_last_answer else None,
        throughput_rps=len(right(answered)) / window_s if window_s > 0 else 0.0,
        latency_ms=latencies.percentiles(answers.latency(load)),
        cpu_ms_per_request=cpu_ms / served if cpu_ms is not None and served else None,
        disturbed=record.is_disturbed(thresholds),
        conditions=record.conditions,
    )
    series = _series(load, good, answers, start, end)
    counted_stages = _stages(load, report, samples)
    undelayed = delays.undelayed(load, result, good, report)
    return Round(
        result=replace(result, undelayed=undelayed),
        answers=answers,
        requests_by_step=Counter(
            {
                str(step): int(n)
                for step, n in all_steps.groupby("step", observed=True, sort=False).size().items()
            }
        ),
        answers_by_step=latencies.answers(right(all_steps)) if fans_out else answers,
        refused=int((all_steps["error"] == ErrorKind.REFUSED).sum()),
        served=served,
        users=inside["user"].nunique(),
        balance=littles_law.balance(load, samples, start, end),
        halves=None if series is None else steady_state.between_halves(series),
        cut=None if series is None else not _is_steady(load, series, thresholds),
        trend=None if series is None else _trend(load, series, thresholds),
        arrivals=_arrivals(load, planned, report, samples, inside),
        stages=counted_stages,
        kept_up=knee.kept_up(load, counted_stages, thresholds),
        send_spread_ms=float(waited_ms.max()) if waited_ms.size else 0.0,
        late_sends=float((waited_ms > LATE_MS).mean()) if waited_ms.size else 0.0,
        delayed=delays.delayed_share(load, result, undelayed),
        fan_out=fan_out.count(load, record, samples),
    )


def _all_steps(load: Load, report: DriverReport, samples: pd.DataFrame) -> pd.DataFrame:
    """All samples due in the window of a fan-out, and the connections, which were opened before."""
    connects = samples[samples["step"] == CONNECT_STEP]
    others = samples[samples["step"] != CONNECT_STEP]
    return pd.concat([connects, in_window(load, report, others)])


def _waited_ms(
    load: Load, report: DriverReport, samples: pd.DataFrame, inside: pd.DataFrame
) -> latencies.Latencies:
    """From due to sent: the driver's own delay. The times of a delivery are the target's."""
    if load.traits.fans_out:
        return fan_out.lateness_ms(report, samples)
    waited: latencies.Latencies = (inside["sent_ns"] - inside["due_ns"]).to_numpy(dtype=float) / 1e6
    return waited


def _stages(
    load: Load, report: DriverReport, samples: pd.DataFrame
) -> tuple[stages.StageCount, ...]:
    count = fan_out.stage_counts if load.traits.fans_out else stages.counts
    return count(load.stages, report, samples) if load.stages else ()


def _series(
    load: Load, good: pd.DataFrame, answers: Answers, start: int, end: int
) -> steady_state.Series | None:
    """What must be steady: answers of a fixed number of users, response times of an open load.

    The answers of an open load, and the deliveries of a fan-out, follow a schedule, independent of
    the target; under a locustfile's shape nothing has to be steady.
    """
    if end <= start or good.empty or load.traits.steady is None:
        return None
    if load.traits.steady == "answers":
        return steady_state.answers_per_bin(good["done_ns"].to_numpy(), start, end)
    series = steady_state.mean_per_bin(good["due_ns"].to_numpy(), answers.response, start, end)
    return series if len(series) > 1 else None


def _is_steady(load: Load, series: steady_state.Series, thresholds: Thresholds) -> bool:
    return steady_state.is_steady(series, thresholds.materiality(load.traits.steady))


def _trend(load: Load, series: steady_state.Series, thresholds: Thresholds) -> float | None:
    return steady_state.trend(series, thresholds.materiality(load.traits.steady))


def _arrivals(
    load: Load, planned: float, report: DriverReport, samples: pd.DataFrame, inside: pd.DataFrame
) -> schedule.Arrivals | None:
    if not load.traits.is_scheduled:
        return None
    if load.traits.fans_out:
        return fan_out.arrivals(planned, report, samples)
    return schedule.arrivals(planned, report, inside)
