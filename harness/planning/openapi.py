"""From an OpenAPI document (3.0 or 3.1) and a seed to the requests that ask its routes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, NamedTuple

from loopmark.harness.errors import UserError
from loopmark.harness.planning.openapi_values import Schema, UnfillableError, Values
from loopmark.harness.vocabulary.route_request import RouteRequest, SkippedRoute

READING = ("get", "head")
WRITING = ("options", "post", "put", "patch", "delete")
"""Methods, deletions last: what they delete may be asked for by the others."""

VARIETY = 4
"""Requests of each route, with other values; the first has only what is required."""

WRITES = "it may change data; --write asks it too"

_PARAMETER = re.compile(r"\{([^{}]+)\}")
_SAFE = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_NOT_PARAMETERS = frozenset({"accept", "content-type", "authorization"})
"""Headers that the specification says to ignore where parameters are listed."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BOUNDARY = "loopmark-3f1c9a7e"
_DELIMITERS = {"spaceDelimited": " ", "pipeDelimited": "|"}


class Asked(NamedTuple):
    """What follows from a document.

    Attributes:
        requests: Those of one route follow each other.
        skipped: Routes that are not asked.
    """

    requests: tuple[RouteRequest, ...]
    skipped: tuple[SkippedRoute, ...]


class _Content(NamedTuple):
    body: str = ""
    type: str = ""


def requests_of(document: object, seed: int, *, write: bool = False) -> Asked:
    """The requests to ask, the same for the same seed.

    Args:
        document: Of the application.
        seed: Of the values.
        write: Whether to ask the methods that may change data.

    Raises:
        UserError: It is not an OpenAPI document of version 3.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("openapi"), str):
        of = " but of Swagger 2" if isinstance(document, Mapping) and "swagger" in document else ""
        raise UserError(f"not an OpenAPI document of version 3{of}")
    if not document["openapi"].startswith("3."):
        raise UserError(f"OpenAPI {document['openapi']}: version 3 is needed")
    paths = document.get("paths", {})
    if not isinstance(paths, Mapping):
        raise UserError("not an OpenAPI document: its paths are not a table")
    requests: list[RouteRequest] = []
    skipped: list[SkippedRoute] = []
    prefix = _prefix(document)
    for method in (*READING, *WRITING):
        for path, item in paths.items():
            operation = _operation(document, item, method)
            if operation is None:
                continue
            route = f"{method.upper()} {prefix}{path}"
            if method in WRITING and not write:
                skipped.append(SkippedRoute(route, WRITES))
                continue
            try:
                requests += _of_route(document, method.upper(), path, operation, seed)
            except UnfillableError as error:
                skipped.append(SkippedRoute(route, str(error)))
    return Asked(tuple(requests), tuple(skipped))


def request_of_path(path: str) -> RouteRequest:
    """The request for a path that is named, with or without a query.

    Raises:
        UserError: It is no path of a target.
    """
    if not re.fullmatch(r"/[!-~]*", path) or "#" in path:
        raise UserError(f"--path: a path such as /orders?limit=10 is needed, got {path!r}")
    plain, _, query = path.partition("?")
    return RouteRequest(f"GET {path}", "GET", plain, query)


def _operation(document: Mapping[str, Any], item: object, method: str) -> Schema | None:
    """An operation with the parameters that it shares with others; None without one."""
    values = Values(document, Random(0), optional=False)  # noqa: S311 - no secret
    try:
        table = values.resolved(item)
        own = table.get(method)
        if not isinstance(own, Mapping):
            return None
    except UnfillableError:
        return None
    shared = table.get("parameters")
    listed = own.get("parameters")
    parameters = [
        *(shared if isinstance(shared, list) else ()),
        *(listed if isinstance(listed, list) else ()),
    ]
    return {**own, "parameters": parameters}


def _of_route(
    document: Mapping[str, Any], method: str, path: str, operation: Schema, seed: int
) -> Iterator[RouteRequest]:
    """Up to `VARIETY` different requests.

    Raises:
        UnfillableError: There is none.
    """
    _refuse_streams(operation)
    seen: list[RouteRequest] = []
    for number in range(VARIETY):
        random = Random(f"{seed} {method} {path} {number}")  # noqa: S311 - to be repeated
        values = Values(document, random, optional=number > 0)
        try:
            request = _request(document, method, path, operation, values)
        except UnfillableError:
            if number == 0:
                raise
            continue
        if request not in seen:
            seen.append(request)
    yield from seen


def _refuse_streams(operation: Schema) -> None:
    responses = operation.get("responses")
    for status, response in responses.items() if isinstance(responses, Mapping) else ():
        if str(status) == "101":
            raise UnfillableError("it is a WebSocket")
        content = response.get("content") if isinstance(response, Mapping) else None
        if str(status).startswith("2") and isinstance(content, Mapping):
            for kind in content:
                if str(kind).startswith("text/event-stream"):
                    raise UnfillableError("it streams events without an end")


def _request(
    document: Mapping[str, Any], method: str, path: str, operation: Schema, values: Values
) -> RouteRequest:
    given: dict[tuple[str, str], tuple[Schema, Any]] = {}
    # Later ones, the operation's own, take the place of shared ones.
    listed = [values.resolved(parameter) for parameter in operation["parameters"]]
    parameters = {(str(one.get("in")), str(one.get("name"))): one for one in listed}
    for (where, name), parameter in parameters.items():
        is_required = where == "path" or parameter.get("required") is True
        if where == "cookie" and is_required:
            raise UnfillableError(f"it needs the cookie {name}")
        if where == "cookie" or (where == "header" and name.lower() in _NOT_PARAMETERS):
            continue
        if not is_required and not values.gives_optional():
            continue
        try:
            given[where, name] = parameter, _parameter_value(parameter, values)
        except UnfillableError as error:
            if is_required:
                raise UnfillableError(f"{name}: {error}") from None
    for name in _PARAMETER.findall(path):
        if ("path", name) not in given:
            given["path", name] = {}, values.of({"type": "string"})
    content = _Content()
    if method not in {"GET", "HEAD"} and operation.get("requestBody") is not None:
        content = _body(values.resolved(operation["requestBody"]), values)
    pairs = [
        pair
        for (where, name), (parameter, value) in given.items()
        if where == "query"
        for pair in _query_pairs(name, parameter, value)
    ]
    headers = tuple(
        (name, _as_header(value))
        for (where, name), (_, value) in given.items()
        if where == "header" and _HEADER_NAME.fullmatch(name)
    )
    filled = _PARAMETER.sub(
        lambda match: quoted(_in_path(match[1], given["path", match[1]][1])), path
    )
    return RouteRequest(
        route=f"{method} {_prefix(document)}{path}",
        method=method,
        path=_prefix(document) + _clean(filled),
        query=_encoded(pairs),
        headers=headers,
        body=content.body,
        content_type=content.type,
    )


def _prefix(document: Mapping[str, Any]) -> str:
    """The path below which a document says that everything is; a whole URL is of elsewhere."""
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else None
    url = first.get("url") if isinstance(first, Mapping) else None
    if isinstance(url, str) and re.fullmatch(r"/[\w./~-]*", url, re.ASCII):
        return url.rstrip("/")
    return ""


def _clean(path: str) -> str:
    """The path with a slash before it and whatever it has beside parameters encoded."""
    path = path if path.startswith("/") else f"/{path}"
    return "".join(c if c in "/%:@!$&'()*+,;=" or c in _SAFE else quoted(c) for c in path)


# ---- parameters ----


def _parameter_value(parameter: Schema, values: Values) -> object:
    if (example := _example(parameter)) is not None:
        return example
    content = parameter.get("content")
    if isinstance(content, Mapping) and content:
        media = values.resolved(next(iter(content.values())))
        example = _example(media)
        value = values.of(media.get("schema", True)) if example is None else example
        return json.dumps(value)
    return values.of(parameter.get("schema", True))


def _example(table: Schema) -> object:
    """What a parameter or a media type has as an example; None without one."""
    if "example" in table:
        return table["example"]
    examples = table.get("examples")
    if isinstance(examples, Mapping):
        for example in examples.values():
            if isinstance(example, Mapping) and "value" in example:
                return example["value"]
    return None


def _query_pairs(name: str, parameter: Schema, value: object) -> Iterator[tuple[str, str]]:
    style = parameter.get("style", "form")
    explodes = parameter.get("explode", style == "form") is not False
    if isinstance(value, list):
        if explodes and style == "form":
            yield from ((name, _as_text(item)) for item in value)
        elif value:
            yield name, _DELIMITERS.get(str(style), ",").join(map(_as_text, value))
    elif isinstance(value, Mapping):
        if style == "deepObject":
            yield from ((f"{name}[{key}]", _as_text(item)) for key, item in value.items())
        elif explodes:
            yield from ((str(key), _as_text(item)) for key, item in value.items())
        else:
            yield name, ",".join(f"{key},{_as_text(item)}" for key, item in value.items())
    elif value is not None:
        yield name, _as_text(value)


def _in_path(name: str, value: object) -> str:
    """A value within a path: not empty, and no step up."""
    if isinstance(value, list):
        text = ",".join(map(_as_text, value))
    elif isinstance(value, Mapping):
        text = ",".join(f"{key},{_as_text(item)}" for key, item in value.items())
    else:
        text = _as_text(value)
    if text in {"", ".", ".."}:
        raise UnfillableError(f"{name}: {text!r} is no part of a path")
    return text


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return json.dumps(value)


def _as_header(value: object) -> str:
    """On one line, of printable ASCII."""
    text = ",".join(map(_as_text, value)) if isinstance(value, list) else _as_text(value)
    return "".join(c if " " <= c <= "~" else "?" for c in text).strip()


def quoted(text: str) -> str:
    """The text as part of a path or a query (RFC 3986)."""
    return "".join(
        c if c in _SAFE else "".join(f"%{byte:02X}" for byte in c.encode("utf-8", "replace"))
        for c in text
    )


def _encoded(pairs: list[tuple[str, str]]) -> str:
    return "&".join(f"{quoted(name)}={quoted(value)}" for name, value in pairs)


# ---- bodies ----


def _body(request_body: Schema, values: Values) -> _Content:
    """The body in the first form that is known.

    Raises:
        UnfillableError: There is none, and one is required.
    """
    is_required = request_body.get("required") is True
    if not is_required and not values.gives_optional():
        return _Content()
    content = request_body.get("content")
    if not isinstance(content, Mapping) or not content:
        raise UnfillableError("the form of its body is not described")
    forms = {str(kind).partition(";")[0].strip().lower(): media for kind, media in content.items()}
    for kind in sorted(forms, key=_preference):
        media = values.resolved(forms[kind])
        example = _example(media)
        value = values.of(media.get("schema", True)) if example is None else example
        if kind == "application/json" or kind.endswith("+json"):
            return _Content(json.dumps(value, ensure_ascii=False), kind)
        if kind == "application/x-www-form-urlencoded" and isinstance(value, Mapping):
            pairs = [pair for name in value for pair in _query_pairs(name, {}, value[name])]
            return _Content(_encoded(pairs), kind)
        if kind == "multipart/form-data" and isinstance(value, Mapping):
            return _multipart(value, _files(media, values))
        if kind.startswith("text/") or kind == "application/octet-stream":
            return _Content(_as_text(value), kind)
    raise UnfillableError(f"it takes only {' or '.join(sorted(forms))}")


def _preference(kind: str) -> tuple[int, str]:
    order = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data")
    return (order.index(kind) if kind in order else len(order), kind)


def _files(media: Schema, values: Values) -> frozenset[str]:
    """Fields of a form that are files: binary in 3.0, of a media type in 3.1."""
    try:
        properties = values.resolved(media.get("schema")).get("properties")
    except UnfillableError:
        return frozenset()
    names = set()
    for name, schema in properties.items() if isinstance(properties, Mapping) else ():
        table = schema if isinstance(schema, Mapping) else {}
        item = table.get("items") if isinstance(table.get("items"), Mapping) else table
        if isinstance(item, Mapping) and (
            item.get("format") == "binary" or "contentMediaType" in item
        ):
            names.add(str(name))
    return frozenset(names)


def _multipart(value: Schema, files: frozenset[str]) -> _Content:
    parts = []
    for name, item in value.items():
        for each in item if isinstance(item, list) else [item]:
            plain = quoted(str(name))
            file = f'; filename="{plain}.txt"\r\nContent-Type: text/plain' if name in files else ""
            head = f'Content-Disposition: form-data; name="{plain}"{file}'
            parts.append(f"--{_BOUNDARY}\r\n{head}\r\n\r\n{_as_text(each)}\r\n")
    body = "".join(parts) + f"--{_BOUNDARY}--\r\n"
    return _Content(body, f"multipart/form-data; boundary={_BOUNDARY}")
