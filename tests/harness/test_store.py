"""The run folder: what is written is read again, and what is broken is the user's error."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from loopmark.harness.errors import UserError
from loopmark.harness.store import RunFolder, no_space_told
from loopmark.harness.vocabulary.cell import Cell, Validity
from loopmark.harness.vocabulary.comparison import Comparison, Side
from loopmark.harness.vocabulary.load import Load
from loopmark.harness.vocabulary.loads.burst import Burst
from loopmark.harness.vocabulary.loads.closed import Closed
from loopmark.harness.vocabulary.record import SCHEMA_VERSION, RoundRecord, RunRecord
from loopmark.harness.vocabulary.result import CellResult, RunResults
from loopmark.harness.vocabulary.sample import COLUMNS, LABELS, SUMMARISED
from loopmark.harness.vocabulary.target import Target
from tests.harness.builders import (
    burst,
    cell,
    cell_result,
    closed,
    reading,
    record,
    report,
    round_result,
    run_record,
)

CELL = cell()
RUN = run_record(CELL, cell("sync", burst()))
RESULTS = RunResults(
    schema_version=SCHEMA_VERSION,
    run=RUN,
    cells=(cell_result(CELL, [round_result()]),),
    comparisons=(
        Comparison(
            axis="target",
            metric="throughput_rps",
            base=Side("sync", 2.0),
            other=Side("async", 3.0),
            scenario="crud",
            target="async",
            load=closed(),
            driver="native",
            ratio=1.5,
            ratio_ci=(1.0, 2.0),
            rounds=3,
        ),
    ),
)
ROUND = record(
    2,
    report(requests=5, examples={"timeout": ("no answer",)}),
    target=[reading(0, 1), reading(50, 2)],
    loop_lag=[(10, 20), (30, 40)],
    stderr_tail="last words",
)

LABEL = pa.dictionary(pa.int32(), pa.string())
NAMES = [column.name for column in COLUMNS]

T = TypeVar("T")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "results", "run-1")


def write_samples(
    folder: RunFolder, number: int, labels: Sequence[tuple[str, str]], group: int = 100
) -> Path:
    """A sample file as a driver writes it, with a (step, error) for each row."""
    path = folder.make_cell(CELL) / folder.samples_file(CELL, number).name
    columns: dict[str, list[int] | pa.Array] = {
        name: [value] * len(labels) for value, name in enumerate(NAMES)
    }
    columns["round"] = [number] * len(labels)
    for name, texts in zip(("step", "error"), zip(*labels, strict=True), strict=False):
        columns[name] = pa.array(texts, LABEL)
    schema = pa.schema([(name, LABEL if name in LABELS else pa.int64()) for name in NAMES])
    pq.write_table(pa.table(columns, schema=schema), path, row_group_size=group)
    return path


# ---- round trips ----


def test_run_record_is_read_as_it_was_written(folder: RunFolder) -> None:
    folder.write_run(RUN)
    assert folder.read_run() == RUN
    finished = replace(RUN, finished="2026-01-01T00:01:00+00:00", wall_s=60.5, interrupted=True)
    folder.write_run(finished)
    assert folder.read_run() == finished


def test_round_records_are_read_in_the_order_of_the_rounds(folder: RunFolder) -> None:
    records = [replace(ROUND, round=number) for number in range(12)]
    for one in reversed(records):
        folder.write_round(CELL, one)
    assert folder.read_rounds(CELL) == tuple(records)


def test_cells_do_not_mix(folder: RunFolder) -> None:
    other = cell("sync")
    folder.write_round(CELL, ROUND)
    assert folder.read_rounds(other) == ()
    assert folder.samples_file(CELL, 0) != folder.samples_file(other, 0)


def test_results_are_written_whole(folder: RunFolder) -> None:
    folder.write_results(RESULTS)
    assert TypeAdapter(RunResults).validate_json(folder.results_file.read_bytes()) == RESULTS


def test_passwords_of_urls_are_not_kept(folder: RunFolder) -> None:
    url = "http://me:s3cr@t@shop.example:80/a?b=c@d"
    target = Target(name="a", url=url, environment={"DB": "postgresql://u:it's3cr@h/d"})
    text = f'[targets.a]\nurl = "{url}"\ntitle = "a:b@c"'
    folder.write_run(replace(RUN, targets=(target,), plan_toml=text))
    assert "s3cr" not in (folder.path / "run.json").read_text()
    read_back = folder.read_run()
    assert read_back.targets[0].url == "http://me:***@shop.example:80/a?b=c@d"
    assert read_back.plan_toml.endswith('d"\ntitle = "a:b@c"')


def round_trip(kind: type[T]) -> Callable[[T], T]:
    adapter = TypeAdapter(kind)
    return lambda value: adapter.validate_json(adapter.dump_json(value))


_numbers = {float: st.floats(allow_nan=False, allow_infinity=False)}
_loads: st.SearchStrategy[Load] = st.builds(
    Burst, n=st.integers(1, 10_000), planned_s=st.floats(1e-3, 86_400), model=st.just("burst")
) | st.builds(
    Closed,
    users=st.integers(1, 10_000),
    duration_s=st.floats(1e-3, 86_400),
    warmup_s=st.floats(0, 86_400),
    drain_s=st.floats(0, 86_400),
    model=st.just("closed"),
)
_cells = st.builds(Cell, load=_loads)
st.register_type_strategy(float, _numbers[float])
st.register_type_strategy(
    Mapping, lambda kind: st.dictionaries(*(st.from_type(part) for part in get_args(kind)))
)


@settings(max_examples=15)
@given(st.builds(RunRecord, schema_version=st.just(SCHEMA_VERSION), cells=st.tuples(_cells)))
def test_any_run_record_survives_json(value: RunRecord) -> None:
    assert round_trip(RunRecord)(value) == value


@settings(max_examples=15)
@given(st.from_type(RoundRecord))
def test_any_round_record_survives_json(value: RoundRecord) -> None:
    assert round_trip(RoundRecord)(value) == value


@settings(max_examples=15)
@given(st.builds(CellResult, load=_loads, validity=st.from_type(Validity)))
def test_any_cell_result_survives_json(value: CellResult) -> None:
    assert round_trip(CellResult)(value) == value


# ---- the folder ----


def test_new_folder_holds_what_a_run_needs(folder: RunFolder) -> None:
    assert folder.logs.is_dir()
    assert folder.make_cell(CELL) == folder.cell(CELL)
    assert folder.cell(CELL).is_dir()
    assert folder.cell(CELL).parent == folder.path / "cells"
    assert folder.cell(CELL).name == "crud__async__closed-10__native"
    assert folder.report.parent == folder.results_file.parent == folder.path


def test_latest_points_to_the_newest_run(tmp_path: Path) -> None:
    for name in ("run-1", "run-2"):
        created = RunFolder.create(tmp_path, name)
        created.write_run(replace(RUN, run_id=name))
        latest = RunFolder.existing(tmp_path / "latest")
        assert latest.path == created.path.resolve()
        assert latest.read_run().run_id == name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "run-1", "run-2"]


def test_latest_still_works_when_the_results_are_moved(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "a", "run-1").write_run(RUN)
    (tmp_path / "a").rename(tmp_path / "b")
    assert RunFolder.existing(tmp_path / "b" / "latest").read_run() == RUN


def test_latest_that_points_to_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to("deleted")
    RunFolder.create(tmp_path, "run-1")
    assert (tmp_path / "latest").resolve() == (tmp_path / "run-1").resolve()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_in_the_place_of_the_link_is_left_alone(tmp_path: Path, kind: str) -> None:
    latest = tmp_path / "latest"
    if kind == "file":
        latest.write_text("mine")
    else:
        latest.mkdir()
    with pytest.raises(UserError, match="latest is not a link"):
        RunFolder.create(tmp_path, "run-1")
    assert latest.is_dir() if kind == "folder" else latest.read_text() == "mine"


def test_run_is_not_written_over_another(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, "run-1")
    with pytest.raises(UserError, match=r"run-1.*--out"):
        RunFolder.create(tmp_path, "run-1")


def test_folder_that_cannot_be_made_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to .*file.*--out"):
        RunFolder.create(tmp_path / "file", "run-1")


def test_folder_without_a_run_is_none(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(UserError, match=r"not a run folder: it has no run\.json") as caught:
            RunFolder.existing(path)
        assert str(path) in str(caught.value)


# ---- writing ----


def test_nothing_but_the_files_is_left_after_writing(folder: RunFolder) -> None:
    folder.write_run(RUN)
    folder.write_round(CELL, ROUND)
    folder.write_results(RESULTS)
    files = {path.name for path in folder.path.rglob("*") if path.is_file()}
    assert files == {"run.json", "round-2.json", "results.json"}


def test_failed_write_leaves_the_old_file_whole(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_run(RUN)

    def half(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(UserError, match="No space left"):
        folder.write_run(replace(RUN, title="another"))
    assert folder.read_run() == RUN


def test_half_written_round_is_no_round(folder: RunFolder) -> None:
    folder.write_round(CELL, ROUND)
    (folder.make_cell(CELL) / "round-3.json.part").write_text('{"round": 3, "st')
    assert folder.read_rounds(CELL) == (ROUND,)


# ---- broken files ----


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def refusal(read: Callable[[], object], path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read()
    message = str(caught.value)
    assert str(path) in message
    return message


@pytest.mark.parametrize("content", ["", "{", '{"schema_version": 1', "[]", "null", "\x00\xff"])
def test_broken_json_is_the_users_error(folder: RunFolder, content: str) -> None:
    for path, read in (
        (folder.path / "run.json", folder.read_run),
        (folder.make_cell(CELL) / "round-0.json", lambda: folder.read_rounds(CELL)),
    ):
        path.write_text(content, encoding="latin-1")
        assert refusal(read, path)


def test_missing_files_are_the_users_error(folder: RunFolder) -> None:
    assert "No such file" in refusal(folder.read_run, folder.path / "run.json")


def test_missing_or_wrong_field_is_named(folder: RunFolder) -> None:
    path = folder.path / "run.json"
    folder.write_run(RUN)
    changed(path, lambda run: run["machine"].pop("cores"))
    assert "machine.cores: " in refusal(folder.read_run, path)
    changed(path, lambda run: run["machine"].update(cores="two"))
    assert "machine.cores: " in refusal(folder.read_run, path)


@pytest.mark.parametrize("version", [0, 4, 99, None])
def test_other_schema_version_is_refused_by_number(folder: RunFolder, version: int | None) -> None:
    folder.write_run(RUN)
    path = folder.path / "run.json"
    changed(path, lambda document: document.update(schema_version=version))
    message = refusal(folder.read_run, path)
    assert f"schema version {version}" in message
    assert "reads versions 1 to 3" in message


def test_other_schema_version_with_other_fields_is_refused_by_number(folder: RunFolder) -> None:
    path = folder.path / "run.json"
    path.write_text('{"schema_version": 4, "name": "of a later version"}')
    assert "schema version 4" in refusal(folder.read_run, path)


def test_native_engine_of_version_2_is_renamed_and_a_real_client_is_not(
    folder: RunFolder,
) -> None:
    cells = tuple(replace(CELL, scenario=name, driver="httpx") for name in ("crud", "crud-client"))
    folder.write_run(run_record(*cells, schema_version=2))
    run = folder.read_run()
    assert run.schema_version == SCHEMA_VERSION
    names = ["crud/async/closed-10/native", "crud-client/async/closed-10/httpx"]
    assert [cell.name for cell in run.cells] == list(run.round_states) == names
    assert [folder.cell(cell) for cell in run.cells] == [folder.cell(cell) for cell in cells]


def test_run_without_its_cells_is_the_users_error_or_empty(folder: RunFolder) -> None:
    (folder.path / "cells").rmdir()
    assert folder.read_rounds(CELL) == ()
    assert folder.read_samples(CELL, 0, SUMMARISED, must_be_whole=True).empty


# ---- samples ----


def read(folder: RunFolder, number: int = 0, *, must_be_whole: bool = True) -> pd.DataFrame:
    return folder.read_samples(CELL, number, SUMMARISED, must_be_whole=must_be_whole)


def test_samples_of_a_round_are_its_own(folder: RunFolder) -> None:
    write_samples(folder, 0, [("read", ""), ("write", "timeout")])
    write_samples(folder, 1, [("delete", ""), ("read", "reset")])
    found = read(folder, 1)
    assert list(found.columns) == list(SUMMARISED)
    assert found["round"].tolist() == [1, 1]
    assert found["step"].tolist() == ["delete", "read"]
    assert found["error"].tolist() == ["", "reset"]
    assert found["done_ns"].tolist() == [NAMES.index("done_ns")] * 2


def test_labels_are_categories_and_numbers_stay_whole(folder: RunFolder) -> None:
    write_samples(folder, 0, [("read", ""), ("write", "")])
    found = read(folder)
    assert [str(found[name].dtype) for name in ("step", "error")] == ["category"] * 2
    assert [str(found[name].dtype) for name in ("due_ns", "done_ns")] == ["int64"] * 2
    assert set(found["step"].cat.categories) == {"read", "write"}


def test_labels_of_several_row_groups_come_together(folder: RunFolder) -> None:
    labels = [(f"step-{n}", "" if n % 2 else "timeout") for n in range(7)]
    write_samples(folder, 0, labels, group=2)
    found = read(folder)
    assert list(zip(found["step"], found["error"], strict=True)) == labels


def test_only_the_named_columns_are_read(folder: RunFolder) -> None:
    write_samples(folder, 0, [("read", "")])
    found = folder.read_samples(CELL, 0, ["round", "bytes"], must_be_whole=True)
    assert list(found.columns) == ["round", "bytes"]


def test_round_without_a_file_has_the_columns_all_the_same(folder: RunFolder) -> None:
    found = read(folder)
    assert found.empty
    assert list(found.columns) == list(SUMMARISED)


def test_round_without_samples_is_empty(folder: RunFolder) -> None:
    write_samples(folder, 0, [])
    assert read(folder).empty


@pytest.mark.parametrize("cut", [0, 4, 100, -4])
def test_unreadable_sample_file_is_the_users_error(folder: RunFolder, cut: int) -> None:
    path = write_samples(folder, 0, [("read", "")])
    path.write_bytes(path.read_bytes()[:cut])
    assert "not a readable sample file" in refusal(lambda: read(folder), path)


def test_sample_file_without_a_column_is_the_users_error(folder: RunFolder) -> None:
    path = write_samples(folder, 0, [("read", "")])
    assert "no_such" in refusal(
        lambda: folder.read_samples(CELL, 0, ["round", "no_such"], must_be_whole=True), path
    )


@pytest.mark.parametrize("column", ["due_ns", "error"])
def test_a_column_of_another_type_is_the_users_error(folder: RunFolder, column: str) -> None:
    path = write_samples(folder, 0, [("read", "")])
    table = pq.read_table(path)
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.array(["x"])), path)
    assert f"the column '{column}' holds no" in refusal(lambda: read(folder), path)


def test_a_cell_that_stands_there_twice_is_the_users_error(folder: RunFolder) -> None:
    folder.write_run(RUN)
    path = folder.path / "run.json"
    changed(path, lambda run: run["cells"].append(run["cells"][0]))
    assert "stands there more than once" in refusal(folder.read_run, path)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS])
def test_what_cannot_be_written_is_named(
    folder: RunFolder, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write_run(RUN)

    def fail(_path: Path, _content: bytes) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", fail)
    for path, write in (
        (folder.path / "run.json", lambda: folder.write_run(RUN)),
        (folder.results_file, lambda: folder.write_results(RESULTS)),
        (folder.report / "index.html", lambda: folder.write_page("x")),
    ):
        message = refusal(write, path)
        assert os.strerror(code) in message
        assert "--out" in message
    monkeypatch.undo()
    assert folder.read_run() == RUN, "what was there is whole"


def test_no_space_elsewhere_in_a_run_names_its_folder(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with (
        pytest.raises(UserError, match=f"cannot write {tmp_path}: No space left"),
        no_space_told(tmp_path),
    ):
        raise full
    other = OSError(errno.ECONNRESET, "reset")
    with pytest.raises(OSError, match="reset"), no_space_told(tmp_path):
        raise other


def test_what_a_killed_driver_left_unfinished_is_no_error(folder: RunFolder) -> None:
    write_samples(folder, 0, [("read", "")])
    folder.samples_file(CELL, 1).write_bytes(b"PAR1 without an end")
    assert read(folder, 1, must_be_whole=False).empty
    with pytest.raises(UserError):
        read(folder, 1)


# ---- figures and their validity on disk ----


def test_figures_stand_beside_the_other_fields_on_disk(folder: RunFolder) -> None:
    folder.write_results(RESULTS)
    (stored,) = json.loads(folder.results_file.read_text())["cells"]
    assert {"scenario", "validity", "throughput_rps", "latency_ms", "response_ms"} <= set(stored)
    assert "unjudged" not in stored
