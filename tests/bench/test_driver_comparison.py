"""The comparison of generators: its truths, its target, its parsers, its page, all of it once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import pytest

from loopmark.harness.analysis.statistics import percentile
from loopmark.harness.vocabulary.job import DriverReport
from tests.bench.driver.accuracy import DELAY_TRUTH_MS, HELD_PERCENTILES, STALL_TRUTH_MS, is_within
from tests.bench.driver.catalog import (
    FAST,
    GENERATORS,
    HEY,
    OURS,
    OURS_HTTPX,
    OURS_LOCUST,
    POOL,
)
from tests.bench.driver.generators import hey, wrk
from tests.bench.driver.generators.loopmark import summarised
from tests.bench.driver.judgement import figures
from tests.bench.driver.known_behaviour import DELAY, ERRORS, STALL, Delay, Stall
from tests.bench.driver.outcome import Cost, Found, Held, Outcome
from tests.bench.driver.page import agreement_table, cost_table, latency_table, page
from tests.bench.driver.plan import QUICK, Plan, askers, is_slow, turns
from tests.bench.driver.processes import ROOT, target
from tests.bench.driver.task import PERCENTILES, Reading, Task

# ---- what is true ----


def test_waits_of_the_documented_stall() -> None:
    assert dict(STALL_TRUTH_MS) == pytest.approx(
        {"p50": 0, "p90": 500, "p95": 750, "p99": 950, "p999": 995}
    )


@pytest.mark.parametrize("rate", [100, 250, 1000])
@pytest.mark.parametrize("phase", [0.0, 0.31, 0.99])
@pytest.mark.parametrize("stall", [STALL, Stall(2.0, 0.5), Stall(1.0, 0.999)])
def test_constant_arrivals_differ_from_it_by_less_than_their_spacing(
    stall: Stall, phase: float, rate: int
) -> None:
    arrivals = (np.arange(20 * rate * round(stall.every_s)) + phase) / rate
    waits_ms = [1000 * stall.remaining_s(float(at)) for at in arrivals]
    for p in PERCENTILES.values():
        assert abs(percentile(waits_ms, p) - stall.percentile_ms(p)) <= 1000 / rate + 1e-6


def test_a_request_waits_for_the_end_of_the_stall() -> None:
    stall = Stall(every_s=5.0, for_s=1.0)
    waits = [stall.remaining_s(at) for at in (0.0, 0.25, 1.0, 4.9, 5.5)]
    assert waits == pytest.approx([1.0, 0.75, 0.0, 0.0, 0.5])


def test_delays_have_the_percentiles_of_a_shifted_exponential() -> None:
    # 20 + 20 ln 2, 20 + 20 ln 10, ...
    by_hand = {"p50": 33.863, "p90": 66.052, "p95": 79.915, "p99": 112.103, "p999": 158.155}
    assert dict(DELAY_TRUTH_MS) == pytest.approx(by_hand, abs=0.001)


@pytest.mark.parametrize("start", [0, 317])
def test_delays_keep_to_them_in_every_stretch(start: int) -> None:
    drawn = 1000 * np.array(list(islice(DELAY.draws_s(Random(1)), start, start + 3000)))
    for name in ("p50", "p90", "p95", "p99"):
        assert percentile(drawn, PERCENTILES[name]) == pytest.approx(DELAY_TRUTH_MS[name], rel=0.05)


def test_the_same_seed_draws_the_same_delays() -> None:
    delay = Delay(0.01, 0.02)
    one, other = (list(islice(delay.draws_s(Random(7)), 50)) for _ in range(2))
    assert one == other


def test_every_twentieth_request_fails() -> None:
    assert [number for number in range(60) if ERRORS.fails(number)] == [19, 39, 59]
    assert ERRORS.share == 0.05


@pytest.mark.parametrize(
    ("reported", "truth", "within"),
    [(2.9, 0.0, True), (3.1, 0.0, False), (969, 950, True), (970, 950, False), (97.1, 100, True)],
)
def test_within_two_percent_or_three_milliseconds(
    reported: float, truth: float, *, within: bool
) -> None:
    assert is_within(reported, truth) is within


# ---- what the target does ----


async def _asked(base_url: str, path: str) -> tuple[int, float, bytes]:
    """Status, seconds and body of one GET on a connection of its own."""
    host, _, port = base_url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    started = time.monotonic()
    writer.write(f"GET {path} HTTP/1.1\r\nHost: target\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r", 1)[0])
    body = await reader.readexactly(length)
    took_s = time.monotonic() - started
    writer.close()
    await writer.wait_closed()
    return int(head.split(b" ", 2)[1]), took_s, body


def test_known_target_stands_still_on_its_schedule() -> None:
    async def asked(base_url: str) -> None:
        epoch_s = json.loads((await _asked(base_url, "/schedule"))[2])["epoch_ns"] / 1e9
        # The start of the next stall, with time to get ready.
        next_s = epoch_s + STALL.every_s * ((time.monotonic() - epoch_s) // STALL.every_s + 1)
        await asyncio.sleep(max(0.0, next_s + 0.3 - time.monotonic()))
        in_stall = [asyncio.ensure_future(_asked(base_url, "/stall")) for _ in range(5)]
        # Others are answered meanwhile: the target stands still where it is said to.
        beside_s = (await _asked(base_url, "/"))[1]
        stalled = await asyncio.gather(*in_stall)
        assert {status for status, _, _ in stalled} == {200}
        after_s = (await _asked(base_url, "/stall"))[1]
        assert min(took_s for _, took_s, _ in stalled) > max(beside_s, after_s)

    # So that the next stall is near.
    epoch_s = time.monotonic() + 1.5 - STALL.every_s
    with target("known_target", (), "--epoch-s", repr(epoch_s)) as base_url:
        asyncio.run(asked(base_url))


def test_who_does_not_wait_for_the_known_target_keeps_nobody_from_an_answer() -> None:
    async def asked(base_url: str) -> None:
        host, _, port = base_url.removeprefix("http://").partition(":")
        for _ in range(3):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /answers HTTP/1.1\r\nHost: target\r\n\r\n")
            await writer.drain()
            writer.transport.abort()
        answers = await asyncio.gather(*(_asked(base_url, "/answers") for _ in range(20)))
        assert {status for status, _, _ in answers} <= {200, 500}

    with target("known_target", ()) as base_url:
        asyncio.run(asyncio.wait_for(asked(base_url), 10))


def test_known_target_delays_and_fails_as_known() -> None:
    async def asked(base_url: str) -> list[tuple[int, float, bytes]]:
        return list(await asyncio.gather(*(_asked(base_url, "/answers") for _ in range(100))))

    with target("known_target", ()) as base_url:
        answers = asyncio.run(asked(base_url))
        delays = json.loads(asyncio.run(_asked(base_url, "/delays"))[2])["us"]
    assert Counter(status for status, _, _ in answers) == {200: 95, 500: 5}
    assert min(took_s for _, took_s, _ in answers) >= 0.019
    assert np.median([took_s for _, took_s, _ in answers]) > 0.030
    # What it says of itself: of every right answer, not less than the client saw of each.
    assert len(delays) == 95
    assert min(delays) >= 20_000
    assert all(
        us / 1e6 <= took_s
        for us, took_s in zip(
            sorted(delays), sorted(s for status, s, _ in answers if status == 200), strict=True
        )
    )


# ---- what the tools say ----

WRK = """Running 2s test @ http://127.0.0.1:9/
  1 threads and 10 connections
  Latency Distribution
     50%  920.00us
     75%    1.12ms
     90%    2.98ms
     99%    1.03s
  1684 requests in 2.01s, 855.16KB read
  Socket errors: connect 0, read 1, write 0, timeout 2
  Non-2xx or 3xx responses: 84
Requests/sec:    841.17
"""

HEY_REPORT = """
Summary:
  Total:\t1.0073 secs
  Requests/sec:\t39.7089

Latency distribution:
  50% in 0.0021 secs
  75% in 0.0025 secs
  90% in 0.0028 secs
  95% in 0.0072 secs
  0% in 0.0000 secs

Status code distribution:
  [200]\t36 responses
  [500]\t2 responses

Error distribution:
  [3]\tGet "http://127.0.0.1:9/": EOF
"""


def test_report_of_wrk() -> None:
    found = wrk.parsed(WRK, 0.5)
    assert found.latency_ms == pytest.approx({"p50": 0.92, "p90": 2.98, "p99": 1030.0})
    assert replace(found, latency_ms={}) == Reading(1684, 87, 0.5, 2.01, {})


def test_report_of_hey() -> None:
    found = hey.parsed(HEY_REPORT, 0.5)
    assert found.latency_ms == pytest.approx({"p50": 2.1, "p90": 2.8, "p95": 7.2})
    assert replace(found, latency_ms={}) == Reading(41, 5, 0.5, 1.0073, {})


@pytest.mark.parametrize("parsed", [wrk.parsed, hey.parsed])
def test_no_report_is_an_error(parsed: object) -> None:
    assert callable(parsed)
    with pytest.raises(ValueError, match="no report"):
        parsed("unable to connect", 0.0)


SAMPLES = {
    # Due 20 ms apart from 100 ms on, sent 0, 1, 2, ... tenths of a ms late, done 10 ms later.
    "due_ns": [(100 + 20 * k) * 1_000_000 for k in range(50)],
    "sent_ns": [(100 + 20 * k) * 1_000_000 + k * 100_000 for k in range(50)],
    "done_ns": [(110 + 20 * k) * 1_000_000 + k * 100_000 for k in range(50)],
    "error": ["server-error" if k % 10 == 0 else "" for k in range(50)],
}


def report(start_ms: int, end_ms: int) -> DriverReport:
    return DriverReport(
        window_start_ns=start_ms * 1_000_000,
        window_end_ns=end_ms * 1_000_000,
        requests=50,
        unsent=0,
        cpu_s=0.25,
        waited_s=0.0,
        loop_lag_ms_p99=0.0,
        loop_lag_ms_max=0.0,
        error_examples={},
    )


def test_open_load_counts_what_was_due_and_from_when_it_was() -> None:
    task = Task("", "/", 10, 1.0, 0.0, rate=50)
    reading = summarised(SAMPLES, report(100, 500), task)
    assert (reading.requests, reading.errors, reading.wall_s) == (20, 2, 0.4)
    assert reading.latency_ms == {}
    # Those that were sent up to ten tenths late.
    assert reading.on_time_share == 11 / 20
    whole = summarised(SAMPLES, report(100, 1100), task)
    # Of 45 right answers the 23rd is number 25: 10 ms and 2.5 ms of waiting.
    assert whole.latency_ms == {"p50": pytest.approx(12.5)}


def test_closed_load_counts_what_was_done_and_from_when_it_was_sent() -> None:
    reading = summarised(SAMPLES, report(0, 2000), Task("", "/", 10, 2.0, 0.0))
    assert (reading.requests, reading.errors) == (50, 5)
    assert reading.latency_ms == {"p50": pytest.approx(10.0)}
    assert reading.on_time_share is None
    assert reading.cpu_us_per_request == pytest.approx(5000)


# ---- the plan ----


def test_every_round_has_every_turn_once_in_an_order_of_its_own() -> None:
    plan = Plan()
    first, second, again = turns(plan, 0), turns(plan, 1), turns(plan, 1)
    assert set(first) == {*second, *(turn for turn in first if is_slow(turn))}
    assert len(set(first)) == len(first) == len(GENERATORS) * len(plan.users)
    assert second == again
    assert [turn for turn in first if not is_slow(turn)] != second
    assert not any(map(is_slow, second))


def test_windows_under_the_stall_are_whole_periods() -> None:
    for plan in (Plan(), QUICK):
        assert plan.stall_s % STALL.every_s == 0
        assert len({row.name for row in askers(plan)}) == len(askers(plan))
    # Enough for p99.9.
    assert Plan().stall_s * Plan().rate * (1 - 0.999) >= 10 - 1e-9


def test_users_think_only_where_they_would_ask_too_often() -> None:
    plan = Plan(agreement_rate=1000.0)
    assert plan.think_s(10) == 0
    # 500 users, 40 ms of delay and 460 ms of thought each: 1000 requests per second.
    assert plan.think_s(500) == pytest.approx(0.46)


# ---- judgement and page ----


def made_turns(generator: str, users: int, ratios: Sequence[float]) -> list[Held]:
    true_ms = {name: DELAY_TRUTH_MS[name] + 0.1 for name in HELD_PERCENTILES}
    return [
        Held(
            number,
            generator,
            users,
            Reading(2500, 0, 1.0, 2.0, {name: ratio * ms for name, ms in true_ms.items()}),
            true_ms,
        )
        for number, ratio in enumerate(ratios)
    ]


def made_outcome(cpu_us: Mapping[tuple[str, int], tuple[float, ...]]) -> Outcome:
    costs = [
        Cost(number, name, users, Reading(1000, 0, value / 1000, 1.0, {}))
        for (name, users), values in cpu_us.items()
        for number, value in enumerate(values)
    ]
    costs.append(Cost(0, POOL, 1000, "failed: a | in\nits last line"))
    exact = Reading(10_000, 0, 1.0, 100.0, {k: v + 0.4 for k, v in STALL_TRUTH_MS.items()})
    blind = Reading(8_100, 0, 1.0, 100.0, {"p50": 0.4, "p90": 0.8, "p99": 1.0})
    stall: dict[str, Found] = {OURS: exact, "hey, 10 connections": blind, "wrk": "not installed"}
    return Outcome(
        started="2026-01-01T00:00:00+00:00",
        took_s=400.0,
        machine={"processor": "P", "cores": "2"},
        pinned_apart=True,
        plan=Plan(rounds=3),
        costs=costs,
        stall=stall,
        answers={OURS: Reading(3500, 175, 1.0, 3.0, dict(DELAY_TRUTH_MS))},
        held=[
            *made_turns(OURS, 50, (1.01, 1.01, 1.01)),
            *made_turns(OURS_HTTPX, 50, (1.01, 1.01)),
            *made_turns(OURS_LOCUST, 50, (1.01, 1.04)),
            *made_turns(OURS, 500, (1.00, 1.00)),
        ],
        even=Reading(8000, 0, 1.0, 8.0, {}, on_time_share=0.999),
    )


CPU_US = {
    (OURS, 10): (40.0, 41.0, 42.0),
    (OURS, 100): (50.0, 50.0, 50.0),
    (OURS, 1000): (60.0, 61.5, 63.0),
    (FAST, 10): (160.0, 164.0, 168.0),
    (FAST, 100): (50.0, 50.0, 50.0),
    (OURS_LOCUST, 10): (160.0, 164.0, 168.0),
    (OURS_LOCUST, 100): (60.0, 60.0, 60.0),
    (OURS_HTTPX, 10): (170.0, 174.25, 178.5),
    ("wrk", 10): (30.0, 30.75, 31.5),
    (HEY, 10): (80.0, 82.0, 84.0),
    (HEY, 1000): (60.0, 61.5, 63.0),
}


def test_figures_are_judged_by_paired_rounds() -> None:
    found = {figure.what: figure for figure in figures(made_outcome(CPU_US))}

    def state(what: str) -> str:
        return found[what].state

    fast = f"{OURS}: CPU per request over that of {FAST}"
    assert (state(f"{fast}, at 10"), found[f"{fast}, at 10"].found) == (
        "met",
        "0.25 (0.25 to 0.25)",
    )
    assert state(f"{fast}, at 100") == "missed"
    assert state(f"{fast}, at 1000") == "not measured"
    assert state(f"{OURS}: CPU per request at 1000 over that at 10") == "missed"
    assert state(f"{OURS}: CPU per request over that of wrk, at 10") == "met"
    assert state(f"{OURS_HTTPX}: CPU per request over that of {FAST}, at 10") == "met"
    hey_figure = f"{OURS}: CPU per request over that of {HEY}"
    assert state(f"{hey_figure}, at 10") == "met"
    # As much as hey is not below it.
    assert state(f"{hey_figure}, at 1000") == "missed"
    assert found[f"{hey_figure}, at 10"].is_stretch
    assert {state(what) for what in found if "stalls" in what} == {"met"}


def test_the_locust_driver_may_cost_no_more_than_what_it_drives() -> None:
    found = {figure.what: figure for figure in figures(made_outcome(CPU_US))}
    fast = f"{OURS_LOCUST}: CPU per request over that of {FAST}"
    states = [found[f"{fast}, at {users}"].state for users in (10, 100, 1000)]
    assert states == ["met", "missed", "not measured"]
    assert found[f"{fast}, at 100"].found == "1.20 (1.20 to 1.20)"


def test_drivers_are_held_against_the_truth_and_against_each_other() -> None:
    found = [figure for figure in figures(made_outcome({})) if "known delays" in figure.what]
    assert [(figure.found, figure.state) for figure in found] == [
        ("+1.0%, +1.0%, +1.0%", "met"),
        ("+1.0%, +1.0%, +1.0%", "met"),
        ("+0.0%, +0.0%, +0.0%", "met"),
        # The geometric mean of 1.01 and 1.04, and of 1 and 1.04 / 1.01.
        ("+2.5%, +2.5%, +2.5%", "missed"),
        ("+1.5%, +1.5%, +1.5%", "met"),
        ("+0.0%, +0.0%, +0.0%", "met"),
        *[("", "not measured")] * 4,
    ]


def test_agreement_is_told_with_intervals_and_the_target_s_own_lateness() -> None:
    lines = agreement_table(made_outcome({})).splitlines()
    assert lines[2] == (
        f"| {OURS} over the truth | 50 | +1.0% (+1.0% to +1.0%) | +1.0% (+1.0% to +1.0%) "
        "| +1.0% (+1.0% to +1.0%) | 7,500 |"
    )
    assert lines[7] == "| the target was late by | 50 | 0.10 ms | 0.10 ms | 0.10 ms |  |"
    assert lines[10] == f"| {OURS_LOCUST} over the truth | 500 | - | - | - | 0 |"
    assert {line.count("|") for line in lines} == {7}


def test_nothing_measured_is_nothing_met() -> None:
    outcome = replace(made_outcome({}), held=[])
    of = [one for one in figures(outcome) if "CPU" in one.what or "known delays" in one.what]
    assert {figure.state for figure in of} == {"not measured"}


def test_cost_table_has_medians_ratios_and_reasons() -> None:
    lines = cost_table(made_outcome(CPU_US)).splitlines()
    ours = next(line for line in lines if line.startswith(f"| {OURS} |"))
    assert ours == f"| {OURS} | 41 | 50 | 62 | 1,000 | 1,000 | 1,000 | - | - | - |"
    fast = next(line for line in lines if line.startswith(f"| {FAST} |"))
    assert fast.endswith("| 0.25 | 1.00 | - |")
    pool = next(line for line in lines if line.startswith(f"| {POOL} |"))
    assert "failed: a / in its last line" in pool
    assert {line.count("|") for line in lines} == {11}


def test_latencies_far_from_the_truth_are_bold() -> None:
    lines = latency_table(STALL_TRUTH_MS, made_outcome({}).stall).splitlines()
    assert lines[2] == "| true | 0.0 | 500.0 | 750.0 | 950.0 | 995.0 |  |"
    assert lines[3] == f"| {OURS} | 0.4 | 500.4 | 750.4 | 950.4 | 995.4 | 10,000 |"
    assert lines[4] == "| hey, 10 connections | 0.4 | **0.8** | - | **1.0** | - | 8,100 |"
    assert "not installed" in lines[5]


def test_page_says_everything_and_no_template_is_left() -> None:
    text = page(made_outcome(CPU_US))
    assert "500 users who ask again at once would make 12500 requests per second" in text
    assert "50 users who" not in text
    assert "99.90% of 8,000 requests" in text
    assert "| 5.00% |" in text
    assert "{{" not in text
    assert "{%" not in text
    for line in text.splitlines():
        assert line == line.rstrip()


# ---- all of it ----


def test_quick_run_measures_everything_that_is_installed(tmp_path: Path) -> None:
    before = (ROOT / "docs" / "driver.md").stat().st_mtime_ns
    command = [sys.executable, "-m", "tests.bench.driver", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    stored = json.loads(next(tmp_path.glob("*/driver.json")).read_text())
    assert next(tmp_path.glob("*/driver.md")).read_text().startswith("# What the driver costs")
    assert (ROOT / "docs" / "driver.md").stat().st_mtime_ns == before
    for name, found in (
        *((cost["generator"], cost["found"]) for cost in stored["costs"]),
        *stored["stall"].items(),
        *stored["answers"].items(),
        *((f"{held['generator']}, held", held["found"]) for held in stored["held"]),
        (OURS, stored["even"]),
    ):
        assert found == "not installed" or not isinstance(found, str), (name, found)
        assert found == "not installed" or found["requests"] > 0, name
    assert {held["generator"] for held in stored["held"]} == {OURS}
    for held in stored["held"]:
        # A busy machine makes everything later, and nothing earlier.
        assert held["true_ms"]["p50"] > DELAY_TRUTH_MS["p50"] - 10
    ours = stored["stall"][OURS]
    assert ours["errors"] == 0
    assert ours["latency_ms"]["p90"] > 400
    assert stored["answers"][OURS]["errors"] / stored["answers"][OURS]["requests"] == pytest.approx(
        0.05, abs=0.02
    )
