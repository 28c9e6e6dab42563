"""py-spy: stacks read from outside, here each time that a heartbeat of the loop is late.

A watcher beside the target reads the heartbeat in a shared file, and runs `py-spy dump` while it is
late.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import struct
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.bench.probe.serving import Within, serve
from tests.bench.probe.tools.tool import THRESHOLD_MS, Record
from tests.bench.probe.trial import Accusation, Frame, accusation_of

HEARTBEAT_VARIABLE = "CORPUS_HEARTBEAT"
"""Environment variable: the shared file, eight bytes."""

BEAT_S = 0.02
LOOK_S = 0.005
DUMP_S = 5.0
BEAT = struct.Struct("q")


def parse(record: Record, folder: str) -> Accusation | None:
    """Read a dump in JSON; a stack without a frame of the application accuses nobody.

    The accused is the loop's thread, or another one of the application that holds the GIL. The text
    is wrapped with the time when the dump began.
    """
    dump = json.loads(record.text)
    threads = [thread for thread in dump["threads"] if _application_frames(thread, folder)]
    holder = next((thread for thread in threads if thread["owns_gil"]), None)
    loops = next((thread for thread in threads if thread["thread_name"] == "MainThread"), None)
    accused = holder or loops
    if accused is None:
        return None
    frames = [Frame(f["filename"], f["line"], f["name"]) for f in accused["frames"]]
    return accusation_of(frames, folder, dump["began_ns"], record.at_ns)


def _application_frames(thread: dict[str, Any], folder: str) -> Sequence[Any]:
    return [frame for frame in thread["frames"] if frame["filename"].startswith(folder)]


@contextmanager
def watching(pid: int, heartbeat: Path, program: Path, records: Path) -> Iterator[None]:
    """Within the context, run `py-spy dump` whenever the heartbeat is late."""
    stop = threading.Event()
    watcher = threading.Thread(target=_watch, args=(pid, heartbeat, program, records, stop))
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _watch(pid: int, heartbeat: Path, program: Path, records: Path, stop: threading.Event) -> None:
    command = [str(program), "dump", "--json", "--pid", str(pid)]
    with heartbeat.open("rb") as file, records.open("a", encoding="utf-8") as said:
        beats = mmap.mmap(file.fileno(), BEAT.size, access=mmap.ACCESS_READ)
        while not stop.wait(LOOK_S):
            (beat_ns,) = BEAT.unpack_from(beats)
            began_ns = time.monotonic_ns()
            if not beat_ns or began_ns - beat_ns < 1e6 * THRESHOLD_MS:
                continue
            with suppress(subprocess.TimeoutExpired):
                done = subprocess.run(command, capture_output=True, timeout=DUMP_S, check=False)
                if done.returncode == 0:
                    dump = {"began_ns": began_ns, "threads": json.loads(done.stdout)}
                    line = {"at_ns": time.monotonic_ns(), "text": json.dumps(dump)}
                    said.write(f"{json.dumps(line)}\n")
        beats.close()


def main() -> None:
    file = os.open(os.environ[HEARTBEAT_VARIABLE], os.O_RDWR)
    beats = mmap.mmap(file, BEAT.size)

    async def beat() -> None:
        while True:
            BEAT.pack_into(beats, 0, time.monotonic_ns())
            await asyncio.sleep(BEAT_S)

    @asynccontextmanager
    async def beating() -> AsyncIterator[None]:
        task = asyncio.create_task(beat())
        yield
        task.cancel()

    serve(Within(beating))


if __name__ == "__main__":
    main()
