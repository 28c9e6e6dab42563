"""What a run would measure, printed and not measured."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loopmark.harness.commands import plan_texts
from tests.conftest import Invoke, assert_refused

PROFILES = tuple(plan_texts.profiles())


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_tells_its_cells_and_time(profile: str, invoke: Invoke) -> None:
    done = invoke("run", "--profile", profile, "--dry-run")
    assert done.exit_code == 0
    assert "/native" in done.stdout or "/websocket" in done.stdout
    assert " rounds" in done.stdout
    assert not Path("results").exists()


def test_questions_are_counted_and_the_budget_is_told(invoke: Invoke) -> None:
    done = invoke("run", "--profile", "quick", "--time", "9m30s", "--dry-run")
    assert " questions: about " in " ".join(done.stdout.split())
    assert "until 9m30s" in " ".join(done.stdout.split())
    assert "Repeating disturbed rounds may add up to 4m45s" in done.stdout


QUESTION = """
name = "one"
title = "One?"
reserve = 0

[[question]]
scenarios = ["wait-timer"]
targets = ["sync", "async"]
loads = [{ model = "burst", n = 2 }]
"""


def test_a_single_question_and_a_run_without_a_reserve(invoke: Invoke) -> None:
    Path("one.toml").write_text(QUESTION)
    done = invoke("run", "one.toml", "--dry-run")
    assert " for 1 question: about " in " ".join(done.stdout.split())
    assert "may add" not in done.stdout


def test_a_plan_that_is_a_pipe_is_refused(invoke: Invoke) -> None:
    os.mkfifo("plan.toml")
    assert_refused(invoke("run", "plan.toml"), "cannot read the plan plan.toml: not a regular file")


def test_what_is_chosen_is_what_would_be_measured(invoke: Invoke) -> None:
    done = invoke("run", "--profile", "smoke", "--only", "crud/async*", "--dry-run")
    cells = [line for line in done.stdout.splitlines() if "/" in line]
    assert cells
    assert all(line.startswith("crud/async/") for line in cells)


def test_what_cannot_be_measured_is_refused_all_the_same(invoke: Invoke) -> None:
    assert_refused(invoke("run", "--only", "nothing-such", "--dry-run"), "nothing-such")
