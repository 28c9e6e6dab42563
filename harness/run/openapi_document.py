"""Fetches the OpenAPI document of a target."""

from __future__ import annotations

import json
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from loopmark.harness.errors import UserError

TIMEOUT_S = 30.0
"""Large applications make theirs when it is asked for first."""

INSTEAD = "name what to ask with --path /PATH, or where the document is with --openapi /PATH"


class NoDocumentError(UserError):
    """There is none.

    Attributes:
        status: Of the answer.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def fetch(base_url: str, path: str, authorization: str, name: str) -> object:
    """The document as JSON has it.

    Args:
        base_url: Where the target listens.
        path: Of the document.
        authorization: The Authorization header; empty for none.
        name: Of the application, for messages.

    Raises:
        NoDocumentError: There is none.
        UserError: There is no answer, or another one.
    """
    place = urlsplit(base_url)
    connection = HTTPConnection(place.hostname or "", place.port, timeout=TIMEOUT_S)
    headers = {"Accept": "application/json"}
    if authorization:
        headers["Authorization"] = authorization
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        status, body = response.status, response.read()
    except (OSError, HTTPException) as error:
        raise UserError(f"{name} gave no answer to GET {path}: {error}") from None
    finally:
        connection.close()
    if status != HTTPStatus.OK:
        said = f"{name} has no OpenAPI document: GET {path} is {status}; {INSTEAD}"
        raise NoDocumentError(said, status)
    try:
        return json.loads(body)
    except ValueError:
        raise UserError(f"{name}: what GET {path} gives is not JSON; {INSTEAD}") from None
