"""Property tests: the same examples in every run, and new ones for `make fuzz`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
PROPERTY = """
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st


@given(st.integers())
def test_property(number):
    with Path("seen.txt").open("a") as seen:
        seen.write(f"{number}\\n")


def test_example():
    raise AssertionError("no property test")
"""


def examples(folder: Path, *options: str) -> list[str]:
    """The examples that Hypothesis tries in a run with these options."""
    (folder / "conftest.py").write_text("from tests.conftest import *\n", encoding="utf-8")
    (folder / "test_it.py").write_text(PROPERTY, encoding="utf-8")
    seen = folder / "seen.txt"
    seen.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-m", "hypothesis", *options, "test_it.py"]
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return seen.read_text(encoding="utf-8").splitlines()


def test_examples_are_the_same_in_every_run(tmp_path: Path) -> None:
    assert examples(tmp_path) == examples(tmp_path)


def test_fuzz_tries_new_and_more_examples(tmp_path: Path) -> None:
    few, many, others = (
        examples(tmp_path),
        examples(tmp_path, "--hypothesis-profile=fuzz"),
        examples(tmp_path, "--hypothesis-profile=fuzz"),
    )
    assert len(few) < 100 < len(many)
    assert many != others


def test_profile_is_the_one_of_this_run(pytestconfig: pytest.Config) -> None:
    named = pytestconfig.getoption("--hypothesis-profile")
    assert settings.default is settings.get_profile(named or "same-examples")
