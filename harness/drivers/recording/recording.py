"""What a driver writes down of one round."""

from __future__ import annotations

from loopmark.harness.drivers.recording.samples import SampleRows

MAX_EXAMPLES = 3


class Recording:
    """Samples, and examples of what went wrong.

    Attributes:
        last_done_ns: When the latest request was done (CLOCK_MONOTONIC).
        examples: By error kind, the first few messages.
    """

    def __init__(self, samples: SampleRows) -> None:
        self._samples = samples
        self.last_done_ns = 0
        self.examples: dict[str, list[str]] = {}

    @property
    def requests(self) -> int:
        """Samples recorded."""
        return self._samples.rows

    def add(  # noqa: PLR0913, PLR0917 - the columns of a sample, in their order
        self,
        user: int,
        step: str,
        due_ns: int,
        sent_ns: int,
        connected_ns: int,
        first_byte_ns: int,
        done_ns: int,
        status: int,
        body_bytes: int,
        error: str,
    ) -> None:
        """Record one request: `SAMPLE_COLUMNS`."""
        self.last_done_ns = max(self.last_done_ns, done_ns)
        self._samples.append(
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

    def explain(self, error: str, message: str) -> None:
        """Keep the message of an error, if it is among the first of its kind."""
        examples = self.examples.setdefault(error, [])
        if len(examples) < MAX_EXAMPLES and message not in examples:
            examples.append(message)
