"""Little's law, L = lambda W, as a check of the counts (Little, 1961)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.model import Held

MAX_THINK_MEANS = 10.0
"""A pause beyond this many means of an exponential think time is a lost user: by chance, only one
in 22,000 pauses is as long."""

EDGE_SIGMAS = 4.0

Nanoseconds = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Balance:
    """Both sides of Little's law over one window.

    Attributes:
        counted: Mean number of users, or requests, observed.
        expected: The number that Little's law requires.
        tolerance: Share of `expected` that the window's edges explain.
    """

    counted: float
    expected: float
    tolerance: float = 0.0

    @property
    def deviation(self) -> float:
        """The difference as a share of the expected number, beyond what the edges explain."""
        if self.expected <= 0:
            return 0.0 if self.counted == self.expected else float("inf")
        return max(0.0, abs(self.counted / self.expected - 1) - self.tolerance)


def balance(load: Load, samples: pd.DataFrame, start_ns: int, end_ns: int) -> Balance | None:
    """The balance of one round; None for loads without one.

    Args:
        load: The load.
        samples: Of the round, those outside of the window included.
        start_ns: Start of the window.
        end_ns: Its end.
    """
    if load.traits.balance == "users" and load.held is not None:
        return closed_balance(load.held, samples, start_ns, end_ns)
    if load.traits.balance == "arrivals":
        return open_balance(samples, start_ns, end_ns)
    return None


def closed_balance(held: Held, samples: pd.DataFrame, start_ns: int, end_ns: int) -> Balance:
    """The users in flight or thinking, compared with the number of users: N = X (R + Z).

    Throughput x response time over a long window is the time that all requests took within it, from
    due to done, over its length; computed this way, it is exact for a window of any length. What a
    client does before it sends is part of that, and shown as due to sent. Where a user awaits an
    answer and events by the same request, its time counts once. The remainder was lost.
    """
    if end_ns <= start_ns:
        return Balance(0.0, held.users)
    window = end_ns - start_ns
    samples = _until_the_last(samples)
    taken_up = samples[samples["sent_ns"] > 0]
    due, done = _column(taken_up, "due_ns"), _column(taken_up, "done_ns")
    busy = float(_overlap(due, done, start_ns, end_ns).sum())
    if held.think_s > 0:
        busy += _thinking(held, samples, start_ns, end_ns)
    return Balance(busy / window, held.users)


def open_balance(samples: pd.DataFrame, start_ns: int, end_ns: int) -> Balance:
    """The requests in flight, from due to done, compared with arrival rate x mean response time.

    The two differ by the requests that cross an edge of the window: those in flight at its start
    count on the left only, the rest of those in flight at its end on the right only. In a steady
    state these cancel except for chance: the remaining times a_i are nearly independent, so their
    sum scatters by sqrt(sum a_i^2). A queue that grows does not cancel.
    """
    if end_ns <= start_ns:
        return Balance(0.0, 0.0)
    window = end_ns - start_ns
    # What was refused never was in flight.
    sent = samples[samples["error"] != "refused"]
    due, done = _column(sent, "due_ns"), _column(sent, "done_ns")
    inside = (due >= start_ns) & (due < end_ns)
    before = (np.minimum(done, end_ns) - start_ns)[(due < start_ns) & (done > start_ns)]
    after = (done - end_ns)[inside & (done > end_ns)]
    counted = float(_overlap(due, done, start_ns, end_ns).sum()) / window
    total = float((done - due)[inside].sum())
    edges = EDGE_SIGMAS * float(
        np.sqrt((before.astype(float) ** 2).sum() + (after.astype(float) ** 2).sum())
    )
    return Balance(counted, total / window, edges / total if total > 0 else 0.0)


def _until_the_last(samples: pd.DataFrame) -> pd.DataFrame:
    """One sample for all that a user awaits from one request: its answer, and its events.

    Events count from when the request was sent, so their times overlap that of the answer; the user
    is busy until the last of them arrives.
    """
    user, sent, done = (_column(samples, name) for name in ("user", "sent_ns", "done_ns"))
    order = np.lexsort((done, sent, user))
    user, sent = user[order], sent[order]
    superseded = np.zeros(len(order), dtype=bool)
    superseded[:-1] = (user[1:] == user[:-1]) & (sent[1:] == sent[:-1]) & (sent[:-1] > 0)
    return samples if not superseded.any() else samples.iloc[order[~superseded]]


def _thinking(held: Held, samples: pd.DataFrame, start_ns: int, end_ns: int) -> float:
    """Nanoseconds of thinking within the window: from an answer until the next request is due.

    A pause longer than the think time does not count as thinking: the user was lost.
    """
    user, due, done = (_column(samples, name) for name in ("user", "due_ns", "done_ns"))
    order = np.lexsort((due, user))
    user, due, done = user[order], due[order], done[order]
    following = np.full(len(user), end_ns, dtype=np.int64)
    followed = user[1:] == user[:-1]
    following[:-1][followed] = due[1:][followed]
    limit_s = held.think_s * (1.0 if held.think == "constant" else MAX_THINK_MEANS)
    until = np.minimum(following, done + round(limit_s * 1e9))
    return float(_overlap(done, until, start_ns, end_ns).sum())


def _overlap(begin: Nanoseconds, end: Nanoseconds, start_ns: int, end_ns: int) -> Nanoseconds:
    """The part of each interval within the window."""
    found: Nanoseconds = np.maximum(np.minimum(end, end_ns) - np.maximum(begin, start_ns), 0)
    return found


def _column(samples: pd.DataFrame, name: str) -> Nanoseconds:
    return samples[name].to_numpy(dtype=np.int64)
