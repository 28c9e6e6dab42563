import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.reports import formatting
from loopmark.reports.formatting import MISSING


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, MISSING),
        (math.nan, MISSING),
        (0.0, "0%"),
        (0.5, "50%"),
        (0.992, "99.2%"),
        (0.9975, "99.75%"),
        (0.99999999, "99.999%"),
        (1.0, "100%"),
    ],
)
def test_reach_is_never_rounded_up_to_all(value: float | None, text: str) -> None:
    assert formatting.reach(value) == text


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_reach_is_all_only_where_nothing_is_missing(one: int, other: int) -> None:
    received, expected = sorted((one, other))
    assert (formatting.reach(received / expected) == "100%") == (received == expected)


def test_small_things_have_small_units() -> None:
    assert formatting.microseconds(21.25) == "21.2 µs"
    assert formatting.kibibytes(38.5) == "38.5 KiB"
    assert formatting.microseconds(None) == formatting.kibibytes(None) == MISSING


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "about 1 s"), (41.0, "about 41 s"), (119.9, "about 120 s"), (121, "about 3 min")],
)
def test_time_that_nobody_needs_exactly_is_rounded_up(seconds: float, text: str) -> None:
    assert formatting.roughly(seconds) == text


positive = st.floats(min_value=0.001, max_value=1e9, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, MISSING),
        (math.nan, MISSING),
        (math.inf, MISSING),
        (0.0, "0"),
        (0.0004, "<0.001"),
        (-0.0004, ">-0.001"),
        (0.01234, "0.0123"),
        (1.0, "1.00"),
        (1.306, "1.31"),
        (9.999, "10.0"),
        (50.08, "50.1"),
        (513.02, "513"),
        (999.6, "1,000"),
        (1234.0, "1,230"),
        (1_234_567.0, "1,230,000"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert formatting.number(value) == text


@given(positive)
def test_a_number_is_off_by_at_most_half_a_third_digit(value: float) -> None:
    text = formatting.number(value)
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.005)


@given(positive, positive)
def test_numbers_keep_their_order(one: float, other: float) -> None:
    low, high = sorted((one, other))
    as_shown = [float(formatting.number(value).replace(",", "")) for value in (low, high)]
    assert as_shown[0] <= as_shown[1]


@given(positive)
def test_milliseconds_below_a_second_and_seconds_above(value: float) -> None:
    text, unit = formatting.milliseconds(value).split()
    shown = float(text.replace(",", ""))
    if unit == "ms":
        assert shown < 1000
        assert shown == pytest.approx(value, rel=0.005)
    else:
        assert unit == "s"
        assert shown >= 1
        assert shown == pytest.approx(value / 1e3, rel=0.005)


@pytest.mark.parametrize(
    ("value", "text"),
    [(999.4, "999 ms"), (999.6, "1.00 s"), (0.0, "0 ms"), (5016.08, "5.02 s"), (None, MISSING)],
)
def test_the_unit_changes_at_a_second(value: float | None, text: str) -> None:
    assert formatting.milliseconds(value) == text


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        (None, ""),
        ((510.0, 518.0), "510 to 518 ms"),
        ((980.0, 1020.0), "980 ms to 1.02 s"),
        ((1200.0, 1400.0), "1.20 to 1.40 s"),
    ],
)
def test_interval(bounds: tuple[float, float] | None, text: str) -> None:
    assert formatting.interval(bounds, formatting.milliseconds) == text


def test_interval_of_plain_numbers() -> None:
    assert formatting.interval((1.2, 1.4)) == "1.20 to 1.40"


@given(positive, positive)
def test_an_interval_names_both_bounds(one: float, other: float) -> None:
    text = formatting.interval((one, other), formatting.milliseconds)
    assert " to " in text
    assert text.endswith("s")


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "<1%"), (0.0, "0%"), (0.296, "30%"), (1.9, "190%"), (None, MISSING)]
)
def test_share(value: float | None, text: str) -> None:
    assert formatting.share(value) == text


@pytest.mark.parametrize(("part", "whole", "text"), [(0, 9, "0"), (3, 300, "3 (1%)"), (0, 0, "0")])
def test_share_of(part: int, whole: int, text: str) -> None:
    assert formatting.share_of(part, whole) == text


@pytest.mark.parametrize(
    ("value", "text"), [(39.52, "39.5 s"), (312.0, "5 min 12 s"), (None, MISSING)]
)
def test_long_time(value: float | None, text: str) -> None:
    assert formatting.long_time(value) == text


@pytest.mark.parametrize(
    ("measured", "documented", "same"),
    [(5.02, 5.0, True), (50.1, 50.0, True), (0.513, 0.5, True), (1.52, 50.0, False)],
)
def test_same_as_printed(measured: float, documented: float, *, same: bool) -> None:
    assert formatting.same_as_printed(measured, documented) is same


def test_small_texts() -> None:
    assert formatting.listed(["a"]) == "a"
    assert formatting.listed(["a", "b", "c"]) == "a, b and c"
    assert formatting.printed(50.0) == "50"
    assert formatting.count(12345) == "12,345"
    assert formatting.mebibytes(80.125) == "80.1 MiB"
    assert formatting.moment("2026-01-02T03:04:05+00:00") == "2026-01-02 03:04:05 UTC"
    assert formatting.moment(None) == MISSING


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ((1.052, 1.188), "1.05 to 1.19"),
        ((0.75, 1.1), "0.75 to 1.10"),
        ((8.08, 9.31), "8.1 to 9.3"),
        ((1.9951, 19.96), "2.0 to 20"),
        ((71.4, 111.1), "71 to 111"),
        ((0.0123, 0.0456), "0.0123 to 0.0456"),
        ((1.0012, 1.07), "1.001 to 1.07"),
        ((0.93, 0.9988), "0.93 to 0.999"),
        ((0.9988, 1.0012), "1.00 to 1.00"),
    ],
)
def test_factors_have_the_digits_that_people_say(bounds: tuple[float, float], text: str) -> None:
    assert formatting.factors(bounds) == text


def test_many_has_its_plural() -> None:
    assert [formatting.many(n, "pair") for n in (0, 1, 1200)] == [
        "0 pairs",
        "1 pair",
        "1,200 pairs",
    ]


@pytest.mark.parametrize(
    ("bounds", "text"),
    [
        ((0.907, 1.0017), "0.907 to 1.002"),
        ((0.99996, 1.2), "0.99996 to 1.20"),
        ((1.0, 1.2), "1.00 to 1.20"),
        ((1.05, 1.2), "1.05 to 1.20"),
        (None, ""),
    ],
)
def test_a_bound_of_a_ratio_shows_on_which_side_of_1_it_is(
    bounds: tuple[float, float] | None, text: str
) -> None:
    assert formatting.ratio_interval(bounds) == text
