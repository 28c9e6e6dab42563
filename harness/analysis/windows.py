"""Which requests belong to the measured window of a round."""

from __future__ import annotations

import pandas as pd

from loopmark.harness.vocabulary.job import DriverReport
from loopmark.harness.vocabulary.load import Load


def in_window(load: Load, report: DriverReport, samples: pd.DataFrame) -> pd.DataFrame:
    """The requests of one round that its figures are about.

    Under a burst all; under a closed load those answered within the window. Under an open load and
    a fan-out those due within it, whenever they were answered: otherwise the slowest would be
    missing.
    """
    if load.traits.counted == "all":
        return samples
    column = "due_ns" if load.traits.counted == "due" else "done_ns"
    return within(samples, column, report.window_start_ns, report.window_end_ns)


def within(samples: pd.DataFrame, column: str, start_ns: int, end_ns: int) -> pd.DataFrame:
    """The requests whose time in `column` is at or after the start and before the end."""
    times = samples[column]
    return samples[(times >= start_ns) & (times < end_ns)]


def right(samples: pd.DataFrame) -> pd.DataFrame:
    """The requests with the right answer."""
    return samples[samples["error"] == ""]
