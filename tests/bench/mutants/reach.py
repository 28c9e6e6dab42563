"""Which lines of some modules each test runs, and how long it takes."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

import pytest

from tests.bench.mutants.mutations import Lines

Reached: TypeAlias = defaultdict[str, set[int]]
TraceFunction: TypeAlias = Callable[[FrameType, str, object], Any]


@dataclass(frozen=True, slots=True)
class Test:
    """One test: its CPU seconds, and by module the lines that it runs."""

    __test__ = False

    name: str
    seconds: float
    lines: Mapping[str, frozenset[int]]

    def reaches(self, module: str, lines: Lines) -> bool:
        """Whether it runs one of these."""
        return any(lines[0] <= line <= lines[1] for line in self.lines.get(module, ()))


def read(file: Path) -> list[Test]:
    """What a `Recorder` has written."""
    return [
        Test(name, seconds, {module: frozenset(numbers) for module, numbers in lines.items()})
        for name, seconds, lines in json.loads(file.read_text())
    ]


class Recorder:
    """A pytest plugin that writes down what each test reaches.

    A fixture of several tests is made in the first of them: what it runs counts for all of them.
    """

    def __init__(self, modules: Mapping[str, str], file: Path) -> None:
        """Modules by their file, as tracebacks name it; and where the outcome is written."""
        self._modules = modules
        self._file = file
        self._lines: Reached = defaultdict(set)
        self._shared: dict[str, Reached] = {}
        self._tests: list[tuple[pytest.Item, float, Reached]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._lines = defaultdict(set)
        begun = time.process_time()
        sys.settrace(self._called)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self._tests.append((item, time.process_time() - begun, self._lines))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any]
    ) -> Generator[None, object, object]:
        of_test = self._lines
        if fixturedef.scope != "function":
            self._lines = self._shared[fixturedef.argname] = defaultdict(set)
        try:
            return (yield)
        finally:
            self._lines = of_test

    def pytest_sessionfinish(self) -> None:
        rows = []
        for item, seconds, lines in self._tests:
            for fixture in self._shared.keys() & set(getattr(item, "fixturenames", ())):
                for module, numbers in self._shared[fixture].items():
                    lines[module] |= numbers
            rows.append((item.nodeid, seconds, {name: list(of) for name, of in lines.items()}))
        self._file.write_text(json.dumps(rows))

    def _called(self, frame: FrameType, _event: str, _value: object) -> TraceFunction | None:
        module = self._modules.get(frame.f_code.co_filename)
        if module is None:
            return None
        lines = self._lines[module]

        def ran(frame: FrameType, event: str, _value: object) -> TraceFunction:
            if event == "line":
                lines.add(frame.f_lineno)
            return ran

        return ran
