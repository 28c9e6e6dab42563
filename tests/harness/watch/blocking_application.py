"""An application whose routes block its event loop. Marked lines are guilty."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import gc
import os
import signal
import subprocess
import sys
import threading
import time

from fastapi import APIRouter, FastAPI

app = FastAPI()
included = APIRouter()
lock = threading.Lock()
objects = [[number] for number in range(1_500_000)]
gc.collect()
gc.freeze()  # Collections of what the tests make are short.
signals: list[int] = []
signal.signal(signal.SIGUSR1, lambda number, _: signals.append(number))


@included.get("/sleep")
async def sleep(ms: float = 150) -> None:
    time.sleep(ms / 1000)  # noqa: ASYNC251  # guilty: sleep


@app.get("/compute")
async def compute() -> None:
    end = time.perf_counter() + 0.15
    while time.perf_counter() < end:  # guilty: compute
        pass


@app.get("/power")
async def power() -> None:
    pow(7, 1_200_000)  # guilty: power


@app.get("/collect")
async def collect() -> None:
    gc.unfreeze()
    gc.collect()  # guilty: collect
    gc.freeze()


@app.get("/ask")
async def ask() -> None:
    subprocess.run(["sleep", "0.15"], capture_output=True, check=True)  # noqa: ASYNC221  # guilty: ask


def hold() -> None:
    with lock:
        time.sleep(0.15)


@app.get("/lock")
async def wait_for_lock() -> None:
    threading.Thread(target=hold).start()
    await asyncio.sleep(0.02)
    with lock:  # guilty: lock
        pass


def hog() -> None:
    pow(7, 1_500_000)  # guilty: hog


@app.get("/hog")
async def start_hog() -> None:
    threading.Thread(target=hog).start()
    await asyncio.sleep(0.001)


async def nothing() -> None:
    pass


@app.get("/usleep")
async def sleep_in_c() -> float:
    start = time.perf_counter()
    ctypes.CDLL(None).usleep(200_000)  # guilty: usleep
    return time.perf_counter() - start


@app.get("/fork")
async def fork() -> int:
    if not (child := os.fork()):
        gc.collect()
        atexit._run_exitfuncs()  # As a child ends that is not of multiprocessing.
        os._exit(0)
    return os.waitpid(child, 0)[1]  # noqa: ASYNC222


@app.get("/exec")
async def become_another_program() -> None:
    program = "import time; time.sleep(1); raise SystemExit(7)"
    os.execv(sys.executable, [sys.executable, "-S", "-c", program])


@app.get("/deadlock")
async def deadlock() -> None:
    own = asyncio.get_running_loop()
    asyncio.run_coroutine_threadsafe(nothing(), own).result(timeout=30)  # guilty: deadlock


@app.get("/lose")
async def lose() -> None:
    nothing()  # type: ignore[unused-coroutine]  # guilty: lose


@app.get("/clean")
async def clean() -> list[int]:
    await asyncio.sleep(0.001)
    return signals


app.include_router(included)
