"""From a flow's request to the bytes on the wire."""

from __future__ import annotations

import json
import re
from functools import lru_cache

import httpx

from loopmark.harness.vocabulary.flow import Request

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/_.~-]*")
"""Paths that need no percent-encoding and no resolving, as nearly all do."""

_DOT_SEGMENT = re.compile(r"/\.{1,2}(/|$)")

_MOST_KEPT = 32
"""Number of messages of only method and path that an encoder caches: flows repeat a few of them."""

BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
"""For these methods servers expect a length, even if zero (RFC 9110, section 8.6)."""


class Encoder:
    """Encodes the requests of one user to one target.

    The usual request, with a path, parameters and perhaps JSON, is encoded directly; an httpx
    request object would take longer than the exchange. Rare ones go through httpx: forms, files,
    raw content, the flow's own headers.

    Args:
        base_url: Where the target listens, with any path before the flow's own.
        token: The user's bearer token.
    """

    __slots__ = ("_base_url", "_defaults", "_head", "_plain", "_prefix")

    def __init__(self, base_url: str, token: str) -> None:
        url = httpx.URL(base_url)
        self._base_url = base_url.rstrip("/")
        self._prefix = url.raw_path.decode("ascii").rstrip("/")
        self._defaults = {"User-Agent": "loopmark", "Authorization": f"Bearer {token}"}
        lines = {"Host": url.netloc.decode("ascii"), **self._defaults}
        self._head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._plain: dict[tuple[str, str], bytes] = {}

    def encoded(self, request: Request) -> bytes:
        """The request as HTTP/1.1.

        Raises:
            TypeError: Neither JSON nor httpx can encode the body.
            ValueError: The body cannot be encoded.
        """
        method, path = request.method, request.path
        if request.headers or request.content or request.data or request.files:
            return self._by_httpx(request)
        is_plain = not request.params and request.json is None
        if is_plain and (known := self._plain.get((method, path))) is not None:
            return known
        if request.params or not _PLAIN_PATH.fullmatch(path) or _DOT_SEGMENT.search(path):
            params = tuple(request.params.items()) if request.params else ()
            target = _target(self._base_url, path, params)
        else:
            target = self._prefix + path
        head = f"{method} {target} HTTP/1.1\r\n{self._head}"
        if request.json is None:
            length = "Content-Length: 0\r\n" if method in BODY_METHODS else ""
            message = f"{head}{length}\r\n".encode("ascii")
            if is_plain and len(self._plain) < _MOST_KEPT:
                self._plain[method, path] = message
            return message
        body = json.dumps(
            request.json, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        ).encode()
        head += f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n\r\n"
        return head.encode("ascii") + body

    def _by_httpx(self, request: Request) -> bytes:
        headers = httpx.Headers(self._defaults)
        headers.update(request.headers)
        return wire_form(
            httpx.Request(
                request.method,
                f"{self._base_url}{request.path}",
                params=request.params or None,  # None leaves those in the path.
                headers=headers,
                json=request.json,
                content=request.content or None,
                data=request.data or None,
                files=request.files or None,
            )
        )


def wire_form(request: httpx.Request) -> bytes:
    """An httpx request as HTTP/1.1, with its body read into memory.

    Raises:
        httpx.RequestNotRead: The body is an asynchronous stream that has not been read.
    """
    body = request.read()
    if "transfer-encoding" in request.headers:  # httpx's word for a body that it was to stream.
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    lines = [request.method.encode("ascii"), b" ", request.url.raw_path, b" HTTP/1.1\r\n"]
    for name, value in request.headers.raw:
        lines += (name, b": ", value, b"\r\n")
    lines += (b"\r\n", body)
    return b"".join(lines)


@lru_cache(maxsize=4096)
def _target(base_url: str, path: str, params: tuple[tuple[str, str], ...]) -> str:
    """Path and query as httpx encodes them; once for each combination."""
    url = f"{base_url}{path}"
    # As httpx has it, parameters replace those in the path; naming none would remove them.
    found = httpx.URL(url, params=dict(params)) if params else httpx.URL(url)
    return found.raw_path.decode("ascii")
