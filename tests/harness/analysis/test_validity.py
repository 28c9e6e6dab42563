"""Validity: every state can be reached, none hides a graver one, and no evidence is no excuse."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from loopmark.harness.analysis.littles_law import Balance
from loopmark.harness.analysis.round_validity import RoundEvidence, too_many
from loopmark.harness.analysis.schedule import Arrivals
from loopmark.harness.analysis.steady_state import Change
from loopmark.harness.analysis.validity import Evidence, judge
from loopmark.harness.vocabulary.cell import Objection, ObjectionCode, Validity, ValidityState
from loopmark.harness.vocabulary.figures import (
    AuditResult,
    DriverUse,
    FanOutFigures,
    LoopLag,
    Percentiles,
)
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.record import RoundState
from loopmark.harness.vocabulary.sample import ErrorKind
from loopmark.harness.vocabulary.thresholds import SHIPPED, Materiality, Thresholds
from loopmark.reports.objections import sentences
from tests.harness.builders import (
    burst,
    closed,
    fan_out,
    fan_out_steps,
    open_,
    population,
    ramp,
    steps,
)

VALIDITY = TypeAdapter(Validity)
USERS = 10
CLOSED = closed(USERS)
BURST = burst(USERS)
OPEN = open_(100.0, 2.0)
STEPS = steps(50.0, 150.0)
RAMP = ramp(50.0, 150.0, 2.0)
CROWD = population(USERS)
SHAPE = population(None)
FAN_OUT = fan_out(10, 20.0)
FAN_OUT_STEPS = fan_out_steps(20.0, 40.0)
LOADS = (CLOSED, BURST, OPEN, STEPS, RAMP, CROWD, SHAPE, FAN_OUT, FAN_OUT_STEPS)

GOOD_USE = DriverUse(
    cpu_fraction=0.2,
    loop_lag_ms=LoopLag(p99=0.5, max=2.0),
    late_sends=0.0,
    send_spread_ms=2.0,
)
GOOD_ROUND = RoundEvidence(
    round=0,
    state="measured",
    error_kinds={},
    requests=1000,
    answers=960,
    audits=(AuditResult("rows", 100, 0, 100, ok=True),),
    users=10,
    balance=Balance(9.9, USERS),
    halves=Change(1.05, 0.05),
    window_s=2.0,
)


def every(evidence: Evidence, **fields: Any) -> Evidence:  # noqa: ANN401 - any of a round
    """The same with these fields in every round."""
    return replace(evidence, rounds=tuple(replace(one, **fields) for one in evidence.rounds))


def each(evidence: Evidence, **fields: Sequence[Any]) -> Evidence:
    """The same with a value for each round."""
    rounds = tuple(
        replace(one, **{name: values[number] for name, values in fields.items()})
        for number, one in enumerate(evidence.rounds)
    )
    return replace(evidence, rounds=rounds)


GOOD = Evidence(
    planned_rounds=3,
    rounds=tuple(replace(GOOD_ROUND, round=number) for number in range(3)),
    missing_samples=0,
    driver_use=GOOD_USE,
    latency_ms=Percentiles(p50=20.0, p99=20.0),
    makespan_s=None,
)
GOOD_BURST = replace(
    every(GOOD, requests=10, answers=10, balance=None, halves=None), makespan_s=0.5
)
PUNCTUAL = Arrivals(
    planned=200.0, due=200, sent=200, unsent=0, window_s=2.0, late_ms=Percentiles(p50=0.5, p99=1.0)
)
GOOD_OPEN = replace(GOOD, arrivals=(PUNCTUAL,) * 3)
GOOD_STEPS = replace(every(GOOD_OPEN, balance=None, halves=None, knee_rps=100.0), knee_rps=100.0)
GOOD_CROWD = every(GOOD, balance=None)
GOOD_SHAPE = every(GOOD_CROWD, halves=None)
HEARD = FanOutFigures(
    published=120,
    expected=1200,
    received=1200,
    reach=1.0,
    duplicates=0,
    out_of_order=0,
    spread_ms=Percentiles(),
    delivered_per_s=200.0,
    reconnects=0,
    closed=0,
    slow_heard=0,
    dropped=0,
    driver_cpu_us=20.0,
    kib_per_connection=40.0,
    connect_ms=Percentiles(),
)
PUBLISHED = Arrivals(
    planned=40.0, due=40, sent=40, unsent=0, window_s=2.0, late_ms=Percentiles(p50=0.5, p99=1.0)
)
GOOD_FAN_OUT = replace(
    every(GOOD, balance=None, expected=400, received=400),
    arrivals=(PUBLISHED,) * 3,
    fan_out=HEARD,
)
GOOD_FAN_OUT_STEPS = replace(every(GOOD_FAN_OUT, halves=None, knee_rps=20.0), knee_rps=20.0)
LOSS = Objection.of(
    ObjectionCode.WORKER_LOST, round=2, worker="a", why="it fell silent", samples=17
)
LOST_ROWS = AuditResult("resources", 100, 0, 99, ok=False)
ERROR_KINDS = sorted(
    value for name, value in vars(ErrorKind).items() if name.isupper() and isinstance(value, str)
)


def use(
    *,
    cpu: float | None = 0.2,
    lag_ms: float | None = 0.5,
    spread_ms: float | None = 2.0,
    waited: float | None = 0.0,
    delayed: float | None = 0.0,
) -> DriverUse:
    return DriverUse(
        cpu_fraction=cpu,
        waited_fraction=waited,
        delayed_fraction=delayed,
        loop_lag_ms=LoopLag(p99=lag_ms),
        late_sends=0.0,
        send_spread_ms=spread_ms,
    )


DELAYED = use(delayed=0.2)
NARROW = Materiality(level=1.1, whole=1.1)


def changes(*ratios: float) -> tuple[Change, ...]:
    return tuple(Change(ratio) for ratio in ratios)


def balances(*users: float) -> tuple[Balance, ...]:
    return tuple(Balance(found, USERS) for found in users)


DEATH = Objection.of(ObjectionCode.TARGET_DIED, why="killed")


def with_states(*states: RoundState) -> Evidence:
    rounds = tuple(replace(GOOD_ROUND, round=n, state=state) for n, state in enumerate(states))
    return replace(GOOD, rounds=rounds)


def with_arrivals(first: Arrivals) -> Evidence:
    return replace(GOOD_OPEN, arrivals=(first, PUNCTUAL, PUNCTUAL))


@pytest.mark.parametrize(
    ("load", "evidence"),
    [
        (CLOSED, GOOD),
        (BURST, GOOD_BURST),
        (OPEN, GOOD_OPEN),
        (STEPS, GOOD_STEPS),
        (RAMP, GOOD_STEPS),
        (CROWD, GOOD_CROWD),
        (SHAPE, GOOD_SHAPE),
        (FAN_OUT, GOOD_FAN_OUT),
        (FAN_OUT_STEPS, GOOD_FAN_OUT_STEPS),
    ],
)
def test_nothing_against_it_is_valid_without_reasons(load: Load, evidence: Evidence) -> None:
    verdict = judge(load, evidence)
    assert verdict == Validity(ValidityState.VALID)
    assert verdict.is_valid


@pytest.mark.parametrize(
    ("load", "evidence", "state", "reason"),
    [
        (CLOSED, with_states("measured", "interrupted"), "interrupted", "1 of 3 rounds"),
        (CLOSED, with_states("measured", "measured"), "interrupted", "2 of 3 rounds"),
        (CLOSED, with_states(), "interrupted", "0 of 3 rounds"),
        (CLOSED, with_states("measured", "driver-died", "measured"), "interrupted", "driver"),
        (
            CLOSED,
            replace(
                with_states("measured", "driver-died", "measured"), driver_ending="exit code 7"
            ),
            "interrupted",
            "the driver failed: exit code 7",
        ),
        (CLOSED, replace(GOOD, death=DEATH), "target-died", "the target exited under load: killed"),
        (
            CLOSED,
            every(GOOD, error_kinds={"wrong-status": 2, "wrong-answer": 3}),
            "wrong-answers",
            "15 of 3,000 responses were wrong",
        ),
        (
            CLOSED,
            each(GOOD, audits=[(LOST_ROWS,), (LOST_ROWS,), ()]),
            "wrong-answers",
            "resources: +200 rows acknowledged, +198 found",
        ),
        (
            CLOSED,
            every(GOOD, error_kinds={"timeout": 2, "reset": 1}),
            "errors",
            "9 of 3,000 requests failed",
        ),
        (CLOSED, replace(GOOD, driver_use=use(cpu=0.86)), "driver-limited", "86%"),
        (CLOSED, replace(GOOD, driver_use=use(lag_ms=7.1)), "driver-limited", "7.1 ms"),
        (BURST, replace(GOOD_BURST, driver_use=use(spread_ms=110.4)), "driver-limited", "110 ms"),
        (CLOSED, each(GOOD, halves=changes(1.0, 1.26, 1.6)), "unsteady", "was 1.60 x that"),
        (CLOSED, each(GOOD, halves=changes(0.5, 0.79, 1.0)), "unsteady", "was 0.50 x that"),
        (
            CLOSED,
            each(GOOD, halves=changes(1.0, math.inf, math.inf)),
            "unsteady",
            "first half of the window had",
        ),
        (CLOSED, each(GOOD, balance=balances(9.0, 9.69, 10.0)), "littles-law", "9.0 users"),
        (CLOSED, each(GOOD, balance=balances(10.0, 10.31, 11.0)), "littles-law", "11.0 users"),
        (CLOSED, each(GOOD, answers=(7, 6, 6)), "too-few-samples", "19 correct responses"),
        (CLOSED, replace(GOOD, missing_samples=1), "too-few-samples", "1 sample that"),
        (BURST, each(GOOD_BURST, users=(10, 9, 9)), "too-few-samples", "only 9 of 10"),
        (BURST, replace(GOOD_BURST, driver_use=use(cpu=0.9)), "driver-limited", "90%"),
        (BURST, replace(GOOD_BURST, driver_use=use(lag_ms=8.0)), "driver-limited", "8.0 ms"),
        (CLOSED, each(GOOD, cut=(True, True, False)), "unsteady", "2 of 3 rounds"),
        (
            CLOSED,
            each(GOOD, trend=(1.4, 0.6, None)),
            "unsteady",
            "throughput drifted through the window, to 0.60 x that of its start",
        ),
        (
            OPEN,
            each(GOOD_OPEN, halves=changes(2.51, 2.55, 1.0)),
            "unsteady",
            "mean response time in the second half of the window was 2.55 x that of the first",
        ),
        (
            OPEN,
            each(GOOD_OPEN, balance=(Balance(10.5, 10.0, 0.01),) * 3),
            "littles-law",
            "10.5 requests were in flight, arrival rate x response time gives 10.0",
        ),
        (
            OPEN,
            every(GOOD_OPEN, error_kinds={"refused": 7}),
            "errors",
            "21 requests were refused: 256 were already in flight",
        ),
        (
            OPEN,
            with_arrivals(replace(PUNCTUAL, late_ms=Percentiles(p50=0.5, p99=7.1))),
            "driver-limited",
            "sent 7.1 ms",
        ),
        (
            OPEN,
            with_arrivals(replace(PUNCTUAL, unsent=3)),
            "driver-limited",
            "missed 3 of 600 scheduled requests",
        ),
        (
            OPEN,
            with_arrivals(replace(PUNCTUAL, sent=190)),
            "driver-limited",
            "sent 95 of 100 scheduled requests per second",
        ),
        (
            OPEN,
            with_arrivals(replace(PUNCTUAL, due=150, sent=150)),
            "driver-limited",
            "sent 75 of 100 scheduled requests per second",
        ),
        (OPEN, replace(GOOD_OPEN, arrivals=(PUNCTUAL,)), "driver-limited", "in 2 rounds"),
        (OPEN, each(GOOD_OPEN, answers=(7, 6, 6)), "too-few-samples", "19 correct responses"),
        (RAMP, every(GOOD_STEPS, error_kinds={"refused": 7}), "errors", "21 requests were"),
        (
            FAN_OUT,
            every(GOOD_FAN_OUT, error_kinds={"missing": 1}, received=399),
            "errors",
            "3 deliveries are missing (reach 99.75%)",
        ),
        (
            FAN_OUT,
            every(GOOD_FAN_OUT, error_kinds={"missing": 1}, expected=200_000, received=199_999),
            "errors",
            "3 deliveries are missing (reach 99.999%)",  # never rounded up to all
        ),
        (
            FAN_OUT,
            every(GOOD_FAN_OUT, error_kinds={"duplicate": 1}),
            "errors",
            "3 deliveries were duplicates",
        ),
        (
            FAN_OUT_STEPS,
            every(GOOD_FAN_OUT_STEPS, error_kinds={"out-of-order": 2}),
            "errors",
            "6 deliveries arrived out of order",
        ),
        (
            FAN_OUT,
            every(GOOD_FAN_OUT, reconnects=1),
            "errors",
            "active clients reconnected 3 times",
        ),
        (FAN_OUT, replace(GOOD_FAN_OUT, driver_use=use(cpu=0.9)), "driver-limited", "90%"),
        (FAN_OUT, replace(GOOD_FAN_OUT, driver_use=use(lag_ms=7.1)), "driver-limited", "7.1 ms"),
        (
            FAN_OUT,
            replace(
                GOOD_FAN_OUT,
                arrivals=(replace(PUBLISHED, late_ms=Percentiles(p50=0.5, p99=7.1)),) * 3,
            ),
            "driver-limited",
            "publications were sent 7.1 ms late",
        ),
        (
            FAN_OUT_STEPS,
            replace(GOOD_FAN_OUT_STEPS, arrivals=(replace(PUBLISHED, sent=30),) * 3),
            "driver-limited",
            "sent 15 of 20 scheduled publications per second",
        ),
        (FAN_OUT, replace(GOOD_FAN_OUT, arrivals=()), "driver-limited", "in 3 rounds"),
        (FAN_OUT, each(GOOD_FAN_OUT, answers=(7, 6, 6)), "too-few-samples", "19 correct responses"),
        (
            FAN_OUT,
            each(GOOD_FAN_OUT, halves=changes(2.6, 2.6, 1.0)),
            "unsteady",
            "mean response time in the second half of the window was 2.60 x that of the first",
        ),
    ],
)
def test_each_objection_has_its_state_and_a_reason(
    load: Load, evidence: Evidence, state: str, reason: str
) -> None:
    verdict = judge(load, evidence)
    assert verdict.state == ValidityState(state)
    assert len(sentences(verdict)) == 1
    assert reason in sentences(verdict)[0]
    assert not verdict.is_valid


# ---- at the thresholds ----


@pytest.mark.parametrize(
    ("load", "evidence"),
    [
        (CLOSED, replace(GOOD, driver_use=use(cpu=0.85))),
        (CLOSED, replace(GOOD, driver_use=use(lag_ms=7.0))),  # 5 ms + a tenth of 20 ms
        (CLOSED, replace(GOOD, driver_use=use(spread_ms=1e6))),  # bursts only
        (BURST, replace(GOOD_BURST, driver_use=use(spread_ms=110))),  # 10 ms + a fifth of 0.5 s
        (CLOSED, each(GOOD, balance=balances(*[10.299] * 3))),
        (CLOSED, each(GOOD, balance=balances(*[9.701] * 3))),
        (CLOSED, each(GOOD, balance=balances(1.0, 10.0, 10.0))),  # one of three
        (CLOSED, each(GOOD, halves=changes(5.0, 1.0, 1.0))),
        (CLOSED, each(GOOD, halves=changes(1.25, 1.25, 1.25))),
        (CLOSED, each(GOOD, halves=changes(0.8, 0.8, 0.8))),
        (CLOSED, each(GOOD, answers=(7, 7, 6))),
        (CLOSED, every(GOOD, audits=())),
        (
            OPEN,
            with_arrivals(replace(PUNCTUAL, late_ms=Percentiles(p50=0.5, p99=7.0))),
        ),  # 5 ms + a tenth of 20 ms
        (OPEN, each(GOOD_OPEN, halves=changes(2.5, 2.5, 2.5))),
        (OPEN, with_arrivals(replace(PUNCTUAL, due=199, sent=199))),  # an arrival at the edge
        (OPEN, each(GOOD_OPEN, balance=(Balance(10.5, 10.0, 0.03),) * 3)),
        (STEPS, replace(GOOD_STEPS, knee_rps=None)),
        (STEPS, replace(GOOD_STEPS, knee_rps=0.0)),  # the limit needs no stage for comparison
        (BURST, every(GOOD_BURST, answers=30, requests=30)),  # several steps for each user
        # What became of those that do not read is no objection.
        (FAN_OUT, replace(GOOD_FAN_OUT, fan_out=replace(HEARD, closed=3, dropped=900))),
        (FAN_OUT_STEPS, replace(GOOD_FAN_OUT_STEPS, knee_rps=None)),
        (FAN_OUT_STEPS, replace(GOOD_FAN_OUT_STEPS, knee_rps=0.0)),  # 100 ms need no yardstick
        (FAN_OUT_STEPS, every(GOOD_FAN_OUT_STEPS, reconnects=1)),
    ],
)
def test_what_is_within_the_thresholds_is_valid(load: Load, evidence: Evidence) -> None:
    assert judge(load, evidence).is_valid


@pytest.mark.parametrize(
    ("load", "evidence", "thresholds"),
    [
        (CLOSED, GOOD, replace(SHIPPED, max_driver_cpu=0.1)),
        (CLOSED, replace(GOOD, driver_use=DELAYED), replace(SHIPPED, max_delay=0.1)),
        (CLOSED, GOOD, replace(SHIPPED, lag_allowance_ms=0.0, max_lag_share=0.0)),
        (BURST, GOOD_BURST, replace(SHIPPED, spread_allowance_ms=0.0, max_spread_share=0.0)),
        (
            CLOSED,
            every(GOOD, balance=Balance(10.2, USERS)),
            replace(SHIPPED, max_little_deviation=0),
        ),
        (CLOSED, every(GOOD, halves=Change(1.2)), replace(SHIPPED, material_answers=NARROW)),
        (
            OPEN,
            every(GOOD_OPEN, halves=Change(2.0)),
            replace(SHIPPED, material_responses=NARROW),
        ),
        (CLOSED, GOOD, replace(SHIPPED, min_answers=2901)),
        (OPEN, GOOD_OPEN, replace(SHIPPED, lag_allowance_ms=0.0, max_lag_share=0.0)),
    ],
)
def test_thresholds_are_those_that_are_given(
    load: Load, evidence: Evidence, thresholds: Thresholds
) -> None:
    assert judge(load, evidence).is_valid
    assert not judge(load, evidence, thresholds).is_valid


@pytest.mark.parametrize(("chance", "valid"), [(0.4, True), (0.02, False)])
def test_drift_that_chance_explains_is_forgiven(chance: float, *, valid: bool) -> None:
    drifting = each(GOOD, halves=(Change(1.4, chance),) * 3)
    assert judge(CLOSED, drifting).is_valid is valid


# ---- a driver that had to wait for its processor ----


@pytest.mark.parametrize("load", [CLOSED, BURST])
@pytest.mark.parametrize(
    ("delayed", "valid"),
    [(0.25, True), (0.26, False), (None, True)],  # None: a system that does not tell
)
def test_waiting_for_the_processor(load: Load, delayed: float | None, valid: bool) -> None:  # noqa: FBT001 - a column
    good = GOOD if load is CLOSED else GOOD_BURST
    verdict = judge(load, replace(good, driver_use=use(delayed=delayed)))
    assert verdict.is_valid is valid
    if not valid:
        assert verdict.state == "driver-limited"
        assert "that may be 26% of the main figure" in sentences(verdict)[0]


@pytest.mark.parametrize(("waited", "valid"), [(0.0199, False), (0.02, True), (0.2, True)])
def test_lag_that_comes_from_waiting_is_bounded_and_no_objection(
    waited: float, *, valid: bool
) -> None:
    asked = replace(
        GOOD, driver_use=use(lag_ms=10.0, waited=waited), latency_ms=Percentiles(p50=1.0)
    )
    assert judge(CLOSED, asked).is_valid is valid


@pytest.mark.parametrize(("lag_ms", "valid"), [(7.9, True), (8.1, False)])
def test_lag_of_a_fan_out_is_held_against_its_tail(lag_ms: float, *, valid: bool) -> None:
    asked = replace(
        GOOD_FAN_OUT, driver_use=use(lag_ms=lag_ms), latency_ms=Percentiles(p50=10.0, p99=30.0)
    )
    assert judge(FAN_OUT, asked).is_valid is valid


@pytest.mark.parametrize(("cost_us", "valid"), [(2_000.0, True), (2_200.0, False), (None, True)])
def test_a_knee_that_may_be_the_drivers(cost_us: float | None, *, valid: bool) -> None:
    """The second step asks for 40 publications to 10 clients: 400 deliveries a second."""
    asked = replace(GOOD_FAN_OUT, knee_rps=20.0, fan_out=replace(HEARD, driver_cpu_us=cost_us))
    verdict = judge(FAN_OUT_STEPS, asked)
    assert verdict.is_valid is valid
    assert [one.values for one in verdict.objections] == (
        [] if valid else [{"rate": 40.0, "share": pytest.approx(0.88)}]
    )


@pytest.mark.parametrize("knee", [40.0, 50.0])
def test_a_knee_with_no_rate_beyond_it_is_nothing_to_hold_against_the_driver(knee: float) -> None:
    asked = replace(GOOD_FAN_OUT, knee_rps=knee, fan_out=replace(HEARD, driver_cpu_us=2_200.0))
    assert judge(FAN_OUT_STEPS, asked).is_valid


# ---- most serious first, all kept ----

OBJECTIONS: dict[str, Callable[[Evidence], Evidence]] = {
    "interrupted": lambda one: replace(
        each(one, state=("measured", "target-died", "interrupted")), death=DEATH
    ),
    "target-died": lambda one: replace(
        each(one, state=("measured", "target-died", "measured")), death=DEATH
    ),
    "wrong-answers": lambda one: every(one, error_kinds={"wrong-answer": 1, "timeout": 1}),
    "driver-limited": lambda one: replace(one, driver_use=use(cpu=0.9)),
    "errors": lambda one: every(one, error_kinds={"timeout": 1}),
    "unsteady": lambda one: every(one, halves=Change(9.0)),
    "littles-law": lambda one: every(one, balance=Balance(1.0, USERS)),
    "too-few-samples": lambda one: replace(one, missing_samples=5),
}


@pytest.mark.parametrize("first", range(len(OBJECTIONS)))
def test_most_serious_objection_is_the_state_and_all_are_reasons(first: int) -> None:
    """Objections from the mildest up to `first`: each keeps those that are milder."""
    names = list(OBJECTIONS)[first:]
    evidence = GOOD
    for name in reversed(names):
        evidence = OBJECTIONS[name](evidence)
    verdict = judge(CLOSED, evidence)
    assert verdict.state == names[0]
    assert len(sentences(verdict)) == len(set(sentences(verdict))) >= len(names)


def test_reconnects_count_where_not_even_the_slowest_stage_was_received() -> None:
    behind = every(GOOD_FAN_OUT_STEPS, knee_rps=0.0, reconnects=1)
    assert judge(FAN_OUT_STEPS, behind).state == "errors"


def test_states_are_named_most_serious_first() -> None:
    assert [state.value for state in ValidityState] == [*OBJECTIONS, "valid"]


def test_all_failed_audits_are_named() -> None:
    audits = (LOST_ROWS, replace(LOST_ROWS, what="accounts"))
    reasons = sentences(judge(CLOSED, each(GOOD, audits=[audits, audits[:1], ()])))
    assert [reason.split(":")[0] for reason in reasons] == ["resources", "accounts"]


# ---- fail-closed ----


def nothing_known(states: Sequence[RoundState]) -> Evidence:
    return Evidence(
        planned_rounds=3,
        rounds=tuple(
            RoundEvidence(round=n, state=state, error_kinds={}, requests=0, answers=0)
            for n, state in enumerate(states)
        ),
        missing_samples=0,
        driver_use=DriverUse(),
        latency_ms=Percentiles(),
        makespan_s=None,
    )


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_no_evidence_is_not_valid(load: Load, rounds: int) -> None:
    assert not judge(load, nothing_known(["measured"] * rounds)).is_valid


@pytest.mark.parametrize("silent", [2, 3])
def test_unknown_steadiness_is_unsteady(silent: int) -> None:
    halves = [*changes(*[1.0] * (3 - silent)), *[None] * silent]
    verdict = judge(CLOSED, each(GOOD, halves=halves))
    assert verdict.state == "unsteady"
    assert verdict.objections[0] == Objection.of(ObjectionCode.ROUNDS_SILENT, rounds=silent)


def test_unknown_number_of_users_breaks_littles_law() -> None:
    assert judge(CLOSED, every(GOOD, balance=None)).state == "littles-law"


def test_kind_of_error_that_nobody_knows_is_an_error() -> None:
    assert judge(CLOSED, every(GOOD, error_kinds={"gremlins": 1})).state == "errors"


def test_round_that_lost_a_worker_is_interrupted_and_says_so() -> None:
    lost = replace(with_states("measured", "worker-lost", "measured"), losses=(LOSS,))
    verdict = judge(CLOSED, lost)
    assert verdict.state == "interrupted"
    assert verdict.objections == (LOSS,)


def test_a_task_that_raised_is_an_error_although_no_request_failed() -> None:
    raised = replace(
        GOOD_CROWD,
        task_exceptions=3,
        remarks=("Shopper: KeyError: 'price' at shop, line 9",),
    )
    verdict = judge(CROWD, raised)
    assert verdict.state == "errors"
    assert sentences(verdict) == (
        "tasks raised an exception 3 times: Shopper: KeyError: 'price' at shop, line 9",
    )
    again = replace(raised, remarks=("Shopper: KeyError (3 times)", "an exception in a listener"))
    (sentence,) = sentences(judge(CROWD, again))
    assert sentence == "tasks raised an exception 3 times: Shopper: KeyError"
    once = replace(GOOD_CROWD, task_exceptions=1)
    assert sentences(judge(CROWD, once)) == ("tasks raised an exception once",)
    listener = replace(GOOD_CROWD, remarks=("an exception in a listener",))
    assert judge(CROWD, listener).state == "errors"
    assert "an exception in a listener" in sentences(judge(CROWD, listener))[0]


def test_a_locustfile_that_did_not_run_to_its_end_is_interrupted() -> None:
    stopped = replace(GOOD_CROWD, ended_early=("it was stopped after 3.0 of 30 s",))
    verdict = judge(CROWD, stopped)
    assert verdict.state == "interrupted"
    assert "it was stopped after 3.0 of 30 s" in sentences(verdict)[0]


def test_of_a_locustfiles_users_nobody_knows_how_many_there_should_be() -> None:
    wrong = balances(1.0, 1.0, 1.0)
    assert judge(CLOSED, each(GOOD, balance=wrong)).state == "littles-law"
    assert judge(CROWD, each(GOOD, balance=wrong)).is_valid


def test_fixed_crowd_must_be_steady_and_a_shape_need_not() -> None:
    grows = each(GOOD_CROWD, halves=changes(2.0, 2.0, 2.0))
    assert judge(CROWD, grows).state == "unsteady"
    assert judge(SHAPE, grows).is_valid
    cut = each(GOOD_CROWD, cut=(True, True, False))
    assert judge(CROWD, cut).state == "unsteady"
    assert judge(SHAPE, cut).is_valid
    assert judge(CROWD, every(GOOD_CROWD, halves=None)).state == "unsteady"


@pytest.mark.parametrize(
    ("against", "state"),
    [
        (every(GOOD_CROWD, error_kinds={ErrorKind.FAILED: 1}), "errors"),
        (every(GOOD_CROWD, error_kinds={ErrorKind.WRONG_ANSWER: 1}), "wrong-answers"),
        (replace(GOOD_CROWD, driver_use=use(cpu=0.9)), "driver-limited"),
        (replace(GOOD_CROWD, driver_use=use(lag_ms=50.0)), "driver-limited"),
        (each(GOOD_CROWD, answers=(7, 6, 6)), "too-few-samples"),
        (replace(GOOD_CROWD, missing_samples=1), "too-few-samples"),
    ],
)
@pytest.mark.parametrize("load", [CROWD, SHAPE])
def test_other_rules_hold_for_a_locustfile_too(load: Load, against: Evidence, state: str) -> None:
    assert judge(load, against).state == state


def test_abandoned_requests_are_excused_by_the_round_that_fell_only() -> None:
    abandoned = {ErrorKind.ABANDONED: 10}
    fell = each(with_states("measured", "interrupted"), error_kinds=({}, abandoned))
    assert len(sentences(judge(CLOSED, fell))) == 1
    assert judge(CLOSED, every(GOOD, error_kinds=abandoned)).state == "errors"


any_use = st.builds(
    use,
    cpu=st.none() | st.floats(0, 2),
    lag_ms=st.none() | st.floats(0, 100),
    spread_ms=st.none() | st.floats(0, 1000),
)
any_round = st.builds(
    RoundEvidence,
    round=st.just(0),
    state=st.sampled_from(["measured", "measured", *get_args(RoundState)]),
    error_kinds=st.dictionaries(st.sampled_from(ERROR_KINDS), st.integers(1, 10), max_size=2),
    requests=st.integers(0, 10_000),
    answers=st.integers(0, 10_000),
    audits=st.lists(
        st.builds(
            AuditResult, st.just("rows"), st.just(3), st.just(0), st.just(2), ok=st.booleans()
        ),
        max_size=2,
    ).map(tuple),
    users=st.integers(0, 20),
    balance=st.none() | st.builds(Balance, st.floats(0, 20), st.just(10.0)),
    halves=st.none() | st.builds(Change, st.floats(0, 5)),
    cut=st.booleans(),
    trend=st.none() | st.sampled_from([0.5, 1.5]),
    expected=st.integers(0, 1200),
    received=st.integers(0, 1200),
    reconnects=st.integers(0, 2),
    knee_rps=st.none() | st.floats(0, 100),
)
any_evidence = st.builds(
    Evidence,
    planned_rounds=st.integers(1, 5),
    rounds=st.lists(any_round, max_size=5).map(
        lambda rounds: tuple(replace(one, round=n) for n, one in enumerate(rounds))
    ),
    missing_samples=st.integers(0, 2),
    driver_use=any_use,
    latency_ms=st.builds(
        Percentiles, p50=st.none() | st.floats(0, 1e4), p99=st.none() | st.floats(0, 1e4)
    ),
    makespan_s=st.none() | st.floats(0, 100),
    arrivals=st.lists(
        st.builds(
            Arrivals,
            planned=st.floats(0, 300),
            due=st.integers(0, 300),
            sent=st.integers(0, 300),
            unsent=st.integers(0, 2),
            window_s=st.just(0.0) | st.floats(1e-9, 3),  # whole nanoseconds
            late_ms=st.builds(Percentiles, p99=st.none() | st.floats(0, 50)),
        ),
        max_size=5,
    ).map(tuple),
    knee_rps=st.none() | st.floats(0, 100),
    losses=st.lists(st.just(LOSS), max_size=2).map(tuple),
    fan_out=st.none() | st.just(HEARD),
)
three = partial(st.lists, min_size=3, max_size=3)
good_otherwise = st.builds(
    each,
    st.sampled_from(
        [
            *(GOOD, GOOD_BURST, GOOD_OPEN, GOOD_STEPS, GOOD_CROWD, GOOD_SHAPE),
            *(GOOD_FAN_OUT, GOOD_FAN_OUT_STEPS),
        ]
    ),
    error_kinds=three(
        st.dictionaries(st.sampled_from(ERROR_KINDS), st.integers(1, 10), max_size=1)
    ),
    audits=three(st.lists(st.sampled_from([GOOD_ROUND.audits[0], LOST_ROWS]), max_size=1)),
    state=three(st.sampled_from(["measured", *get_args(RoundState)])),
)


def failed(one: RoundEvidence) -> bool:
    """Whether a request or an audit of a round failed that nothing excuses."""
    excused = {ErrorKind.LOCUSTFILE}  # said of the cell
    if one.state != "measured":
        excused.add(ErrorKind.ABANDONED)
    return bool(set(one.error_kinds) - excused) or any(not audit.ok for audit in one.audits)


@given(st.sampled_from(LOADS), any_evidence | good_otherwise)
def test_failed_requests_and_lost_rows_do_not_count_and_lost_rounds_are_never_valid(
    load: Load, evidence: Evidence
) -> None:
    verdict = judge(load, evidence)
    bad = {one.round for one in verdict.rounds}
    spoiled = {one.round for one in evidence.rounds if failed(one)}
    assert spoiled <= bad
    if spoiled:
        assert verdict.has_failed
    if (
        3 * len(bad) > len(evidence.rounds)
        or evidence.missing_samples
        or evidence.losses
        or evidence.ended < evidence.planned_rounds
    ):
        # What is missing on disk is not looked for where no round ended.
        assert not verdict.is_valid or not evidence.ended
    assert verdict.is_valid == (not sentences(verdict))
    assert VALIDITY.validate_json(VALIDITY.dump_json(verdict)) == verdict


@given(st.sampled_from(LOADS), any_evidence)
def test_audit_or_error_more_never_makes_it_better(load: Load, evidence: Evidence) -> None:
    gravity = list(ValidityState)
    worse = replace(
        evidence,
        rounds=tuple(
            replace(one, audits=(*one.audits, LOST_ROWS), error_kinds={"wrong-answer": 1})
            for one in evidence.rounds
        ),
    )
    before, after = judge(load, evidence), judge(load, worse)
    assert gravity.index(after.state) <= gravity.index(before.state)
    assert len(after.rounds) == len(evidence.rounds)


# ---- a round is judged, not the median of rounds ----


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"error_kinds": {"timeout": 2}}, ObjectionCode.REQUESTS_FAILED),
        ({"error_kinds": {"wrong-answer": 2}}, ObjectionCode.ANSWERS_WRONG),
        ({"audits": (LOST_ROWS,)}, ObjectionCode.ROWS_DIFFER),
        ({"halves": Change(1.3)}, ObjectionCode.HALVES_DIFFER),
        ({"halves": None}, ObjectionCode.ROUNDS_SILENT),
        ({"cut": True}, ObjectionCode.LEVEL_CHANGED),
        ({"trend": 1.5}, ObjectionCode.LEVEL_DRIFTED),
        ({"balance": Balance(1.0, USERS)}, ObjectionCode.USERS_UNACCOUNTED),
        ({"balance": None}, ObjectionCode.CONCURRENCY_UNKNOWN),
    ],
)
def test_one_round_of_three_does_not_count_and_two_void_the_cell(
    fields: dict[str, Any], code: ObjectionCode
) -> None:
    first, second, third = GOOD.rounds
    one = judge(CLOSED, replace(GOOD, rounds=(first, replace(second, **fields), third)))
    assert one.is_valid
    assert [(bad.round, [why.code for why in bad.objections]) for bad in one.rounds] == [
        (1, [code])
    ]
    assert one.has_failed is code.state.is_failure
    two = (replace(first, **fields), replace(second, **fields), third)
    void = judge(CLOSED, replace(GOOD, rounds=two))
    assert [why.code for why in void.objections] == [code]
    assert [bad.round for bad in void.rounds] == [0, 1]


def test_two_rounds_of_three_that_are_off_by_ten_times_void_the_cell() -> None:
    """Whichever way each of them is off: their median would be 1."""
    assert judge(CLOSED, each(GOOD, halves=changes(0.1, 10.0, 1.0))).state == "unsteady"


def test_rounds_that_are_bad_for_different_reasons_add_up() -> None:
    first, second, third = GOOD.rounds
    rounds = replace(first, error_kinds={"reset": 1}), replace(second, halves=Change(2.0)), third
    verdict = judge(CLOSED, replace(GOOD, rounds=rounds))
    assert verdict.states == ("errors", "unsteady")


@pytest.mark.parametrize(
    ("bad", "rounds", "void"),
    [(1, 1, True), (1, 2, True), (1, 3, False), (2, 5, True), (2, 6, False), (3, 9, False)],
)
def test_more_than_a_third_of_the_rounds_void_the_cell(
    bad: int, rounds: int, *, void: bool
) -> None:
    assert too_many(bad, rounds, SHIPPED) is void


def test_share_of_bad_rounds_is_the_one_that_is_given() -> None:
    halves = changes(2.0, 1.0, 1.0)
    assert not judge(
        CLOSED, each(GOOD, halves=halves), replace(SHIPPED, max_bad_rounds=0.2)
    ).is_valid


def test_answers_of_rounds_that_do_not_count_are_none_for_a_median() -> None:
    evidence = each(GOOD, answers=(900, 9, 9), halves=changes(3.0, 1.0, 1.0))
    assert judge(CLOSED, evidence).objections == (
        Objection.of(ObjectionCode.ANSWERS_FEW, answers=18, needed=20, seconds=4.0 * 20 / 18),
    )


def test_too_few_answers_say_nothing_of_steadiness() -> None:
    evidence = each(GOOD, answers=(7, 6, 6), halves=changes(3.0, 3.0, 3.0))
    verdict = judge(CLOSED, evidence)
    assert (verdict.states, verdict.rounds) == (("too-few-samples",), ())
