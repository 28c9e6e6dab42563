"""An application whose routes block its event loop, each in another way and for as long as asked.

Every route returns when its block began and ended, on CLOCK_MONOTONIC in nanoseconds. What is
prepared for a block is prepared in other threads and processes, so that nothing but the marked line
blocks. `tests.bench.probe.guilty` reads the marks.
"""

from __future__ import annotations

import asyncio
import importlib
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

from tests.bench.probe.corpus import blockers, slow_module_duration
from tests.bench.probe.corpus.blockers import BLOCKERS, amount_for
from tests.bench.probe.corpus.late_answers import LateAnswers, late_answers

DEFAULT_MS = 150.0
SLOW_MODULE = "tests.bench.probe.corpus.slow_module"
CPU_MS = 1.0

Stretch = dict[str, int]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    await asyncio.to_thread(blockers.amounts)
    app.state.late = await late_answers()
    yield
    await app.state.late.close()


app = FastAPI(lifespan=lifespan)


def since(began_ns: int) -> Stretch:
    return {"began_ns": began_ns, "ended_ns": time.monotonic_ns()}


async def block(name: str, ms: float) -> Stretch:
    """Let work in C take so long on the loop's thread."""
    blocker, amount = BLOCKERS[name], amount_for(name, ms)
    await asyncio.to_thread(blocker.prepare, amount)
    return timed(blocker.work, amount)


def timed(work: Callable[[int], object], amount: int) -> Stretch:
    began_ns = time.monotonic_ns()
    work(amount)
    return since(began_ns)


def late(request: Request) -> LateAnswers:
    answers = request.app.state.late
    assert isinstance(answers, LateAnswers)
    return answers


# ---- calls that wait ----


@app.get("/sleep")
async def sleep(ms: float = DEFAULT_MS) -> Stretch:
    began_ns = time.monotonic_ns()
    time.sleep(ms / 1000)  # guilty: blocking-call  # noqa: ASYNC251
    return since(began_ns)


@app.get("/socket")
async def receive(request: Request, ms: float = DEFAULT_MS) -> Stretch:
    await late(request).request("socket", ms / 1000)
    connection = late(request).connection
    began_ns = time.monotonic_ns()
    connection.recv(1)  # guilty: blocking-call
    return since(began_ns)


@app.get("/dns")
async def resolve(ms: float = DEFAULT_MS) -> Stretch:
    host = f"{1000 * ms:.0f}.late.test."
    began_ns = time.monotonic_ns()
    socket.getaddrinfo(host, 80, socket.AF_INET, socket.SOCK_STREAM)  # guilty: blocking-call
    return since(began_ns)


@app.get("/lock")
async def wait_for_lock(ms: float = DEFAULT_MS) -> Stretch:
    lock = threading.Lock()
    is_held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    begin: queue.SimpleQueue[None] = queue.SimpleQueue()

    def hold() -> None:
        with lock:
            is_held.get_loop().call_soon_threadsafe(is_held.set_result, None)
            begin.get()
            time.sleep(ms / 1000)

    holder = asyncio.create_task(asyncio.to_thread(hold))
    await is_held
    begin.put(None)
    began_ns = time.monotonic_ns()
    with lock:  # guilty: blocking-call
        stretch = since(began_ns)
    await holder
    return stretch


@app.get("/file")
async def read_file(request: Request, ms: float = DEFAULT_MS) -> Stretch:
    await late(request).request("fifo", ms / 1000)
    fifo = late(request).fifo
    began_ns = time.monotonic_ns()
    fifo.read(1)  # guilty: blocking-call
    return since(began_ns)


@app.get("/subprocess")
async def run_program(ms: float = DEFAULT_MS) -> Stretch:
    command = ["sleep", f"{ms / 1000}"]
    began_ns = time.monotonic_ns()
    subprocess.run(  # guilty: blocking-call  # noqa: ASYNC221
        command, capture_output=True, check=True
    )
    return since(began_ns)


@app.get("/fsync")
async def write_to_disk(ms: float = DEFAULT_MS) -> Stretch:
    return await block("fsync", ms)


# ---- computing ----


@app.get("/python-loop")
async def count(ms: float = DEFAULT_MS) -> Stretch:
    began_ns = time.monotonic_ns()
    ends, rounds = time.monotonic() + ms / 1000, 0
    while time.monotonic() < ends:  # guilty: computing
        rounds += 1  # guilty: computing
    return since(began_ns)


@app.get("/import")
async def import_slow_module(ms: float = DEFAULT_MS) -> Stretch:
    sys.modules.pop(SLOW_MODULE, None)
    slow_module_duration.seconds = ms / 1000
    began_ns = time.monotonic_ns()
    importlib.import_module(SLOW_MODULE)  # guilty: computing
    return since(began_ns)


@app.get("/hashlib")
async def derive_key(ms: float = DEFAULT_MS) -> Stretch:
    return await block("hashlib", ms)


@app.get("/list-compare")
async def compare_lists(ms: float = DEFAULT_MS) -> Stretch:
    return await block("list-compare", ms)


@app.get("/big-power")
async def raise_to_power(ms: float = DEFAULT_MS) -> Stretch:
    return await block("big-power", ms)


@app.get("/re")
async def match_nothing(ms: float = DEFAULT_MS) -> Stretch:
    return await block("re", ms)


@app.get("/json")
async def parse_document(ms: float = DEFAULT_MS) -> Stretch:
    return await block("json", ms)


# ---- not this thread, or not this code ----


@app.get("/gil-hog")
async def meet_a_hog(ms: float = DEFAULT_MS) -> Stretch:
    return await asyncio.to_thread(timed, BLOCKERS["gil-hog"].work, amount_for("gil-hog", ms))


@app.get("/gc")
async def collect_garbage(ms: float = DEFAULT_MS) -> Stretch:
    return await block("gc", ms)


# ---- innocent ----


@app.get("/clean")
async def wait(ms: float = DEFAULT_MS) -> Stretch:
    began_ns = time.monotonic_ns()
    await asyncio.sleep(ms / 1000)
    return since(began_ns)


@app.get("/clean-cpu")
async def compute_a_little(ms: float = DEFAULT_MS) -> Stretch:
    began_ns = time.monotonic_ns()
    ends = time.monotonic() + min(CPU_MS, ms) / 1000
    while time.monotonic() < ends:
        pass
    await asyncio.sleep(max(0.0, ms - CPU_MS) / 1000)
    return since(began_ns)
