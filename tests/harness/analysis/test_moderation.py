"""Moderated variances: what like comparisons know together, and how often their intervals hold."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.analysis.comparison import LOOKS
from loopmark.harness.analysis.moderation import (
    SMALLEST_VARIANCE,
    Scatter,
    half_width,
    independent_share,
    moderated,
    scatter_of,
)
from loopmark.harness.analysis.paired_rounds import PairedRounds

CONFIDENCE = 0.95


def told(scatter: Scatter | None) -> tuple[float, float]:
    assert scatter is not None
    return scatter.variance, scatter.dof


def test_a_single_pair_has_no_scatter_of_its_own() -> None:
    assert scatter_of([0.1]) is None
    assert scatter_of([]) is None


def test_the_scatter_of_pairs_is_their_variance() -> None:
    assert told(scatter_of([0.1, 0.2, 0.3])) == pytest.approx((0.01, 2))


def test_equal_pairs_scatter_as_little_as_a_clock_can_show() -> None:
    assert scatter_of([0.1, 0.1]) == Scatter(SMALLEST_VARIANCE, 1)


def test_one_alone_keeps_its_own() -> None:
    alone = Scatter(0.04, 2)
    assert moderated([alone]) == (alone,)
    assert moderated([]) == ()
    assert moderated([None]) == (None,)
    assert moderated([None, alone]) == (None, alone)


def test_like_ones_share_all_that_they_know() -> None:
    found = moderated([Scatter(0.04, 2), Scatter(0.05, 2), Scatter(0.03, 2)])
    assert [told(one) for one in found] == [pytest.approx((0.04, 6))] * 3


def test_a_single_pair_gets_the_scatter_of_its_like() -> None:
    *_, single = moderated([Scatter(0.04, 2), Scatter(0.05, 2), None])
    assert told(single) == pytest.approx((0.045, 4))


def test_a_single_pair_can_be_judged_where_its_like_differ() -> None:
    *_, single = moderated([Scatter(0.0036, 2), Scatter(0.00002, 2), None])
    variance, dof = told(single)
    assert dof == 1
    assert variance == pytest.approx((0.0036 + 0.00002) / 2)


def test_one_that_scatters_a_hundred_times_as_much_keeps_to_itself() -> None:
    calm = [Scatter(variance, 2) for variance in (1e-4, 2e-4, 1.5e-4, 0.8e-4, 1.2e-4)]
    wild = Scatter(0.5, 2)
    *others, of_wild = moderated([*calm, wild])
    assert of_wild == wild
    assert others == list(moderated(calm)), "and none of them scatters more for it"


def test_nobody_knows_more_than_all_together() -> None:
    members = [Scatter(variance, 2) for variance in (0.01, 0.011, 0.009, 0.0105)]
    for one in moderated(members):
        assert one is not None
        assert one.dof <= 8


VARIANCES = st.lists(
    st.one_of(
        st.none(),
        st.builds(Scatter, st.floats(SMALLEST_VARIANCE, 10), st.integers(1, 30).map(float)),
    ),
    max_size=12,
)


@given(VARIANCES)
def test_every_variance_is_one_that_could_be(members: list[Scatter | None]) -> None:
    found = moderated(members)
    assert len(found) == len(members)
    known = [one.variance for one in members if one is not None]
    for before, one in zip(members, found, strict=True):
        if one is None:
            assert before is None
            continue
        assert 0 < one.variance < math.inf
        assert one.dof >= (0 if before is None else min(before.dof, 1))
        assert one.variance <= max(known) * 1.0001 or len(known) > 1


@given(VARIANCES, st.randoms(use_true_random=False))
def test_the_order_makes_no_difference(members: list[Scatter | None], random) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - hypothesis' own
    order = list(range(len(members)))
    random.shuffle(order)
    found, shuffled = moderated(members), moderated([members[n] for n in order])
    for place, number in enumerate(order):
        one, other = found[number], shuffled[place]
        if one is None or other is None:
            assert one is other
        else:
            assert one.variance == pytest.approx(other.variance, rel=1e-6)


@pytest.mark.parametrize(
    ("pairs", "members", "spread"),
    [(2, 8, 0.0), (2, 8, 0.5), (3, 6, 0.0), (3, 6, 0.5), (3, 20, 0.8), (3, 2, 0.3), (4, 5, 1.0)],
    ids=str,
)
def test_intervals_hold_as_often_as_they_say(pairs: int, members: int, spread: float) -> None:
    """Simulated: `members` comparisons whose true standard deviations differ by `spread` (log)."""
    random = np.random.default_rng([pairs, members, int(10 * spread)])
    held, tried = 0, 0
    while tried < 4000:
        deviations = 0.1 * np.exp(spread * random.standard_normal(members))
        logs = deviations[:, None] * random.standard_normal((members, pairs))
        scatters = moderated([scatter_of(list(one)) for one in logs])
        for one, scatter in zip(logs, scatters, strict=True):
            assert scatter is not None
            held += abs(one.mean()) <= half_width(scatter, pairs, CONFIDENCE)
            tried += 1
    # Three standard errors of the simulation are 1%.
    assert 0.94 - 0.01 <= held / tried <= 0.97 + 0.01


@pytest.mark.parametrize("tails", ["normal", "heavy"])
@pytest.mark.parametrize(
    ("members", "scale", "most", "effect"),
    [
        (1, 0.2, 12, 0.0),
        (1, 0.2, 12, 0.5),
        (2, 0.1, 6, 0.0),
        (2, 0.2, 12, 0.3),
        (4, 0.1, 12, 0.15),
        (4, 0.2, 8, 0.3),
        (8, 0.2, 8, 0.0),
    ],
    ids=str,
)
def test_intervals_hold_where_pairs_follow_until_the_ratio_is_known(
    members: int, scale: float, most: int, effect: float, tails: str
) -> None:
    """Simulated: each gets pairs until it is known to 15%, is surely not 1, or has `most`."""
    random = np.random.default_rng([members, int(10 * scale), most, int(10 * effect)])
    held, tried = 0, 0

    def pair(deviation: float) -> float:
        if tails == "normal":
            return effect + deviation * float(random.standard_normal())
        return effect + deviation * float(random.standard_t(3)) / math.sqrt(3)

    while tried < 2400:
        deviations = scale * np.exp(0.5 * random.standard_normal(members))
        logs = [[pair(one), pair(one), pair(one)] for one in deviations]
        while True:
            scatters = moderated([PairedRounds(tuple(one), planned=3).scatter for one in logs])
            widths, surely = (
                [
                    half_width(scatter, len(one), 1 - (1 - CONFIDENCE) / looks) if scatter else 9.0
                    for one, scatter in zip(logs, scatters, strict=True)
                ]
                for looks in (1, LOOKS)
            )
            wide = [
                n
                for n, one in enumerate(logs)
                if widths[n] > math.log(1.15) and abs(np.mean(one)) <= surely[n] and len(one) < most
            ]
            if not wide:
                break
            for n in wide:
                logs[n].append(pair(deviations[n]))
        held += sum(
            bool(abs(np.mean(one) - effect) <= w) for one, w in zip(logs, widths, strict=True)
        )
        tried += members
    # Three standard errors of the simulation are 1.3%.
    assert 0.93 - 0.013 <= held / tried <= 0.97 + 0.013


@pytest.mark.parametrize(
    ("pairs", "groups", "targets", "spread"),
    [
        (3, 1, 3, 0.0),
        (3, 1, 4, 0.0),
        (3, 4, 3, 0.5),
        (2, 3, 3, 0.0),
        (2, 3, 3, 0.5),
        (3, 2, 4, 0.5),
    ],
    ids=str,
)
def test_intervals_hold_where_each_target_is_compared_with_each(
    pairs: int, groups: int, targets: int, spread: float
) -> None:
    """Simulated: scenarios whose true standard deviations differ by `spread` (log)."""
    random = np.random.default_rng([pairs, groups, targets, int(10 * spread)])
    share = 2 / targets
    held, tried = 0, 0
    while tried < 12_000:  # Those of one scenario hold together, or do not.
        deviations = 0.1 * np.exp(spread * random.standard_normal(groups))
        of_targets = deviations[:, None, None] * random.standard_normal((groups, targets, pairs))
        logs = [b - a for one in of_targets for a, b in combinations(one, 2)]
        scatters = moderated([scatter_of(list(one)) for one in logs], share)
        for one, scatter in zip(logs, scatters, strict=True):
            assert scatter is not None
            held += abs(one.mean()) <= half_width(scatter, pairs, CONFIDENCE)
            tried += 1
    assert 0.94 - 0.01 <= held / tried <= 0.97 + 0.01


@pytest.mark.parametrize(
    ("pairs", "share"),
    [
        ([], 1),
        ([("a", "b")], 1),
        ([("a", "b"), ("c", "d")], 1),
        ([("a", "b"), ("a", "c")], 1),
        ([("a", "b"), ("a", "c"), ("b", "c")], 2 / 3),
        ([("a", "b"), ("c", "d"), ("b", "c"), ("a", "d")], 3 / 4),
        ([*combinations("abcd", 2), *combinations("xyz", 2)], 5 / 9),
    ],
)
def test_share_of_comparisons_that_do_not_follow_from_others(
    pairs: list[tuple[str, str]], share: float
) -> None:
    assert independent_share(pairs) == pytest.approx(share)


def test_dependent_ones_know_no_more_than_the_others_of_them() -> None:
    found = moderated([Scatter(0.04, 2), Scatter(0.05, 2), Scatter(0.03, 2)], 2 / 3)
    assert [told(one) for one in found] == [pytest.approx((0.04, 4))] * 3


def test_an_interval_of_three_pairs_is_a_quarter_of_that_of_two_alone() -> None:
    """What the sharing is for: t falls from 12.7 to about 2."""
    alone = half_width(Scatter(0.01, 1), 2, CONFIDENCE)
    shared = half_width(Scatter(0.01, 12), 3, CONFIDENCE)
    assert shared < alone / 4
