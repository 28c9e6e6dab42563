"""Applications to be probed: each blocks its loop, or is odd, in its own way."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException, WebSocket
from sqlalchemy import create_engine, pool, text

for number in (signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, lambda *_: None)


# ---- one that does much ----


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    time.sleep(0.2)  # noqa: ASYNC251 - the mistake  # STARTS
    yield


shop = FastAPI(lifespan=lifespan)
filled: list[int] = []
engine = create_engine(
    "sqlite://", poolclass=pool.QueuePool, pool_size=1, max_overflow=0, pool_timeout=20
)
kept: list[Any] = []


@shop.get("/healthy/{number}")
async def healthy(number: int) -> int:
    return number


@shop.get("/sleepy")
async def sleepy() -> str:
    time.sleep(0.07)  # noqa: ASYNC251 - the mistake  # SLEEPS
    return "slept"


@shop.get("/once")
async def once() -> int:
    if not filled:
        time.sleep(0.2)  # noqa: ASYNC251 - the mistake  # FILLS
        filled.append(1)
    return len(filled)


async def log(what: str) -> None:
    await asyncio.sleep(0)
    sys.stderr.write(what)


def later() -> Coroutine[Any, Any, None]:
    return log("never")  # CREATES


@shop.get("/forgetful")
async def forgetful() -> str:
    coroutine = later()
    del coroutine  # DROPS
    return "forgot"


@shop.get("/pooled")
def pooled() -> int:
    with engine.connect() as connection:
        time.sleep(0.02)
        return int(connection.execute(text("SELECT 1")).scalar_one())


@shop.get("/keeping")
def keeping() -> int:
    if not kept:
        kept.append(engine.connect())  # KEEPS
    return len(kept)


@shop.post("/orders")
async def order() -> int:
    time.sleep(0.07)  # noqa: ASYNC251 - the mistake  # ORDERS
    return 1


@shop.websocket("/ws")
async def ws(socket: WebSocket) -> None:
    await socket.accept()


inner = FastAPI()


@inner.get("/deep/{number}")
async def deep(number: int) -> int:
    time.sleep(0.07)  # noqa: ASYNC251 - the mistake  # DEEP
    return number


shop.mount("/inner", inner)


# ---- one with nothing to say against it ----

clean = FastAPI()


@clean.get("/timer")
async def timer() -> str:
    await asyncio.sleep(0.02)
    return "done"


def make() -> FastAPI:
    return clean


# ---- one without a framework ----

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def bare(scope: dict[str, Any], _receive: object, send: Send) -> None:
    if scope["type"] != "http":
        raise NotImplementedError("only HTTP")
    is_known = scope["path"] == "/slow"
    if is_known:
        time.sleep(0.07)  # noqa: ASYNC251 - the mistake  # BARE
    status = 200 if is_known else 404
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


# ---- one that wants to know who asks ----

guarded = FastAPI()
Authorization = Annotated[str | None, Header()]


@guarded.get("/account")
async def account(authorization: Authorization = None) -> str:
    if authorization != "Bearer open sesame":
        raise HTTPException(401)
    return "welcome"


@guarded.get("/talkative")
async def talkative(authorization: Authorization = None) -> str:
    if authorization is None:
        raise HTTPException(403)
    raise RuntimeError(f"what is {authorization}")


# ---- one that dies, and what is no application ----

dying = FastAPI()
lives = list(range(20))


@dying.get("/die")
async def die() -> int:
    if not lives:
        sys.stderr.write("no life is left\n")
        os._exit(3)
    return lives.pop()


number_of_things = 5
