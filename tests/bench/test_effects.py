"""The page of effects, from a built run; the run itself takes minutes."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

from tests.bench.conclusions.runs import Answer, Concluded
from tests.bench.effects import __main__ as effects


def answer(differs: str, metric: str = "throughput_rps") -> Answer:
    return Answer(f"create-fresh, closed-10: {differs}", metric, 1.25, 1.1, 1.42, 6, "more")


def test_each_effect_is_named_with_its_interval() -> None:
    answers = tuple(map(answer, effects.WHAT))
    text = effects.page(Concluded("quiet", 0, 600.0, 660.0, 0, 12, answers))
    assert "| async, with the test of connections | requests per second | create-fresh" in text
    assert text.count("| 1.25 (1.10 to 1.42) | 6 |") == len(effects.WHAT)
    create = "| `POST /api/v2/resource/create`"
    assert f"{create} (creates) | BEGIN SELECT SELECT INSERT COMMIT | 5 |" in text
    assert f"{create} (exists) | BEGIN SELECT SELECT COMMIT | 4 |" in text
    assert "| `GET /api/v2/wait` (timer) | none | 0 |" in text
    requests = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    assert len(requests) == len(set(requests)) > 10
    assert (
        "| asyncpg | async, async-depends, async-middleware, async-plain | BEGIN ; ROLLBACK | 3 |"
        in text
    )
    assert "100 users who create get\n  1.2 times as many requests per second.\n" in text
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


def test_what_the_run_did_not_show_is_not_concluded() -> None:
    unclear = replace(answer(effects.THREADS), low=0.9, high=1.0004)
    text = effects.page(Concluded("quiet", 0, 600.0, 660.0, 0, 12, (unclear,)))
    assert "| 1.25 (0.900 to 1.000) |" not in text, "it includes 1"
    assert "| 1.25 (0.900 to 1.0004) |" in text
    assert "- **More threads** help requests that wait.\n- **" in text
