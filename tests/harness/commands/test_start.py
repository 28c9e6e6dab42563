"""What a start of the command line imports: heavy modules only where they are needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click

from loopmark.harness.cli import COMMANDS, main

SLOW = {
    *("asyncio", "asyncpg", "fastapi", "gevent", "httptools", "httpx", "jinja2", "locust"),
    *("matplotlib", "numpy", "pandas", "psycopg", "pyarrow", "scipy", "sqlalchemy", "uvloop"),
}
"""Never needed to find out that an argument or a file is wrong."""
NOT_FOR_OPTIONS = SLOW | {"pydantic", "rich", "loopmark.harness.planning"}
BAD_OPTIONS = {
    "--help": "Measure what async buys",
    "--version": "loopmark, version",
    "runn": "did you mean 'run'?",
    "run --help": "Measure a PLAN",
    "run --users 0": "0 is not in the range",
    "run --profile nonsense": "unknown profile",
    "run missing.toml": "cannot read the plan",
    "report nowhere": "no run at",
    "report --format nonsense": "unknown format",
    "list --profile nonsense": "unknown profile",
    "verify nonsense": "unknown target",
    "serve nonsense": "unknown target",
    "probe --help": "Say which lines block",
    "probe shop": "package.module:app is needed",
    "probe a:b --format nonsense": "unknown format",
    "probe a:b --users 0": "0 is not in the range",
    "worker": "Missing option '--master'",
    "doctor --nonsense": "No such option",
}
BAD_FILES = {
    "run --driver nonsense": "unknown driver",
    "run --only nonsense": "--only: no cell",
    "run bad.toml": "bad.toml:1: a plan needs",
    "run --locustfile no.py": "cannot read the locustfile",
    "report .": "run folder",
    "probe a --targets no.toml": "cannot read the plan",
}
START = """
import json, sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from loopmark.harness.cli import main

for line in json.loads(sys.argv[1]):
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            main(line.split())
        except SystemExit:
            pass
    print(json.dumps([line, said.getvalue(), list(sys.modules)]))
"""


def test_slow_modules_are_not_imported_to_report_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('title = "x"\n')
    lines = json.dumps([*BAD_OPTIONS, *BAD_FILES])
    done = subprocess.run(
        [sys.executable, "-c", START, lines], cwd=tmp_path, capture_output=True, check=True
    )
    for line, said, modules in map(json.loads, done.stdout.splitlines()):
        assert (BAD_OPTIONS | BAD_FILES)[line] in said
        assert (NOT_FOR_OPTIONS if line in BAD_OPTIONS else SLOW).isdisjoint(modules), line


def test_each_line_of_help_is_that_of_its_command() -> None:
    context = click.Context(main)
    for name, (_, line) in COMMANDS.items():
        command = main.get_command(context, name)
        assert command is not None
        assert (command.name, command.get_short_help_str(100)) == (name, line)
