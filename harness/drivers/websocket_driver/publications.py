"""Publications, and which of them each client has received. Only numbers: no clock, no I/O.

A thousand clients at forty publications a second make four hundred thousand deliveries in ten
seconds: hence arrays, and one byte for each pair of a client and a publication.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from loopmark.harness.vocabulary.sample import ErrorKind

_GROWTH = 1024


class Publications:
    """All publications of a round, numbered in the order in which they were started.

    Attributes:
        due_ns: By number: when it should have been sent.
        sent_ns: When it was sent; 0 before.
        acknowledged_ns: When the target had acknowledged it; 0 if it has not.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.due_ns = array("q")
        self.sent_ns = array("q")
        self.acknowledged_ns = array("q")

    def begin(self, key: str) -> int:
        """Add one with this key; returns its number."""
        number = len(self.due_ns)
        self._numbers[key] = number
        for moments in (self.due_ns, self.sent_ns, self.acknowledged_ns):
            moments.append(0)
        return number

    def number_of(self, key: object) -> int | None:
        """The number of the publication with this key; None if it is none of ours."""
        return self._numbers.get(key) if isinstance(key, str) else None

    def in_window(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """Number of publications due in the window that were sent: acknowledged, and failed."""
        acknowledged = failed = 0
        for due_ns, sent_ns, at_ns in zip(
            self.due_ns, self.sent_ns, self.acknowledged_ns, strict=True
        ):
            if sent_ns and start_ns <= due_ns < end_ns:
                acknowledged += at_ns > 0
                failed += at_ns == 0
        return acknowledged, failed


class Hearer:
    """The publications that one client has received.

    Two publications have an order when the first was acknowledged before the second was sent: then
    the target had emitted the first one before. Others overlap; threads of a target may emit them
    in either order, which is not an error.

    Args:
        publications: The publications of the round.
    """

    __slots__ = ("_latest_sent_ns", "_publications", "_received")

    def __init__(self, publications: Publications) -> None:
        self._publications = publications
        self._received = bytearray()
        self._latest_sent_ns = 0

    def hear(self, number: int) -> str:
        """Note that a publication was received; returns an `ErrorKind`, or empty if correct."""
        heard, publications = self._received, self._publications
        if number >= len(heard):
            heard.extend(bytes(number + _GROWTH - len(heard)))
        if heard[number]:
            return ErrorKind.DUPLICATE
        heard[number] = 1
        sent_ns = publications.sent_ns[number]
        if sent_ns >= self._latest_sent_ns:
            self._latest_sent_ns = sent_ns
            return ""
        acknowledged_ns = publications.acknowledged_ns[number]
        if 0 < acknowledged_ns < self._latest_sent_ns:
            return ErrorKind.OUT_OF_ORDER
        return ""

    def missed(self) -> Iterator[int]:
        """The numbers of acknowledged publications that it has not received."""
        heard, acknowledged_ns = self._received, self._publications.acknowledged_ns
        heard.extend(bytes(max(0, len(acknowledged_ns) - len(heard))))
        number = heard.find(0, 0, len(acknowledged_ns))
        while number >= 0:
            if acknowledged_ns[number]:
                yield number
            number = heard.find(0, number + 1, len(acknowledged_ns))

    def count_in(self, start_ns: int, end_ns: int) -> int:
        """Number of received publications that were due in this time."""
        due_ns = self._publications.due_ns
        pairs = zip(due_ns, self._received, strict=False)
        return sum(heard for at_ns, heard in pairs if start_ns <= at_ns < end_ns)
