"""Tries mutants: each in its own process, by the tests that can notice it, the fastest first."""

from __future__ import annotations

import ast
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, ModuleType

import pytest
from hypothesis import Phase, settings

from tests.bench.mutants import processes, reach
from tests.bench.mutants.mutations import Mutant
from tests.bench.mutants.reach import Test

ARGUMENTS = (
    *("-x", "-q", "--tb=no", "-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # Of what was imported before.
)
MUCH_LONGER = 3.0
"""Times what its tests took while their lines were recorded: then a mutant runs in circles."""


class Outcome(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"
    UNREACHED = "not reached by any test"
    BROKEN = "not importable"


NOTICED = frozenset({Outcome.KILLED, Outcome.TIMED_OUT})


@dataclass(frozen=True, slots=True)
class Project:
    """What is mutated, and by what it is tested.

    Attributes:
        root: The folder in which pytest starts; modules are imported from there.
        modules: Their source files by their full names.
        tests: Folders or files of tests below the root.
        preloaded: Libraries that are imported once, before the first process is forked.
        start_s: CPU seconds that all other imports and the collection of the tests may take.
    """

    root: Path
    modules: Mapping[str, Path]
    tests: tuple[str, ...]
    preloaded: tuple[str, ...] = ()
    start_s: float = 20.0

    def test_files(self) -> list[str]:
        """Every file of tests, as pytest names it."""
        found = (self.root / one for one in self.tests)
        files = (sorted(at.rglob("test_*.py")) if at.is_dir() else [at] for at in found)
        return [str(file.relative_to(self.root)) for of in files for file in of]

    def sharing(self, module: str) -> frozenset[str]:
        """The module and those that import from it."""
        importing = {
            name
            for name, file in self.modules.items()
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.ImportFrom)
            and module in {node.module, *(f"{node.module}.{of.name}" for of in node.names)}
        }
        return frozenset({module, *importing})


class Trials:
    """A project whose tests have been run once, to see what each of them reaches."""

    def __init__(self, project: Project, at_once: int) -> None:
        self._project = project
        self._at_once = at_once
        # Those of xdist, Locust and anyio take a third of each start, and nothing here uses them.
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        os.chdir(project.root)
        sys.path.insert(0, str(project.root))
        for name in project.preloaded:
            importlib.import_module(name)
        assert not project.modules.keys() & sys.modules.keys(), "it would stay as it is"
        self.tests = self._recorded()

    def outcomes(self, mutants: Sequence[Mutant]) -> Iterator[tuple[Mutant, Outcome]]:
        """Try them; in the order in which they end."""
        tests = {mutant: self._tests_of(mutant) for mutant in mutants}
        reached = [mutant for mutant in mutants if tests[mutant]]
        yield from ((mutant, Outcome.UNREACHED) for mutant in mutants if not tests[mutant])
        for number, code in processes.each(
            [partial(self._try, mutant, [one.name for one in tests[mutant]]) for mutant in reached],
            at_once=self._at_once,
            cpu_s=lambda at: self._limit_s(tests[reached[at]]),
        ):
            yield reached[number], _outcome(code)

    def _limit_s(self, tests: Sequence[Test]) -> float:
        return self._project.start_s + MUCH_LONGER * sum(one.seconds for one in tests)

    def _tests_of(self, mutant: Mutant) -> list[Test]:
        lines, module = mutant.reached, mutant.module
        if lines is None:
            sharing = self._project.sharing(module)
            chosen = [one for one in self.tests if sharing & one.lines.keys()]
        else:
            chosen = [one for one in self.tests if one.reaches(module, lines)]
        return sorted(chosen, key=lambda one: one.seconds)

    def _recorded(self) -> list[Test]:
        files = self._project.test_files()
        with TemporaryDirectory() as folder:
            outcomes = [Path(folder, f"{number}.json") for number in range(len(files))]
            tasks = [
                partial(self._record, file, at) for file, at in zip(files, outcomes, strict=True)
            ]
            for number, code in processes.each(tasks, at_once=self._at_once, cpu_s=lambda _: 1200):
                if code:
                    raise SystemExit(f"{files[number]} fails without any mutant (exit code {code})")
            return [test for at in outcomes for test in reach.read(at)]

    def _record(self, file: str, outcome: Path) -> int:
        modules = {str(path): name for name, path in self._project.modules.items()}
        return pytest.main([*ARGUMENTS, file], plugins=[_Quick(), reach.Recorder(modules, outcome)])

    def _try(self, mutant: Mutant, tests: Sequence[str]) -> int:
        source = self._project.modules[mutant.module].read_text()
        sys.meta_path.insert(0, _Instead(mutant.module, mutant.applied_to(source)))
        files = dict.fromkeys(name.partition("::")[0] for name in tests)
        return pytest.main([*ARGUMENTS, *files], plugins=[_Quick(), _Chosen(tests)])


def _outcome(code: int) -> Outcome:
    match code:
        case pytest.ExitCode.OK:
            return Outcome.SURVIVED
        case pytest.ExitCode.TESTS_FAILED:
            return Outcome.KILLED
        case _ if -code in {signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL}:
            return Outcome.TIMED_OUT
        case _:
            return Outcome.BROKEN


class _Quick:
    """One example that fails is enough: nothing is made smaller or explained."""

    def pytest_configure(self) -> None:
        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutants", settings(), phases=phases)
        settings.load_profile("mutants")


class _Chosen:
    """Only these tests, in this order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._places = {name: place for place, name in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._places),
            key=lambda item: self._places[item.nodeid],
        )


class _Instead(MetaPathFinder):
    """Finds another text for one module."""

    def __init__(self, module: str, source: str) -> None:
        self._module = module
        self._source = source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        assert spec.origin is not None
        spec.loader = _Given(fullname, spec.origin, self._source)
        return spec


class _Given(SourceFileLoader):
    def __init__(self, fullname: str, path: str, source: str) -> None:
        super().__init__(fullname, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.get_filename(fullname), "exec", dont_inherit=True)
