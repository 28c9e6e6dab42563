import csv
import io
import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from pydantic import TypeAdapter
from rich.console import Console

from harness.vocabulary.result import RunResults
from reports import csv_table, json_text, markdown, terminal
from reports.catalog import FORMATS


def printed(results: RunResults, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(terminal.render(results))
    return capture.get()


def rows_of(results: RunResults) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_table.render(results))))


def test_formats() -> None:
    assert list(FORMATS) == ["md", "csv", "json", "html"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_shows_every_cell_with_its_state(name: str, results: RunResults) -> None:
    text = FORMATS[name](results)
    for cell in results.cells:
        assert cell.target in text
        assert cell.validity.state in text


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_results_make_the_same_text(name: str, results: RunResults) -> None:
    assert FORMATS[name](results) == FORMATS[name](results)


def test_csv_gives_the_numbers_back_exactly(results: RunResults) -> None:
    for cell, row in zip(results.cells, rows_of(results), strict=True):
        assert row["cell"] == cell.name
        assert int(row["concurrency"]) == cell.load.concurrency
        figures = cell.figures_despite(cell.validity)
        assert int(row["requests"]) == figures.requests
        assert row["validity"] == cell.validity.state
        for column, value in (
            ("response_p50_ms", figures.response_ms.p50),
            ("connecting_p50_ms", figures.phases_ms.connecting.p50),
            ("throughput_rps", figures.throughput_rps),
            ("makespan_s", figures.makespan_s),
            ("latency_p50_ms", figures.latency_ms.p50),
            ("latency_p99_ms", figures.latency_ms.p99),
            ("target_cpu_ms_per_request", figures.target_use.cpu_ms_per_request),
            ("target_sockets", figures.target_use.sockets),
            ("database_cpu_ms_per_request", figures.database_use.cpu_ms_per_request),
            ("database_transactions_per_request", figures.database_use.transactions_per_request),
            ("throughput_rps_low", figures.throughput_rps_ci and figures.throughput_rps_ci[0]),
            ("throughput_rps_high", figures.throughput_rps_ci and figures.throughput_rps_ci[1]),
        ):
            assert row[column] == ("" if value is None else str(value))


def test_csv_keeps_text_of_a_target_within_its_field(results: RunResults) -> None:
    reasons = [row["validity_reasons"] for row in rows_of(results)]
    assert "; ".join(results.cells[4].validity.reasons) in reasons


def test_json_is_the_results(results: RunResults) -> None:
    text = json_text.render(results)
    assert TypeAdapter(RunResults).validate_json(text) == results
    assert json.loads(text)["schema_version"] == results.schema_version


def test_markdown_tables_have_as_many_fields_in_every_row(results: RunResults) -> None:
    lines = markdown.render(results).splitlines()
    table_lines = [line for line in lines if line.startswith("|")]
    assert len(table_lines) == 2 * (len(results.cells) + 2 * 2)  # answers, and times
    for one, other in pairwise(lines):
        if one.startswith("|") and other.startswith("|"):
            bars = [line.replace("\\|", "").count("|") for line in (one, other)]
            assert bars[0] == bars[1]


def test_markdown_escapes_the_texts_of_a_target(results: RunResults) -> None:
    text = markdown.render(results)
    assert "<script" not in text.replace("\\<script", "")
    assert "interrupted" in text
    assert "2 of 6 cells may not be believed" in text


def test_every_format_shows_open_loads_and_think_time(open_loads: RunResults) -> None:
    md, page, text = (
        markdown.render(open_loads),
        FORMATS["html"](open_loads),
        printed(open_loads, 90),
    )
    for shown in (md, page):
        assert "thinking 500 ms" in shown
        assert "Response p99" in shown
        assert "Kept up to" in shown
        assert "it kept up to 200 arrivals per second" in shown
        assert "kept up with every stage, to 400 per second" in shown
        assert "did not keep up with the slowest stage" in shown
        assert "not believable (driver-limited), so nothing is said" in shown
    assert "40 +500 ms" in text
    assert "250/s" in text
    assert "below 100" in text
    assert "async at 32.5/s Poisson: driver-limited, the driver reached 240 of 250" in text
    rows = rows_of(open_loads)
    assert [row["rate"] for row in rows[:3]] == ["250.0", "250.0", "32.5"]
    assert [row["knee_rps"] for row in rows[4:7]] == ["200.0", "", "0.0"]
    assert rows[8]["think_s"] == "0.5"


def test_knee_of_a_doubtful_cell_is_in_no_sentence(open_loads: RunResults) -> None:
    knees = [
        line for line in markdown.render(open_loads).splitlines() if line.startswith("- async, 50")
    ]
    assert len(knees) == 1
    assert "100 arrivals" not in knees[0]


def test_several_drivers_are_told_apart(results: RunResults) -> None:
    other = replace(results.cells[3], driver="locust", name="create-fresh/sync/closed-10/locust")
    two = replace(results, cells=(*results.cells, other))
    for text in (markdown.render(two), FORMATS["html"](two), printed(two, 100)):
        assert "locust" in text
        assert "httpx" in text


def test_the_terminal_table_fits_eighty_columns(many: RunResults, results: RunResults) -> None:
    for shown in (many, results):
        text = printed(shown, 80)
        assert "…" not in text
        # A row that does not fit is wrapped, and then does not end in its last column.
        rows = [line for line in text.splitlines() if re.search(r" (yes|NO)\s*$", line)]
        assert len(rows) == len(shown.cells)
        assert all(row.startswith(("sync", "async")) for row in rows)


def test_the_terminal_names_what_may_not_be_believed(results: RunResults) -> None:
    text = printed(results, 80)
    assert "async at 10: wrong-answers, 3 of 7,200 answers were wrong (and 1 more)" in text
    assert "sync at 100: interrupted, 0 of 3 rounds were measured" in text
    assert text.count(" NO") == 2
    assert "Interrupted" in text


def test_terminal_text_of_a_target_is_no_markup(results: RunResults) -> None:
    validity = replace(results.cells[5].validity, reasons=("[bold]x[/nonsense]",))
    cells = (*results.cells[:5], replace(results.cells[5], validity=validity))
    assert "[bold]x[/nonsense]" in printed(replace(results, cells=cells), 80)
