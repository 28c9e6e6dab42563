"""The kinds of errors for the exceptions that Locust reports with requests."""

from __future__ import annotations

import errno
import socket
import ssl
import zlib
from http import HTTPStatus
from http.client import HTTPException, IncompleteRead

import gevent
import requests
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from geventhttpclient.useragent import ConnectionError as GeventConnectionError
from locust.exception import CatchResponseError, ResponseError
from urllib3.exceptions import InvalidChunkLength, InvalidHeader

from loopmark.harness.drivers.journey import SERVER_ERRORS
from loopmark.harness.vocabulary.sample import ErrorKind

_UNREACHABLE = frozenset(
    {errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL}
)
_LOST = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.EBADF})
_MAX_CAUSES = 10

_KINDS: tuple[tuple[str, tuple[type[BaseException], ...]], ...] = (
    (ErrorKind.TIMEOUT, (gevent.Timeout, TimeoutError, requests.Timeout)),
    (ErrorKind.CONNECT, (ConnectionRefusedError, socket.gaierror)),
    (ErrorKind.RESET, (HTTPConnectionClosed, ConnectionResetError, BrokenPipeError)),
    (ErrorKind.PROTOCOL, (HTTPParseError, InvalidChunkLength, zlib.error, ssl.SSLError)),
    (ErrorKind.RESET, (IncompleteRead,)),
    (ErrorKind.PROTOCOL, (HTTPException, InvalidHeader)),
)
"""The first match counts: in the clients, a closed connection is a parse error, too."""


def kind_of(problem: BaseException, status: int = 0) -> str:
    """The `ErrorKind` of a request that failed.

    Args:
        problem: The exception, or the failure that a locustfile reported.
        status: The HTTP status code of the answer; 0 without an answer.
    """
    if isinstance(problem, ResponseError | AssertionError):
        return ErrorKind.WRONG_ANSWER  # The locustfile has looked at the answer.
    for cause in _causes(problem):
        if kind := _of_connection(cause):
            return kind
    if status >= HTTPStatus.BAD_REQUEST:
        return ErrorKind.SERVER_ERROR if status in SERVER_ERRORS else ErrorKind.WRONG_STATUS
    return ErrorKind.FAILED


def _causes(problem: BaseException) -> list[BaseException]:
    """The exception and those it wraps: clients wrap the socket's error in their own."""
    found: list[BaseException] = []
    waiting: list[object] = [problem]
    while waiting and len(found) < _MAX_CAUSES:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [getattr(one, "original", None), getattr(one, "reason", None)]
            waiting += [*one.args, one.__cause__, one.__context__]
    return found


def _of_connection(problem: BaseException) -> str:
    for kind, classes in _KINDS:
        if isinstance(problem, classes):
            return kind
    if isinstance(problem, OSError) and problem.errno in _UNREACHABLE:
        return ErrorKind.CONNECT
    if isinstance(problem, OSError) and problem.errno in _LOST:
        return ErrorKind.RESET
    return ""


def told(problem: BaseException) -> str:
    """The failure in one line, for the examples of a report."""
    cause = _causes(problem)[-1] if isinstance(problem, GeventConnectionError) else problem
    text = " ".join(str(cause).split()) or type(cause).__name__
    return (
        text
        if isinstance(cause, CatchResponseError | ResponseError)
        else f"{type(cause).__name__}: {text}"
    )
