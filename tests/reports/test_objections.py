"""Every code has its sentence, whatever its values are."""

from __future__ import annotations

import pytest

from loopmark.harness.vocabulary.cell import Objection, Validity, ValidityState, Value
from loopmark.harness.vocabulary.cell import ObjectionCode as Code
from loopmark.reports import objections


def test_every_code_has_a_sentence() -> None:
    assert set(objections.SENTENCES) == set(Code)


@pytest.mark.parametrize(
    ("code", "values", "sentence"),
    [
        (
            Code.SCHEDULE_MISSED,
            {"missed": 12, "due": 5000, "what": "requests"},
            "the driver missed 12 of 5,000 scheduled requests",
        ),
        (Code.SCHEDULE_UNKNOWN, {"rounds": 1}, "the number of requests sent is unknown in 1 round"),
        (
            Code.DRIVER_NOT_SCHEDULED,
            {"share": 0.124},
            "the driver was runnable but not scheduled: that may be 12% of the main figure",
        ),
        (
            Code.RATE_NOT_REACHED,
            {"sent_per_s": 15.0, "asked_per_s": 19.75, "what": "publications"},
            "the driver sent 15 of 19.8 scheduled publications per second",
        ),
        (
            Code.DELIVERIES_MISSING,
            {"missing": 1, "reach": 0.999999},
            "1 delivery is missing (reach 99.999%)",
        ),
        (
            Code.DELIVERIES_MISSING,
            {"missing": 1200, "reach": None},
            "1,200 deliveries are missing",
        ),
        (
            Code.ANSWERS_FEW,
            {"answers": 13, "needed": 20},
            "13 correct responses; a median needs 20",
        ),
        (
            Code.ANSWERS_FEW,
            {"answers": 1, "needed": 20, "seconds": 41.2},
            "1 correct response; a median needs 20, about 42 s at this rate",
        ),
        (
            Code.ANSWERS_FEW,
            {"answers": 0, "needed": 20, "seconds": None},
            "0 correct responses; a median needs 20",
        ),
        (Code.CLIENTS_RECONNECTED, {"times": 1}, "active clients reconnected once"),
        (Code.CLIENTS_RECONNECTED, {"times": 2}, "active clients reconnected 2 times"),
        (Code.TASKS_RAISED, {"times": 3, "example": ""}, "tasks raised an exception 3 times"),
        (
            Code.TASKS_RAISED,
            {"times": 1, "example": "{odd}: no # here"},
            "tasks raised an exception once: {odd}: no # here",
        ),
        (
            Code.LEVEL_CHANGED,
            {"series": "responses", "cut": 2, "rounds": 3},
            ("mean response time changed within the window in 2 of 3 rounds (MSER)"),
        ),
        (
            Code.USERS_UNACCOUNTED,
            {"counted": 8.0, "users": 10, "think_s": 0.0},
            "throughput x latency gives 8.0 users, the load had 10",
        ),
        (
            Code.USERS_UNACCOUNTED,
            {"counted": 8.0, "users": 10, "think_s": 0.5},
            "throughput x latency and think time gives 8.0 users, the load had 10",
        ),
        (Code.SAMPLES_MISSING, {"missing": 2}, "2 samples that the driver recorded are missing"),
        (
            Code.ROWS_DIFFER,
            {"what": "rows", "acknowledged": 1200, "found": -3},
            "rows: +1,200 rows acknowledged, -3 found",
        ),
    ],
)
def test_sentence(code: Code, values: dict[str, Value], sentence: str) -> None:
    assert objections.sentence(Objection(code, values)) == sentence


def test_sentences_keep_the_order() -> None:
    against = (Objection.of(Code.TARGET_DIED, why=""), Objection(Code.CONCURRENCY_UNKNOWN))
    assert objections.sentences(Validity(ValidityState.TARGET_DIED, against)) == (
        "the target exited under load",
        "concurrency unknown",
    )
