"""pyleak: a thread in the target that notices when the loop answers late, and takes its stack."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.bench.probe.corpus_entries import APPLICATION, FOLDER
from tests.bench.probe.recorder import Recorder
from tests.bench.probe.serving import Within, serve
from tests.bench.probe.tools.tool import THRESHOLD_MS, Record, traceback_frames
from tests.bench.probe.trial import Accusation, accusation_of

DURATION = re.compile(r"Duration: ([\d.]+)s")


def parse(record: Record, folder: str) -> Accusation | None:
    """Read its text of a block."""
    duration = DURATION.search(record.text)
    if duration is None:
        return None
    began_ns = record.at_ns - round(1e9 * float(duration[1]))
    return accusation_of(traceback_frames(record.text), folder, began_ns, record.at_ns)


def main() -> None:
    from pyleak import no_event_loop_blocking  # noqa: PLC0415 - in the target alone
    from pyleak.eventloop import EventLoopBlock, _EventLoopBlockDetector  # noqa: PLC0415
    from pyleak.utils import CallerContext  # noqa: PLC0415

    recorder = Recorder()
    add_block = _EventLoopBlockDetector._add_block

    def recorded(self: Any, duration: float, stack: Any = None) -> None:  # noqa: ANN401
        # It counts blocks with the same stack as one; here each is kept.
        recorder.record(str(EventLoopBlock(0, duration, self.threshold, 0.0, stack)))
        add_block(self, duration, stack)

    _EventLoopBlockDetector._add_block = recorded
    files = {str(file) for file in FOLDER.glob("*.py")}
    caller = CallerContext(str(APPLICATION), "lifespan", files=files)

    @asynccontextmanager
    async def watched() -> AsyncIterator[None]:
        threshold = THRESHOLD_MS / 1000
        async with no_event_loop_blocking("log", threshold=threshold, caller_context=caller):
            yield

    serve(Within(watched))


if __name__ == "__main__":
    main()
