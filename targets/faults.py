"""The mistakes that variants declare: those that the documentation warns of."""

from dataclasses import dataclass
from enum import StrEnum


class Symptom(StrEnum):
    """How a mistake shows."""

    BLOCKS_LOOP = "blocks-loop"
    WRONG_ANSWERS = "wrong-answers"
    LOSES_WRITES = "loses-writes"
    HALF_APPLIES = "half-applies"


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake that a variant makes on purpose.

    Attributes:
        symptom: How it shows.
        mistake: What is wrong in the code, as a sentence without its full stop.
        cure: What to write instead, as a sentence without its full stop.
        shows_in: Operation ids of the endpoints that ask something else of the database than the
            contract's own, or answer otherwise.
    """

    symptom: Symptom
    mistake: str
    cure: str
    shows_in: frozenset[str] = frozenset()

    @property
    def blocks_loop(self) -> bool:
        """Whether requests are served one after another, so that none may wait for another."""
        return self.symptom is Symptom.BLOCKS_LOOP

    @property
    def leaves_sessions(self) -> bool:
        """Whether requests that are refused leave sessions open, with their connections."""
        return self.symptom in {Symptom.LOSES_WRITES, Symptom.HALF_APPLIES}

    @property
    def answers_right(self) -> bool:
        """Whether a request to which nothing happens gets the right answer, and takes effect."""
        return self.symptom in {Symptom.BLOCKS_LOOP, Symptom.HALF_APPLIES}


BLOCKING_DB = Fault(
    Symptom.BLOCKS_LOOP,
    "A sync database session is called in async def handlers",
    "Await an AsyncSession, or write def handlers, which run on threads",
)
BLOCKING_IO = Fault(
    Symptom.BLOCKS_LOOP,
    "Files are read and services waited for by blocking calls in an async def handler",
    "Await aiofiles or anyio and asyncio.sleep, or hand what blocks to asyncio.to_thread",
)
MISSING_AWAIT = Fault(
    Symptom.WRONG_ANSWERS,
    "The await before a query is forgotten",
    "Await it, and let tests fail on warnings of coroutines that were never awaited",
    frozenset({"get_user"}),
)
MANUAL_COMMIT = Fault(
    Symptom.HALF_APPLIES,
    "Changes that belong together are committed by hand, each by itself",
    "Make them in one async with session.begin(): all are committed, or none",
    frozenset({"open_account"}),
)
FORGOTTEN_COMMIT = Fault(
    Symptom.LOSES_WRITES,
    "Changes are made without a context manager, and the commit is forgotten",
    "Make them in async with session.begin(), which commits at its end",
    frozenset({"create_user", "open_account"}),
)
