"""The contract of the endpoint that asks another service, beside `contract`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ValidationError

from loopmark.targets import contract, upstream
from loopmark.targets.settings import Settings


class Delayed(BaseModel):
    """What the upstream answers: how long it has waited, in seconds."""

    waited_s: float


class Fetched(Delayed):
    """What the upstream has answered."""

    status: Literal["success"] = "success"


UPSTREAM_FAILED = contract.Problem(502, "The upstream does not answer as it should.")
UPSTREAM_ABSENT = contract.Problem(
    503, "This target has no upstream; start it with the environment variable UPSTREAM_URL."
)
UPSTREAM_BUSY = contract.Problem(503, "No connection to the upstream was free in time.")
UPSTREAM_SLOW = contract.Problem(504, "The upstream has not answered in time.")

FETCH = contract.Endpoint(
    "GET",
    "/api/v2/upstream",
    "fetch",
    "operation",
    "Ask another service",
    "Sends an HTTP request to the upstream, which answers after as long as it is asked to wait.",
    Fetched,
    problems=(UPSTREAM_FAILED, UPSTREAM_ABSENT, UPSTREAM_BUSY, UPSTREAM_SLOW),
)

ENDPOINTS = (FETCH,)

_SHARE_OF_WAIT = 0.8

MAX_BYTES = 64 * 1024
"""Size of the largest answer of the upstream that is read."""


class Body:
    """The upstream's answer, part by part."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        """Keep a part.

        Raises:
            HTTPException: There is too much.
        """
        self._parts.append(part)
        self._size += len(part)
        if self._size > MAX_BYTES:
            raise UPSTREAM_FAILED.exception(httpx.HTTPError(f"more than {MAX_BYTES} bytes"))

    @property
    def content(self) -> bytes:
        """All of it."""
        return b"".join(self._parts)


def client_options(settings: Settings) -> Mapping[str, Any]:
    """Return how every variant makes its httpx client: one for all requests, with a pool."""
    step_s = settings.upstream_timeout_s
    return {
        "base_url": settings.upstream_url,
        # Waits for a connection do not end together with reads that began at the same time: between
        # threads httpcore loses a connection that becomes free just when a wait for it ends.
        "timeout": httpx.Timeout(step_s, pool=_SHARE_OF_WAIT * step_s),
        "limits": httpx.Limits(
            max_connections=settings.upstream_connections,
            max_keepalive_connections=settings.upstream_connections,
        ),
        "trust_env": False,
        # It speaks http; reading certificates would delay the start.
        "verify": False,
    }


def request_arguments(seconds: float) -> Mapping[str, Any]:
    """Return what to call the client's `stream` with."""
    return {"method": "GET", "url": upstream.DELAY, "params": {"seconds": seconds}}


@contextmanager
def problems_told() -> Iterator[None]:
    """Turn the client's exceptions into the contract's.

    Raises:
        HTTPException: The upstream is absent, down, slow or wrong.
    """
    try:
        yield
    except httpx.UnsupportedProtocol as error:  # The URL is empty.
        raise UPSTREAM_ABSENT.exception() from error
    except httpx.PoolTimeout as error:
        raise UPSTREAM_BUSY.exception() from error
    except (httpx.TimeoutException, TimeoutError) as error:
        raise UPSTREAM_SLOW.exception(error) from error
    except httpx.HTTPError as error:
        raise UPSTREAM_FAILED.exception(error) from error


def fetched(status: int, content: bytes) -> Fetched:
    """Read what the upstream has answered.

    Raises:
        HTTPException: It is another status than 200, or another body.
    """
    if status != HTTPStatus.OK:
        cause = httpx.HTTPError(f"status {status}")
        raise UPSTREAM_FAILED.exception(cause)
    try:
        return Fetched(waited_s=Delayed.model_validate_json(content).waited_s)
    except ValidationError as error:
        raise UPSTREAM_FAILED.exception(error) from error
