"""The tools that are compared: one row each."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench.probe.running import Start, none_said, under, under_py_spy
from tests.bench.probe.tools import (
    aiocop_events,
    asyncio_debug,
    blockbuster_errors,
    loopmark_probe,
    py_spy_dumps,
    pyleak_blocks,
)
from tests.bench.probe.tools.installation import PINNED

OURS = "loopmark probe"


@dataclass(frozen=True)
class Tool:
    """A row of the table.

    Attributes:
        name: As it is shown.
        start: Starts the corpus under it.
    """

    name: str
    start: Start


WITHOUT = Tool("without", under("serving", none_said))

TOOLS = (
    Tool(OURS, loopmark_probe.start),
    Tool("asyncio debug mode", under("tools.asyncio_debug", asyncio_debug.parse)),
    Tool(
        PINNED["blockbuster"].replace("==", " "),
        under("tools.blockbuster_errors", blockbuster_errors.parse, "blockbuster"),
    ),
    Tool(
        PINNED["aiocop"].replace("==", " "),
        under("tools.aiocop_events", aiocop_events.parse, "aiocop"),
    ),
    Tool(
        PINNED["pyleak"].replace("==", " "),
        under("tools.pyleak_blocks", pyleak_blocks.parse, "pyleak"),
    ),
    Tool(
        f"{PINNED['py-spy'].replace('==', ' ')} dump",
        under_py_spy("tools.py_spy_dumps", py_spy_dumps.parse),
    ),
)
