"""What one tool said while one route was asked: the values that runners give and scores take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """A place in a stack."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch in which the loop was made to stand; CLOCK_MONOTONIC, nanoseconds."""

    began_ns: int
    ended_ns: int


@dataclass(frozen=True, slots=True)
class Accusation:
    """A tool says that the loop stood.

    Attributes:
        began_ns: From when, as far as the tool knows; CLOCK_MONOTONIC.
        ended_ns: Until when, or when it said so.
        kinds: The kinds that its word for it covers; empty for a tool that says none.
        file: The file that it names; empty if it names none.
        line: The line that it names; 0 if it names none.
        function: The function around it.
    """

    began_ns: int
    ended_ns: int
    kinds: tuple[str, ...]
    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A route, asked several times by a runner.

    Attributes:
        tool: Its name.
        loop: The event loop: asyncio or uvloop.
        entry: The entry of the corpus.
        began_ns: When it was first asked; accusations of earlier times are left out.
        blocks: One for each request.
        accusations: In the order of their times.
    """

    tool: str
    loop: str
    entry: str
    began_ns: int
    blocks: Sequence[Block]
    accusations: Sequence[Accusation]


def accusation_of(
    frames: Sequence[Frame],
    folder: str,
    began_ns: int,
    ended_ns: int,
    kinds: tuple[str, ...] = (),
) -> Accusation:
    """The accusation that a stack makes: of the application's own innermost line.

    That is what an engineer looks for in a stack, whichever tool printed it.

    Args:
        frames: Innermost first; none for a tool that named no line.
        folder: Of the application. Without a line in it, the innermost line is the accused.
        began_ns: See `Accusation`.
        ended_ns: See `Accusation`.
        kinds: See `Accusation`.
    """
    nowhere = Frame("", 0, "")
    innermost = frames[0] if frames else nowhere
    accused = next((frame for frame in frames if frame.file.startswith(folder)), innermost)
    return Accusation(began_ns, ended_ns, kinds, accused.file, accused.line, accused.function)
