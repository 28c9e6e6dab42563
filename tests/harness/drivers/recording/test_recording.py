"""Examples of errors: few of each, and none crowds out another status."""

from __future__ import annotations

from loopmark.harness.drivers.recording.recording import Recording
from loopmark.harness.drivers.recording.samples import RowGroup, SampleRows


class Unheard(SampleRows):
    """Samples that go nowhere."""

    def _hand_over(self, group: RowGroup) -> None:
        """Forget them."""


def test_each_status_keeps_its_first_examples() -> None:
    recording = Recording(Unheard(0, rows_per_group=10))
    for path in range(9):
        recording.explain("server-error", f"/{path} answered 502", 502)
    recording.explain("server-error", "/9 answered 504", 504)
    recording.explain("server-error", "/9 answered 504", 504)
    recording.explain("timeout", "late")
    assert recording.examples == {
        "server-error": [
            "/0 answered 502",
            "/1 answered 502",
            "/2 answered 502",
            "/9 answered 504",
        ],
        "timeout": ["late"],
    }
