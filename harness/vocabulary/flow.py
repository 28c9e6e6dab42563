"""What one virtual user does: requests that a flow yields and responses that it receives."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol
from uuid import UUID


class WrongAnswer(Exception):  # noqa: N818 - it names what happened to the sample, not a failure of ours
    """The response came, but is not the answer that the flow must get."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request of a flow.

    Attributes:
        method: HTTP method, upper case.
        path: Path below the target's base URL, with the leading slash.
        step: Name under which the sample is recorded.
        expect: The status code that is the right answer.
        json: Body, encoded as JSON; None sends no body.
        params: Query parameters.
    """

    method: str
    path: str
    step: str
    expect: int = 200
    json: Any = None
    params: Mapping[str, str] | None = None


class Response(Protocol):
    """What a flow may look at: httpx's response satisfies it, and so does a fake."""

    @property
    def status_code(self) -> int:
        """The HTTP status code."""

    def json(self) -> Any:  # noqa: ANN401 - JSON is what the target made it
        """The body, parsed as JSON.

        Raises:
            ValueError: The body is not JSON.
        """


@dataclass(frozen=True, slots=True)
class VirtualUser:
    """One simulated client.

    Attributes:
        number: 0-based and unique within a round; user `number` owns the account `number + 1`.
        token: The bearer token of that account.
        random: Seeded by run, round and number: the same plan asks the same questions.
    """

    number: int
    token: str
    random: Random

    @property
    def account_id(self) -> int:
        """The primary key of this user's account."""
        return self.number + 1

    def unique_id(self) -> str:
        """Return an identifier that no other user or round makes (a version 4 UUID)."""
        return str(UUID(int=self.random.getrandbits(128), version=4))


Flow = Callable[[VirtualUser], Generator[Request, Response, None]]


def check(condition: object, what: str) -> None:
    """Reject the response just received unless `condition` holds.

    Raises:
        WrongAnswer: With `what` was expected.
    """
    if not condition:
        raise WrongAnswer(what)
