"""The lines of a TOML text, compared with the text."""

from __future__ import annotations

import tomllib
from importlib.resources import files

import pytest

from loopmark.harness.planning.toml_lines import Place, line_numbers
from tests.harness.planning.plan_texts import SHIPPED

LINES: tuple[tuple[str, Place | None], ...] = (
    ("# a comment = [", None),
    ('title = """', ("title",)),
    ("measure = [ 'no' ]", None),
    ('an escaped \\""" and """""  # another comment', None),
    ("'quoted.key' = 'a # b'", ("quoted.key",)),
    ('dotted . "key" = 1.5', ("dotted", "key")),
    ("when = 2026-01-01 10:00:00", ("when",)),
    ("[[measure]]", ("measure", 0)),
    ("loads = [", ("measure", 0, "loads")),
    ('    { model = "a]", rates = [1, 2.5] },  # { not this }', ("measure", 0, "loads", 0)),
    ("", None),
    ("    { model = 'b', of.it = {} },", ("measure", 0, "loads", 1, "of", "it")),
    ("]", None),
    ("[measure.deep]", ("measure", 0, "deep")),
    ("x = '''a", ("measure", 0, "deep", "x")),
    ("[[measure]]'''", None),
    ("[[measure]]", ("measure", 1)),
    ("rounds = +3", ("measure", 1, "rounds")),
    ("[targets . mine]", ("targets", "mine")),
    ('environment = { A = "{port}", B = "x" }', ("targets", "mine", "environment", "B")),
)


def places(value: object, place: Place = ()) -> set[Place]:
    """Every place in a document."""
    inner: set[Place] = set()
    if isinstance(value, dict):
        inner = {deep for key, one in value.items() for deep in places(one, (*place, key))}
    elif isinstance(value, list):
        inner = {deep for n, one in enumerate(value) for deep in places(one, (*place, n))}
    return inner | {place}


@pytest.mark.parametrize("name", SHIPPED)
def test_all_that_a_plan_says_has_its_line(name: str) -> None:
    text = (files("loopmark.scenarios") / "plans" / name).read_text(encoding="utf-8")
    numbers = line_numbers(text)
    assert set(numbers) == places(tomllib.loads(text))
    lines = text.splitlines()
    for place, number in numbers.items():
        if place and isinstance(place[-1], str):
            assert place[-1] in lines[number - 1]


def test_strings_comments_and_brackets_do_not_mislead() -> None:
    text = "\n".join(line for line, _ in LINES)
    numbers = line_numbers(text)
    assert set(numbers) == places(tomllib.loads(text))
    for number, (_, place) in enumerate(LINES, 1):
        if place is not None:
            assert numbers[place] == number, place
