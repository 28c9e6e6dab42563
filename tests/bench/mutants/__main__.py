"""How many mistakes in the analysis and the planning would their tests notice?

    make mutants                    # 400 mutants, drawn with the seed 1
    make mutants MUTANTS=100 SEED=2

A mutant is a module with one small mistake (see `mutations`). It is tried by the tests of
`tests/harness/analysis` and `tests/harness/planning` that run the line in question, and killed
when one of them fails or never ends. A survivor shows a behaviour that no test asks for, or code
that does nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from random import Random

from scipy import stats

from tests.bench.mutants.mutations import Mutant, mutants_of
from tests.bench.mutants.trials import NOTICED, Outcome, Project, Trials

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "results" / "mutants"
ROOMS = ("analysis", "planning")
THRESHOLDS = "loopmark.harness.vocabulary.thresholds"
PRELOADED = ("numpy", "pandas", "pyarrow.parquet", "pydantic", "scipy.stats", "psycopg", "psutil")


def loopmark() -> Project:
    """The rooms that are pure, and the thresholds by which they judge."""
    names = [
        f"loopmark.harness.{room}.{file.stem}"
        for room in ROOMS
        for file in sorted((ROOT / "harness" / room).glob("*.py"))
        if file.stem != "__init__"
    ]
    return Project(
        root=ROOT,
        modules={name: ROOT / f"{name.replace('.', '/')}.py" for name in (*names, THRESHOLDS)},
        tests=tuple(f"tests/harness/{room}" for room in ROOMS),
        preloaded=PRELOADED,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--mutants", type=int, default=400, help="how many are drawn")
    parser.add_argument("--seed", type=int, default=1, help="with which they are drawn")
    given = parser.parse_args()
    text = measured(loopmark(), given.mutants, given.seed, RESULTS)
    sys.stdout.write(f"{text}\n")


def measured(project: Project, count: int, seed: int, folder: Path) -> str:
    """Try a sample; returns what came out, which is also written into the folder."""
    began = time.monotonic()
    sources = {name: file.read_text() for name, file in project.modules.items()}
    every = [mutant for name, source in sources.items() for mutant in mutants_of(name, source)]
    sample = Random(seed).sample(every, min(count, len(every)))
    trials = Trials(project, os.cpu_count() or 1)
    lines = [f"{len(sample)} of {len(every)} mutants, seed {seed}"]
    outcomes = dict(_shown(trials.outcomes(sample)))
    for mutant in sorted(outcomes, key=lambda one: (one.module, one.start)):
        if outcomes[mutant] not in NOTICED:
            file = project.modules[mutant.module].resolve().relative_to(project.root)
            before, after = mutant.diff(sources[mutant.module])
            lines.append(f"{file}:{mutant.line}: {outcomes[mutant]}\n  - {before}\n  + {after}")
    minutes = (time.monotonic() - began) / 60
    lines.append(f"{score(list(outcomes.values()))}, {minutes:.1f} minutes")
    text = "\n".join(lines)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{seed}.txt").write_text(f"{text}\n")
    return text


def score(outcomes: Sequence[Outcome]) -> str:
    """The share that was killed, with its 95% interval (Wilson, 1927), in words.

    A mutant that cannot even be imported says nothing of the tests, and is left out.
    """
    count = Counter(outcomes)
    killed = sum(count[outcome] for outcome in NOTICED)
    told = len(outcomes) - count[Outcome.BROKEN]
    low, high = stats.binomtest(killed, told).proportion_ci(method="wilson")
    kinds = ", ".join(f"{count[outcome]} {outcome}" for outcome in Outcome if count[outcome])
    return f"{killed / told:.1%} killed (95% interval {low:.1%} to {high:.1%}): {kinds}"


def _shown(
    outcomes: Iterable[tuple[Mutant, Outcome]],
) -> Iterator[tuple[Mutant, Outcome]]:
    """The same, with a sign for each as it comes."""
    for mutant, outcome in outcomes:
        sys.stdout.write("." if outcome in NOTICED else "S")
        sys.stdout.flush()
        yield mutant, outcome
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
