"""What one virtual user does: requests that a flow yields and responses that it receives."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import UUID

from typing_extensions import TypeIs

if TYPE_CHECKING:
    from httpx import AsyncClient


class WrongAnswer(Exception):  # noqa: N818 - it names what happened to the sample, not a failure of ours
    """The response is not the answer that the flow expects."""


class Request(NamedTuple):
    """One HTTP request of a flow.

    Attributes:
        method: HTTP method, upper case.
        path: Path below the target's base URL, with the leading slash.
        step: Name under which the sample is recorded.
        expect: The status code that is the right answer.
        json: Body, encoded as JSON; None sends no body.
        params: Query parameters.
        headers: Headers beside those that every request of a user has (its token among them), or
            instead of them.
        content: Body, as it is.
        data: Body, encoded as a form.
        files: Body, encoded as multipart: by field, what httpx accepts as a file.
    """

    method: str
    path: str
    step: str
    expect: int = 200
    json: Any = None
    params: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    content: bytes | None = None
    data: Mapping[str, str] | None = None
    files: Any = None


@dataclass(frozen=True, slots=True)
class Connect:
    """Opens the connection for events, and waits for the target's greeting.

    Attributes:
        step: Name under which the sample is recorded.
    """

    step: str


@dataclass(frozen=True, slots=True)
class Listen:
    """Waits for one event; one received since the flow began counts.

    Its sample counts from when the flow's last request was sent.

    Attributes:
        event: Its name.
        step: Name under which the sample is recorded.
        where: Fields of its data, and the values that they must have.
    """

    event: str
    step: str
    where: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """An event received from a target.

    Attributes:
        name: Of the event, as documented.
        data: Its fields.
    """

    name: str
    data: Mapping[str, Any]


class Response(Protocol):
    """What a flow may read of a response; httpx's response satisfies it, and so does a fake."""

    @property
    def status_code(self) -> int:
        """The HTTP status code."""

    @property
    def content(self) -> bytes:
        """The body, decompressed.

        Raises:
            ValueError: It is not compressed as its headers say.
        """

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
        random: Seeded by run, round and number: the same plan makes the same requests.
    """

    number: int
    token: str
    random: Random

    @property
    def account_id(self) -> int:
        """The primary key of this user's account."""
        return self.number + 1

    def unique_id(self) -> str:
        """Return an identifier unique across users and rounds (a version 4 UUID)."""
        return str(UUID(int=self.random.getrandbits(128), version=4))


Flow = Callable[[VirtualUser], Generator[Request, Response, None]]
"""Free of I/O: every driver can step it."""

ClientJourney = Callable[["AsyncClient", VirtualUser], Coroutine[Any, Any, None]]
"""A coroutine function with an httpx client, for existing code. Only the httpx driver can drive it,
at httpx's cost per request."""


EventFlow = Callable[[VirtualUser], Generator[Request | Connect | Listen, Any, None]]
"""A flow that also receives events: it gets a response for each request, and an `Event` for each
`Listen`. Only the websocket driver can drive it."""


def is_client_journey(flow: Flow | ClientJourney | EventFlow) -> TypeIs[ClientJourney]:
    """Whether it is a coroutine function with a client rather than a generator of requests."""
    return iscoroutinefunction(flow)


def check(condition: object, what: str) -> None:
    """Reject the response just received unless `condition` holds.

    Raises:
        WrongAnswer: With `what` was expected.
    """
    if not condition:
        raise WrongAnswer(what)
