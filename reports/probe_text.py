"""What a probe found, as text of at most 80 columns: the effect first, the worst line first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from loopmark.harness.vocabulary.probe_result import Finding, LostFinding, ProbeResult
from loopmark.reports import probe_wording as wording

WIDTH = 80
MOST_ONCE = 5
"""Lines that are shown of those that blocked once."""

_INDENT = 26


def render(result: ProbeResult) -> str:
    """The text."""
    return "\n".join(_lines(result)) + "\n"


def _lines(result: ProbeResult) -> Iterator[str]:
    yield from _wrapped(wording.head(result))
    if result.blocking:
        yield ""
        yield from _table(result.blocking, result.folder)
    if result.unawaited:
        yield ""
        yield from _lost(result.unawaited, result.folder)
    if result.once:
        yield ""
        yield "Happened once (an import, a first use):"
        yield from _table(result.once[:MOST_ONCE], result.folder)
        if (more := len(result.once) - MOST_ONCE) > 0:
            yield f"and {more} more; --format json has them all"
    if notes := list(wording.notes(result)):
        yield ""
        for note in notes:
            yield from _wrapped(note, hanging=2)
    yield ""
    yield from _wrapped(f"Asked: {wording.asked(result)}", hanging=2)
    for line in wording.untested(result):
        yield from _wrapped(line, hanging=2)


def _table(findings: Sequence[Finding], folder: str) -> Iterator[str]:
    yield f"{'TIMES':>6} {'TOTAL':>9} {'WORST':>8}  LINE"
    for one in findings:
        figures = (
            f"{wording.times(one):>6} {wording.time(one.culprit.total_ms):>9} "
            f"{wording.worst(one):>8}"
        )
        yield from _entry(
            figures,
            (
                f"{wording.place(one.line, folder)} {one.line.function}",
                wording.code(one.code),
                wording.why(one, folder),
                wording.routes(one.routes),
            ),
        )


def _lost(lost: Sequence[LostFinding], folder: str) -> Iterator[str]:
    yield f"{'TIMES':>6} {'NOT AWAITED':<18}  LINE"
    for one in lost:
        said = (
            f"{wording.place(one.line, folder)} {one.line.function}",
            wording.code(one.code),
            wording.lost(one, folder),
        )
        yield from _entry(f"{one.lost.times:>6}", said)


def _entry(figures: str, said: Iterable[str]) -> Iterator[str]:
    """Figures, and beside them what is said, each from a line of its own on."""
    start = f"{figures:<{_INDENT}} "
    for text in filter(None, said):
        for line in textwrap.wrap(text, WIDTH - _INDENT - 1, break_on_hyphens=False):
            yield f"{start}{line}"
            start = " " * (_INDENT + 1)


def _wrapped(text: str, hanging: int = 0) -> Sequence[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=" " * hanging, break_on_hyphens=False)
