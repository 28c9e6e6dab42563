"""blockbuster: functions that may block raise an exception on the loop's thread instead."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import Receive, Scope, Send

from tests.bench.probe.kinds import BLOCKING_CALL
from tests.bench.probe.recorder import Recorder
from tests.bench.probe.serving import Within, serve
from tests.bench.probe.tools.tool import Record, traceback_frames
from tests.bench.probe.trial import Accusation, accusation_of


def parse(record: Record, folder: str) -> Accusation | None:
    """Read a traceback. The exception came instead of the block, so it has no duration."""
    frames = traceback_frames(record.text)
    return accusation_of(frames, folder, record.at_ns, record.at_ns, (BLOCKING_CALL,))


def main() -> None:
    from blockbuster import BlockBuster, BlockingError  # noqa: PLC0415 - in the target alone

    recorder = Recorder()
    buster = BlockBuster()

    @asynccontextmanager
    async def busted() -> AsyncIterator[None]:
        buster.activate()
        yield
        buster.deactivate()

    corpus = Within(busted)

    async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await corpus(scope, receive, send)
        except BlockingError:
            if scope["type"] != "http":
                raise
            recorder.record(traceback.format_exc())

    serve(recorded)


if __name__ == "__main__":
    main()
