"""The contract of the endpoints that emit events or count them, beside `contract`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from loopmark.targets import contract

MAX_DATA = 10_000
ANY_TEXT = r"(?s)^.*$"
"""Any, but text: JSON can hold halves of characters, and only a pattern refuses them."""

MAX_STEPS = 100
MAX_STEP_S = 5.0

Identify = Callable[[str], Awaitable[int]]
"""How a variant finds the id of the active user behind the token of a client that wants to hear
events. It raises the exception with which HTTP refuses."""


class Job(BaseModel):
    """Data to process, and how: in so many pieces of work that take so many seconds each."""

    model_config = ConfigDict(extra="forbid")

    data: Annotated[str, Field(max_length=MAX_DATA, pattern=ANY_TEXT)]
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS)] = 1
    step_s: Annotated[float, Field(ge=0, le=MAX_STEP_S, allow_inf_nan=False)] = 0.05


class JobResult(BaseModel):
    """What there is to say about the data."""

    characters: int
    words: int
    sha256: str


class Processed(BaseModel):
    """The operation is over; its events carry the same id and the same result."""

    status: Literal["success"] = "success"
    operation_id: UUID
    result: JobResult


class EmitterCounts(BaseModel):
    """The clients connected now, and what was emitted since the start, over all protocols.

    What was queued is delivered, dropped, waiting, or gone with its client.
    """

    clients: int
    emitted: int
    queued: int
    delivered: int
    dropped: int


PROCESS = contract.Endpoint(
    "POST",
    "/api/v2/process",
    "process",
    "process",
    "Process data",
    "Does the work in steps and emits to the caller, in this order: `progress_update` 0, one more "
    "between two steps, `progress_update` 100, `log_entry` and `operation_complete`. Then it "
    "answers.",
    Processed,
    problems=(contract.UNAUTHENTICATED, contract.INACTIVE),
)
EMITTER = contract.Endpoint(
    "GET",
    "/api/v2/emitter",
    "emitter",
    "operation",
    "Count events and clients",
    "The totals since the start of this process, and the clients that are connected now.",
    EmitterCounts,
)

ENDPOINTS = (PROCESS, EMITTER)
