"""A target for other people's locustfiles: `python -m …example_target --port N`.

Every request, whatever its path and method, is answered after 4 ms with the JSON that the examples
of Locust ask for. It ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

DELAY_S = 0.004
BODY = b'{"message": "Welcome foo!", "orderId": 42}'


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """The ASGI application."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(DELAY_S)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


async def serve(port: int) -> None:
    """Listen until the standard input ends."""
    server = uvicorn.Server(
        uvicorn.Config(application, port=port, lifespan="off", log_level="warning")
    )

    def end() -> None:
        server.should_exit = True

    asyncio.get_running_loop().add_reader(sys.stdin, end)
    await server.serve()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
