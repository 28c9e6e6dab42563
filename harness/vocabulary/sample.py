"""A sample, one request or what else is timed: its columns, kinds of errors, names of steps."""

from __future__ import annotations

SAMPLE_COLUMNS = (
    "round",
    "user",
    "step",
    "due_ns",
    "sent_ns",
    "connected_ns",
    "first_byte_ns",
    "done_ns",
    "status",
    "bytes",
    "error",
)
"""One row per request; times in ns of CLOCK_MONOTONIC, 0 for what did not happen.

`due`: when it should have been sent. `sent`: when the driver took it up: it wrote on an open
connection, or began to connect. `connected`: when a new connection was there. `first_byte` and
`done`: of the answer; a request without one is done when that was clear."""


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
"""Likewise, to a client that reads only now and then; what it misses leaves no sample."""

CONNECT_STEP = "connect"
"""The step of a sample that is one connection for events, until the target has greeted it."""
