"""Times in Locust's notation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.commands.run_time import minutes, seconds
from loopmark.harness.errors import UserError
from loopmark.harness.vocabulary.loads.bounds import MAX_SECONDS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("1.5", 1.5),
        ("30s", 30),
        ("0.5s", 0.5),
        ("2m", 120),
        ("1m30s", 90),
        ("1h", 3600),
        ("3h30m10s", 12_610),
    ],
)
def test_a_time_is_read(text: str, expected: float) -> None:
    assert seconds(text) == expected


@given(st.floats(0, MAX_SECONDS))
def test_a_time_is_told_as_it_is_read(time_s: float) -> None:
    told = minutes(max(time_s, 1.0))
    assert seconds(told) == pytest.approx(max(time_s, 1.0), abs=0.5)


@pytest.mark.parametrize(
    "text",
    ["", "0", "0s", "0h0m", "-5", "5 s", "30x", "s", "m30", "30s1m", "1e3", "inf", "nan", "٣"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"is not a time; for example 30s, 1m30s or 90"):
        seconds(text)
