"""aiocop: audit hooks for calls that may block, a sampling thread for everything else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from tests.bench.probe.kinds import BLOCKING_CALL, COMPUTING, COMPUTING_GIL
from tests.bench.probe.recorder import Recorder
from tests.bench.probe.serving import Within, serve
from tests.bench.probe.tools.tool import THRESHOLD_MS, Record
from tests.bench.probe.trial import Accusation, Frame, accusation_of

KINDS = {"io_blocking": (BLOCKING_CALL,), "cpu_blocking": (COMPUTING, COMPUTING_GIL)}


def parse(record: Record, folder: str) -> Accusation | None:
    """Read one of its events.

    Of several calls that may block it is the one that aiocop rates as most severe; of several
    stacks the most frequent, which is the first.
    """
    event = json.loads(record.text)
    if not event["exceeded_threshold"]:
        return None
    calls = sorted(event["blocking_events"], key=lambda call: -(call["severity"] or 0))
    traces = [*calls, *event["cpu_stack_samples"]]
    frames = _frames(traces[0]["trace"]) if traces else []
    began_ns = record.at_ns - round(1e6 * event["elapsed_ms"])
    return accusation_of(frames, folder, began_ns, record.at_ns, KINDS[event["reason"]])


def _frames(trace: str) -> list[Frame]:
    places = [place.rsplit(":", 2) for place in trace.split(" <- ")]
    return [Frame(file, int(line), function) for file, line, function in places]


def main() -> None:
    import aiocop  # noqa: PLC0415 - in the target alone

    recorder = Recorder()

    def on_slow_task(event: Any) -> None:  # noqa: ANN401 - its own type
        recorder.record(json.dumps(asdict(event), default=str))

    aiocop.patch_audit_functions()
    aiocop.start_blocking_io_detection()
    aiocop.detect_slow_tasks(threshold_ms=THRESHOLD_MS, on_slow_task=on_slow_task)

    @asynccontextmanager
    async def watched() -> AsyncIterator[None]:
        aiocop.activate()
        yield
        aiocop.deactivate()

    serve(Within(watched))


if __name__ == "__main__":
    main()
