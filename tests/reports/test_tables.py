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
        assert int(row["requests"]) == cell.requests
        assert row["validity"] == cell.validity.state
        for column, value in (
            ("throughput_rps", cell.throughput_rps),
            ("makespan_s", cell.makespan_s),
            ("latency_p50_ms", cell.latency_ms.p50),
            ("latency_p99_ms", cell.latency_ms.p99),
            ("target_cpu_ms_per_request", cell.target_use.cpu_ms_per_request),
            ("throughput_rps_low", cell.throughput_rps_ci and cell.throughput_rps_ci[0]),
            ("throughput_rps_high", cell.throughput_rps_ci and cell.throughput_rps_ci[1]),
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
    assert len(table_lines) == len(results.cells) + 2 * 2
    for one, other in pairwise(lines):
        if one.startswith("|") and other.startswith("|"):
            bars = [line.replace("\\|", "").count("|") for line in (one, other)]
            assert bars[0] == bars[1]


def test_markdown_escapes_the_texts_of_a_target(results: RunResults) -> None:
    text = markdown.render(results)
    assert "<script" not in text.replace("\\<script", "")
    assert "interrupted" in text
    assert "2 of 6 cells may not be believed" in text


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
