"""The other service that `/api/v2/upstream` asks: it answers after as long as it was asked to wait.

Served by uvicorn as `loopmark.targets.upstream:app`, one for all targets of a run.
"""

import asyncio
import json
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

READY = "/ready"
DELAY = "/delay"
"""Waits `seconds`, and says so."""


async def app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer one request. Without a framework, so that it costs little beside what asks it."""
    if scope["type"] != "http":
        return
    waited_s = 0.0
    status = HTTPStatus.OK if scope["path"] in {READY, DELAY} else HTTPStatus.NOT_FOUND
    if scope["path"] == DELAY:
        try:
            waited_s = float(parse_qs(scope["query_string"].decode())["seconds"][0])
        except (KeyError, ValueError):
            status = HTTPStatus.UNPROCESSABLE_ENTITY
        else:
            await asyncio.sleep(waited_s)
    body = json.dumps({"waited_s": waited_s}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
