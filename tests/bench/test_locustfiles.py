"""The page of what locustfiles say, from built runs; the runs themselves take minutes."""

from __future__ import annotations

from tests.bench.locustfiles.__main__ import QUICK, Outcome, page
from tests.bench.locustfiles.plain import CLIENTS, PlainRun
from tests.bench.locustfiles.runs import Found

FOUND = Found(
    state="valid",
    throughput=49.6,
    latency_ms={"p50": 36.1, "p90": 70.0, "p99": None},
    cpu_ms=1.92,
    cpu_fraction=0.095,
    lag_ms=2.5,
    requests=496,
)
TRUE_MS = {"p50": 33.9, "p90": 66.1, "p99": 112.1}
REFUSED = Found("refused", ("shop.py has no user class",))


def test_page_has_the_error_of_each_percentile_and_the_examples() -> None:
    plain = [PlainRun(client, 50, FOUND, TRUE_MS) for client in CLIENTS]
    examples = [("basic.py", FOUND), ("odd.py", REFUSED)]
    text = page(Outcome("2026-11-27T12:00:00", QUICK, plain, examples))
    assert "| HttpUser | 50 | 2.20 | 3.90 | - | 1.92 | 1.1 | 10% | 2.5 | valid |" in text
    assert "| basic.py | 496 | 49.6 | 36.10 | 10% | valid |" in text
    assert "| odd.py | 0 | - | - | - | refused: shop.py has no user class |" in text
    assert "1 of 2 are valid" in text


def test_page_without_examples_has_no_table_of_them() -> None:
    text = page(Outcome("2026-11-27T12:00:00", QUICK, [], []))
    assert "examples" not in text
