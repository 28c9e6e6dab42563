"""The answer of a run with questions, in sentences that can be repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import (
    conditions,
    formatting,
    headline,
    question_groups,
    questions,
)
from loopmark.reports.headline import ASYNC, SCENARIO, SYNC
from loopmark.reports.questions import Row

_WORK = "work in the database"
_TOPICS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("create-fresh", "create-existing", "crud", "crud-client", "read-mostly"),
            _WORK,
        ),
        "wait-database": "waits in the database",
        "fan-out-websocket": "one event to everybody",
        "fan-out-socketio": "one event to everybody",
        "fan-out-sse": "one event to everybody",
        "upload": "uploads",
    }
)
"""By scenario: what readers ask about; others are called by their titles."""

_MOST_TOPICS = 3
"""More than a manager repeats; the others are in the table."""


def text(results: RunResults) -> str:
    """The answer of any run; see `headline.answer` for one without questions.

    Whether drivers agree is not what was asked, and has a section of its own.
    """
    return " ".join(sentences(results)) if results.questions else headline.answer(results)


def sentences(results: RunResults) -> tuple[str, ...]:
    """The answers to the questions, a sentence for each topic; empty without questions."""
    found = [row for row in questions.rows(results.run, results.questions) if not row.in_series]
    # What other people's targets do to answer is theirs.
    ours = all(target.is_ours for target in results.run.targets)
    topics: dict[tuple[str, str, str], list[Row]] = {}
    for row in question_groups.leading(found):
        if not _is_timing(row):
            topic = _TOPICS.get(row.topic, row.title) if ours else row.title
            topics.setdefault((topic, row.base, row.other), []).append(row)
    timing = _largest_timing(found)
    said = [_timing(row) for row in timing]
    # The first sentence names both sides of those that follow.
    names = {(row.base, row.other) for row in timing}
    said += [
        f"{topic}: {question_groups.text(tuple(of), named=(base, other) not in names)}"
        for (topic, base, other), of in sorted(topics.items(), key=_rank)
    ]
    doubt = conditions.holds_while(results)
    said = [*said[:_MOST_TOPICS], *([doubt] if doubt else [])]
    return tuple(f"{one[:1].upper()}{one[1:]}." for one in said)


def _rank(topic: tuple[tuple[str, str, str], list[Row]]) -> bool:
    """What the documentation is about comes first; otherwise the plan's order stays."""
    return topic[0][0] != _WORK


def _is_timing(row: Row) -> bool:
    return row.topic == SCENARIO and row.question.metric == "makespan_s"


def _largest_timing(found: Sequence[Row]) -> list[Row]:
    """The documented timing at the most concurrent requests, with the framework's default pool."""
    timing = [row for row in found if _is_timing(row) and (row.base, row.other) == (SYNC, ASYNC)]
    return [max(timing, key=lambda row: row.cell.load.concurrency)] if timing else []


def _timing(row: Row) -> str:
    what = f"{formatting.count(row.cell.load.concurrency)} half-second waits"
    found = row.comparison
    if found is None or found.base.figure is None or found.other.figure is None:
        return f"{what}, async against the default 40 threads: {questions.verdict(row)}"
    times = [formatting.seconds(one.figure) for one in (found.other, found.base)]
    sentence = f"{what}: async {times[0]}, the default 40 threads {times[1]}"
    return f"{sentence}, {questions.verdict(row, named=False)}"
