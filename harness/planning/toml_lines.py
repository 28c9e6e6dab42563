"""The line of each table, key and element in a TOML text."""

from __future__ import annotations

import re
import tomllib
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

Place: TypeAlias = tuple[str | int, ...]
"""The keys and indices that lead to a value, as `("measure", 0, "rounds")`."""

_TOKEN = re.compile(
    r"""
    (?P<string> \"{3} (?:\\.|[^\\])*? \"{3,5} | '{3} .*? '{3,5}
              | \" (?:\\.|[^\\"\n])* \" | ' [^'\n]* ' )
    | (?P<sign> [\[\]{}=,.] )
    | (?P<bare> [^\s\[\]{}=,.\#"']+ )
    | \#[^\n]*
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int


def line_numbers(text: str) -> dict[Place, int]:
    """The line, from 1, of each table, key and element.

    Args:
        text: Valid TOML; anything else gives meaningless numbers.
    """
    reader = _Reader(text)
    reader.read()
    return reader.lines


class _Reader:
    def __init__(self, text: str) -> None:
        self.lines: dict[Place, int] = {(): 1}
        self._tokens: deque[_Token] = deque()
        line = end = 0
        for match in _TOKEN.finditer(text):
            line += text.count("\n", end, match.start())
            end = match.start()
            if match.lastgroup is not None:
                self._tokens.append(_Token(match[0], line + 1))

    def read(self) -> None:
        table: Place = ()
        last: dict[Place, int] = {}  # By array of tables: the index of the newest one.
        while self._tokens:
            line = self._tokens[0].line
            brackets = self._skip("[")
            if not brackets:
                self._pair(table)
                continue
            key = self._key()
            self._skip("]")
            table = ()
            for depth, part in enumerate(key, 1):
                table += (part,)
                self.lines.setdefault(table, line)
                if depth == len(key) and brackets > 1:
                    last[table] = last.get(table, -1) + 1
                if table in last:
                    table += (last[table],)
            self.lines[table] = line

    def _pair(self, table: Place) -> None:
        line = self._tokens[0].line
        for part in self._key():
            table += (part,)
            self.lines.setdefault(table, line)
        self._tokens.popleft()  # The equals sign.
        self._value(table)

    def _value(self, place: Place) -> None:
        first = self._tokens.popleft()
        if first.text == "[":
            index = 0
            while self._tokens[0].text != "]":
                self.lines[*place, index] = self._tokens[0].line
                self._value((*place, index))
                self._skip(",")
                index += 1
            self._tokens.popleft()
        elif first.text == "{":
            while self._tokens[0].text != "}":
                self._pair(place)
                self._skip(",")
            self._tokens.popleft()
        elif first.text[0] not in "\"'":
            # A number with a point, or a date with a time, is several tokens on one line.
            while self._tokens and self._tokens[0].line == first.line:
                if self._tokens[0].text in {",", "]", "}"}:
                    return
                self._tokens.popleft()

    def _key(self) -> list[str]:
        parts = [_name(self._tokens.popleft().text)]
        while self._skip("."):
            parts.append(_name(self._tokens.popleft().text))
        return parts

    def _skip(self, sign: str) -> int:
        """Skip all repetitions of a sign; return their number."""
        count = 0
        while self._tokens and self._tokens[0].text == sign:
            self._tokens.popleft()
            count += 1
        return count


def _name(token: str) -> str:
    return next(iter(tomllib.loads(f"{token}=0")))
