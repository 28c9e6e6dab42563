"""A sample, one request or what else is timed: its columns, kinds of errors, names of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

ColumnType: TypeAlias = Literal["int16", "int32", "int64", "time", "label"]
"""A time: 64 bits, in ns of CLOCK_MONOTONIC, 0 for what did not happen. A label: one of few texts,
stored as a dictionary."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the stored samples.

    Attributes:
        name: In the file.
        type: Of its values.
        is_summarised: Whether summaries need it.
    """

    name: str
    type: ColumnType
    is_summarised: bool = True


COLUMNS = (
    Column("round", "int32"),
    Column("user", "int32"),
    Column("step", "label"),
    Column("due_ns", "time"),
    Column("sent_ns", "time"),
    Column("connected_ns", "time"),
    Column("first_byte_ns", "time"),
    Column("done_ns", "time"),
    Column("status", "int16", is_summarised=False),
    Column("bytes", "int64", is_summarised=False),
    Column("error", "label"),
)
"""What is stored: the number of the round, the same in all rows of a file, and a `Sample`."""

TIMES = tuple(column.name for column in COLUMNS if column.type == "time")
LABELS = tuple(column.name for column in COLUMNS if column.type == "label")
SUMMARISED = tuple(column.name for column in COLUMNS if column.is_summarised)

Sample: TypeAlias = tuple[int, str, int, int, int, int, int, int, int, str]
"""The values of `COLUMNS` without the round: made by `sample`, and not looked into."""


def sample(  # noqa: PLR0913, PLR0917 - the columns
    user: int,
    step: str,
    due_ns: int,
    sent_ns: int,
    done_ns: int,
    connected_ns: int = 0,
    first_byte_ns: int = 0,
    status: int = 0,
    body_bytes: int = 0,
    error: str = "",
) -> Sample:
    """Make a sample.

    A function, for it is called for every request: a class would cost the driver twice as much.

    Args:
        user: Number of the virtual user.
        step: What was asked.
        due_ns: When it should have been sent.
        sent_ns: When the driver took it up: it wrote on an open connection, or began to connect;
            0 if it did not get that far before it was done.
        done_ns: When the last of the answer was read, or it was clear that there is none.
        connected_ns: When a new connection was there; 0 on one that was open.
        first_byte_ns: When the first byte of the answer came.
        status: The HTTP status code; 0 without an answer.
        body_bytes: Size of the answer's body.
        error: An `ErrorKind`; empty for the right answer.
    """
    return (
        user,
        step,
        due_ns,
        sent_ns or done_ns,
        connected_ns,
        first_byte_ns,
        done_ns,
        status,
        body_bytes,
        error,
    )


class ErrorKind:
    """The values of the sample column `error`; an empty string means the right answer."""

    CONNECT = "connect"
    TIMEOUT = "timeout"
    RESET = "reset"
    PROTOCOL = "protocol"
    SERVER_ERROR = "server-error"
    WRONG_STATUS = "wrong-status"
    WRONG_ANSWER = "wrong-answer"
    ABANDONED = "abandoned"
    FAILED = "failed"
    """What a client of a locustfile's own reported as a failure, and is none of the others."""

    REFUSED = "refused"
    """An open load's arrival that found `max_in_flight` flows under way: it was never sent."""

    LOCUSTFILE = "locustfile"
    """Of no sample: an exception in a task, and what else a locustfile does beside its requests."""

    MISSING = "missing"
    """A publication that a client which reads did not hear."""

    DUPLICATE = "duplicate"
    """One that it had heard before."""

    OUT_OF_ORDER = "out-of-order"
    """One that it heard after another, which was sent only when this one had been acknowledged."""

    WRONG = frozenset({WRONG_STATUS, WRONG_ANSWER})
    """The target answered, but not what it must."""

    MISDELIVERED = frozenset({DUPLICATE, OUT_OF_ORDER})
    """The client heard the publication, but not as it must at any rate."""


ARRIVAL_STEP = "arrival"
"""The step of a refused arrival: its flow was never begun."""

DELIVERY_STEP = "deliver"
"""The step of a sample that is one publication heard, or missed, by one client that reads.

`due`: when the publication should have been sent. `sent`: when the target emitted the event, by its
own word and the machine's one clock; for one that was missed, `due`. `done`: when the client heard
it."""

SLOW_DELIVERY_STEP = "deliver-slow"
"""The step of a sample that is one event received by a slow client; an event it misses leaves no
sample."""

CONNECT_STEP = "connect"
"""The step of a sample that is one connection for events, until the target has greeted it."""
