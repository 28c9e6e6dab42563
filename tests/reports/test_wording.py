from harness.vocabulary.cell import ValidityState
from harness.vocabulary.load import Closed
from harness.vocabulary.result import Comparison
from reports import wording

LOAD = Closed(users=10, duration_s=1.0)


def comparison(
    ratio: float | None,
    bounds: tuple[float, float] | None,
    metric: str = "throughput_rps",
    reasons: tuple[str, ...] = (),
) -> Comparison:
    rounds = 3 if bounds else 1
    return Comparison("s", LOAD, "httpx", "sync", "async", metric, ratio, bounds, rounds, reasons)


def test_a_clear_ratio() -> None:
    assert wording.comparison_sentence(comparison(1.31, (1.1, 1.5))) == (
        "async answers 1.31 times as many requests per second as sync "
        "(95% interval 1.10 to 1.50, 3 rounds)"
    )


def test_an_interval_that_contains_one() -> None:
    assert wording.comparison_sentence(comparison(1.02, (0.9, 1.2))) == (
        "no difference between async and sync in requests per second that these rounds could show "
        "(ratio 1.02, 95% interval 0.900 to 1.20, 3 rounds)"
    )


def test_a_single_round() -> None:
    text = wording.comparison_sentence(comparison(0.5, None, "cpu_ms_per_request"))
    assert text == (
        "async spends 0.500 times as much CPU on a request as sync "
        "(one round only, no interval: it may be chance)"
    )


def test_inconclusive_with_its_reasons() -> None:
    text = wording.comparison_sentence(comparison(None, None, reasons=("async: errors", "x")))
    assert text == "async against sync is inconclusive (async: errors; x)"
    assert "no reason was stored" in wording.comparison_sentence(comparison(None, None))


def test_a_metric_that_nobody_described() -> None:
    text = wording.comparison_sentence(comparison(2.0, (1.5, 2.5), "joules"))
    assert text.startswith("the figure is 2.00 times as large for async as for sync")
    assert wording.subject("joules") == "joules"


def test_every_state_has_words() -> None:
    assert set(wording.VALIDITY) == set(ValidityState)
