"""The trials: throughput with one worker and two, samples that arrive, workers that are killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Timer

import pandas as pd
import psutil

from loopmark.harness.analysis.summaries import summarise
from loopmark.harness.run.driver_process import Drive
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.figures import Interval
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.record import RoundRecord
from loopmark.harness.vocabulary.sample import SUMMARISED
from tests.bench.ratios import ratio_over_rounds
from tests.bench.workers.places import Crew, Target, samples_of, sleeping_target
from tests.network_namespaces import Host

Say = Callable[[str], None]

USERS = 50
"""Of each worker."""

SLEEPS_MS = 50.0
"""Of the target, where it is not to be the limit: a thousand requests a second from each worker."""

SHORT = Closed(users=2 * USERS, duration_s=0.5, warmup_s=0.0)


@dataclass(frozen=True)
class Plan:
    """How much of it; times in seconds.

    Attributes:
        pairs: Rounds with one worker and with two, taking turns.
        window_s: Of each.
        samples: How many are to arrive, none lost and none twice.
        stretch_s: Length of the rounds that these come from.
        kills: Rounds in which a worker is killed.
    """

    pairs: int = 6
    window_s: float = 3.0
    samples: int = 1_000_000
    stretch_s: float = 60.0
    kills: int = 5


QUICK = Plan(pairs=1, window_s=1.0, samples=5_000, stretch_s=2.0, kills=1)


@dataclass(frozen=True)
class Scaling:
    """Requests per second with two workers against one; each worker has the same users.

    Attributes:
        what: Where, and against which target.
        one_rps: By round, with one worker.
        two_rps: By round, with two.
        ratio: Geometric mean of two over one; the rounds are pairs.
        interval: Its interval.
    """

    what: str
    one_rps: Sequence[float]
    two_rps: Sequence[float]
    ratio: float
    interval: Interval | None


@dataclass(frozen=True)
class Delivery:
    """Samples that were taken and that arrived.

    Attributes:
        answered: Requests that the target has answered.
        stored: Samples in the master's files.
        distinct: Those of them that are not the same request as another.
        took_s: Seconds for all.
    """

    answered: int
    stored: int
    distinct: int
    took_s: float


@dataclass(frozen=True)
class Kill:
    """What became of a round that lost a worker.

    Attributes:
        late_s: Seconds from its planned end to its end.
        validity: Of the cell.
        of_the_lost: Samples that the killed worker had delivered.
        reported: Samples of both, as the driver reports them.
        stored: Samples in its file.
    """

    late_s: float
    validity: str
    of_the_lost: int
    reported: int
    stored: int


def scaling(what: str, plan: Plan, delay_ms: float, hosts: Sequence[Host], say: Say) -> Scaling:
    """Let one worker and two take turns.

    Args:
        what: For the table.
        plan: How often.
        delay_ms: Of the target.
        hosts: For master and target, the one worker, and the two; none means all here.
        say: Told what is going on.
    """
    master = hosts[0] if hosts else None
    found: dict[int, list[float]] = {1: [], 2: []}
    with (
        TemporaryDirectory() as folder,
        sleeping_target(delay_ms, master) as target,
        Crew(1, Path(folder), hosts[:2]) as one,
        Crew(2, Path(folder), [*hosts[:1], *hosts[2:]]) as two,
    ):
        for number in range(plan.pairs):
            say(f"{what}: pair {number + 1} of {plan.pairs}")
            order = [(1, one), (2, two)]
            Random(number).shuffle(order)
            for count, crew in order:
                load = Closed(count * USERS, plan.window_s)
                found[count].append(_throughput_rps(crew, target, load))
    ratio = ratio_over_rounds(found[2], found[1])
    assert ratio is not None, "a round without an answer"
    return Scaling(what, found[1], found[2], *ratio)


def delivery(plan: Plan, say: Say) -> Delivery:
    """Many samples, from two workers that do as much as they can."""
    answered = stored = distinct = 0
    begun = time.monotonic()
    with (
        TemporaryDirectory() as folder,
        sleeping_target(0.0) as target,
        Crew(2, Path(folder)) as crew,
    ):
        while stored < plan.samples:
            say(f"{stored:,} of {plan.samples:,} samples")
            before = target.answered()
            job = crew.job(target, Closed(2 * USERS, plan.stretch_s, warmup_s=0.0))
            assert crew.drive(job).state == "measured"
            samples = samples_of(job)
            answered += target.answered() - before
            stored += len(samples)
            # A user has one request in flight: no two of its begin at the same moment.
            distinct += len(samples[["user", "sent_ns"]].drop_duplicates())
            Path(job.samples).unlink()
    return Delivery(answered, stored, distinct, time.monotonic() - begun)


def kills(plan: Plan, say: Say) -> Sequence[Kill]:
    """Rounds in each of which one of two workers is killed, at a random moment of the window."""
    found = []
    load = Closed(2 * USERS, duration_s=4.0)
    with (
        TemporaryDirectory() as folder,
        sleeping_target(SLEEPS_MS) as target,
        Crew(2, Path(folder)) as crew,
    ):
        for number in range(plan.kills):
            say(f"killed worker {number + 1} of {plan.kills}")
            # Whoever takes the place of one that was killed is there after a round.
            crew.drive(crew.job(target, SHORT))
            victim = Random(number).choice(psutil.Process(crew.pid).children())
            after_s = load.warmup_s + load.duration_s * Random(-number).uniform(0.1, 0.8)
            job = crew.job(target, load)
            Timer(after_s, victim.kill).start()
            driven = crew.drive(job)
            assert driven.state == "worker-lost", driven.stderr_tail
            assert driven.report is not None
            workers = driven.report.workers
            samples = samples_of(job)
            found.append(
                Kill(
                    late_s=driven.wall_s - load.planned_s,
                    validity=_validity(load, driven, samples),
                    of_the_lost=sum(one.samples for one in workers if one.lost),
                    reported=sum(one.samples for one in workers),
                    stored=len(samples),
                )
            )
    return found


def _throughput_rps(crew: Crew, target: Target, load: Closed) -> float:
    job = crew.job(target, load)
    report = crew.drive(job).report
    assert report is not None
    samples = samples_of(job)
    inside = samples["done_ns"].between(report.window_start_ns, report.window_end_ns)
    right = samples["error"].astype(str) == ""
    return int((inside & right).sum()) / (report.window_end_ns - report.window_start_ns) * 1e9


def _validity(load: Closed, driven: Drive, samples: pd.DataFrame) -> str:
    record = RoundRecord(
        round=0,
        block=0,
        state=driven.state,
        wall_s=driven.wall_s,
        driver=driven.report,
        target=(),
        database=(),
        loop_lag=(),
        audits=(),
    )
    cell = Cell("wait-timer", "sleeping", replace(load), "locust", 1)
    result = summarise(cell, [record], lambda _: samples[list(SUMMARISED)], ())
    return result.validity.state
