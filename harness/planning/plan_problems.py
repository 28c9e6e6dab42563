"""The errors of a plan file, in terms of the plan."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, get_args

from pydantic_core import ErrorDetails

from loopmark.harness.errors import unknown_name
from loopmark.harness.planning.plan import Ask, Measure, Plan
from loopmark.harness.planning.toml_lines import Place, line_numbers
from loopmark.harness.vocabulary.load import EventLoad, FlowLoad
from loopmark.harness.vocabulary.target import Target

NOT_FOR_PLANS = frozenset({"name", "connection_test", "prepared_by", "kept_connections", "fault"})
"""Fields of a target that are not keys of its table."""

_TABLES: Mapping[str, tuple[type[Any], str]] = {
    "measure": (Measure, "in a [[measure]]"),
    "question": (Ask, "in a [[question]]"),
    "targets": (Target, "in a [targets.NAME]"),
}
_WHERE: tuple[tuple[type[Any], str], ...] = (
    (Plan, "at the top, before the first table"),
    *_TABLES.values(),
)
"""Tables of a plan, and where they are."""

_LOADS: dict[str, Any] = {
    load.__dataclass_fields__["model"].default: load
    for load in (*get_args(FlowLoad), *get_args(EventLoad))
}
_NEEDED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "tuple_type": "an array",
    "dict_type": "a table",
    "dataclass_type": "a table",
    "model_attributes_type": "a table",
}
_KINDS = {
    str: "text",
    bool: "a truth value",
    int: "a whole number",
    float: "a number with a fraction",
    list: "an array",
    dict: "a table",
}
_LIMITS: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda limits: f"more than {limits['gt']:g} is needed",
    "greater_than_equal": lambda limits: f"{limits['ge']:g} or more is needed",
    "less_than_equal": lambda limits: f"{limits['le']:g} is the most",
    "too_short": lambda limits: f"{limits['min_length']} or more are needed",
    "too_long": lambda limits: f"{limits['max_length']} are the most",
    "string_pattern_mismatch": lambda _: "up to 30 lower-case letters, digits and - are needed",
    "literal_error": lambda limits: f"{limits['expected'].replace(chr(39), '')} is needed",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One error of a plan file.

    Attributes:
        place: Where.
        what: In a few words.
        line_of: The place whose line is reported; if None, the same.
    """

    place: Place
    what: str
    line_of: Place | None = None


def told(problems: Iterable[Problem], text: str, source: str) -> str:
    """A line for each problem, in the order of the text: file, line, key, and what is wrong."""
    numbers = line_numbers(text)

    def line(place: Place) -> int:
        return next(numbers[place[:n]] for n in range(len(place), -1, -1) if place[:n] in numbers)

    lines = []
    for problem in problems:
        number = line(problem.place if problem.line_of is None else problem.line_of)
        said = f"{source}:{number}: {_key(problem.place)}{problem.what}"
        # A key or a name may hold anything, and each problem is one line.
        lines.append((number, "".join(c if c.isprintable() else repr(c)[1:-1] for c in said)))
    return "\n".join(dict.fromkeys(said for _, said in sorted(lines, key=lambda one: one[0])))


def worded(errors: Iterable[ErrorDetails], document: Mapping[str, Any]) -> Iterator[Problem]:
    """Validation's findings, table by table: missing and unknown keys first."""
    lacking: dict[Place, list[str]] = {}
    unknown: dict[Place, list[str]] = {}
    for error in errors:
        *table, key = place = _place(error["loc"])
        if error["type"] == "missing":
            lacking.setdefault(tuple(table), []).append(str(key))
        elif error["type"] == "unexpected_keyword_argument":
            unknown.setdefault(tuple(table), []).append(str(key))
        elif error["type"] != "too_short" or len(error["input"]) < error["ctx"]["min_length"]:
            # Otherwise there are enough, and each wrong one has been reported.
            of_model = ("model",) if error["type"].startswith("union_tag_invalid") else ()
            yield Problem((*place, *of_model), _wrong(error), tuple(place))
    for of in dict.fromkeys((*lacking, *unknown)):
        needed = " and ".join(lacking.get(of, ()))
        keys: list[tuple[str, Place]] = [
            (_unknown_key(key, of, document), (*of, key)) for key in unknown.get(of, ())
        ]
        if needed:
            # A missing key is likely misspelt: reported with the first unknown one.
            first, line_of = keys.pop(0) if keys else ("", of)
            said = f"{_subject(of, document)}needs {needed}{'; ' if first else ''}{first}"
            keys.insert(0, (said, line_of))
        for what, line_of in keys:
            yield Problem(of, what, line_of)


def shown(value: object, limit: int = 60) -> str:
    """A value as a plan writes it, shortened."""
    is_number = isinstance(value, float)
    text = repr(value) if is_number else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _wrong(error: ErrorDetails) -> str:
    kind, given = error["type"], error["input"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "union_tag_invalid":
        return unknown_name("load model", error["ctx"]["tag"], _LOADS)
    if kind == "union_tag_not_found":
        return f"a load needs model: {', '.join(_LOADS)}"
    if isinstance(given, float) and math.isnan(given):
        return "nan is not a number"
    if kind in _LIMITS:
        return f"{_LIMITS[kind](error.get('ctx', {}))}, got {shown(given)}"
    needed = _NEEDED.get(kind, "a table")
    return f"{shown(given)} is {_KINDS.get(type(given), 'nothing')}, {needed} is needed"


def _place(location: tuple[int | str, ...]) -> list[str | int]:
    """The place without the load's model, which validation adds after its index."""
    is_of_load = location[2:3] == ("loads",)
    return [*location[:4], *location[5:]] if is_of_load else list(location)


def _key(place: Place) -> str:
    key = ""
    for part in place:
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    return f"{key.lstrip('.')}: " if key else ""


def _at(place: Place, document: Any) -> Any:  # noqa: ANN401 - whatever the file has there
    for part in place:
        document = document[part]
    return document


def _subject(table: Place, document: Mapping[str, Any]) -> str:
    if not table:
        return "a plan "
    return f"{_at(table, document)['model']} " if "loads" in table else ""


def _unknown_key(key: str, table: Place, document: Mapping[str, Any]) -> str:
    match table:
        case (_, _, "loads", _):
            kind: type[Any] = _LOADS[_at(table, document)["model"]]
        case (str(first), *_) if first in _TABLES:
            kind, _ = _TABLES[first]
        case _:
            kind = Plan
    known = _keys(kind)
    if nearest := get_close_matches(key, known, cutoff=0.8):
        hint = f"did you mean {nearest[0]}?"
    elif elsewhere := [where for of, where in _WHERE if of is not kind and key in _keys(of)]:
        hint = f"it belongs {' or '.join(elsewhere)}"
    elif nearest := get_close_matches(key, known, cutoff=0.5):
        hint = f"did you mean {nearest[0]}?"
    else:
        hint = f"known: {', '.join(known)}"
    return f"unknown key {key}, {hint}"


def _keys(kind: type[Any]) -> list[str]:
    hidden = NOT_FOR_PLANS if kind is Target else ()
    return [one.name for one in fields(kind) if one.name not in hidden]
