"""The page of effects, from a built run; the run itself takes minutes."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.bench.conclusions.runs import Answer, Concluded
from tests.bench.effects import __main__ as effects


def answer(differs: str, metric: str = "throughput_rps") -> Answer:
    return Answer(f"create-fresh, closed-10: {differs}", metric, 1.25, 1.1, 1.42, 6, "more")


def test_each_effect_is_named_with_its_interval() -> None:
    answers = tuple(map(answer, effects.WHAT))
    text = effects.page(Concluded("quiet", 0, 600.0, 660.0, 0, 12, answers))
    assert "| async, with the test of connections | requests per second | create-fresh" in text
    assert text.count("| 1.25 (1.1 to 1.42) | 6 |") == len(effects.WHAT)
    assert "| `POST /api/v2/resource/create` | BEGIN SELECT SELECT INSERT COMMIT | 5 |" in text
    assert (
        "| asyncpg | async, async-depends, async-middleware, async-plain | BEGIN ; ROLLBACK | 3 |"
        in text
    )
    assert "from 6 pairs of rounds or more" in text


def test_every_comparison_of_the_plan_is_named() -> None:
    plan = tomllib.loads((Path(effects.HERE) / "effects.toml").read_text(encoding="utf-8"))
    pairs = {
        f"{other} against {ask['targets'][0]}"
        for ask in plan["question"]
        for other in ask["targets"][1:]
    }
    assert pairs == set(effects.WHAT)
    assert all(ask["pairs"] >= 5 for ask in plan["question"])
