"""Requests that failed alike: by kind, and where it tells more by status."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from loopmark.harness.vocabulary.sample import ErrorKind

MOST_EXAMPLES = 3
_TOLD_APART = frozenset({ErrorKind.SERVER_ERROR, ErrorKind.WRONG_STATUS})
"""Kinds of which the status says more."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Requests that failed alike.

    Attributes:
        kind: An `ErrorKind`.
        status: The HTTP status code of their responses; 0 where it says no more than the kind.
        many: How many.
        examples: The first few messages.
    """

    kind: str
    status: int
    many: int
    examples: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The kind, with the status where it says more: `server-error 503`."""
        return f"{self.kind} {self.status}" if self.status else self.kind


def failures(
    counted: Mapping[tuple[str, int], int], examples: Mapping[str, Sequence[str]]
) -> tuple[Failure, ...]:
    """Put failures that are alike together, the most frequent first.

    Args:
        counted: By kind and status, how many.
        examples: By kind, messages; one that is of a single status names it.
    """
    alike = dict[tuple[str, int], int]()
    for (kind, status), many in counted.items():
        key = kind, status if kind in _TOLD_APART else 0
        alike[key] = alike.get(key, 0) + many
    return tuple(
        Failure(kind, status, many, tuple(_of_status(examples.get(kind, ()), status)))
        for (kind, status), many in sorted(alike.items(), key=lambda one: -one[1])
    )


def joined(every: Iterable[Sequence[Failure]]) -> tuple[Failure, ...]:
    """Add up the failures of several rounds."""
    counted = dict[tuple[str, int], int]()
    examples = dict[tuple[str, int], dict[str, None]]()
    for failure in (one for of_round in every for one in of_round):
        key = failure.kind, failure.status
        counted[key] = counted.get(key, 0) + failure.many
        examples.setdefault(key, {}).update(dict.fromkeys(failure.examples))
    return tuple(
        Failure(*key, many, tuple(examples[key])[:MOST_EXAMPLES])
        for key, many in sorted(counted.items(), key=lambda one: -one[1])
    )


def _of_status(messages: Sequence[str], status: int) -> list[str]:
    """Those that may be of this status: `GET /x answered 503, expected 200`."""
    told = [re.search(r"\banswered (\d{3})\b", message) for message in messages]
    pairs = zip(messages, told, strict=True)
    fitting = [text for text, code in pairs if not status or not code or int(code[1]) == status]
    return fitting[:MOST_EXAMPLES]
