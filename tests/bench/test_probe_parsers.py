"""What each tool of the comparison said, captured from it, as accusations."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from loopmark.harness.vocabulary.blocking import Frame as Place
from loopmark.harness.vocabulary.blocking import Kind, Occurrence
from tests.bench.probe.kinds import BLOCKING_CALL, COMPUTING, COMPUTING_GIL, GIL_HOG, KINDS
from tests.bench.probe.tools import (
    aiocop_events,
    asyncio_debug,
    blockbuster_errors,
    loopmark_probe,
    py_spy_dumps,
    pyleak_blocks,
)
from tests.bench.probe.tools.tool import Parse, Record
from tests.bench.probe.trial import Accusation, Frame, accusation_of

OUTPUTS = Path(__file__).parent / "probe" / "outputs"
FOLDER = "/app/tests/bench/probe/corpus"


def parsed(name: str, parse: Parse) -> list[tuple[Record, Accusation | None]]:
    lines = (OUTPUTS / f"{name}.jsonl").read_text("utf-8").splitlines()
    records = [Record(**json.loads(line)) for line in lines]
    return [(record, parse(record, FOLDER)) for record in records]


def place(accusation: Accusation | None) -> tuple[str, int, str]:
    assert accusation is not None
    return accusation.file.removeprefix(FOLDER), accusation.line, accusation.function


def took_ms(accusation: Accusation | None) -> float:
    assert accusation is not None
    return (accusation.ended_ns - accusation.began_ns) / 1e6


def test_asyncio_names_the_coroutine_of_the_task() -> None:
    (record, finished), (_, pending) = parsed("asyncio_debug", asyncio_debug.parse)
    server = "/app/.venv/lib/python3.11/site-packages/uvicorn/protocols/http/httptools_impl.py"
    assert place(finished) == (server, 420, "RequestResponseCycle.run_asgi")
    assert place(pending) == (server, 422, "RequestResponseCycle.run_asgi")
    assert finished is not None
    assert finished.ended_ns == record.at_ns
    assert took_ms(finished) == 151
    assert finished.kinds == ()


@pytest.mark.parametrize("handle", ["TimerHandle when=1734.23 late(3)", "Handle late(2)()"])
def test_asyncio_names_the_place_of_a_callback(handle: str) -> None:
    text = f"Executing <{handle} at /app/x.py:7 created at /app/a.py:1> took 0.120 seconds"
    assert place(asyncio_debug.parse(Record(10**9, text), FOLDER)) == ("/app/x.py", 7, "late")


@pytest.mark.parametrize("text", ["Using selector: EpollSelector", ""])
def test_other_lines_of_its_log_accuse_nobody(text: str) -> None:
    assert asyncio_debug.parse(Record(1, text), FOLDER) is None


def test_blockbuster_names_the_application_line_and_no_duration() -> None:
    ((record, accusation),) = parsed("blockbuster_errors", blockbuster_errors.parse)
    assert place(accusation) == ("/application.py", 74, "sleep")
    assert accusation is not None
    assert accusation.began_ns == accusation.ended_ns == record.at_ns
    assert accusation.kinds == (BLOCKING_CALL,)


def test_aiocop_names_the_most_severe_call_or_the_sampled_stack() -> None:
    (_, short), (_, call), (_, sampled) = parsed("aiocop_events", aiocop_events.parse)
    assert short is None
    assert place(call) == ("/application.py", 130, "run_program")
    assert call is not None
    assert call.kinds == (BLOCKING_CALL,)
    # Of a comparison of lists, which the sampling thread has to wait for.
    assert place(sampled) == ("/application.py", 45, "since")
    assert sampled is not None
    assert sampled.kinds == (COMPUTING, COMPUTING_GIL)
    assert took_ms(sampled) > 100


def test_pyleak_names_the_application_line() -> None:
    ((record, accusation),) = parsed("pyleak_blocks", pyleak_blocks.parse)
    assert place(accusation) == ("/application.py", 74, "sleep")
    assert took_ms(accusation) == 50
    assert accusation is not None
    assert accusation.ended_ns == record.at_ns
    assert pyleak_blocks.parse(Record(1, "Event loop"), FOLDER) is None


def test_py_spy_names_the_loop_thread_or_the_holder_of_the_gil() -> None:
    (_, asleep), (_, idle), (_, hog) = parsed("py_spy_dumps", py_spy_dumps.parse)
    assert place(asleep) == ("/application.py", 74, "sleep")
    assert idle is None
    assert place(hog) == ("/blockers.py", 78, "hold_the_gil")
    assert 0 < took_ms(asleep) < 1000


def seen(kind: Kind, line: int, at_ns: int = 5, *, is_sighting: bool = False) -> Occurrence:
    inner = Place("/usr/lib/json.py", 3, "loads")
    own = Place(f"{FOLDER}/blockers.py", line, "hold_the_gil")
    return Occurrence(at_ns, 10, kind, inner, own, "", None, is_sighting)


def test_our_probe_names_the_application_line_the_kind_and_the_time() -> None:
    accused = loopmark_probe.accusations([seen(Kind.GIL_HOG, 78)], FOLDER)
    file = f"{FOLDER}/blockers.py"
    assert accused == [Accusation(5, 15, (GIL_HOG,), file, 78, "hold_the_gil")]


def test_our_probe_accuses_nobody_of_a_starved_host_or_without_a_line() -> None:
    without = replace(seen(Kind.CALL, 1), place=None, application=None)
    assert loopmark_probe.accusations([seen(Kind.HOST, 2), without], FOLDER) == []


def test_our_probe_needs_several_sightings_of_a_line() -> None:
    rare = [seen(Kind.CALL, 1, at_ns, is_sighting=True) for at_ns in (1, 2)]
    often = [seen(Kind.CALL, 2, at_ns, is_sighting=True) for at_ns in (1, 2, 3)]
    assert [one.line for one in loopmark_probe.accusations([*rare, *often], FOLDER)] == [2, 2, 2]


def test_kinds_are_called_as_the_probe_calls_them() -> None:
    assert set(KINDS) <= set(Kind)


def test_the_innermost_line_of_the_application_is_accused() -> None:
    frames = [Frame("/lib/json.py", 1, "a"), Frame("/app/b.py", 2, "b"), Frame("/app/c.py", 3, "c")]
    assert place(accusation_of(frames, "/app/", 0, 1))[:2] == ("/app/b.py", 2)
    assert place(accusation_of(frames[:1], "/app/", 0, 1))[:2] == ("/lib/json.py", 1)
    assert place(accusation_of([], "/app/", 0, 1)) == ("", 0, "")
