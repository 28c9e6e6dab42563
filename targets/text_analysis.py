"""Counts the content of a file piece by piece: only one piece is in memory."""

import codecs
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import monotonic_ns

from loopmark.targets.file_opening import ordinary_file

PIECE_BYTES = 128 * 1024
"""How much is read at once. Files of up to 100 KB are one piece, read as a whole, as documented.
Larger ones are not: a thousand of 10 MB at once would take 10 GB, and so they take 128 MB. And
others get their turn on an event loop between two pieces."""

SLICE_CHARACTERS = 16 * 1024
"""Size of text split into words at once: words take some ten times the memory of their text."""

SERVICE_S = 0.005
"""Duration of the slow service that an analysis of kind `io` calls for every file."""


class Analysis(StrEnum):
    """The kinds of analysis of a file's text."""

    IO = "io"
    CPU = "cpu"


@dataclass(frozen=True, slots=True)
class FileCounts:
    """The counts of a file.

    Attributes:
        bytes: Its size.
        lines: Those that end with a line feed, and the last one also without.
        words: What white space separates.
        sha256: The digest of its bytes, hexadecimal.
    """

    bytes: int
    lines: int
    words: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that was processed.

    Attributes:
        name: Its name.
        counts: Its counts.
        opened_ns: When it was open (CLOCK_MONOTONIC, which all processes of a machine share).
        closed_ns: When it was closed.
    """

    name: str
    counts: FileCounts
    opened_ns: int
    closed_ns: int


class TextAnalysis:
    """Counts a text piece by piece.

    Args:
        analysis: `cpu` also counts how often each character occurs, as one would to tell the
            language: work for a processor, in proportion to the text, some four times that of the
            mere counting.
    """

    def __init__(self, analysis: Analysis = Analysis.IO) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._sha256 = hashlib.sha256()
        self._bytes = self._line_feeds = self._words = 0
        self._last = "\n"
        self._characters: Counter[str] | None = Counter() if analysis is Analysis.CPU else None

    def take(self, piece: bytes) -> None:
        """Count one more piece.

        Raises:
            UnicodeDecodeError: It is not UTF-8.
        """
        self._bytes += len(piece)
        self._sha256.update(piece)
        text = self._decoder.decode(piece)
        for begin in range(0, len(text), SLICE_CHARACTERS):
            self._count(text[begin : begin + SLICE_CHARACTERS])

    def counts(self) -> FileCounts:
        """Return the counts, after the last piece.

        Raises:
            UnicodeDecodeError: The text ends within a character.
        """
        self._decoder.decode(b"", final=True)
        if self._characters is not None:
            assert self._characters["\n"] == self._line_feeds
        lines = self._line_feeds + (self._last != "\n")
        return FileCounts(self._bytes, lines, self._words, self._sha256.hexdigest())

    def _count(self, text: str) -> None:
        self._line_feeds += text.count("\n")
        self._words += len(text.split())
        if not self._last.isspace() and not text[0].isspace():
            self._words -= 1  # One word, of which both slices have a part.
        self._last = text[-1]
        if self._characters is not None:
            self._characters.update(text)


def read_file(folder: Path, name: str, analysis: Analysis) -> ReadFile:
    """Read and count one file, in the calling thread.

    Raises:
        OSError: It cannot be read; see `ordinary_file`.
        UnicodeDecodeError: It is not UTF-8.
    """
    counting = TextAnalysis(analysis)
    with open(folder / name, "rb", buffering=0, opener=ordinary_file) as file:
        opened_ns = monotonic_ns()
        while piece := file.read(PIECE_BYTES):
            counting.take(piece)
    return ReadFile(name, counting.counts(), opened_ns, monotonic_ns())


def most_at_once(stretches: Iterable[tuple[int, int]]) -> int:
    """Return the maximum number of these intervals that overlap, not counting mere contact.

    Args:
        stretches: Beginning and end of each.
    """
    # Ends sort before beginnings of the same moment, and no stretch ends before it has begun.
    changes = sorted(
        change for begin, end in stretches for change in ((begin, 1), (max(begin + 1, end), -1))
    )
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
