"""Asks a route of the corpus, again and again, and learns when the loop stood."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from loopmark.harness.launch.ports import HOST
from loopmark.harness.launch.process_reaper import end
from loopmark.harness.launch.processors import available, staying_on
from tests.bench.probe.corpus_entries import STARVED, route_of
from tests.bench.probe.running import Setting, TargetFailedError
from tests.bench.probe.tools.catalog import Tool
from tests.bench.probe.trial import Block, Trial

PAUSE_S = 0.3
"""Idle time around each block: what is said within it belongs to the block before it."""

PATIENCE_S = 180.0
OK = 200
NEIGHBOURS = 8
NICENESS = 17
"""Busy processes on the target's processor, and the target's niceness beside them. Among equals a
loop that wakes up after a sleep is served first, and hardly waits."""


def trial(  # noqa: PLR0913, PLR0917 - what is asked of what, and how
    tool: Tool, entry: str, setting: Setting, blocks: int, query: str = "", pause_s: float = PAUSE_S
) -> Trial:
    """Start the corpus under a tool, and ask one entry so many times.

    Args:
        tool: Which.
        entry: Of the corpus.
        setting: Of the target.
        blocks: How often.
        query: Of the requests; empty for the route's own duration.
        pause_s: Idle time after each, in seconds.

    Raises:
        NotInstalledError: There is no such tool here.
        TargetFailedError: The target did not come up, or did not answer.
    """
    cpus = setting.cpus or available()[:1]
    with tool.start(setting) as target:
        connection = HTTPConnection(HOST, target.port, timeout=PATIENCE_S)
        path = f"/{route_of(entry)}{query}"
        # What a first request loads and fills is no block of the corpus.
        asked(connection, path)
        time.sleep(PAUSE_S)
        with starving(target.pid, cpus) if entry == STARVED else nullcontext():
            began_ns = time.monotonic_ns()
            stretches = []
            for _ in range(blocks):
                stretches.append(asked(connection, path))
                time.sleep(pause_s)
        connection.close()
        said = [one for one in target.accusations() if one.ended_ns >= began_ns]
    said.sort(key=lambda accusation: accusation.began_ns)
    return Trial(tool.name, setting.loop, entry, began_ns, stretches, said)


def asked(connection: HTTPConnection, path: str) -> Block:
    """The stretch that the answer tells; that of the whole request if it was refused.

    Raises:
        TargetFailedError: There was no answer.
    """
    began_ns = time.monotonic_ns()
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        raise TargetFailedError(f"{path}: no answer: {error!r}") from error
    if answer.status == OK:
        return Block(**json.loads(body))
    return Block(began_ns, time.monotonic_ns())


@contextmanager
def starving(pid: int, cpus: Sequence[int]) -> Iterator[None]:
    """Have busy processes on these processors, to which a process must give way; Linux only."""
    os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
    group = Path(f"/proc/{pid}/autogroup")  # Where there is one, it counts (sched(7)).
    if group.exists():
        group.write_text(f"{NICENESS}", encoding="ascii")
    command = [sys.executable, "-S", "-c", "while True: pass"]
    with staying_on(cpus):
        busy = [
            subprocess.Popen(command, start_new_session=True) for _ in range(NEIGHBOURS * len(cpus))
        ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
        for process in busy:
            end(process)
