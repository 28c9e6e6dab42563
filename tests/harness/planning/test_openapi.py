"""From an OpenAPI document to requests: what a real framework accepts, and what nobody can fill."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.errors import UserError
from loopmark.harness.planning.openapi import VARIETY, WRITES, request_of_path, requests_of
from loopmark.harness.planning.openapi_values import UnfillableError
from loopmark.harness.vocabulary.route_request import RouteRequest
from tests.harness.planning.rich_app import app

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
WORDS = [
    *("$ref", "allOf", "anyOf", "oneOf", "type", "format", "enum", "const", "default", "example"),
    *(
        "examples",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "items",
        "properties",
    ),
    *("required", "pattern", "multipleOf", "uniqueItems", "content", "schema", "name", "in"),
    *("parameters", "requestBody", "responses", "200", "get", "post", "application/json", "value"),
]
TEXTS = st.sampled_from(
    ["string", "integer", "array", "object", "query", "path", "#/a", "#/a/b", ""]
)
TWISTED = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**9) | st.floats() | TEXTS | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=25,
)


def document(path: str = "/x", method: str = "get", **operation: object) -> dict[str, Any]:
    return {"openapi": "3.1.0", "paths": {path: {method: operation}}}


def only(path: str = "/x", method: str = "post", **operation: object) -> RouteRequest:
    """The first request for the only operation of a document."""
    asked = requests_of(document(path, method, **operation), seed=1, write=True)
    assert asked.skipped == ()
    return asked.requests[0]


def why_skipped(path: str = "/x", method: str = "post", **operation: object) -> str:
    asked = requests_of(document(path, method, **operation), seed=1, write=True)
    assert asked.requests == ()
    (skipped,) = asked.skipped
    return skipped.reason


def parameter(where: str, name: str = "p", **rest: object) -> dict[str, Any]:
    return {"in": where, "name": name, "required": True, "schema": {"type": "string"}, **rest}


def answers(requests: tuple[RouteRequest, ...]) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [
                await client.request(
                    one.method,
                    one.address,
                    headers=dict(one.headers)
                    | ({"Content-Type": one.content_type} if one.content_type else {}),
                    content=one.body.encode(),
                )
                for one in requests
            ]

    return asyncio.run(ask())


# ---- a framework's own document ----


@given(seed=st.integers())
def test_a_framework_accepts_what_its_document_asks_for(seed: int) -> None:
    asked = requests_of(app.openapi(), seed, write=True)
    assert {
        (request.route, answer.status_code): answer.text
        for request, answer in zip(asked.requests, answers(asked.requests), strict=True)
        if answer.status_code != 200
    } == {}
    assert {skipped.route: skipped.reason for skipped in asked.skipped} == {
        "GET /of-session": "it needs the cookie session",
        "GET /events": "it streams events without an end",
        "GET /odd": "text: a text like '^x-\\\\d{2}-[AB]$' is needed: give it an example",
    }


def test_each_route_is_asked_in_several_ways_and_deleted_last() -> None:
    asked = requests_of(app.openapi(), 1, write=True)
    counts = Counter(request.route for request in asked.requests)
    assert set(counts.values()) <= set(range(1, VARIETY + 1))
    assert counts["GET /items/{item_id}"] > 1
    assert list(counts)[-1] == "DELETE /visits/{visit_id}"


def test_only_what_reads_is_asked_without_being_told() -> None:
    asked = requests_of(app.openapi(), 1)
    assert {request.method for request in asked.requests} == {"GET"}
    assert {one.route for one in asked.skipped if one.reason == WRITES} == {
        *("POST /nodes", "PUT /visits/{visit_id}", "POST /forms", "POST /uploads"),
        "DELETE /visits/{visit_id}",
    }


def test_the_same_seed_asks_the_same() -> None:
    first, again, other = (requests_of(app.openapi(), seed, write=True) for seed in (1, 1, 2))
    assert first == again
    assert first != other


# ---- documents that are none, and documents that are odd ----


@given(JSON)
def test_what_is_no_document_is_refused(given_: object) -> None:
    with pytest.raises(UserError, match="not an OpenAPI document"):
        requests_of(given_, 1)


def test_other_versions_are_refused() -> None:
    with pytest.raises(UserError, match="of Swagger 2"):
        requests_of({"swagger": "2.0", "paths": {}}, 1)
    with pytest.raises(UserError, match=r"OpenAPI 4\.0: version 3 is needed"):
        requests_of({"openapi": "4.0", "paths": {}}, 1)
    with pytest.raises(UserError, match="its paths are not a table"):
        requests_of({"openapi": "3.0.0", "paths": []}, 1)


@given(
    item=st.dictionaries(st.sampled_from(["get", "post", "parameters", "$ref"]), TWISTED),
    a=TWISTED,
    seed=st.integers(0, 3),
)
def test_a_twisted_document_is_asked_or_skipped(
    item: dict[str, object], a: object, seed: int
) -> None:
    twisted = {"openapi": "3.0.3", "paths": {"/{p}": item}, "a": a}
    asked = requests_of(twisted, seed, write=True)
    for request in asked.requests:
        assert re.fullmatch(r"/[!-~]+", request.path)
        assert re.fullmatch(r"[!-~]*", request.query)
        for name, value in request.headers:
            assert f"{name}{value}".isascii()
            assert f"{name}{value}".isprintable()
        request.body.encode()
    routes = {one.route for one in asked.requests} | {one.route for one in asked.skipped}
    methods = {m for m in ("get", "post") if isinstance(item.get(m), dict)}
    if "$ref" not in item:
        assert routes == {f"{method.upper()} /{{p}}" for method in methods}


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        ({"parameters": [parameter("cookie", "sid")]}, "it needs the cookie sid"),
        ({"parameters": [parameter("query", schema=False)]}, "p: a schema permits nothing"),
        ({"parameters": [{"$ref": "#/nowhere"}]}, "#/nowhere leads nowhere"),
        ({"parameters": [{"$ref": "other.json"}]}, "other.json is in another document"),
        ({"parameters": ["p"]}, "its description is malformed"),
        ({"parameters": [parameter("path", example="..")]}, "p: '..' is no part"),
        ({"requestBody": {"required": True, "content": {"image/png": {}}}}, "only image/png"),
        ({"requestBody": {"required": True}}, "the form of its body is not described"),
        ({"responses": {"101": {}}}, "it is a WebSocket"),
        ({"responses": {"200": {"content": {"text/event-stream": {}}}}}, "streams events"),
    ],
)
def test_what_cannot_be_filled_is_skipped_with_the_reason(
    operation: dict[str, Any], reason: str
) -> None:
    assert reason in why_skipped("/{p}", **operation)


def test_a_malformed_route_does_not_keep_the_others_from_being_asked() -> None:
    asked = requests_of(
        {
            "openapi": "3.0.0",
            "paths": {
                "/a": None,
                "/b": {"get": []},
                "/c": {"get": {}},
                "/d": {"$ref": "#/no"},
                "/e": {"get": {"parameters": [parameter("cookie")]}},
            },
        },
        1,
    )
    assert [request.path for request in asked.requests] == ["/c"]
    assert [skipped.route for skipped in asked.skipped] == ["GET /e"]


# ---- paths, parameters and bodies ----


def test_values_are_encoded_where_they_stand() -> None:
    request = only(
        "/a b/{p}/{q}",
        parameters=[
            parameter("path", example="x/y ü"),
            parameter("path", "q", schema={"type": "integer", "minimum": 7}),
            parameter("query", "a&b", example="1&2=3"),
            parameter("query", "list", example=[1, "x y"]),
            parameter("query", "joined", explode=False, example=[1, 2]),
            parameter("query", "piped", style="pipeDelimited", explode=False, example=[1, 2]),
            parameter("query", "deep", style="deepObject", example={"k": True}),
            parameter("query", "json", content={"application/json": {"example": {"k": 1}}}),
            parameter("header", "X-A", example="line\nbreak"),
            parameter("header", "Accept", example="never/given"),
        ],
    )
    assert request.path == "/a%20b/x%2Fy%20%C3%BC/7"
    assert request.query == (
        "a%26b=1%262%3D3&list=1&list=x%20y&joined=1%2C2&piped=1%7C2&deep%5Bk%5D=true"
        "&json=%7B%22k%22%3A%201%7D"
    )
    assert request.headers == (("X-A", "line?break"),)
    assert request.address == f"{request.path}?{request.query}"


def test_a_path_parameter_that_is_not_described_is_filled_too() -> None:
    assert re.fullmatch("/x/[a-z]+", only("/x/{p}").path)


def test_parameters_of_a_path_are_shared_and_those_of_the_operation_come_first() -> None:
    shared = {
        "openapi": "3.0.0",
        "paths": {
            "/{p}/{q}": {
                "parameters": [parameter("path", example="a"), parameter("path", "q", example="b")],
                "get": {"parameters": [parameter("path", example="own")]},
            }
        },
    }
    assert requests_of(shared, 1).requests[0].path == "/own/b"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/api/v1", "/api/v1/x"),
        ("/", "/x"),
        ("https://api.example.com/v2", "/x"),
        ("/{v}", "/x"),
        (3, "/x"),
    ],
)
def test_a_document_may_say_below_which_path_everything_is(url: object, path: str) -> None:
    served = {**document(), "servers": [{"url": url}]}
    assert requests_of(served, 1).requests[0].path == path


@pytest.mark.parametrize(
    ("content", "type_", "body"),
    [
        ({"application/json": {"example": {"a": "ü"}}}, "application/json", '{"a": "ü"}'),
        (
            {"application/json": {"examples": {"one": {"value": [1]}}}},
            "application/json",
            "[1]",
        ),
        (
            {"application/merge-patch+json": {"schema": {"const": 1}}},
            "application/merge-patch+json",
            "1",
        ),
        (
            {"application/x-www-form-urlencoded": {"example": {"a": "b c", "n": [1, 2]}}},
            "application/x-www-form-urlencoded",
            "a=b%20c&n=1&n=2",
        ),
        ({"text/plain; charset=utf-8": {"example": "hello"}}, "text/plain", "hello"),
        (
            {"image/png": {}, "application/json": {"example": 1}},
            "application/json",
            "1",
        ),
    ],
)
def test_bodies(content: dict[str, Any], type_: str, body: str) -> None:
    request = only(requestBody={"required": True, "content": content})
    assert (request.content_type, request.body) == (type_, body)


def test_a_file_in_a_form_has_a_name() -> None:
    schema = {
        "type": "object",
        "required": ["file", "note"],
        "properties": {
            "file": {"type": "string", "format": "binary"},
            "note": {"type": "string", "example": "n"},
        },
    }
    content = {"multipart/form-data": {"schema": schema}}
    request = only(requestBody={"required": True, "content": content})
    boundary = request.content_type.partition("boundary=")[2]
    parts = request.body.split(f"--{boundary}")
    assert parts[0] == ""
    assert 'name="file"; filename="file.txt"' in parts[1]
    assert parts[2] == '\r\nContent-Disposition: form-data; name="note"\r\n\r\nn\r\n'
    assert parts[3] == "--\r\n"


def test_reading_has_no_body() -> None:
    content = {"application/json": {"example": 1}}
    assert only(method="get", requestBody={"required": True, "content": content}).body == ""


def test_requests_can_be_stored() -> None:
    asked = requests_of(app.openapi(), 1, write=True)
    assert json.loads(json.dumps([request.headers for request in asked.requests]))


# ---- --path ----


def test_a_named_path_is_asked_as_it_is() -> None:
    request = request_of_path("/a%20b?x=1&y")
    assert (request.route, request.path, request.query) == ("GET /a%20b?x=1&y", "/a%20b", "x=1&y")


@pytest.mark.parametrize("path", ["", "a", "/a b", "http://x/", "/a#b", "/ü", "/a\n"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(UserError, match="--path: a path such as"):
        request_of_path(path)


def test_the_error_of_values_is_never_told_to_users_as_it_is() -> None:
    assert not issubclass(UnfillableError, UserError)
