"""How often equal settings of a series are called worse, and a slower one enough.

    python tests/bench/series_calibration.py [REPETITIONS]

Simulated series of settings measured in paired rounds, judged as `analysis.series` does, and as it
did before, by each setting's own 95% interval of its ratio to the best figure. Each figure is the
share of repetitions in per cent.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from loopmark.harness.analysis.moderation import half_width, scatter_of
from loopmark.harness.analysis.multiple_comparisons import Difference, with_the_best
from loopmark.harness.analysis.statistics import CONFIDENCE
from loopmark.harness.vocabulary.thresholds import SHIPPED

Logs = npt.NDArray[np.float64]
MARGIN = math.log1p(SHIPPED.series_margin)
ROUNDS = (2, 3, 5)
SLOWER = -math.log(1.2)
CASES: Sequence[tuple[str, Sequence[float], float]] = (
    ("3 equal, 5%", [0.0] * 3, 0.05),
    ("5 equal, 5%", [0.0] * 5, 0.05),
    ("8 equal, 5%", [0.0] * 8, 0.05),
    ("first of 5 is 20% slower, 3%", [SLOWER, *[0.0] * 4], 0.03),
    ("first of 5 is 20% slower, 5%", [SLOWER, *[0.0] * 4], 0.05),
    ("first of 5 is 20% slower, 10%", [SLOWER, *[0.0] * 4], 0.10),
    ("first of 5 is 20% slower, 15%", [SLOWER, *[0.0] * 4], 0.15),
)


def by_own_intervals(logs: Logs) -> tuple[list[bool], list[bool]]:
    """Which settings are called worse, and which enough: all from the last worse one on."""
    best = int(logs.mean(axis=1).argmax())
    worse = [False] * len(logs)
    for number, one in enumerate(logs):
        scatter = scatter_of((one - logs[best]).tolist())
        if number != best and scatter is not None:
            half = half_width(scatter, logs.shape[1], CONFIDENCE)
            worse[number] = bool((one - logs[best]).mean() + half < 0)
    below = max((number for number in range(best) if worse[number]), default=-1)
    return worse, [number > below for number in range(len(logs))]


def by_comparison_with_the_best(logs: Logs) -> tuple[list[bool], list[bool]]:
    """The same by the bounds of each setting's distance from the best of the others."""
    pairs = {}
    for first, second in combinations(range(len(logs)), 2):
        apart = logs[first] - logs[second]
        scatter = scatter_of(apart.tolist())
        pairs[first, second] = Difference(float(apart.mean()), logs.shape[1], scatter)
    bounds = with_the_best(pairs, len(logs))
    return [high < 0 for _, high in bounds], [low >= -MARGIN for low, _ in bounds]


def main(repetitions: int) -> None:
    random = np.random.default_rng(1)
    heads = [f"{what}, {rounds}" for what in ("worse", "enough") for rounds in ROUNDS]
    sys.stdout.write(f"| before / now, % | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}\n")
    for name, means, scatter in CASES:
        true = np.array(means)
        row: dict[str, list[str]] = {"worse": [], "enough": []}
        for rounds in ROUNDS:
            wrong = np.zeros((2, 2))
            for _ in range(repetitions):
                logs = true[:, None] + random.normal(0, scatter, (len(true), rounds))
                for which, rule in enumerate((by_own_intervals, by_comparison_with_the_best)):
                    worse, enough = rule(logs)
                    wrong[0, which] += any(np.array(worse) & (true == true.max()))
                    wrong[1, which] += any(np.array(enough) & (true < true.max() - MARGIN))
            shares = 100 * wrong / repetitions
            for what, share in zip(row, shares, strict=True):
                row[what].append(f"{share[0]:.0f} / {share[1]:.0f}")
        sys.stdout.write(f"| {name} | {' | '.join([*row['worse'], *row['enough']])} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
