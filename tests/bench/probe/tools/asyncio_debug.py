"""asyncio's debug mode: it logs each callback that took too long, by its coroutine."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.bench.probe.recorder import Recorder
from tests.bench.probe.serving import Within, serve
from tests.bench.probe.tools.tool import THRESHOLD_MS, Record
from tests.bench.probe.trial import Accusation, Frame, accusation_of

MESSAGE = re.compile(r"Executing (?P<what>.*) took (?P<seconds>[\d.]+) seconds", re.DOTALL)
PLACE = re.compile(r"coro=<(?P<function>[^ (]+)\(\) [^<>/]*(?:at )?(?P<file>/[^:>]+):(?P<line>\d+)")
HANDLE = re.compile(
    r"<\w*Handle (?:when=\S+ )?(?P<function>[^ (]+)\(.*?\) at (?P<file>/[^:>]+):(?P<line>\d+)"
)


def parse(record: Record, folder: str) -> Accusation | None:
    """Read a line of its log; None for a line about other things."""
    message = MESSAGE.search(record.text)
    if message is None:
        return None
    place = PLACE.search(message["what"]) or HANDLE.search(message["what"])
    frames = [Frame(place["file"], int(place["line"]), place["function"])] if place else []
    began_ns = record.at_ns - round(1e9 * float(message["seconds"]))
    return accusation_of(frames, folder, began_ns, record.at_ns)


def main() -> None:
    recorder = Recorder()

    class Log(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            recorder.record(record.getMessage())

    logger = logging.getLogger("asyncio")
    logger.addHandler(Log())
    logger.propagate = False

    @asynccontextmanager
    async def debugged() -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = THRESHOLD_MS / 1000
        yield

    serve(Within(debugged))


if __name__ == "__main__":
    main()
