"""An application that keeps its interpreter busy in many ways: `tests.bench.probe.signals`."""

import asyncio
import gc
import hashlib
import time

from fastapi import FastAPI

app = FastAPI()
DATA = b"x" * 2_000_000


@app.get("/clean")
async def clean() -> None:
    await asyncio.sleep(0)


@app.get("/in-thread")
def in_thread() -> str:
    return hashlib.sha256(DATA).hexdigest()


@app.get("/power")
async def power(ms: float) -> int:
    return int(pow(7, int(50_000 * ms)) % 10)


@app.get("/collect")
async def collect() -> int:
    garbage: list[object] = [[] for _ in range(1000)]
    garbage.append(garbage)
    del garbage
    return gc.collect()


@app.get("/sleep")
async def sleep(ms: float) -> None:
    time.sleep(ms / 1000)  # noqa: ASYNC251 - what blocks is what it is for


@app.get("/compute")
async def compute(ms: float) -> None:
    end = time.perf_counter() + ms / 1000
    while time.perf_counter() < end:
        pass
