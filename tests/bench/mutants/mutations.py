"""Small mistakes that one could have made in a module: each is one edit of its text.

Where a rule can tell that no test could ever notice, there is no mutant: annotations, decorators,
docstrings and other texts, assertions, imports, and keywords that only ask for speed or a
representation (`SILENT_KEYWORDS`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

SILENT_KEYWORDS = frozenset({"copy", "dtype", "observed", "sort", "strict"})
TOLERANCE = 1e-6
"""Smaller numbers allow for rounding: a tenth more would change nothing, none at all does."""

_COMPARED: dict[type[ast.cmpop], tuple[str, tuple[str, ...]]] = {
    ast.Lt: ("<", ("<=", ">=")),
    ast.LtE: ("<=", ("<", ">")),
    ast.Gt: (">", (">=", "<=")),
    ast.GtE: (">=", (">", "<")),
    ast.Eq: ("==", ("!=",)),
    ast.NotEq: ("!=", ("==",)),
    ast.Is: ("is", ("is not",)),
    ast.IsNot: ("is not", ("is",)),
    ast.In: ("in", ("not in",)),
    ast.NotIn: ("not in", ("in",)),
}
_CALCULATED: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
_PAIRS = (
    ("min", "max"),
    ("any", "all"),
    ("minimum", "maximum"),
    ("ceil", "floor"),
    ("median", "mean"),
    ("left", "right"),
)
_SWAPPED = dict(_PAIRS) | {right: left for left, right in _PAIRS}
_UNTOUCHED = (ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr)
_UNTOUCHED_FIELDS = frozenset({"annotation", "returns", "decorator_list"})

Lines: TypeAlias = tuple[int, int]
Edit: TypeAlias = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One edit.

    Attributes:
        module: The module's full name.
        line: Where the edit begins, from 1.
        start: The first byte that is replaced.
        end: The first one after it that is kept.
        replacement: What is put there.
        reached: The first and the last line of which a test must run one to notice it; None for
            what runs when the module is imported.
    """

    module: str
    line: int
    start: int
    end: int
    replacement: str
    reached: Lines | None

    def applied_to(self, source: str) -> str:
        """The module's text with the mistake."""
        whole = source.encode()
        return (whole[: self.start] + self.replacement.encode() + whole[self.end :]).decode()

    def diff(self, source: str) -> tuple[str, str]:
        """The lines that it changes, before and after, each without the space around it."""
        whole = source.encode()
        begin = whole.rfind(b"\n", 0, self.start) + 1
        until = whole.find(b"\n", self.end)
        before = whole[begin : until if until >= 0 else len(whole)]
        after = before[: self.start - begin] + self.replacement.encode()
        after += before[self.end - begin :]
        return " ".join(before.decode().split()), " ".join(after.decode().split())


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its text."""
    found = _Module(source)
    edits = dict.fromkeys(found.edits(ast.parse(source), None))
    return sorted(
        (
            Mutant(module, found.line_at(start), start, end, replacement, reached)
            for (start, end, replacement), reached in edits
        ),
        key=lambda mutant: (mutant.start, mutant.end, mutant.replacement),
    )


class _Module:
    def __init__(self, source: str) -> None:
        self._bytes = source.encode()
        lengths = (len(line) for line in self._bytes.splitlines(keepends=True))
        self._lines = list(accumulate(lengths, initial=0))

    def line_at(self, byte: int) -> int:
        return sum(start <= byte for start in self._lines)

    def edits(self, node: ast.AST, reached: Lines | None) -> Iterator[tuple[Edit, Lines | None]]:
        """Those of a node and of all below it, with the lines by which they can be noticed."""
        if isinstance(node, _UNTOUCHED) or _is_type_alias(node) or _is_silent(node):
            return
        if isinstance(node, ast.stmt) and reached is not None:
            reached = _own_lines(node)
        for edit in self._of(node):
            yield edit, reached
        for name, value in ast.iter_fields(node):
            if name in _UNTOUCHED_FIELDS:
                continue
            # The defaults of a function belong to it, although they are evaluated before.
            below = _body_lines(node) if isinstance(node, ast.FunctionDef) else reached
            for child in value if isinstance(value, list) else [value]:
                # The order in an index is a matter of types, as in `Annotated[float, ...]`.
                is_index = isinstance(node, ast.Subscript) and isinstance(child, ast.Tuple)
                for one in child.elts if is_index else [child]:
                    if isinstance(one, ast.AST):
                        yield from self.edits(one, below)

    def _of(self, node: ast.AST) -> Iterator[Edit]:  # noqa: C901, PLR0912 - a case each
        match node:
            case ast.Compare():
                yield from self._compared(node)
            case ast.BinOp(op=op) if type(op) in _CALCULATED:
                sign, other = _CALCULATED[type(op)]
                yield self._between(node.left, node.right, sign, other)
            case ast.BoolOp():
                yield from self._combined(node)
            case ast.UnaryOp():
                yield (*self._span(node), self._text(node.operand))
            case ast.Constant(value=bool() | int() | float()):
                yield from self._moved(node)
            case ast.Constant(value="left" | "right"):
                yield (*self._span(node), repr(_SWAPPED[str(node.value)]))
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in _SWAPPED:
                _, end = self._span(node)
                yield end - len(name), end, _SWAPPED[name]
            case ast.If() | ast.While() | ast.IfExp():
                yield from self._negated(node.test)
            case ast.comprehension():
                for test in node.ifs:
                    yield from self._negated(test)
                    yield (*self._span(test), "True")
            case ast.Tuple(elts=[first, second], ctx=ast.Load()) if not _are_alike(first, second):
                start, end = self._span(first)[0], self._span(second)[1]
                gap = self._bytes[self._span(first)[1] : self._span(second)[0]].decode()
                yield start, end, self._text(second) + gap + self._text(first)
            case ast.Call():
                yield from self._without_keywords(node)
            case ast.Return(value=ast.expr() as value) if not isinstance(value, ast.Constant):
                yield (*self._span(value), "None")
            case ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom()):
                yield (*self._span(node), "pass")
            case ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Break():
                yield (*self._span(node), "pass")
            case ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
                yield (*self._span(node), "pass")

    def _compared(self, node: ast.Compare) -> Iterator[Edit]:
        operands = [node.left, *node.comparators]
        for left, op, right in zip(operands, node.ops, node.comparators, strict=False):
            sign, others = _COMPARED[type(op)]
            for other in others:
                yield self._between(left, right, sign, other)

    def _combined(self, node: ast.BoolOp) -> Iterator[Edit]:
        """The other operator, and each condition left out."""
        sign, other = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield self._between(left, right, sign, other)
        for value in node.values:
            if not isinstance(value, ast.Constant):
                yield (*self._span(value), "True" if sign == "and" else "False")

    def _moved(self, node: ast.Constant) -> Iterator[Edit]:
        match node.value:
            case bool() as value:
                moved: float = not value
            case int() as value:
                moved = value + 1
            case float() as value if 0 < abs(value) < TOLERANCE:
                moved = 0.0
            case value:
                moved = float(f"{float(str(value)) * 1.1:.6g}") if value else 1.0
        yield (*self._span(node), repr(moved))

    def _negated(self, test: ast.expr) -> Iterator[Edit]:
        if not isinstance(test, ast.Compare | ast.UnaryOp):  # Those have mutants of their own.
            yield (*self._span(test), f"not ({self._text(test)})")

    def _without_keywords(self, node: ast.Call) -> Iterator[Edit]:
        """Each keyword left out; values need most of theirs, and would say so at once."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else self._text(node.func)
        if name[0].isupper():
            return
        arguments: list[ast.expr | ast.keyword] = [*node.args, *node.keywords]
        arguments.sort(key=self._span)
        for number, argument in enumerate(arguments):
            if not isinstance(argument, ast.keyword) or not argument.arg or _is_silent(argument):
                continue
            start, end = self._span(argument)
            if number:
                start = self._bytes.rindex(b",", self._span(arguments[number - 1])[1], start)
            elif len(arguments) > 1:
                end = self._span(arguments[1])[0]
            yield start, end, ""

    def _between(self, left: ast.expr, right: ast.expr, sign: str, other: str) -> Edit:
        start, end = self._span(left)[1], self._span(right)[0]
        return start, end, self._bytes[start:end].decode().replace(sign, other, 1)

    def _span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._lines[node.lineno - 1] + node.col_offset
        return start, self._lines[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self._bytes[start:end].decode()


def _own_lines(node: ast.stmt) -> Lines:
    """The lines of a statement, without those of the statements in it."""
    body = getattr(node, "body", None)
    last = node.end_lineno or node.lineno
    return node.lineno, max(node.lineno, body[0].lineno - 1) if body else last


def _body_lines(node: ast.FunctionDef) -> Lines:
    return node.body[0].lineno, node.end_lineno or node.lineno


def _are_alike(first: ast.expr, second: ast.expr) -> bool:
    return ast.dump(first) == ast.dump(second)


def _is_silent(node: ast.AST) -> bool:
    return isinstance(node, ast.keyword) and node.arg in SILENT_KEYWORDS


def _is_type_alias(node: ast.AST) -> bool:
    return isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias"
