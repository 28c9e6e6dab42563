"""A driver's record of one round."""

from __future__ import annotations

from collections import Counter

from loopmark.harness.drivers.recording.samples import SampleRows

MAX_EXAMPLES = 3


class Recording:
    """Samples, and examples of errors.

    Attributes:
        add: Records one request; bound to the samples to save a call.
        examples: By error kind, the first few messages of each status.
    """

    def __init__(self, samples: SampleRows) -> None:
        self._samples = samples
        self.add = samples.append
        self.examples: dict[str, list[str]] = {}
        self._kept = Counter[tuple[str, int]]()

    @property
    def requests(self) -> int:
        """Samples recorded."""
        return self._samples.rows

    @property
    def last_done_ns(self) -> int:
        """When the latest request was done (CLOCK_MONOTONIC)."""
        return self._samples.last_done_ns

    def explain(self, error: str, message: str, status: int = 0) -> None:
        """Keep the message of an error, if it is among the first of its kind and status."""
        kept = self._kept[error, status]
        if kept < MAX_EXAMPLES and message not in (examples := self.examples.setdefault(error, [])):
            examples.append(message)
            self._kept[error, status] = kept + 1
