"""The Markdown page of an outcome. Pure, but for its template."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loopmark.harness.vocabulary.figures import Interval
from tests.bench.driver.accuracy import (
    DELAY_TRUTH_MS,
    ERROR_TRUTH,
    HELD_PERCENTILES,
    STALL_TRUTH_MS,
    is_within,
)
from tests.bench.driver.catalog import DRIVERS, GENERATORS, OURS
from tests.bench.driver.judgement import (
    cost_ratio,
    driver_ratio,
    figures,
    in_percent,
    percentile_name,
    truth_ratio,
)
from tests.bench.driver.known_behaviour import DELAY, ERRORS, STALL
from tests.bench.driver.outcome import Found, Held, Outcome
from tests.bench.driver.task import PERCENTILES, Reading

NOTHING = "-"
MARKDOWN = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    trim_blocks=False,
    keep_trailing_newline=True,
)


def page(outcome: Outcome) -> str:
    """Everything, as `docs/driver.md`."""
    text = MARKDOWN.get_template("page.md.jinja").render(
        outcome=outcome,
        plan=outcome.plan,
        figures=figures(outcome),
        costs=cost_table(outcome),
        stall=STALL,
        delay=DELAY,
        errors=ERRORS,
        stall_table=latency_table(STALL_TRUTH_MS, outcome.stall),
        answers_table=latency_table(DELAY_TRUTH_MS, outcome.answers, ERROR_TRUTH),
        agreement=agreement_table(outcome),
        even=_even(outcome.even),
    )
    return f"{text.rstrip()}\n"


def cost_table(outcome: Outcome) -> str:
    """CPU per request, throughput and ours over theirs, by generator and concurrency."""
    users = outcome.plan.users
    headings = ["generator", *(f"CPU at {count}, us" for count in users)]
    headings += [f"requests/s at {count}" for count in users]
    headings += [f"{OURS} / it, at {count}" for count in users]
    rows = []
    for generator in GENERATORS:
        name = generator.name
        readings = [outcome.readings(name, count) for count in users]
        row = [name]
        for count, found in zip(users, readings, strict=True):
            row.append(_median(found, _cpu) if found else _cell(outcome.reason(name, count)))
        row += [_median(found, _throughput) for found in readings]
        row += [
            _ratio(found, outcome.readings(OURS, count)) if name != OURS else NOTHING
            for count, found in zip(users, readings, strict=True)
        ]
        rows.append(row)
        if name in DRIVERS:
            to_disk = [_median(found, _cpu_to_disk) for found in readings]
            if any(value != NOTHING for value in to_disk):
                blank = [NOTHING] * (2 * len(users))
                rows.append([f"{name}, until all samples are on disk", *to_disk, *blank])
    return table(headings, rows)


def latency_table(
    truth_ms: Mapping[str, float], reported: Mapping[str, Found], error_share: float | None = None
) -> str:
    """What is true and what each row reports of it."""
    headings = ["", *map(percentile_name, PERCENTILES), "requests"]
    rows = [["true", *(f"{truth_ms[name]:.1f}" for name in PERCENTILES), ""]]
    if error_share is not None:
        headings.append("failures")
        rows[0].append(f"{100 * error_share:.2f}%")
    for name, found in reported.items():
        if isinstance(found, str):
            rows.append([name, _cell(found), *[""] * (len(headings) - 2)])
            continue
        latencies = (_latency(found, one, truth_ms[one]) for one in PERCENTILES)
        row = [name, *latencies, f"{found.requests:,}"]
        if error_share is not None:
            row.append(f"{100 * found.error_share:.2f}%")
        rows.append(row)
    return table(headings, rows)


def agreement_table(outcome: Outcome) -> str:
    """Our drivers against the known delays and against the native one, and the target's own."""
    headings = ["", "users", *map(percentile_name, HELD_PERCENTILES), "requests"]
    rows = []
    for users in outcome.plan.agreement_users:
        turns: list[Held] = []
        for name in DRIVERS:
            found = outcome.held_against(name, users)
            turns += found.values()
            requests = sum(
                turn.found.requests for turn in found.values() if isinstance(turn.found, Reading)
            )
            ratios = [truth_ratio(outcome, name, users, one) for one in HELD_PERCENTILES]
            rows.append([f"{name} over the truth", f"{users}", *map(_percent, ratios)])
            rows[-1].append(f"{requests:,}")
        for name in DRIVERS[1:]:
            ratios = [driver_ratio(outcome, name, users, one) for one in HELD_PERCENTILES]
            rows.append([f"{name} over {OURS}", f"{users}", *map(_percent, ratios), ""])
        rows.append(["the target was late by", f"{users}", *_lateness(turns), ""])
    return table(headings, rows)


def _lateness(turns: Sequence[Held]) -> Iterator[str]:
    for name in HELD_PERCENTILES:
        late_ms = [turn.true_ms[name] - DELAY_TRUTH_MS[name] for turn in turns]
        yield f"{median(late_ms):.2f} ms" if late_ms else NOTHING


def _percent(ratio: tuple[float, Interval | None] | None) -> str:
    return in_percent(ratio) if ratio else NOTHING


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first column is text, the others are numbers."""
    marks = ["---", *["---:"] * (len(headings) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (headings, marks, *rows))


def judged_lines(outcome: Outcome) -> Iterator[str]:
    """The judged figures, one per line, for a terminal."""
    for figure in figures(outcome):
        stretch = " (stretch)" if figure.is_stretch else ""
        found = figure.found or NOTHING
        yield f"{figure.state:12}  {figure.what}: {found}; asked: {figure.asked}{stretch}"
    yield _even(outcome.even)


def _cpu(reading: Reading) -> float | None:
    return reading.cpu_us_per_request


def _throughput(reading: Reading) -> float | None:
    return reading.throughput_rps


def _cpu_to_disk(reading: Reading) -> float | None:
    if reading.cpu_to_disk_s is None or not reading.requests_to_disk:
        return None
    return 1e6 * reading.cpu_to_disk_s / reading.requests_to_disk


def _median(readings: Mapping[int, Reading], figure: Callable[[Reading], float | None]) -> str:
    values = [value for one in readings.values() if (value := figure(one)) is not None]
    return f"{median(values):,.0f}" if values else NOTHING


def _ratio(theirs: Mapping[int, Reading], ours: Mapping[int, Reading]) -> str:
    ratio = cost_ratio(theirs, ours)
    return f"{ratio[0]:.2f}" if ratio else NOTHING


def _latency(reading: Reading, name: str, truth_ms: float) -> str:
    value = reading.latency_ms.get(name)
    if value is None:
        return NOTHING
    return f"{value:.1f}" if is_within(value, truth_ms) else f"**{value:.1f}**"


def _even(found: Found) -> str:
    if isinstance(found, str):
        return f"{OURS}: {found}"
    if found.on_time_share is None:
        return f"{OURS}: no due times were recorded"
    return (
        f"{OURS} sent {100 * found.on_time_share:.2f}% of {found.requests:,} requests "
        "within 1 ms of when they were due."
    )


def _cell(text: str) -> str:
    """Text that cannot break a row."""
    return text.replace("|", "/").replace("\n", " ") or NOTHING
