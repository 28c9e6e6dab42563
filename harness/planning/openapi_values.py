"""Values that fit the schemas of an OpenAPI document (3.0 and 3.1), the same for the same seed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from itertools import count
from random import Random
from typing import Any
from uuid import UUID

Schema = Mapping[str, Any]

DEEPEST = 12
"""Levels of a value; beyond the first `SHALLOW` there is only what is required."""
SHALLOW = 3

SPAN = 9
"""Numbers without an upper limit are at most so much above their lower one: most are ids."""

WORD_LENGTH = 6
LONGEST = 2000
"""Characters of a text, and twenty times the items of an array, that a schema may ask for."""
MOST_ITEMS = 100
MOST_TRIES = 50

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_TIGHTER = {
    **dict.fromkeys(("minimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "maxLength", "maxItems", "maxProperties"), min),
}


class UnfillableError(Exception):
    """No value is known that fits; the message says why."""


class Values:
    """Finds values for schemas.

    Args:
        document: That `$ref` refers to.
        random: Seeded.
        optional: Whether to give some of what is not required too.
    """

    def __init__(self, document: Mapping[str, Any], random: Random, *, optional: bool) -> None:
        self._document = document
        self._random = random
        self._optional = optional

    def resolved(self, node: object) -> Schema:
        """A table of the document, with `$ref` followed.

        Raises:
            UnfillableError: It leads nowhere, or to another document.
        """
        seen: list[str] = []
        while isinstance(node, Mapping) and isinstance(reference := node.get("$ref"), str):
            if reference in seen:
                raise UnfillableError(f"{reference} refers to itself")
            seen.append(reference)
            target = self._at(reference)
            beside = {key: value for key, value in node.items() if key != "$ref"}
            node = {**target, **beside} if isinstance(target, Mapping) else target
        if not isinstance(node, Mapping):
            raise UnfillableError("its description is malformed")
        return node

    def of(self, schema: object, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
        """A value that fits.

        Raises:
            UnfillableError: None is known.
        """
        if depth > DEEPEST:
            raise UnfillableError("a schema refers to itself without an end")
        if schema is True or schema == {}:
            return self._word()
        if schema is False:
            raise UnfillableError("a schema permits nothing")
        table = self._merged(self.resolved(schema), depth)
        given = self._given(table)
        if given:
            return given[0]
        for kind in ("oneOf", "anyOf"):
            if isinstance(choices := table.get(kind), list) and choices:
                beside = {key: value for key, value in table.items() if key != kind}
                return self._one_of(choices, beside, depth)
        return self._of_type(table, depth)

    def may_be_null(self, schema: object) -> bool:
        """Whether null fits, as far as the schema says it itself."""
        try:
            table = self.resolved(schema)
        except UnfillableError:
            return False
        kind = table.get("type")
        choices = [
            one
            for key in ("anyOf", "oneOf")
            if isinstance(listed := table.get(key), list)
            for one in listed
        ]
        return (
            table.get("nullable") is True
            or kind == "null"
            or (isinstance(kind, list) and "null" in kind)
            or any(isinstance(one, Mapping) and one.get("type") == "null" for one in choices)
        )

    # ---- what the document itself names ----

    def _at(self, reference: str) -> object:
        if not reference.startswith("#"):
            raise UnfillableError(f"{reference} is in another document")
        node: object = self._document
        for part in reference[1:].split("/")[1:]:
            key = _unquoted(part).replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping) and key in node:
                node = node[key]
            elif isinstance(node, list) and key.isdecimal() and int(key) < len(node):
                node = node[int(key)]
            else:
                raise UnfillableError(f"{reference} leads nowhere")
        return node

    def _given(self, table: Schema) -> list[Any]:
        """A value that the schema itself has, if it has any."""
        if "const" in table:
            return [table["const"]]
        if "example" in table:
            return [table["example"]]
        examples = table.get("examples")
        if isinstance(examples, list) and examples:
            return [self._random.choice(examples)]
        if isinstance(choices := table.get("enum"), list):
            if not choices:
                raise UnfillableError("an enumeration is empty")
            if not self._optional and "default" in table:
                return [table["default"]]
            return [self._random.choice([one for one in choices if one is not None] or choices)]
        # A parameter that is null by default is one that is not given.
        return [table["default"]] if table.get("default") is not None else []

    # ---- combinations ----

    def _merged(self, table: Schema, depth: int) -> Schema:
        """The schema with those of its `allOf` in it."""
        parts = table.get("allOf")
        if not isinstance(parts, list):
            return table
        if depth > DEEPEST:
            raise UnfillableError("a schema refers to itself without an end")
        merged: dict[str, Any] = {}
        own = {key: value for key, value in table.items() if key != "allOf"}
        if False in parts:
            raise UnfillableError("a schema permits nothing")
        tables = [self.resolved(part) for part in parts if part is not True]
        for part in (*(self._merged(table, depth + 1) for table in tables), own):
            for key, value in part.items():
                merged[key] = _both(key, merged[key], value) if key in merged else value
        return merged

    def _one_of(self, choices: list[object], beside: Schema, depth: int) -> object:
        """A value of one of the choices: null last."""
        order = self._random.sample(range(len(choices)), len(choices))
        why = UnfillableError("no choice is left")
        for index in sorted(order, key=lambda index: _is_null(choices[index])):
            try:
                return self.of({"allOf": [choices[index], beside]}, depth + 1)
            except UnfillableError as error:
                why = error
        raise why

    # ---- types ----

    def _of_type(self, table: Schema, depth: int) -> object:  # noqa: PLR0911 - one for each
        match _type(table):
            case "null":
                return None
            case "boolean":
                return self._random.random() < 0.5  # noqa: PLR2004 - heads or tails
            case "integer":
                return self._number(table, step=1)
            case "number":
                return self._number(table, step=0.25)
            case "string":
                return self._text(table)
            case "array":
                return self._array(table, depth)
            case "object":
                return self._object(table, depth)
            case other:
                raise UnfillableError(f"unknown type {other!r}")

    def _number(self, table: Schema, step: float) -> float:
        step = multiple if (multiple := _real(table, "multipleOf")) and multiple > 0 else step
        if _type(table) == "integer" and step != int(step):
            step = 1
        low, high = _limit(table, "minimum", 1), _limit(table, "maximum", -1)
        if low is None:
            low = 1.0 if high is None or high >= 1 else high - SPAN
        least = math.ceil(low / step)
        if _excludes(table, "minimum", least * step):
            least += 1
        most = math.floor(high / step) if high is not None else least + SPAN
        if high is not None and _excludes(table, "maximum", most * step):
            most -= 1
        if most < least:
            raise UnfillableError("no number is within its limits")
        # The plainest value: the first id is most likely to exist.
        number = self._random.randint(least, min(most, least + SPAN)) if self._optional else least
        value = number * step
        return int(value) if step == int(step) else value

    def _text(self, table: Schema) -> str:
        if isinstance(pattern := table.get("pattern"), str):
            return self._matching(pattern, table)
        if (form := table.get("format")) in _FORMATS:
            return _FORMATS[str(form)](self._random)
        low, high = _whole(table, "minLength"), _whole(table, "maxLength", WORD_LENGTH)
        if low > LONGEST:
            raise UnfillableError(f"a text of {low} characters is needed")
        if low > _whole(table, "maxLength", low):
            raise UnfillableError("no text is within its limits")
        return self._word(max(low, min(WORD_LENGTH, high)))

    def _matching(self, pattern: str, table: Schema) -> str:
        """One of a few usual texts, if it matches."""
        digits = "1234567890"
        known = [self._word(length) for length in (6, 1, 2, 3, 4, 8, 12, 20, 32)]
        known += [word.upper() for word in known] + [word.capitalize() for word in known]
        known += [digits[:length] for length in (*range(1, 11),)] + [f"+{digits}", f"-{digits[:2]}"]
        known += [f"{'0123456789abcdef' * 4}"[:length] for length in (8, 16, 24, 32, 40, 64)]
        known += [form(self._random) for form in _FORMATS.values()]
        known += [f"{known[0]}-{digits[:3]}", f"{known[0]}_{digits[:3]}", "1.2.3", "1.5", "en-GB"]
        try:
            fits = re.compile(pattern)
        except (re.error, OverflowError, RecursionError):
            raise UnfillableError(f"the pattern {pattern!r} is not understood") from None
        low, high = _whole(table, "minLength"), _whole(table, "maxLength", LONGEST)
        for text in known:
            if low <= len(text) <= high and fits.search(text):
                return text
        raise UnfillableError(f"a text like {pattern!r} is needed: give it an example")

    def _word(self, length: int = WORD_LENGTH) -> str:
        return "".join(self._random.choices(_LETTERS, k=length))

    def _array(self, table: Schema, depth: int) -> list[Any]:
        least, most = _whole(table, "minItems"), _whole(table, "maxItems", MOST_ITEMS)
        if least > min(most, MOST_ITEMS):
            raise UnfillableError(f"an array of {least} items is needed")
        first = table.get("prefixItems")
        first = first[:most] if isinstance(first, list) else []
        wanted = max(least, len(first), min(most, int(depth < SHALLOW)))
        items = [self.of(item, depth + 1) for item in first]
        rest = table.get("items", True)
        for tries in count():
            if len(items) >= wanted:
                return items
            try:
                item = self.of(rest, depth + 1)
            except UnfillableError:
                if len(items) >= max(least, len(first)):
                    return items
                raise
            if table.get("uniqueItems") is not True or item not in items:
                items.append(item)
            elif tries > MOST_TRIES + wanted:
                if len(items) >= least:
                    return items
                raise UnfillableError(f"{least} different items are needed")
        raise AssertionError("unreachable")

    def _object(self, table: Schema, depth: int) -> dict[str, Any]:
        properties = table.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = _names(table.get("required"))
        value: dict[str, Any] = {}
        for name in dict.fromkeys((*properties, *required)):
            schema = properties.get(name, True)
            if isinstance(schema, Mapping) and schema.get("readOnly") is True:
                continue
            is_required = name in required
            if not is_required and not self.gives_optional(depth):
                continue
            try:
                value[name] = self.of(schema, depth + 1)
            except UnfillableError:
                if not is_required:
                    continue
                if not self.may_be_null(schema):
                    raise
                value[name] = None
        least = _whole(table, "minProperties")
        if least > MOST_ITEMS:
            raise UnfillableError(f"an object of {least} properties is needed")
        others = table.get("additionalProperties", True)
        while len(value) < least and others is not False:
            value[f"key{len(value)}"] = self.of(others, depth + 1)
        return value

    def gives_optional(self, depth: int = 0) -> bool:
        """Whether to give something that is not required."""
        return self._optional and depth < SHALLOW and self._random.random() < 0.5  # noqa: PLR2004 - heads or tails


def _both(key: str, one: Any, other: Any) -> Any:  # noqa: ANN401 - of a schema
    """A keyword that two schemas have which must both fit."""
    if key == "properties" and isinstance(one, Mapping) and isinstance(other, Mapping):
        return {
            name: {"allOf": [one[name], other[name]]}
            if name in one and name in other
            else one.get(name, other.get(name))
            for name in (*one, *(name for name in other if name not in one))
        }
    if key in {"required", "allOf"} and isinstance(one, list) and isinstance(other, list):
        return [*one, *other]
    if key == "enum" and isinstance(one, list) and isinstance(other, list):
        return [value for value in one if value in other]
    if key in _TIGHTER and _is_number(one) and _is_number(other):
        return _TIGHTER[key](one, other)
    return other


def _is_null(schema: object) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _type(table: Schema) -> object:
    """The type, or what the keywords speak of."""
    kind = table.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind is not None:
        return kind
    about = {
        "object": ("properties", "required", "additionalProperties", "minProperties"),
        "array": ("items", "prefixItems", "minItems"),
        "number": ("minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"),
    }
    return next((name for name, keys in about.items() if any(k in table for k in keys)), "string")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _real(table: Schema, key: str) -> float | None:
    value = table.get(key)
    return value if _is_number(value) else None


def _limit(table: Schema, key: str, sign: int) -> float | None:
    """The tightest lower (sign 1) or upper (-1) limit, whether the limit itself fits or not."""
    both = [_real(table, key), _real(table, f"exclusive{key.capitalize()}")]
    limits = [limit for limit in both if limit is not None]
    return max(limits, key=lambda limit: sign * limit) if limits else None


def _excludes(table: Schema, key: str, value: float) -> bool:
    """Whether a limit itself does not fit: 3.0 says so by a truth value, 3.1 by a number."""
    exclusive = table.get(f"exclusive{key.capitalize()}")
    return exclusive == value if exclusive is not True else table.get(key) == value


def _whole(table: Schema, key: str, default: int = 0) -> int:
    value = _real(table, key)
    return default if value is None else max(0, int(value))


def _names(given: object) -> list[str]:
    return [name for name in given if isinstance(name, str)] if isinstance(given, list) else []


def _unquoted(text: str) -> str:
    return re.sub("%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), text)


def _date(random: Random) -> str:
    return f"2024-{random.randint(1, 12):02}-{random.randint(1, 28):02}"


def _time(random: Random) -> str:
    return f"{random.randint(0, 23):02}:{random.randint(0, 59):02}:00"


_FORMATS: Mapping[str, Callable[[Random], str]] = {
    "date": _date,
    "time": lambda random: f"{_time(random)}Z",
    "date-time": lambda random: f"{_date(random)}T{_time(random)}Z",
    "duration": lambda random: f"PT{random.randint(1, 9)}S",
    "uuid": lambda random: str(UUID(int=random.getrandbits(128), version=4)),
    "email": lambda random: f"user{random.randint(1, 999)}@example.com",
    "uri": lambda random: f"https://example.com/{random.randint(1, 999)}",
    "url": lambda random: f"https://example.com/{random.randint(1, 999)}",
    "hostname": lambda random: f"host{random.randint(1, 99)}.example.com",
    "ipv4": lambda random: f"192.0.2.{random.randint(1, 254)}",
    "ipv6": lambda random: f"2001:db8::{random.randint(1, 99)}",
    "ipvanyaddress": lambda random: f"192.0.2.{random.randint(1, 254)}",  # Pydantic's
    "byte": lambda random: random.choice(("bG9vcA==", "bWFyaw==")),
    "binary": lambda _: "loopmark\n",
}
