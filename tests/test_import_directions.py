"""Who may import whom, who may touch the world, and who may print: read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("targets", "scenarios", "harness", "reports")

# The part of the harness that turns values into values. A unit test needs nothing but arguments
# for it, and stored samples can be analysed again at any time with the same outcome.
PURE: Mapping[str, str] = {
    "harness.vocabulary": "the nouns that all parts exchange: frozen values",
    "harness.address": "from what a user names to a host and a port",
    "harness.clock_offset": "from the times of messages to the offset between two clocks",
    "harness.errors": "words for the user; whoever raises them does the I/O",
    "harness.plan": "from the text of a plan to cells; the file is read by the caller",
    "harness.pacing": "when flows are due: numbers from a load and a seeded source of chance",
    "harness.journey": "steps a flow; requests and responses are carried by the drivers",
    "harness.statistics": "functions of numbers",
    "harness.windows": "which samples count",
    "harness.latencies": "percentiles and phases of samples",
    "harness.littles_law": "users and requests counted in two ways",
    "harness.steady_state": "whether a series of bins holds its level",
    "harness.stages": "steps and ramps, and the knee in them",
    "harness.fan_out": "what became of publications, from their deliveries",
    "harness.audits": "rows against acknowledged writes",
    "harness.rounds": "from the samples of a round to what its summary needs",
    "harness.resource_use": "from readings in memory to figures",
    "harness.moments": "from readings in memory to stretches of a window",
    "harness.summaries": "from rounds to the figures of a cell",
    "harness.validity": "rules over the figures",
    "harness.worker_use": "from the reports of workers to figures",
    "harness.paired_rounds": "ratios of the figures, round by round",
    "harness.comparison": "two targets, by these ratios",
    "harness.agreement": "two drivers, likewise",
    "harness.sweeps": "the scenarios of a series, likewise",
    "harness.disturbances": "clients that do not read, likewise",
}

# Outside of the project the pure part may use these and nothing else: none of them has a clock,
# a file, a process or a socket, and the few that could do I/O are watched by `IMPURE_CALLS`.
PURE_LIBRARIES = frozenset(
    {
        "__future__",
        "collections",
        "dataclasses",
        "difflib",
        "enum",
        "fnmatch",
        "httpx.AsyncClient",  # the name of a type, for annotations only
        "inspect.iscoroutinefunction",
        "itertools",
        "json",
        "math",
        "numpy",
        "pandas",
        "pydantic",
        "pydantic_core",
        "random.Random",
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

ALLOWED_IN_PROJECT: Mapping[str, tuple[str, ...]] = {
    "targets": ("targets",),
    "scenarios": ("scenarios", "harness.vocabulary"),
    "reports": ("reports", "harness.vocabulary", "harness.store", "harness.__version__"),
}

# These are command lines: they may speak and end the process.
SPEAKING = frozenset(
    {"harness.cli", "targets.serve", "harness.drivers.locust_driver.worker"}
    | {"harness.drivers.locust_driver.__main__", "harness.drivers.locust_driver.locustfile_driver"}
)
SPEECH = frozenset(
    {"print", "exit", "quit", "click.echo", "click.secho", "sys.exit", "os._exit"}
    | {"sys.stdout.write", "sys.stderr.write"}
)

# These change the standard library of the process that imports them: only processes that run a
# module of this package may, and so nobody else imports it.
PATCHING_LIBRARIES = frozenset({"gevent", "locust", "zmq", "geventhttpclient"})
PATCHED_PACKAGE = "harness.drivers.locust_driver"


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
    if is_within(module, PURE):
        found += _impurities(tree, imported)
    return [f"{module}:{line}: {what}" for what, line in sorted(found, key=lambda one: one[1])]


def _directions(imported: list[Found], module: str) -> Iterator[tuple[str, int]]:
    package = module.partition(".")[0]
    allowed = ALLOWED_IN_PROJECT.get(package, ("harness", "scenarios", "targets", "reports"))
    for one in imported:
        if is_within(one.name, ("tests", *PACKAGES)) and not is_within(one.name, allowed):
            yield f"{package} must not import {one.name}", one.line
        if not is_within(module, (PATCHED_PACKAGE,)) and (
            is_within(one.name, PATCHING_LIBRARIES) or is_within(one.name, (PATCHED_PACKAGE,))
        ):
            yield f"only {PATCHED_PACKAGE} imports {one.name}", one.line


def _speech(tree: ast.AST, module: str) -> Iterator[tuple[str, int]]:
    if module in SPEAKING:
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
        if not is_within(one.name, PURE) and not is_within(one.name, PURE_LIBRARIES):
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
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


@pytest.mark.parametrize("module", SOURCES)
def test_module_keeps_the_rules(module: str) -> None:
    path = SOURCES[module]
    source = path.read_text(encoding="utf-8")
    assert violations(source, module, is_package=path.name == "__init__.py") == []


def test_all_packages_are_read() -> None:
    assert {module.partition(".")[0] for module in SOURCES} == set(PACKAGES)
    assert set(SOURCES) >= SPEAKING


@pytest.mark.parametrize("module", PURE)
def test_pure_module_exists(module: str) -> None:
    assert module in SOURCES


# ---- the rules themselves ----


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("targets.app", "from targets import contract"),
        ("targets.app", "import os, socket, asyncio"),
        ("targets.serve", "import sys\nsys.exit(print(1))"),
        ("scenarios.flows", "from harness.vocabulary.flow import Request"),
        ("scenarios.catalog", "from scenarios import flows"),
        ("scenarios.catalog", "from . import flows"),
        ("reports.html", "from harness.store import RunFolder\nfrom harness import __version__"),
        ("reports.html", "from harness.vocabulary import result\nimport harness.vocabulary.cell"),
        (
            "harness.run",
            "import os\nfrom scenarios.catalog import SCENARIOS\nimport targets.schema",
        ),
        ("harness.cli", "import click\nclick.echo('a')\nprint('b')"),
        ("harness.plan", "from random import Random\nRandom(3).shuffle([])"),
        ("harness.plan", "from harness import errors\nfrom harness.vocabulary.load import Load"),
        ("harness.plan", "from .errors import UserError"),
        ("harness.statistics", "def f():\n    from scipy import stats\n    return stats.t.ppf(1)"),
        ("harness.summaries", "import numpy as np\nnp.array([]).to_numpy()"),
        ("harness.drivers.one", "import sys\nif __name__ == '__main__':\n    sys.exit(print(1))"),
        ("harness.progress", "console.print('a console that the command line gave')"),
        ("harness.run", "import gevents\nimport locusts.gevent"),
        ("harness.drivers.locust_driver.one", "import gevent\nfrom locust.env import Environment"),
        ("harness.drivers.locust_driver", "import locust"),
    ],
)
def test_what_keeps_the_rules_passes(module: str, source: str) -> None:
    assert violations(source, module) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        # targets import nobody
        ("targets.app", "from harness.vocabulary.flow import Request"),
        ("targets.app", "import scenarios"),
        ("targets.app", "def f():\n    from reports import html"),
        ("targets.app", "from tests.targets.conftest import Target"),
        ("targets.app", "import importlib\nimportlib.import_module('harness.store')"),
        # scenarios: the vocabulary only
        ("scenarios.flows", "from harness.journey import Journey"),
        ("scenarios.flows", "from harness import vocabulary_of_another_kind"),
        ("scenarios.flows", "import harness"),
        ("scenarios.flows", "from targets import contract"),
        ("scenarios.flows", "from ..harness import store"),
        # reports: the vocabulary and the store
        ("reports.html", "from harness.summaries import summarise"),
        ("reports.html", "from harness import statistics"),
        ("reports.html", "from harness import *"),
        ("reports.html", "from scenarios.catalog import SCENARIOS"),
        ("reports.html", "if TYPE_CHECKING:\n    from harness.plan import Plan"),
        # the pure part of the harness does no I/O
        ("harness.plan", "from harness.store import RunFolder"),
        ("harness.plan", "from harness import store"),
        ("harness.plan", "from . import store"),
        ("harness.plan", "import harness"),
        ("harness.plan", "from scenarios.catalog import SCENARIOS"),
        ("harness.vocabulary.cell", "from harness.drivers.samples import SampleFile"),
        ("harness.vocabulary.cell", "from ..store import RunFolder"),
        *(
            ("harness.statistics", f"import {name}")
            for name in ("os", "time", "subprocess", "socket", "asyncio", "pathlib", "io", "psutil")
        ),
        ("harness.statistics", "def f():\n    import datetime"),
        ("harness.statistics", "import random"),
        ("harness.statistics", "from random import random"),
        ("harness.statistics", "from uuid import uuid4"),
        ("harness.statistics", "from random import Random\nRandom().random()"),
        ("harness.statistics", "import numpy as np\nnp.random.normal()"),
        ("harness.statistics", "import numpy as np\nnp.random.default_rng()"),
        ("harness.statistics", "from numpy import random\nrandom.normal()"),
        ("harness.summaries", "open('samples')"),
        ("harness.summaries", "import pandas as pd\npd.read_parquet('samples')"),
        ("harness.summaries", "frame.to_parquet('samples')"),
        ("harness.summaries", "print('done')"),
        # only the command line prints or exits
        ("harness.run", "print('done')"),
        ("harness.run", "import click\nclick.echo('done')"),
        ("harness.run", "from click import echo\necho('done')"),
        ("harness.run", "import click as c\nc.echo('done')"),
        ("harness.run", "import sys\ndef f():\n    sys.exit(1)"),
        ("harness.run", "from sys import exit as leave\nleave(1)"),
        ("harness.run", "import os\nos._exit(1)"),
        ("harness.run", "import sys\nsys.stderr.write('done')"),
        ("harness.run", "raise SystemExit(1)"),
        ("harness.run", "raise SystemExit"),
        ("reports.terminal", "print('done')"),
        ("targets.sync_app", "print('done')"),
        ("scenarios.flows", "f(print('done'))"),
        ("harness.run", "if __name__ == 'harness.run':\n    print('done')"),
        # only the Locust driver's own processes import gevent and locust
        ("harness.drivers.locust_drivers", "import locust"),
        ("harness.run", "from harness.drivers import locust_driver"),
        ("harness.run", "from harness.drivers.locust_driver.worker import main"),
        ("harness.drivers.one", "import harness.drivers.locust_driver.round"),
        ("harness.run", "from zmq import green"),
        ("harness.run", "import gevent"),
        ("harness.drivers.one", "from gevent import monkey"),
        ("harness.drivers.one", "import locust.env"),
        ("targets.app", "import os, locust"),
        ("reports.html", "try:\n    import gevent\nexcept ImportError:\n    pass"),
    ],
)
def test_what_breaks_a_rule_is_found(module: str, source: str) -> None:
    assert violations(source, module) != []


def test_violation_names_the_module_the_line_and_the_rule() -> None:
    source = "import os\n\nfrom harness.store import RunFolder\n"
    assert violations(source, "harness.plan") == [
        "harness.plan:1: the pure part must not import os",
        "harness.plan:3: the pure part must not import harness.store.RunFolder",
    ]


def test_relative_imports_in_a_package_are_its_own() -> None:
    source = "from .result import Interval\nfrom . import cell\nfrom .. import store"
    assert violations(source, "harness.vocabulary", is_package=True) == [
        "harness.vocabulary:3: the pure part must not import harness.store"
    ]
