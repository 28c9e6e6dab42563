"""A sample, one request or another timed step: its columns, kinds of errors, names of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

ColumnType: TypeAlias = Literal["int16", "int32", "int64", "time", "label"]
"""A time: 64 bits, in ns of CLOCK_MONOTONIC, 0 for a time that does not apply. A label: one of few
texts, stored as a dictionary."""


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
    Column("status", "int16"),
    Column("bytes", "int64", is_summarised=False),
    Column("error", "label"),
)
"""The stored columns: the number of the round, the same in all rows of a file, and a `Sample`."""

TIMES = tuple(column.name for column in COLUMNS if column.type == "time")
LABELS = tuple(column.name for column in COLUMNS if column.type == "label")
SUMMARISED = tuple(column.name for column in COLUMNS if column.is_summarised)

Sample: TypeAlias = tuple[int, str, int, int, int, int, int, int, int, str]
"""The values of `COLUMNS` without the round: made by `sample`, and opaque to other code."""


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

    A function because it is called for every request: a class would cost the driver twice as much.

    Args:
        user: Number of the virtual user.
        step: Name of the step.
        due_ns: When it should have been sent.
        sent_ns: When the driver started it: by writing on an open connection, or by starting to
            connect; 0 if it was done before that.
        done_ns: When the last byte of the answer was read, or it was clear that none would arrive.
        connected_ns: When a new connection was established; 0 on one that was already open.
        first_byte_ns: When the first byte of the answer was read.
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
    """A failure reported by a locustfile's own client that is none of the others."""

    REFUSED = "refused"
    """An arrival of an open load that found `max_in_flight` flows in flight: never sent."""

    LOCUSTFILE = "locustfile"
    """Without a sample: an exception in a task, or another failure of a locustfile outside its
    requests."""

    MISSING = "missing"
    """A publication that an active client did not receive."""

    DUPLICATE = "duplicate"
    """One that the client had received before."""

    OUT_OF_ORDER = "out-of-order"
    """One that the client received after another, which was sent only once this one had been
    acknowledged."""

    WRONG = frozenset({WRONG_STATUS, WRONG_ANSWER})
    """The target answered, but not as expected."""

    MISDELIVERED = frozenset({DUPLICATE, OUT_OF_ORDER})
    """The client received the publication, but more than once or out of order."""


ARRIVAL_STEP = "arrival"
"""The step of a refused arrival: its flow never started."""

DELIVERY_STEP = "deliver"
"""The step of a delivery: one publication received, or missed, by one active client.

`due`: when the publication should have been sent. `sent`: when the target emitted the event, as it
reports by the machine's one clock; `due` if it was missed. `done`: when the client received it."""

SLOW_DELIVERY_STEP = "deliver-slow"
"""The step of a sample that is one event received by a slow client; an event it misses leaves no
sample."""

CONNECT_STEP = "connect"
"""The step of a connection for events, until the target's greeting."""
