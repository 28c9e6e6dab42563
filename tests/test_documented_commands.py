"""Every command that a document shows works: it is parsed, planned, and run where it is short."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from loopmark.harness.cli import COMMANDS, main
from tests.test_documents import DOCUMENTS, ROOT

TARGETS = frozenset(re.findall(r"(?m)^([a-z-]+):.*## ", (ROOT / "Makefile").read_text()))
SHORT = ("list", "doctor")
"""Commands that take less than ten seconds and need nothing but themselves."""

PLAN = """\
name = "mine"
title = "Mine?"

[[measure]]
scenarios = ["wait-timer"]
targets = ["async"]
rounds = 1
loads = [{ model = "burst", n = 10 }]
"""
LOCUSTFILE = """\
from locust import HttpUser, events, task

@events.init_command_line_parser.add_listener
def _(parser):
    parser.add_argument("--my-argument")

class Asker(HttpUser):
    host = "http://127.0.0.1:8000"

    @task
    def ask(self):
        self.client.get("/")
"""
FILES = {"plan.toml": PLAN, "locustfile.py": LOCUSTFILE, "examples/locustfile.py": LOCUSTFILE}
STANDS_FOR = {
    "[PLAN]": "plan.toml",
    "FILE": "locustfile.py",
    "URL": "http://127.0.0.1:8000",
    "HOST": "127.0.0.1",
    "192.0.2.10": "127.0.0.1",
    "10.77.0.1": "127.0.0.1",
    "PATTERN": "timer",
    "VARIANT": "async",
    "[RUN]": "latest",
    "[TARGET...]": "async",
    "[--cells]": "--cells",
    "N": "2",
}
"""What a reader puts there."""

_SHOWN = re.compile(r"(?:^|[\s;(])((?:loopmark|make) [a-z].*)")
_END = frozenset({"&", ";", "|", "&&"})


def blocks(text: str) -> Iterator[str]:
    """The lines of fenced and of indented code."""
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command that a document shows, in code or within a sentence."""
    joined = text.replace("\\\n", " ")
    prose = re.sub(r"(?ms)^```.*?^```", "", joined)
    inline = (" ".join(one.split()) for one in re.findall(r"`([^`]+)`", prose))
    for line in (*blocks(joined), *inline):
        if found := _SHOWN.search(line):
            words = shlex.split(found[1].replace(";", " ; "), comments=True)
            ends = (n for n, word in enumerate(words) if word in _END)
            yield words[: next(ends, len(words))]


SHOWN = sorted(
    {
        (document.name, " ".join(words))
        for document in DOCUMENTS
        if document.name != "CHANGELOG.md"
        for words in commands(document.read_text(encoding="utf-8"))
    }
)
OF_MAKE = [one for one in SHOWN if one[1].startswith("make ")]
OF_LOOPMARK = [one for one in SHOWN if one[1].startswith("loopmark ")]


@pytest.mark.parametrize(("document", "command"), OF_MAKE)
def test_make_has_the_target(document: str, command: str) -> None:
    assert document
    target = command.split()[1]
    assert target in TARGETS


@pytest.mark.parametrize(("document", "command"), OF_LOOPMARK)
def test_a_command_is_parsed_planned_or_run(
    document: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert document
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    _, name, *rest = shlex.split(command)
    arguments = [STANDS_FOR.get(word, word) for word in rest]
    assert name in COMMANDS
    if not arguments and name not in SHORT:
        return  # It is spoken of.
    if name == "run" or name in SHORT:
        # Options that follow -- are the locustfile's.
        dry = ["--dry-run"] if name == "run" else []
        done = CliRunner().invoke(main, [name, *dry, *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return
    found = main.get_command(click.Context(main), name)
    assert found is not None
    with found.make_context(name, arguments):
        pass


def test_commands_are_found_where_documents_show_them() -> None:
    text = (
        "Run `loopmark list` or\n`loopmark run --profile\nsmoke`.\n\n    make test  # all\n\n"
        "```\nip netns exec a loopmark run x.toml \\\n  --only y &\n```\n"
    )
    assert list(commands(text)) == [
        ["make", "test"],
        ["loopmark", "run", "x.toml", "--only", "y"],
        ["loopmark", "list"],
        ["loopmark", "run", "--profile", "smoke"],
    ]
    assert len(OF_LOOPMARK) > 20
    assert len(OF_MAKE) > 10
