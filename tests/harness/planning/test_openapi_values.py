"""Values for schemas: whatever a schema asks for, the value fits it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.planning.openapi_values import UnfillableError, Values

NONE = {"openapi": "3.1.0"}


def value_of(schema: object, seed: int = 1, document: Mapping[str, Any] = NONE) -> Any:  # noqa: ANN401 - JSON
    return Values(document, Random(seed), optional=seed % 2 == 0).of(schema)


def why(schema: object, document: Mapping[str, Any] = NONE) -> str:
    with pytest.raises(UnfillableError) as caught:
        value_of(schema, document=document)
    return str(caught.value)


def fits(value: Any, schema: dict[str, Any]) -> bool:  # noqa: ANN401, C901, PLR0911 - one for each
    """A validator of the keywords that the strategy below uses."""
    if "const" in schema:
        return bool(value == schema["const"])
    if "enum" in schema:
        return value in schema["enum"]
    if "oneOf" in schema:
        return any(fits(value, one) for one in schema["oneOf"])
    if "allOf" in schema:
        return all(fits(value, one) for one in schema["allOf"])
    match schema["type"]:
        case "integer":
            is_type = isinstance(value, int) and not isinstance(value, bool)
            return is_type and _is_within(value, schema)
        case "number":
            is_type = isinstance(value, int | float) and not isinstance(value, bool)
            return is_type and _is_within(value, schema)
        case "boolean":
            return isinstance(value, bool)
        case "string":
            low, high = schema.get("minLength", 0), schema.get("maxLength", 10**9)
            return isinstance(value, str) and low <= len(value) <= high
        case "array":
            low, high = schema.get("minItems", 0), schema.get("maxItems", 10**9)
            return (
                isinstance(value, list)
                and low <= len(value) <= high
                and all(fits(item, schema["items"]) for item in value)
                and (
                    not schema.get("uniqueItems")
                    or all(item not in value[:n] for n, item in enumerate(value))
                )
            )
        case "object":
            return (
                isinstance(value, dict)
                and set(schema["required"]) <= set(value) <= set(schema["properties"])
                and all(fits(value[name], schema["properties"][name]) for name in value)
            )
    raise AssertionError(schema)


def _is_within(value: float, schema: dict[str, Any]) -> bool:
    multiple = schema.get("multipleOf")
    return (
        schema.get("minimum", -1e18) <= value <= schema.get("maximum", 1e18)
        and value > schema.get("exclusiveMinimum", -1e18)
        and value < schema.get("exclusiveMaximum", 1e18)
        and (multiple is None or value % multiple == 0)
    )


def limits(low: str, high: str, most: int, span: int) -> st.SearchStrategy[dict[str, Any]]:
    """None, one or both of two limits, wide enough apart."""
    values = st.tuples(st.integers(0, most), st.integers(span, 50))
    return values.flatmap(
        lambda pair: st.sampled_from(
            [{}, {low: pair[0]}, {high: sum(pair)}, {low: pair[0], high: sum(pair)}]
        )
    )


NUMBERS = st.tuples(
    st.sampled_from(["integer", "number"]),
    st.one_of(
        limits("minimum", "maximum", 100, 30),
        limits("exclusiveMinimum", "exclusiveMaximum", 100, 30),
    ),
    st.sampled_from([{}, {"multipleOf": 1}, {"multipleOf": 7}, {"multipleOf": 10}]),
).map(lambda parts: {"type": parts[0], **parts[1], **parts[2]})
STRINGS = limits("minLength", "maxLength", 40, 0).map(lambda some: {"type": "string", **some})
PLAIN = st.one_of(
    NUMBERS,
    STRINGS,
    st.just({"type": "boolean"}),
    st.lists(st.integers(), min_size=1, max_size=4).map(lambda values: {"enum": values}),
    st.text().map(lambda text: {"const": text}),
)


def nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["a", "b", "c", "d"])
    objects = st.dictionaries(names, inner, max_size=3).flatmap(
        lambda properties: (
            st.sets(st.sampled_from(sorted(properties)) if properties else names)
            .map(lambda required: sorted(required & set(properties)))
            .map(
                lambda required: {"type": "object", "properties": properties, "required": required}
            )
        )
    )
    arrays = st.tuples(inner, limits("minItems", "maxItems", 3, 1)).map(
        lambda parts: {"type": "array", "items": parts[0], **parts[1]}
    )
    different = limits("minItems", "maxItems", 3, 1).map(
        lambda some: {"type": "array", "items": {"type": "integer"}, "uniqueItems": True, **some}
    )
    return st.one_of(
        objects,
        arrays,
        different,
        st.lists(inner, min_size=1, max_size=3).map(lambda choices: {"oneOf": choices}),
        inner.map(lambda schema: {"allOf": [schema]}),
    )


SCHEMAS = st.recursive(PLAIN, nested, max_leaves=8)


def needs_different_items(schema: object) -> bool:
    if isinstance(schema, list):
        return any(map(needs_different_items, schema))
    if not isinstance(schema, dict):
        return False
    return bool(schema.get("uniqueItems")) or any(map(needs_different_items, schema.values()))


@given(SCHEMAS, st.integers(0, 1000))
def test_the_value_fits_its_schema(schema: dict[str, Any], seed: int) -> None:
    if needs_different_items(schema) and seed % 2:
        return  # The plainest number is one only.
    assert fits(value_of(schema, seed), schema)


@given(SCHEMAS, st.integers(0, 1000))
def test_the_same_seed_gives_the_same_value(schema: dict[str, Any], seed: int) -> None:
    try:
        first = value_of(schema, seed)
    except UnfillableError:
        return
    assert value_of(schema, seed) == first


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 1),
        ({"type": "integer", "example": 70, "default": 3}, 70),
        ({"type": "integer", "examples": [71]}, 71),
        ({"type": "string", "default": "d", "enum": ["c", "d"]}, "d"),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "null"}, None),
        ({"anyOf": [{"type": "null"}, {"const": 5}]}, 5),
        ({"minimum": 3, "exclusiveMinimum": True, "type": "integer"}, 4),
        ({"minimum": 3, "maximum": 5, "exclusiveMaximum": True, "type": "integer"}, 3),
        ({"maximum": -20, "type": "integer"}, -29),
        ({"properties": {"a": {"const": 1}}, "required": ["a"]}, {"a": 1}),
        ({"items": {"const": 1}, "minItems": 2}, [1, 1]),
        ({"prefixItems": [{"const": 1}, {"const": "x"}], "type": "array"}, [1, "x"]),
        (
            {
                "type": "object",
                "required": ["id", "name"],
                "properties": {"id": {"readOnly": True}, "name": {"const": "n"}},
            },
            {"name": "n"},
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": {"minimum": 2, "type": "integer"}}, "required": ["a"]},
                    {"properties": {"a": {"minimum": 5, "type": "integer"}}},
                    {"properties": {"b": {"const": 1}}, "required": ["b"]},
                ]
            },
            {"a": 5, "b": 1},
        ),
        ({"type": "object", "minProperties": 1, "additionalProperties": {"const": 1}}, {"key0": 1}),
    ],
)
def test_plain_values(schema: object, value: object) -> None:
    assert value_of(schema) == value


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("date", r"\d{4}-\d\d-\d\d"),
        ("date-time", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
        ("uuid", r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("email", r"\w+@example\.com"),
        ("uri", r"https://example\.com/\d+"),
        ("ipv4", r"192\.0\.2\.\d+"),
        ("of-its-own", r"[a-z]{6}"),
    ],
)
def test_formats(form: str, pattern: str) -> None:
    assert re.fullmatch(pattern, value_of({"type": "string", "format": form}))


@pytest.mark.parametrize("pattern", ["^[A-Z]{3}$", r"^\d{5}$", "^[0-9a-f]{40}$", r"^\w+@\w+\.com$"])
def test_usual_patterns_are_matched(pattern: str) -> None:
    assert re.search(pattern, value_of({"type": "string", "pattern": pattern}))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "string", "pattern": "^x{99}$"}, "a text like '^x{99}$' is needed"),
        ({"type": "string", "pattern": "("}, "the pattern '(' is not understood"),
        ({"type": "string", "minLength": 10**9}, "a text of 1000000000 characters is needed"),
        ({"type": "string", "minLength": 5, "maxLength": 4}, "no text is within its limits"),
        ({"type": "array", "minItems": 10**9}, "an array of 1000000000 items is needed"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "no number is within its limits"),
        ({"type": "object", "minProperties": 10**9}, "an object of 1000000000 properties"),
        ({"type": "array", "uniqueItems": True, "minItems": 2, "items": {"const": 1}}, "2 differ"),
        ({"type": "thing"}, "unknown type 'thing'"),
        ({"enum": []}, "an enumeration is empty"),
        ({"oneOf": [False]}, "a schema permits nothing"),
        (3, "its description is malformed"),
        ({"$ref": "#/a"}, "#/a refers to itself"),
        ({"$ref": "#/b"}, "refers to itself without an end"),
        ({"$ref": "#/c"}, "refers to itself without an end"),
    ],
)
def test_what_nothing_fits(schema: object, reason: str) -> None:
    endless = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/b"}}}
    of_itself = {"a": {"$ref": "#/a"}, "c": {"allOf": [{"$ref": "#/c"}]}}
    assert reason in why(schema, {"b": endless, **of_itself})


def test_recursion_ends_where_it_may() -> None:
    node = {
        "type": "object",
        "required": ["next", "children"],
        "properties": {
            "next": {"anyOf": [{"$ref": "#/node"}, {"type": "null"}]},
            "children": {"type": "array", "items": {"$ref": "#/node"}},
        },
    }
    for seed in range(20):
        value = value_of({"$ref": "#/node"}, seed, {"node": node})
        depth = 0
        while value is not None:
            assert set(value) == {"next", "children"}
            value, depth = value["next"], depth + 1
        assert depth < 20


def test_references_may_have_signs_of_their_own() -> None:
    document = {
        "a/b": {"c~d": {"x y": {"const": 1}}},
        "list": [{"const": 1}, {"const": 2}],
        "n": {"type": "integer"},
    }
    assert value_of({"$ref": "#/a~1b/c~0d/x%20y"}, document=document) == 1
    assert value_of({"$ref": "#/list/1"}, document=document) == 2
    # What stands beside a reference in 3.1 holds too.
    assert value_of({"$ref": "#/n", "example": 9}, document=document) == 9
