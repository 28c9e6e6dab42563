"""Each route of the corpus blocks its loop for as long as it says, and nothing else does."""

from __future__ import annotations

import ast
import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import httpx
import pytest
import uvloop

from tests.bench.probe.corpus import blockers
from tests.bench.probe.corpus.application import app, lifespan
from tests.bench.probe.corpus_entries import (
    APPLICATION,
    ENTRIES,
    FOLDER,
    GUILTY,
    STARVED,
    kind_of,
)
from tests.bench.probe.guilty import GuiltyLine, guilty_lines, routes_of
from tests.bench.probe.kinds import KINDS
from tests.bench.probe.trial import Block
from tests.patience import tried_again

BEAT_S = 0.005
BLOCKERS = [entry for entry in ENTRIES if kind_of(entry)]
CLEAN = [entry for entry in ENTRIES if not kind_of(entry) and entry != STARVED]
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="module", autouse=True)
def calibrated() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(blockers.AMOUNTS_VARIABLE, json.dumps(blockers.calibrate()))
        blockers.amounts.cache_clear()
        yield
    blockers.amounts.cache_clear()
    blockers.release()


@asynccontextmanager
async def heartbeat() -> AsyncIterator[list[int]]:
    beats: list[int] = []

    async def beat() -> None:
        while True:
            beats.append(time.monotonic_ns())
            await asyncio.sleep(BEAT_S)

    task = asyncio.create_task(beat())
    await asyncio.sleep(0)
    yield beats
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def asked(entry: str, ms: float) -> tuple[Block, list[int]]:
    """The block that the route tells, and the heartbeats of the loop meanwhile."""
    transport = httpx.ASGITransport(app=app)
    async with (
        lifespan(app),
        httpx.AsyncClient(transport=transport, base_url="http://corpus") as client,
    ):
        await client.get(f"/{entry}", params={"ms": 1})
        async with heartbeat() as beats:
            answer = await client.get(f"/{entry}", params={"ms": ms})
            await asyncio.sleep(2 * BEAT_S)
        return Block(**answer.raise_for_status().json()), beats


def took_ns(block: Block) -> int:
    return block.ended_ns - block.began_ns


def longest_gap_ns(beats: list[int]) -> int:
    return max(after - before for before, after in pairwise(beats))


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("entry", BLOCKERS)
@tried_again
def test_a_blocker_stops_its_loop_for_as_long_as_it_says(entry: str, loop: str) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        block, beats = runner.run(asked(entry, 60.0))
    assert longest_gap_ns(beats) > 0.7 * took_ns(block) > 0
    within = [beat for beat in beats if block.began_ns < beat < block.ended_ns]
    assert len(within) < took_ns(block) / 1e9 / BEAT_S / 2


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("entry", CLEAN)
@tried_again
def test_what_is_innocent_leaves_its_loop_alone(entry: str, loop: str) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        block, beats = runner.run(asked(entry, 400.0))
    assert longest_gap_ns(beats) < took_ns(block) / 2


# fsync takes as long as the disk does, and gc also for all else that this process holds.
@pytest.mark.parametrize("entry", [e for e in BLOCKERS if e not in {"fsync", "gc"}])
@tried_again
def test_a_longer_block_is_longer(entry: str) -> None:
    with asyncio.Runner() as runner:
        # A busy machine can only make a block longer.
        short_ns = min(took_ns(runner.run(asked(entry, 20.0))[0]) for _ in range(3))
        long_ns = took_ns(runner.run(asked(entry, 200.0))[0])
    assert long_ns > 2 * short_ns


# ---- the marks ----


def test_every_route_but_the_innocent_has_a_mark_of_one_kind() -> None:
    kinds = {entry: {line.kind for line in GUILTY if line.entry == entry} for entry in ENTRIES}
    assert {entry for entry, its in kinds.items() if not its} == {"clean", "clean-cpu", STARVED}
    assert all(len(its) == 1 for its in kinds.values() if its)
    assert {line.entry for line in GUILTY} <= set(ENTRIES)
    assert {kind for its in kinds.values() for kind in its} == set(KINDS) - {STARVED}


def test_a_mark_is_on_the_first_line_of_a_statement() -> None:
    for line in GUILTY:
        tree = ast.parse((FOLDER / line.file).read_text("utf-8"))
        statements = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.stmt)}
        assert line.line in statements, line


def test_marks_belong_to_their_route_or_name_one() -> None:
    source = (
        "@app.get('/a-b')\nasync def a():\n    x = '# guilty: gc'\n    f()  # guilty: gc  # more\n"
        "def b():\n    return 1  # guilty of c: computing\n"
    )
    assert guilty_lines(source, "m.py") == (
        GuiltyLine("a-b", "m.py", 4, "gc"),
        GuiltyLine("c", "m.py", 6, "computing"),
    )
    assert routes_of(source) == ("a-b",)


@pytest.mark.parametrize("source", ["f()  # guilty: gc", "f()  # guilty of a: nothing"])
def test_a_mark_that_says_nothing_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"m\.py:1: "):
        guilty_lines(source, "m.py")


def test_corpus_needs_nothing_of_the_project() -> None:
    files = sorted(FOLDER.glob("*.py"))
    assert APPLICATION in files
    assert not any("loopmark" in file.read_text("utf-8") for file in files)
