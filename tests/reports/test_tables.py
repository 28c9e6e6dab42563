import csv
import io
import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from pydantic import TypeAdapter
from rich.console import Console

from loopmark.harness.vocabulary.cell import Objection, ObjectionCode
from loopmark.harness.vocabulary.failure import Failure
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.result import RunResults
from loopmark.reports import columns, csv_table, html, json_text, markdown, terminal
from loopmark.reports.catalog import FORMATS, render
from loopmark.reports.formatting import MISSING
from loopmark.reports.objections import sentences
from tests.reports.conftest import against, cell_result, run_results


def printed(results: RunResults, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(terminal.render(results, verbose=True))
    return capture.get()


def rows_of(results: RunResults) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(csv_table.render(results))))


def test_formats() -> None:
    assert list(FORMATS) == ["md", "csv", "json", "html"]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_shows_every_cell_with_its_state(name: str, results: RunResults) -> None:
    text = render(name, results)
    for cell in results.cells:
        assert cell.target in text
        assert cell.validity.state in text


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_results_make_the_same_text(name: str, results: RunResults) -> None:
    assert render(name, results) == render(name, results)


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
    assert "; ".join(sentences(results.cells[4].validity)) in reasons


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
    assert "2 of 6 cells are invalid" in text


def test_every_format_shows_open_loads_and_think_time(open_loads: RunResults) -> None:
    md, page, text = (
        markdown.render(open_loads),
        render("html", open_loads),
        printed(open_loads, 90),
    )
    for shown in (md, page):
        assert "thinking 500 ms" in shown
        assert "Response p99" in shown
        assert "Max sustained rate" in shown
        assert "sustained up to 200 arrivals per second" in shown
        assert "sustained every stage, up to 400 arrivals per second" in shown
        assert "fell behind in the slowest stage" in shown
        assert "invalid (driver-limited), no limit reported" in shown
    assert "40 +500 ms" in text
    assert "250/s" in text
    assert "below 100" in text
    assert "async at 32.5/s Poisson: driver-limited, the driver sent 240 of 250" in text
    rows = rows_of(open_loads)
    assert [row["rate"] for row in rows[:3]] == ["250.0", "250.0", "32.5"]
    assert [row["knee_rps"] for row in rows[4:7]] == ["200.0", "", "0.0"]
    assert rows[8]["think_s"] == "0.5"


def test_every_format_shows_fan_outs(fan_outs: RunResults) -> None:
    md, page = markdown.render(fan_outs), render("html", fan_outs)
    for shown in (md, page):
        assert "Reach" in shown
        assert "of 299,700" in shown
        assert "Memory per connection" in shown
        assert "38.5 KiB" in shown
        assert "31.2 µs" in shown
        assert "Dropped by the target" in shown
        assert "up to 10 publications per second, 10,000 deliveries per second" in shown
        assert "at 20 reach was 99.2%" in shown
        assert "to 40 publications per second, 40,000 deliveries per second; the limit" in shown
        assert (
            "1,000 clients, 20 publications per second: the 99th percentile of delivery latency"
            in shown
        )
        assert (
            "1 of them stalled, 20 publications per second: no significant difference in the 99th "
            "percentile of delivery latency of active clients from a load where all clients are"
        ) in shown
        assert "of active clients is 1.25 times that of a load where all" in shown
        assert "on active clients is inconclusive (no reason" not in shown
        assert "inconclusive (stalled-1: errors)" in shown
        assert "ratio 1.01" not in shown, "one figure counts"
    text = printed(fan_outs, 80)
    assert "async at 1,000x20/s +1 stalled: errors, 2,397 deliveries are missing" in text
    assert re.search(rf"sync +1,000x5{MISSING}40/s +10 ", text)
    assert re.search(r"async +1,000x20/s +100% ", text)
    rows = rows_of(fan_outs)
    assert [row["clients"] for row in rows[:8:2]] == ["10", "100", "1000", "1000"]
    assert [row["stalled_clients"] for row in rows[5:7]] == ["0", "1"]
    assert rows[7]["fan_out_reach"].startswith("0.992")
    assert rows[6]["fan_out_dropped"] == "344"
    assert rows[10]["knee_rps"] == "10.0"
    assert rows[0]["fan_out_spread_p90_ms"] == "3.0"
    assert rows[0]["sweep"] == ""


def test_every_format_shows_a_series(swept: RunResults) -> None:
    for shown in (markdown.render(swept), render("html", swept), printed(swept, 400)):
        assert (
            "async, 10 users: best throughput with files open at once = 64; from 16 on within 15% "
            "of the best; significantly worse from 256 on"
        ) in shown
        assert "256 excluded as invalid" in shown
    text = printed(swept, 80)
    assert "sync at files open at once = 256, 10: driver-limited" in text
    md = markdown.render(swept)
    assert "| Target | Files open at once | Users |" in md
    assert "Open files" in md
    assert "last-event" in md
    rows = rows_of(swept)
    assert [row["sweep_at"] for row in rows[::2]] == [
        "1.0",
        "2.0",
        "5.0",
        "16.0",
        "64.0",
        "256.0",
        "",
    ]
    assert rows[0]["sweep"] == "files-limit"
    assert rows[0]["target_files"] == "10"
    assert rows[0]["clients"] == ""


def test_new_columns_of_csv_are_at_the_end(results: RunResults) -> None:
    names = list(rows_of(results)[0])
    before = names.index("database_cache_hits_fraction")
    assert all(
        names.index(name) > before for name in names if name.startswith(("fan_out", "sweep"))
    )
    assert names.index("clients") > before


def test_drivers_with_scenarios_of_their_own_need_not_be_told_apart(swept: RunResults) -> None:
    assert {cell.driver for cell in swept.cells} == {"native", "websocket"}
    assert "| Driver |" not in markdown.render(swept)


def test_knee_of_a_doubtful_cell_is_in_no_sentence(open_loads: RunResults) -> None:
    knees = [
        line for line in markdown.render(open_loads).splitlines() if line.startswith("- async, 50")
    ]
    assert len(knees) == 1
    assert "100 arrivals" not in knees[0]


def test_several_drivers_are_told_apart(results: RunResults) -> None:
    other = replace(results.cells[3], driver="locust", name="create-fresh/sync/closed-10/locust")
    two = replace(results, cells=(*results.cells, other))
    for text in (markdown.render(two), render("html", two), printed(two, 100)):
        assert "locust" in text
        assert "native" in text


def test_the_terminal_table_fits_eighty_columns(
    many: RunResults, results: RunResults, fan_outs: RunResults, swept: RunResults
) -> None:
    for shown in (many, results, fan_outs, swept):
        text = printed(shown, 80)
        assert "…" not in text
        # A row that does not fit is wrapped, and then does not end in its last column.
        rows = [line for line in text.splitlines() if re.search(r" (yes|no)\s*$", line)]
        assert len(rows) == len(shown.cells)
        assert all(row.startswith(("sync", "async")) for row in rows)


def test_tables_are_shown_as_far_as_they_fit_into_a_terminal(many: RunResults) -> None:
    console = Console(width=80, file=io.StringIO(), color_system=None)
    with console.capture() as capture:
        console.print(terminal.render(many))
    lines = capture.get().splitlines()
    assert len(lines) <= terminal.MOST_LINES
    assert lines[1].startswith("The documented timing table")
    assert lines[-1] == "6 more tables in the report; loopmark report --format text prints all"
    assert not [line for line in lines if line.startswith("Create a resource")]
    assert "prints all" not in printed(many, 80)


def test_the_terminal_names_what_is_invalid(results: RunResults) -> None:
    text = printed(results, 80)
    assert "async at 10: wrong-answers, 3 of 7,200 responses were wrong (and 1 more)" in text
    assert "sync at 100: interrupted, 0 of 3 rounds were completed" in text
    assert len(re.findall(r" no\s*$", text, re.MULTILINE)) == 2
    assert "Interrupted" in text


def test_terminal_text_of_a_target_is_no_markup(results: RunResults) -> None:
    validity = against(Objection.of(ObjectionCode.LOCUSTFILE_ENDED_EARLY, why="[bold]x[/nonsense]"))
    cells = (*results.cells[:5], replace(results.cells[5], validity=validity))
    assert "[bold]x[/nonsense]" in printed(replace(results, cells=cells), 80)


def test_a_terminal_has_no_column_without_figures() -> None:
    few = cell_result("wait-timer", "async", Burst(10), figure=0.5, rounds=1)
    many = cell_result("wait-timer", "async", Burst(1000), figure=1.5)
    (without,) = [line for line in printed(run_results([few]), 80).splitlines() if "target" in line]
    (with_all,) = [
        line for line in printed(run_results([few, many]), 80).splitlines() if "target" in line
    ]
    assert "p50" in without
    assert not {"p99", "95%"} & set(without.split())
    assert {"p99", "95%"} <= set(with_all.split())


def test_failures_of_several_kinds_are_told_apart_everywhere(results: RunResults) -> None:
    lost = Failure("server-error", 502, 1, ("GET /x answered 502, expected 200",))
    slow = Failure("server-error", 504, 3, ("GET /x answered 504, expected 200",))
    cell = replace(results.cells[0], error_kinds={"server-error": 4}, failures=(slow, lost))
    failed = replace(results, cells=(cell, *results.cells[1:]))
    told = "failed: 3 server-error 504 and 1 server-error 502"
    assert told in markdown.render(failed)
    assert told in " ".join(printed(failed, 80).split())
    page = html.render(failed)
    for one in (lost, slow):
        assert re.search(rf">{one.name}</td>\s*<td>{one.many}</td>\s*.*{one.examples[0]}", page)


def test_errors_without_a_request_stand_beside_the_failures(results: RunResults) -> None:
    slow = Failure("server-error", 504, 3, ("GET /x answered 504, expected 200",))
    cell = replace(
        results.cells[0],
        error_kinds={"server-error": 3, "locustfile": 2},
        error_examples={"server-error": slow.examples, "locustfile": ("ValueError",)},
        failures=(slow,),
    )
    assert columns.errors(cell) == (
        ("server-error 504", "3", slow.examples),
        ("locustfile", "2", ("ValueError",)),
    )
