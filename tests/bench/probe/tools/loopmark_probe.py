"""Loopmark's own probe: the target is started through it, and watched from here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import loopmark.harness
from loopmark.harness.analysis.blocking import culprits, occurrences
from loopmark.harness.vocabulary.blocking import Frame as Place
from loopmark.harness.vocabulary.blocking import Kind, Occurrence
from loopmark.harness.watch.loop_watch import LoopWatch
from tests.bench.probe.corpus_entries import FOLDER
from tests.bench.probe.running import Setting, Target, started
from tests.bench.probe.trial import Accusation, Frame, accusation_of

START = Path(loopmark.harness.__file__).parent / "probe" / "start"
FOLDER_VARIABLE = "LOOPMARK_PROBE"


@dataclass(frozen=True)
class WatchedTarget:
    """The corpus under the probe."""

    port: int
    pid: int
    watch: LoopWatch

    def accusations(self) -> Sequence[Accusation]:
        """What was seen since the start."""
        seen = [one for process in self.watch.evidence() for one in occurrences(process)]
        return accusations(seen, str(FOLDER))


@contextmanager
def start(setting: Setting) -> Iterator[Target]:
    """Start the corpus through the probe; see `Start`."""
    with tempfile.TemporaryDirectory(prefix="corpus-") as name:
        folder = Path(name)
        environment = {
            **setting.environment,
            FOLDER_VARIABLE: name,
            "PYTHONPATH": str(START),
        }
        with (
            LoopWatch(folder) as watch,
            started("serving", setting, environment, folder) as (port, pid),
        ):
            yield WatchedTarget(port, pid, watch)


def accusations(seen: Sequence[Occurrence], folder: str) -> list[Accusation]:
    """The occurrences of the lines that the probe reports, each as an accusation.

    A stretch without a line accuses nobody, and neither does a starved host.
    """
    lines = {_line(culprit.application or culprit.place) for culprit in culprits(seen)}
    return [
        _accusation(occurrence, folder)
        for occurrence in seen
        if occurrence.kind is not Kind.HOST
        and (blamed := occurrence.application or occurrence.place) is not None
        and _line(blamed) in lines
    ]


def _accusation(occurrence: Occurrence, folder: str) -> Accusation:
    frames = [
        Frame(frame.file, frame.line, frame.function)
        for frame in (occurrence.place, occurrence.application)
        if frame is not None
    ]
    began_ns, ended_ns = occurrence.at_ns, occurrence.at_ns + occurrence.duration_ns
    return accusation_of(frames, folder, began_ns, ended_ns, (str(occurrence.kind),))


def _line(frame: Place) -> tuple[str, int]:
    return frame.file, frame.line
