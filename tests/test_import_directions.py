"""Who may import whom, who may touch the world, and who may print: read from the sources."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("targets", "scenarios", "harness", "reports")

# A row for each room: which other rooms it may import. What is not in a row is not allowed.
ROOMS: Mapping[str, frozenset[str]] = {
    "targets": frozenset(),
    "scenarios": frozenset({"vocabulary"}),
    "reports": frozenset({"vocabulary", "version"}),
    "version": frozenset(),
    "errors": frozenset(),
    "vocabulary": frozenset({"errors"}),
    "store": frozenset({"vocabulary", "errors"}),
    "planning": frozenset({"vocabulary", "errors"}),
    "probe": frozenset(),
    "watch": frozenset({"vocabulary", "probe"}),
    "launch": frozenset({"vocabulary", "errors"}),
    "drivers": frozenset({"vocabulary", "errors", "planning", "scenarios", "version"}),
    "analysis": frozenset({"vocabulary", "store", "planning"}),
    "run": frozenset(
        {"vocabulary", "errors", "store", "planning", "launch", "watch", "drivers", "scenarios"}
    ),
}
# What may import everything.
TOP = frozenset({"cli", "commands"})

# The part of the harness that turns values into values. A unit test needs nothing but arguments
# for it, and stored samples can be analysed again at any time with the same outcome.
PURE = tuple(
    f"loopmark.harness.{room}"
    for room in (
        *("vocabulary", "errors", "planning", "analysis"),
        *("drivers.journey", "drivers.http.exchange"),
    )
)
# What only these may import: nothing that gives evidence knows the judge.
IMPORTED_BY: Mapping[str, frozenset[str]] = {
    "loopmark.harness.analysis.validity": frozenset({"loopmark.harness.analysis.summaries"}),
}

# Drivers know no scenario but the one that their job names, which this module looks up.
LOOKS_UP = "loopmark.harness.drivers.process.job_inputs"
CATALOG = "loopmark.scenarios.catalog"

# From a run folder to its results: the one module of these that reads and writes files.
READS_FILES = "loopmark.harness.analysis.analyse"

# Outside of the project the pure part may use these and nothing else: none of them has a clock,
# a file, a process or a socket, and the few that could do I/O are watched by `IMPURE_CALLS`.
PURE_LIBRARIES = frozenset(
    {
        "__future__",
        "abc",
        "annotated_types",
        "collections",
        "dataclasses",
        "difflib",
        "enum",
        "fnmatch",
        "httptools",
        "httpx.AsyncClient",  # the name of a type, for annotations only
        "inspect.iscoroutinefunction",
        "itertools",
        "json",
        "math",
        "numpy",
        "operator.attrgetter",
        "pandas",
        "pydantic",
        "pydantic_core",
        "random.Random",
        "re",
        "scipy",
        "tomllib",
        "typing",
        "typing_extensions.TypeIs",
        "uuid.UUID",
    }
)
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval", "__import__", "breakpoint"})
IMPURE_METHODS = frozenset(
    {"read_text", "read_bytes", "write_text", "write_bytes", "save", "savez", "savetxt", "load"}
    | {"loadtxt", "genfromtxt", "fromfile", "tofile", "memmap", "default_rng", "now", "today"}
    | {"utcnow", "to_csv", "to_feather", "to_parquet", "to_pickle", "to_sql", "to_hdf", "to_excel"}
)

# These are command lines: they may speak and end the process.
SPEAKING = frozenset(
    {
        "loopmark.harness.cli",
        "loopmark.harness.commands",
        "loopmark.targets.serve",
        "loopmark.harness.drivers.locust_driver.workers.worker",
    }
    | {
        "loopmark.harness.drivers.locust_driver.__main__",
        "loopmark.harness.drivers.process.fork_server",
    }
)
SPEECH = frozenset(
    {"print", "exit", "quit", "click.echo", "click.secho", "sys.exit", "os._exit"}
    | {"sys.stdout.write", "sys.stderr.write"}
)

# These change the standard library of the process that imports them: only processes that run a
# module of this package may, and so nobody else imports it.
PATCHING_LIBRARIES = frozenset({"gevent", "locust", "zmq", "geventhttpclient"})
PATCHED_PACKAGE = "loopmark.harness.drivers.locust_driver"


@dataclass(frozen=True)
class Found:
    """A name that a module uses, and the line on which it does."""

    name: str
    line: int


def is_within(name: str, packages: tuple[str, ...] | frozenset[str] | Mapping[str, str]) -> bool:
    """Whether a dotted name is one of these or inside of one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


# ---- reading a source ----


def imports(tree: ast.AST, module: str, *, is_package: bool = False) -> Iterator[Found]:
    """Every dotted name that is imported, wherever in the module and in whichever way."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Found(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                up = node.level - is_package
                package = module.split(".")
                above = package[: len(package) - up]
                origin = ".".join([*above, *([origin] if origin else [])])
            yield from (Found(f"{origin}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and dotted(node.func).endswith(
            ("import_module", "__import__")
        ):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant):
                    yield Found(str(argument.value), node.lineno)


def calls(node: ast.AST) -> Iterator[Found]:
    """Every call, by the dotted name that it has in the source; a main block is left out."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "__name__ == '__main__'"):
            if isinstance(child, ast.Call):
                yield Found(dotted(child.func), child.lineno)
            yield from calls(child)


def dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{dotted(value)}.{name}"
        case _:
            return "…"


def original(name: str, originals: Mapping[str, str]) -> str:
    """A dotted name, as it is called where it comes from."""
    first, dot, rest = name.partition(".")
    return f"{originals.get(first, first)}{dot}{rest}"


def original_names(tree: ast.AST) -> dict[str, str]:
    """What the names of a module were called where they were imported from."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


# ---- the rules ----


def violations(source: str, module: str, *, is_package: bool = False) -> list[str]:
    """What a module does against the rules, each with its line."""
    tree = ast.parse(source)
    imported = list(imports(tree, module, is_package=is_package))
    found = [*_directions(imported, module), *_speech(tree, module)]
    if is_within(module, PURE) and module != READS_FILES:
        found += _impurities(tree, imported)
    return [f"{module}:{line}: {what}" for what, line in sorted(found, key=lambda one: one[1])]


def room_of(name: str) -> str:
    """The room of a dotted name of the project; empty for what is in none of them."""
    match name.split("."):
        case ["loopmark", "harness", "__version__", *_]:
            return "version"
        case ["loopmark", "harness", room, *_]:
            return room
        case ["loopmark", package, *_]:
            return package
        case _:
            return ""


def _directions(imported: list[Found], module: str) -> Iterator[tuple[str, int]]:
    room = room_of(module)
    for one in imported:
        other = room_of(one.name)
        beside = is_within(one.name, ("tests", *PACKAGES)) or one.name == "loopmark"
        if beside or (other and room not in {*TOP, other} and other not in ROOMS[room]):
            yield f"{room} must not import {one.name}", one.line
        known = module == LOOKS_UP and is_within(one.name, (CATALOG,))
        if room == "drivers" and other == "scenarios" and not known:
            yield f"only {LOOKS_UP} imports {CATALOG}, and no driver {one.name}", one.line
        for reserved, importers in IMPORTED_BY.items():
            if is_within(one.name, (reserved,)) and module not in importers:
                yield f"{module} must not import {reserved}", one.line
        if not is_within(module, (PATCHED_PACKAGE,)) and (
            is_within(one.name, PATCHING_LIBRARIES) or is_within(one.name, (PATCHED_PACKAGE,))
        ):
            yield f"only {PATCHED_PACKAGE} imports {one.name}", one.line


def _speech(tree: ast.AST, module: str) -> Iterator[tuple[str, int]]:
    if is_within(module, SPEAKING):
        return
    originals = original_names(tree)
    for call in calls(tree):
        if original(call.name, originals) in SPEECH:
            yield f"only the command line calls {call.name}", call.line
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc and "SystemExit" in ast.unparse(node.exc):
            yield "only the command line raises SystemExit", node.lineno


def _impurities(tree: ast.AST, imported: list[Found]) -> Iterator[tuple[str, int]]:
    for one in imported:
        if not is_within(one.name, ("loopmark",)) and not is_within(one.name, PURE_LIBRARIES):
            yield f"the pure part must not import {one.name}", one.line
    originals = original_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = original(dotted(node.func), originals)
            last = name.rpartition(".")[2]
            method = "." in name and (last in IMPURE_METHODS or last.startswith("read_"))
            if name in IMPURE_CALLS or method or name.startswith("numpy.random."):
                yield f"the pure part must not call {name}", node.lineno
            if last == "Random" and not node.args:
                yield "randomness without a seed", node.lineno


# ---- the project ----


def module_name(path: Path) -> str:
    parts = ("loopmark", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_keep_the_rules(package: str) -> None:
    found = [
        problem
        for module, path in SOURCES.items()
        if is_within(module, (f"loopmark.{package}",))
        for problem in violations(
            path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py"
        )
    ]
    assert found == []


def test_everything_named_exists() -> None:
    assert set(SOURCES) >= SPEAKING | {LOOKS_UP, CATALOG, READS_FILES, PATCHED_PACKAGE} | set(
        IMPORTED_BY
    )
    rooms = {room_of(module) for module in SOURCES}
    assert rooms >= (set(ROOMS) | TOP) - {"version"}
    assert all(any(is_within(module, (pure,)) for module in SOURCES) for pure in PURE)


def test_contributing_has_the_same_rows() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(?:harness/)?(\w+)(?:/|\.py)` \|.*\| ?([a-z, ]*) ?\|$", table, re.MULTILINE
    )
    documented = {room: set(re.findall(r"\w+", others)) for room, others in rows}
    ours = {room: set(others) for room, others in ROOMS.items()} | {"commands": {"everything"}}
    assert {room: documented.get(room, set()) for room in ours} == ours


def test_rooms_form_no_circle() -> None:
    settled: set[str] = set()
    while ready := {room for room, others in ROOMS.items() if others <= settled} - settled:
        settled |= ready
    assert settled == set(ROOMS)


# ---- the rules themselves ----

H = "loopmark.harness"


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("loopmark.targets.app", "from loopmark.targets import contract"),
        ("loopmark.targets.app", "import os, socket, asyncio"),
        ("loopmark.targets.serve", "import sys\nsys.exit(print(1))"),
        ("loopmark.scenarios.flows", f"from {H}.vocabulary.flow import Request"),
        ("loopmark.scenarios.catalog", "from . import flows"),
        ("loopmark.reports.html", f"from {H} import __version__"),
        ("loopmark.reports.html", f"import {H}.vocabulary.cell"),
        (f"{H}.run.measure", "import os\nfrom loopmark.scenarios.catalog import SCENARIOS"),
        (f"{H}.cli", "import click\nclick.echo('a')\nprint('b')"),
        (f"{H}.planning.plan", "from random import Random\nRandom(3).shuffle([])"),
        (f"{H}.planning.plan", f"from {H} import errors\nfrom {H}.vocabulary.load import Load"),
        (f"{H}.planning.plan", "from ..errors import UserError"),
        (f"{H}.analysis.statistics", "def f():\n    from scipy import stats"),
        (f"{H}.analysis.summaries", "import numpy as np\nnp.array([]).to_numpy()"),
        (f"{H}.analysis.summaries", f"from {H}.analysis import validity"),
        (f"{H}.drivers.one", "import sys\nif __name__ == '__main__':\n    sys.exit(print(1))"),
        (f"{H}.run.progress", "console.print('a console that the command line gave')"),
        (f"{H}.run.measure", "import gevents\nimport locusts.gevent"),
        (f"{H}.drivers.locust_driver.one", "import gevent\nfrom locust.env import Environment"),
    ],
)
def test_what_keeps_the_rules_passes(module: str, source: str) -> None:
    assert violations(source, module) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        # there is one name
        ("loopmark.targets.app", "import scenarios"),
        (f"{H}.run.measure", "from harness.store import RunFolder"),
        (f"{H}.run.measure", "import loopmark"),
        # targets import nobody
        ("loopmark.targets.app", f"from {H}.vocabulary.flow import Request"),
        ("loopmark.targets.app", "def f():\n    from loopmark.reports import html"),
        ("loopmark.targets.app", "from tests.targets.conftest import Target"),
        ("loopmark.targets.app", f"import importlib\nimportlib.import_module('{H}.store')"),
        # scenarios: the vocabulary only
        ("loopmark.scenarios.flows", f"from {H}.drivers.journey import Journey"),
        ("loopmark.scenarios.flows", f"from {H} import vocabulary_of_another_kind"),
        ("loopmark.scenarios.flows", f"import {H}"),
        ("loopmark.scenarios.flows", "from ..harness import store"),
        # reports: the vocabulary
        ("loopmark.reports.html", f"from {H}.analysis.summaries import summarise"),
        ("loopmark.reports.html", f"from {H} import *"),
        ("loopmark.reports.html", "from loopmark.scenarios.catalog import SCENARIOS"),
        ("loopmark.reports.html", f"if TYPE_CHECKING:\n    from {H}.planning.plan import Plan"),
        # measuring and analysing know nothing of each other
        (f"{H}.run.measure", f"from {H}.analysis.validity import judge"),
        (f"{H}.analysis.validity", f"from {H}.run.measure import carry_out"),
        (f"{H}.vocabulary.cell", "from ..store import RunFolder"),
        # drivers know no scenario but that of their job
        (f"{H}.drivers.native_driver", "from loopmark.scenarios.catalog import SCENARIOS"),
        (LOOKS_UP, "from loopmark.scenarios.flows import read_mostly"),
        # nothing that gives evidence knows the judge
        (f"{H}.analysis.knee", f"from {H}.analysis.validity import judge"),
        (f"{H}.analysis.rounds", f"from {H}.analysis import validity"),
        # the pure part of the harness does no I/O
        (f"{H}.planning.plan", f"from {H} import store"),
        *(
            (f"{H}.analysis.statistics", f"import {name}")
            for name in ("os", "time", "subprocess", "socket", "asyncio", "pathlib", "io", "psutil")
        ),
        (f"{H}.analysis.statistics", "def f():\n    import datetime"),
        (f"{H}.analysis.statistics", "import random"),
        (f"{H}.analysis.statistics", "from random import random"),
        (f"{H}.analysis.statistics", "from uuid import uuid4"),
        (f"{H}.analysis.statistics", "from random import Random\nRandom().random()"),
        (f"{H}.analysis.statistics", "import numpy as np\nnp.random.normal()"),
        (f"{H}.analysis.statistics", "import numpy as np\nnp.random.default_rng()"),
        (f"{H}.analysis.statistics", "from numpy import random\nrandom.normal()"),
        (f"{H}.analysis.summaries", "open('samples')"),
        (f"{H}.analysis.summaries", "import pandas as pd\npd.read_parquet('samples')"),
        (f"{H}.analysis.summaries", "frame.to_parquet('samples')"),
        (f"{H}.analysis.summaries", "print('done')"),
        # only the command line prints or exits
        (f"{H}.run.measure", "print('done')"),
        (f"{H}.run.measure", "import click\nclick.echo('done')"),
        (f"{H}.run.measure", "from click import echo\necho('done')"),
        (f"{H}.run.measure", "import click as c\nc.echo('done')"),
        (f"{H}.run.measure", "import sys\ndef f():\n    sys.exit(1)"),
        (f"{H}.run.measure", "from sys import exit as leave\nleave(1)"),
        (f"{H}.run.measure", "import os\nos._exit(1)"),
        (f"{H}.run.measure", "import sys\nsys.stderr.write('done')"),
        (f"{H}.run.measure", "raise SystemExit(1)"),
        (f"{H}.run.measure", "raise SystemExit"),
        ("loopmark.reports.terminal", "print('done')"),
        ("loopmark.targets.sync_app", "print('done')"),
        ("loopmark.scenarios.flows", "f(print('done'))"),
        (f"{H}.run.measure", f"if __name__ == '{H}.run.measure':\n    print('done')"),
        # only the Locust driver's own processes import gevent and locust
        (f"{H}.drivers.locust_drivers", "import locust"),
        (f"{H}.run.measure", f"from {H}.drivers import locust_driver"),
        (f"{H}.run.measure", f"from {H}.drivers.locust_driver.workers.worker import main"),
        (f"{H}.run.measure", "from zmq import green"),
        (f"{H}.run.measure", "import gevent"),
        (f"{H}.drivers.one", "from gevent import monkey"),
        (f"{H}.drivers.one", "import locust.env"),
        ("loopmark.targets.app", "import os, locust"),
        ("loopmark.reports.html", "try:\n    import gevent\nexcept ImportError:\n    pass"),
    ],
)
def test_what_breaks_a_rule_is_found(module: str, source: str) -> None:
    assert violations(source, module) != []


def test_violation_names_the_module_the_line_and_the_rule() -> None:
    source = f"import os\n\nfrom {H}.store import RunFolder\n"
    assert violations(source, f"{H}.planning.plan") == [
        f"{H}.planning.plan:1: the pure part must not import os",
        f"{H}.planning.plan:3: planning must not import {H}.store.RunFolder",
    ]


def test_relative_imports_in_a_package_are_its_own() -> None:
    source = "from .result import Interval\nfrom . import cell\nfrom .. import store"
    assert violations(source, f"{H}.vocabulary", is_package=True) == [
        f"{H}.vocabulary:3: vocabulary must not import {H}.store"
    ]
