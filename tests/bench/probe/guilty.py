"""Which lines of the corpus block, read from the marks in its source. Pure.

A line that blocks ends in `# guilty: KIND`. It belongs to the route whose function it is in; in any
other place the mark names the route: `# guilty of ROUTE: KIND`.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.probe.kinds import KINDS

MARK = re.compile(r"#\s*guilty(?: of (?P<entry>[\w-]+))?: (?P<kind>[\w-]+)")


@dataclass(frozen=True, slots=True)
class GuiltyLine:
    """A line that blocks the event loop when its route is asked.

    Attributes:
        entry: The route, without its slash.
        file: Name of the file, without its folder.
        line: Number of the line, from 1.
        kind: How it blocks: one of `KINDS`.
    """

    entry: str
    file: str
    line: int
    kind: str


def guilty_lines(source: str, file: str) -> tuple[GuiltyLine, ...]:
    """The marked lines of a source.

    Raises:
        ValueError: A mark names no kind, or is in no route and names none.
    """
    routes = list(_routes(ast.parse(source)))
    marked = []
    for line, mark in _marks(source):
        entry = mark["entry"] or next((r.entry for r in routes if r.first <= line <= r.last), None)
        if entry is None:
            raise ValueError(f"{file}:{line}: the mark is in no route and names none")
        if mark["kind"] not in KINDS:
            raise ValueError(f"{file}:{line}: {mark['kind']!r} is no kind")
        marked.append(GuiltyLine(entry, file, line, mark["kind"]))
    return tuple(marked)


def guilty_lines_of(files: Iterable[Path]) -> tuple[GuiltyLine, ...]:
    """The marked lines of several files."""
    return tuple(
        line for file in files for line in guilty_lines(file.read_text("utf-8"), file.name)
    )


def routes_of(source: str) -> tuple[str, ...]:
    """The routes that a source defines, in their order, without their slashes."""
    return tuple(route.entry for route in _routes(ast.parse(source)))


@dataclass(frozen=True, slots=True)
class _Route:
    entry: str
    first: int
    last: int


def _routes(tree: ast.AST) -> Iterator[_Route]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            match decorator:
                case ast.Call(
                    func=ast.Attribute(attr="get"), args=[ast.Constant(value=str(path)), *_]
                ):
                    yield _Route(path.removeprefix("/"), node.lineno, node.end_lineno or 0)


def _marks(source: str) -> Iterator[tuple[int, re.Match[str]]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and (mark := MARK.match(token.string)):
            yield token.start[0], mark
