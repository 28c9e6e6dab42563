"""Records event-loop lag: how late the loop wakes a sleeping task."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from io import FileIO
from pathlib import Path
from time import monotonic_ns

PERIOD_NS = 20_000_000
FLUSH_NS = 100_000_000
"""Maximum delay of a record. Ten writes of 80 bytes per second cost next to nothing."""

RECORD = struct.Struct("<qq")
"""One record of the file: when the task woke (CLOCK_MONOTONIC) and how late, in nanoseconds."""


@asynccontextmanager
async def recorded(path: Path | None) -> AsyncIterator[None]:
    """Append the lag of the running loop to a file for as long as the context lasts.

    Args:
        path: The file; None: record nothing.

    Raises:
        OSError: The file cannot be opened or written.
    """
    if path is None:
        yield
        return
    # Unbuffered, so that each write holds whole records and a killed process leaves no torn one.
    with FileIO(path, "a") as file:
        recorder = asyncio.create_task(_record(file), name="loop lag")
        try:
            yield
        finally:
            recorder.cancel()
            with suppress(asyncio.CancelledError):
                await recorder


async def _record(file: FileIO) -> None:
    """Append records ten times a second, and the rest when cancelled."""
    records = bytearray()
    written_ns = slept_ns = monotonic_ns()
    try:
        while True:
            await asyncio.sleep(PERIOD_NS / 1e9)
            woke_ns = monotonic_ns()
            # A timer of millisecond resolution may wake a little early: that is no lag.
            records += RECORD.pack(woke_ns, max(0, woke_ns - slept_ns - PERIOD_NS))
            if woke_ns - written_ns >= FLUSH_NS:
                file.write(records)
                records.clear()
                written_ns = woke_ns
            slept_ns = monotonic_ns()
    finally:
        file.write(records)
