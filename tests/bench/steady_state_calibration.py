"""How often steady targets are called unsteady, and how often real drift is found.

    python tests/bench/steady_state_calibration.py [REPETITIONS]

Simulated windows of 2, 10 and 30 s, in one round and in three. Each figure is the share of
repetitions that were called unsteady, in per cent.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from loopmark.harness.analysis import steady_state
from loopmark.harness.analysis.littles_law import open_balance
from loopmark.harness.analysis.round_validity import too_many
from loopmark.harness.analysis.steady_state import Series
from loopmark.harness.vocabulary.thresholds import SHIPPED, Materiality

RATE = 400.0
START_NS = 10**12
WINDOWS_S = (2.0, 10.0, 30.0)
ROUNDS = (1, 3)
Random = np.random.Generator
Window = Callable[[Random, float], Series]
"""Makes the series of bins of one window of so many seconds."""


@dataclass(frozen=True)
class Case:
    """What is simulated, and by which measure it is judged."""

    window: Window
    materiality: Materiality


def answers(shape: Callable[[Series], Series], rate: float = RATE) -> Case:
    """Answers as a Poisson process whose rate has this shape over the window (0 to 1)."""

    def window(random: Random, length_s: float) -> Series:
        places = (np.arange(1000) + 0.5) / 1000
        counts = random.poisson(rate * length_s / 1000 * shape(places))
        return np.asarray(counts.reshape(steady_state.BINS, -1).sum(axis=1), dtype=float)

    return Case(window, SHIPPED.material_answers)


def wandering(spread: float, memory_s: float) -> Case:
    """Answers whose rate wanders: a lognormal AR(1) process."""

    def window(random: Random, length_s: float) -> Series:
        steps = 1000
        keep = np.exp(-length_s / steps / memory_s)
        noise = random.normal(size=steps) * np.sqrt(1 - keep**2)
        level = np.empty(steps)
        level[0] = random.normal()
        for step in range(1, steps):
            level[step] = keep * level[step - 1] + noise[step]
        counts = random.poisson(RATE * length_s / steps * np.exp(spread * level))
        return np.asarray(counts.reshape(steady_state.BINS, -1).sum(axis=1), dtype=float)

    return Case(window, SHIPPED.material_answers)


def closed_queue(users: int, servers: int) -> Case:
    """Users who wait for the first free one of some servers with exponential service times."""

    def window(random: Random, length_s: float) -> Series:
        service = servers / RATE
        free = np.sort(random.exponential(service, servers))
        done: list[float] = []
        ready = np.zeros(max(0, users - servers)).tolist()
        while free[0] < length_s:
            moment = float(free[0])
            done.append(moment)
            ready.append(moment)
            begin = max(moment, float(ready.pop(0)))
            free[0] = begin + random.exponential(service)
            free.sort()
        return np.histogram(done, bins=steady_state.BINS, range=(0, length_s))[0].astype(float)

    return Case(window, SHIPPED.material_answers)


def queue(load: Callable[[Series], Series]) -> Case:
    """Response times of an open queue (M/M/1) by Lindley's recursion, after a warm-up."""

    def window(random: Random, length_s: float) -> Series:
        arrivals = random.poisson(RATE * length_s)
        warm_up = int(RATE)
        places = np.concatenate([np.zeros(warm_up), np.linspace(0, 1, arrivals)])
        service = random.exponential(1 / RATE, places.size) * load(places)
        gaps = random.exponential(1 / RATE, places.size)
        steps = np.concatenate([[0.0], (service[:-1] - gaps[1:])])
        walk = np.cumsum(steps)
        waited = walk - np.minimum.accumulate(walk)
        response = (waited + service)[warm_up:]
        times = (np.linspace(0, length_s, arrivals, endpoint=False) * 1e9).astype(np.int64)
        return steady_state.mean_per_bin(times, response, 0, round(length_s * 1e9))

    return Case(window, SHIPPED.material_responses)


def level(value: float) -> Callable[[Series], Series]:
    return lambda place: np.full(place.size, value)


def shift(where: float) -> Callable[[Series], Series]:
    return lambda place: np.where(place < where, 1.5, 1.0)


STEADY: Mapping[str, Case] = {
    "Poisson, 40 answers/s": answers(level(1.0), 40.0),
    "Poisson, 400 answers/s": answers(level(1.0)),
    "closed queue, 10 users, 1 server": closed_queue(10, 1),
    "closed queue, 100 users, 30 servers": closed_queue(100, 30),
    "AR(1), 5%, 0.3 s": wandering(0.05, 0.3),
    "AR(1), 10%, 1 s": wandering(0.10, 1.0),
    "AR(1), 15%, 1 s": wandering(0.15, 1.0),
    "M/M/1, 50% busy (open)": queue(level(0.5)),
    "M/M/1, 80% busy (open)": queue(level(0.8)),
    "M/M/1, 90% busy (open)": queue(level(0.9)),
}
DRIFTING: Mapping[str, Case] = {
    **{f"1.5 x until {place:.0%}": answers(shift(place)) for place in (0.1, 0.2, 0.3, 0.5)},
    **{f"1.5 x until {place:.0%}": answers(shift(place)) for place in (0.7, 0.8, 0.9)},
    "ramp from 1 to 1.5": answers(lambda place: 1 + place / 2),
    "ramp from 1.5 to 1": answers(lambda place: 1.5 - place / 2),
    "ramp from 1 to 2": answers(lambda place: 1 + place),
    "warm-up, 30% of the window": answers(lambda place: 1 - 0.7 * np.exp(-place / 0.3)),
    "warm-up, 10% of the window": answers(lambda place: 1 - 0.7 * np.exp(-place / 0.1)),
    "M/M/1, 105% busy (open)": queue(level(1.05)),
    "M/M/1, 120% busy (open)": queue(level(1.2)),
    "M/M/1, 50%, from 60% on 110% (open)": queue(lambda p: np.where(p < 0.6, 0.5, 1.1)),
}


def unsteady(
    case: Case, random: Random, length_s: float, rounds: int
) -> tuple[bool, bool, bool, bool]:
    """The verdicts of MSER, of the halves, of the straight line, and of all together."""
    series = [case.window(random, length_s) for _ in range(rounds)]
    cut = [not steady_state.is_steady(one, case.materiality) for one in series]
    halves = [
        steady_state.between_halves(one).is_material(case.materiality.level) for one in series
    ]
    drifting = [steady_state.trend(one, case.materiality) is not None for one in series]
    any_ = [any(verdicts) for verdicts in zip(cut, halves, drifting, strict=True)]
    found = [too_many(sum(bad), rounds, SHIPPED) for bad in (cut, halves, drifting, any_)]
    return found[0], found[1], found[2], found[3]


def unbalanced(random: Random, load: float, length_s: float, rounds: int) -> bool:
    """Whether Little's law objects to an open queue that is this busy."""
    off = 0
    for _ in range(rounds):
        due = np.sort(random.uniform(-0.5, length_s, random.poisson(RATE * (length_s + 0.5))))
        service = random.exponential(load / RATE, due.size)
        walk = np.cumsum(np.concatenate([[0.0], service[:-1] - np.diff(due)]))
        response = walk - np.minimum.accumulate(walk) + service
        due_ns = START_NS + (due * 1e9).astype(np.int64)
        done_ns = due_ns + (response * 1e9).astype(np.int64)
        samples = pd.DataFrame({"due_ns": due_ns, "done_ns": done_ns, "error": ""})
        end_ns = START_NS + round(length_s * 1e9)
        off += open_balance(samples, START_NS, end_ns).deviation > SHIPPED.max_little_deviation
    return too_many(off, rounds, SHIPPED)


def main(repetitions: int) -> None:
    random = np.random.default_rng(1)
    heads = [f"{window:g} s, {rounds}" for window in WINDOWS_S for rounds in ROUNDS]
    sys.stdout.write(f"| MSER / halves / line / any, % | {' | '.join(heads)} |\n")
    sys.stdout.write(f"|---|{'---|' * len(heads)}\n")
    for name, case in {**STEADY, **DRIFTING}.items():
        row = []
        for window in WINDOWS_S:
            for rounds in ROUNDS:
                found = np.array(
                    [unsteady(case, random, window, rounds) for _ in range(repetitions)]
                )
                row.append(" / ".join(f"{share:.0f}" for share in 100 * found.mean(axis=0)))
        sys.stdout.write(f"| {name} | {' | '.join(row)} |\n")
        sys.stdout.flush()
    sys.stdout.write(f"\n| Little's law, % | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}\n")
    for load in (0.5, 0.8, 0.9, 1.05, 1.2):
        row = []
        for window in WINDOWS_S:
            for rounds in ROUNDS:
                objections = [unbalanced(random, load, window, rounds) for _ in range(repetitions)]
                row.append(f"{100 * np.mean(objections):.0f}")
        sys.stdout.write(f"| M/M/1, {load:.0%} busy | {' | '.join(row)} |\n")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
