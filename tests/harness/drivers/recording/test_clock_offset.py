from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.drivers.recording.clock_offset import (
    MAX_UNCERTAINTY_NS,
    Exchange,
    Offset,
    offset,
    with_drift,
)

WAYS = st.integers(0, 10**9)
EXCHANGES = st.lists(st.tuples(st.integers(0, 10**12), WAYS, WAYS), min_size=1, max_size=20)


def exchange(sent_ns: int, there_took_ns: int, back_took_ns: int, ahead_ns: int) -> Exchange:
    arrived = sent_ns + there_took_ns
    return Exchange(sent_ns, arrived + ahead_ns, arrived + back_took_ns)


@given(st.integers(-(10**15), 10**15), EXCHANGES)
def test_the_truth_is_within_the_uncertainty(
    ahead_ns: int, ways: list[tuple[int, int, int]]
) -> None:
    found = offset([exchange(*way, ahead_ns) for way in ways])
    assert found is not None
    assert abs(found.offset_ns - ahead_ns) <= found.uncertainty_ns
    shortest = min(there + back for _, there, back in ways)
    assert found.uncertainty_ns <= shortest / 2 + 1


def test_nothing_is_known_of_a_clock_that_nobody_answered_for() -> None:
    assert offset([]) is None


def test_an_uncertain_offset_aligns_nothing() -> None:
    assert Offset(5, MAX_UNCERTAINTY_NS).aligns
    assert not Offset(5, MAX_UNCERTAINTY_NS + 1).aligns


def test_drift_adds_to_the_uncertainty_and_leaves_the_offset() -> None:
    before = Offset(1000, 50)
    assert with_drift(before, Offset(1300, 80)) == Offset(1000, 380)
    assert with_drift(before, Offset(1000, 20)) == Offset(1000, 50)
    assert with_drift(before, None) == before
