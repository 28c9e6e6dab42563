"""Requests on the wire are those that httpx would send."""

from __future__ import annotations

import json
from typing import Any

import httptools
import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loopmark.harness.drivers.http.encoding import Encoder, wire_form
from loopmark.harness.vocabulary.flow import Request

TOKEN = "a-token"
BOUNDARY = "boundary-of-the-test"
OF_THE_CLIENT = {"accept", "accept-encoding", "connection"}
"""What httpx's client adds, and a flow has no use for."""


class Parsed:
    """A request as a server reads it."""

    def __init__(self, wire: bytes) -> None:
        self.target = b""
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.complete = 0
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(wire)
        self.method = parser.get_method()

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete += 1


def sent_by_httpx(base_url: str, request: Request) -> httpx.Request:
    """The request as a client of httpx hands it to its transport."""
    sent: list[httpx.Request] = []

    def handler(asked: httpx.Request) -> httpx.Response:
        sent.append(asked)
        return httpx.Response(200)

    defaults = {"User-Agent": "loopmark", "Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(transport=httpx.MockTransport(handler), headers=defaults) as client:
        client.request(
            request.method,
            f"{base_url.rstrip('/')}{request.path}",
            params=request.params or None,
            headers=request.headers,
            json=request.json,
            content=request.content or None,
            data=request.data or None,
            files=request.files or None,
        )
    return sent[0]


def assert_same(base_url: str, request: Request) -> None:
    ours = Parsed(Encoder(base_url, TOKEN).encoded(request))
    theirs = sent_by_httpx(base_url, request)
    assert ours.complete == 1
    assert ours.method.decode() == theirs.method
    assert ours.target == theirs.url.raw_path
    expected = [
        (k.decode().lower(), v.decode("latin-1"))
        for k, v in theirs.headers.raw
        if k.decode().lower() not in OF_THE_CLIENT
    ]
    assert sorted(ours.headers) == sorted(expected)
    assert ours.body == theirs.read()


METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
BASES = st.sampled_from(
    ["http://127.0.0.1:8000", "http://127.0.0.1:80/", "https://[::1]:443", "http://a.example/b/c/"]
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)
PATHS = st.one_of(
    st.lists(st.sampled_from(["/", "a", "B-9", ".", "..", "~", "_", "%41", "%", "?", "x=1", "&"]))
    .map("".join)
    .map("/".__add__),
    PRINTABLE.map("/".__add__),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=10).map("x-".__add__)
VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=12)
PARAMS = st.none() | st.dictionaries(TEXT, TEXT, max_size=3)
HEADERS = st.none() | st.dictionaries(NAMES, VALUES, max_size=3)
BODIES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    JSON.map(lambda body: {"json": body}),
    st.binary(max_size=40).map(lambda body: {"content": body}),
    st.dictionaries(TEXT, TEXT, max_size=3).map(lambda body: {"data": body}),
)


@settings(max_examples=300)
@given(METHODS, BASES, PATHS, PARAMS, HEADERS, BODIES)
@example("GET", "http://127.0.0.1:8000", "/a?x=1", {}, {"x-a": "b"}, {})
@example("GET", "http://127.0.0.1:8000", "/a?x=1", {"y": "2"}, None, {})
@example("DELETE", "http://127.0.0.1:8000", "/a/../b", None, None, {})
@example("POST", "http://127.0.0.1:8000", "/ä b#c", {"q": "ü&="}, {"accept": "*/*"}, {"json": {}})
def test_any_request_is_what_httpx_sends(  # noqa: PLR0913, PLR0917 - the parts of a request
    method: str,
    base_url: str,
    path: str,
    params: dict[str, str] | None,
    headers: dict[str, str] | None,
    body: dict[str, Any],
) -> None:
    headers = {k: v for k, v in (headers or {}).items() if k not in OF_THE_CLIENT} or None
    request = Request(method, path, step="s", params=params, headers=headers, **body)
    assert_same(base_url, request)


@given(st.dictionaries(NAMES, st.binary(max_size=30), min_size=1, max_size=3), METHODS)
def test_files_are_what_httpx_sends(files: dict[str, bytes], method: str) -> None:
    # The boundary is drawn by chance, unless it is given.
    headers = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
    named = {name: (f"{name}.bin", content) for name, content in files.items()}
    assert_same(
        "http://127.0.0.1:8000", Request(method, "/upload", "s", headers=headers, files=named)
    )


def test_a_flow_may_replace_a_header_that_every_request_has() -> None:
    request = Request("GET", "/", step="s", headers={"authorization": "Basic x"})
    found = Parsed(Encoder("http://127.0.0.1", TOKEN).encoded(request)).headers
    assert [v for k, v in found if k == "authorization"] == ["Basic x"]


@pytest.mark.parametrize("body", [float("nan"), "\ud800", {1, 2}, b"bytes"])
def test_what_json_cannot_say_is_refused(body: object) -> None:
    encoder = Encoder("http://127.0.0.1", TOKEN)
    with pytest.raises((TypeError, ValueError)):
        encoder.encoded(Request("POST", "/", step="s", json=body))


@given(JSON)
def test_json_arrives_as_it_was(body: object) -> None:
    wire = Encoder("http://127.0.0.1", TOKEN).encoded(Request("POST", "/", step="s", json=body))
    found = Parsed(wire).body
    assert (json.loads(found) if found else None) == body


@given(METHODS, BASES, st.binary(max_size=40))
def test_the_wire_form_is_the_request_of_a_client(method: str, base: str, content: bytes) -> None:
    request = httpx.Request(method, base, content=content, headers={"X-Y": "z"})
    found = Parsed(wire_form(request))
    assert found.method.decode() == method
    assert found.target == request.url.raw_path
    assert found.headers == [(k.decode().lower(), v.decode()) for k, v in request.headers.raw]
    assert found.body == content
