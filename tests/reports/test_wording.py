import pytest

from loopmark.harness.vocabulary.cell import ValidityState
from loopmark.harness.vocabulary.comparison import Comparison, SeriesResult, Side
from loopmark.harness.vocabulary.figures import StageResult
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.loads.fan_out import FanOut, FanOutSteps
from loopmark.harness.vocabulary.thresholds import SHIPPED
from loopmark.reports import formatting, wording
from tests.reports.conftest import fan_out, with_figures

LOAD = Closed(users=10, duration_s=1.0)


def comparison(
    ratio: float | None,
    bounds: tuple[float, float] | None,
    metric: str = "throughput_rps",
    reasons: tuple[str, ...] = (),
    load: Load = LOAD,
) -> Comparison:
    rounds = 3 if bounds else 1
    return Comparison(
        *("target", metric, Side("sync", None), Side("async", None), "s", "async", load, "native"),
        *(ratio, bounds, rounds, reasons),
    )


def test_a_clear_ratio() -> None:
    assert wording.comparison_sentence(comparison(1.31, (1.1, 1.5))) == (
        "async has 1.31 times the throughput of sync (95% interval 1.10 to 1.50, 3 rounds)"
    )


def test_an_interval_that_contains_one() -> None:
    assert wording.comparison_sentence(comparison(1.02, (0.9, 1.2))) == (
        "no significant difference between async and sync in throughput "
        "(ratio 1.02, 95% interval 0.900 to 1.20, 3 rounds)"
    )


def test_a_single_round() -> None:
    text = wording.comparison_sentence(comparison(0.5, None, "cpu_ms_per_request"))
    assert text == (
        "async uses 0.500 times the CPU per request of sync "
        "(one round, no interval: it may be chance)"
    )


def test_inconclusive_with_its_reasons() -> None:
    text = wording.comparison_sentence(comparison(None, None, reasons=("async: errors", "x")))
    assert text == "async against sync is inconclusive (async: errors; x)"
    assert "no reason recorded" in wording.comparison_sentence(comparison(None, None))


def test_every_state_has_words() -> None:
    assert set(wording.VALIDITY) == set(ValidityState)


STEPS = FanOutSteps(100, (5.0, 10.0), 2.0)


@pytest.mark.parametrize(
    ("load", "words", "size"),
    [
        (FanOut(1000, 20.0, 5.0), "1,000 clients, 20 publications per second", "1,000 at 20/s"),
        (FanOut(1, 0.5, 5.0), "1 client, 0.500 publications per second", "1 at 0.500/s"),
        (
            FanOut(50, 5.0, 5.0, slow=9, stalled=1, http_users=1),
            "50 clients, 9 of them slow, 1 of them stalled, 1 HTTP user, 5 publications per second",
            "50 at 5/s, 9 slow, 1 stalled, 1 HTTP user",
        ),
        (
            STEPS,
            "100 clients, 5 to 10 publications per second in 2 steps of 2.00 s",
            "100 at 5 to 10/s",
        ),
    ],
)
def test_fan_outs_in_words(load: Load, words: str, size: str) -> None:
    assert wording.at_once(load) == words
    assert wording.size(load) == size
    assert wording.planned(load).startswith(f"{words}, for ")


def test_what_in_time_means_is_what_the_rule_says() -> None:
    said = f"{SHIPPED.in_time_share:.0%} within {STEPS.limit_ms:g} ms"
    assert said in formatting.filled(STEPS.words.note, STEPS)


def test_a_delivery_is_no_request() -> None:
    one = comparison(0.5, (0.4, 0.6), "latency_ms.p99", load=FanOut(10, 5.0, 1.0))
    assert wording.comparison_sentence(one) == (
        "the 99th percentile of delivery latency of async is 0.500 times that of sync "
        "(95% interval 0.400 to 0.600, 3 rounds)"
    )
    assert wording.subject("cpu_ms_per_request", one.load) == "CPU per delivery"
    assert wording.subject("cpu_ms_per_request", LOAD) == "CPU per request"


def stage(rate: float, **changed: float | None) -> StageResult:
    whole = {"offered_rps": 100 * rate, "answered_rps": 100 * rate, "p99_ms": 20.0, "errors": 0}
    found = whole | changed
    return StageResult(
        start_s=0.0,
        duration_s=2.0,
        rate=rate,
        sent_rps=100 * rate,
        refused=0,
        p50_ms=None,
        kept_up=not changed,
        **found,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("second", "knee", "words"),
    [
        (
            {"p99_ms": 340.0},
            5.0,
            "up to 5 publications per second, 500 deliveries per second; at 10 p99 was 340 ms",
        ),
        ({"p99_ms": None}, 5.0, "at 10 over 1% arrived late"),
        ({"answered_rps": 999.99, "errors": 1}, 5.0, "at 10 reach was 99.999%"),
        ({"errors": 1}, 5.0, "at 10 publications failed or were refused"),
        ({}, None, "in every stage, up to 10 publications per second, 1,000 deliveries per second"),
        ({}, 0.0, "not every client received every event in time, even in the slowest stage"),
    ],
)
def test_knee_of_a_fan_out_says_what_happened_beyond_it(
    second: dict[str, float | None], knee: float | None, words: str
) -> None:
    stages = (stage(5.0), stage(10.0, **second))
    cell = with_figures(fan_out("async", STEPS), stages=stages, knee_rps=knee)
    assert words in wording.knee_sentence(cell)


def series(**changed: object) -> SeriesResult:
    known: dict[str, object] = {
        "series": "files",
        "target": "async",
        "driver": "native",
        "load": LOAD,
        "metric": "throughput_rps",
        "best_at": 64.0,
        "enough_at": 64.0,
        "worse_from": None,
        "rounds": 3,
        "margin": 0.15,
    }
    return SeriesResult(**(known | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (series(), "async, 10 users: best throughput with limit = 64"),
        (series(enough_at=16.0), "limit = 64; from 16 on within 15% of the best"),
        (series(enough_at=None), "limit = 64; too few rounds to show which are as good"),
        (series(worse_from=256.0), "limit = 64; significantly worse from 256 on"),
        (series(rounds=1, enough_at=1.0), "limit = 64; one round only, it may be chance"),
        (
            series(best_at=None, enough_at=None, left_out=(1.0, 4.0)),
            "too few valid values of limit to compare; 1 and 4 excluded as invalid",
        ),
    ],
)
def test_a_series_in_words(found: SeriesResult, words: str) -> None:
    assert wording.series_sentence(found, "limit").endswith(words)
