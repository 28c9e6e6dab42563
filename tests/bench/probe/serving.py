"""In a target: serves the corpus, alone or within a tool."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.bench.probe.corpus.application import app

HOST = "127.0.0.1"

Around = Callable[[], AbstractAsyncContextManager[Any]]


def serve(application: ASGIApp = app) -> None:
    """Serve as the command line says: `--port N --loop asyncio`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio")
    chosen = parser.parse_args()
    uvicorn.run(
        application,
        host=HOST,
        port=chosen.port,
        loop=chosen.loop,
        http="httptools",
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=1,
    )


class Within:
    """The corpus, within a context that lives as long as the application."""

    def __init__(self, around: Around) -> None:
        self._around = around

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            async with self._around():
                await app(scope, receive, send)
        else:
            await app(scope, receive, send)


if __name__ == "__main__":
    serve()
