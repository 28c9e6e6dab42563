"""Loopmark's own probe: the target is started through it, and watched from here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from loopmark.harness.launch.ports import free_port
from loopmark.harness.launch.processors import staying_on
from tests.bench.probe.corpus_entries import FOLDER
from tests.bench.probe.running import Setting, Target, serving_command, wait_until_ready
from tests.bench.probe.tools.installation import NotInstalledError
from tests.bench.probe.trial import Accusation, Frame, accusation_of


class Occurrence(Protocol):
    """One standing stretch of the loop and its culprit."""

    @property
    def at_ns(self) -> int:
        """When it began; CLOCK_MONOTONIC."""

    @property
    def duration_ns(self) -> int:
        """How long the loop stood."""

    @property
    def kind(self) -> str:
        """One of `KINDS`."""

    @property
    def file(self) -> str:
        """Of the guilty line; empty if nobody is accused."""

    @property
    def line(self) -> int:
        """The guilty line; 0 if nobody is accused."""

    @property
    def function(self) -> str:
        """The function around it."""


class Watched(Protocol):
    """A target under the probe."""

    @property
    def pid(self) -> int:
        """Its process id."""

    def occurrences(self) -> Sequence[Occurrence]:
        """What was seen since the start."""

    def stop(self) -> None:
        """End the target and the watch."""


class LoopWatch(Protocol):
    """The probe's entry for this bench."""

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> Watched:
        """Start a target through the probe."""


def loop_watch() -> LoopWatch:
    """The probe.

    Raises:
        NotInstalledError: It is not a part of this version.
    """
    raise NotInstalledError("the probe is not a part of this version")


@dataclass(frozen=True)
class WatchedTarget:
    """The corpus under the probe."""

    port: int
    watched: Watched

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.watched.pid

    def accusations(self) -> Sequence[Accusation]:
        """What was seen since the start."""
        return [accusation(occurrence, str(FOLDER)) for occurrence in self.watched.occurrences()]


@contextmanager
def start(setting: Setting) -> Iterator[Target]:
    """Start the corpus through the probe; see `Start`."""
    watch, port = loop_watch(), free_port()
    with staying_on(setting.cpus):
        watched = watch.start(
            serving_command("serving", port, setting.loop), {**os.environ, **setting.environment}
        )
    try:
        wait_until_ready(port)
        yield WatchedTarget(port, watched)
    finally:
        watched.stop()


def accusation(occurrence: Occurrence, folder: str) -> Accusation:
    """What the probe says, as what a tool of the comparison says."""
    place = Frame(occurrence.file, occurrence.line, occurrence.function)
    began_ns, ended_ns = occurrence.at_ns, occurrence.at_ns + occurrence.duration_ns
    return accusation_of([place], folder, began_ns, ended_ns, (occurrence.kind,))
