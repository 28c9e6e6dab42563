"""Samples on their way to disk: all of them, as they were, or a problem that is heard."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopmark.harness.drivers.recording.samples import SAMPLE_SCHEMA, SampleFile
from loopmark.harness.vocabulary.sample import COLUMNS, Sample, sample

NAMES = [column.name for column in COLUMNS]
TIMES = st.integers(0, 2**63 - 1)
LABELS = st.sampled_from(["", "read", "GET /users/{id}", "ä", "timeout", "x" * 200])
ROWS = st.lists(
    st.tuples(
        *(st.integers(0, 2**31 - 1), LABELS, TIMES, TIMES, TIMES, TIMES, TIMES),
        *(st.integers(0, 999), st.integers(0, 2**62), LABELS),
    ),
    max_size=40,
)
ONE: Sample = (1, "read", 2, 3, 4, 5, 6, 200, 8, "")


def writers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("samples")]


@given(rows=ROWS, rows_per_group=st.integers(1, 15), round_number=st.integers(0, 99))
def test_rows_are_read_as_they_were_added(
    rows: list[Sample],
    rows_per_group: int,
    round_number: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("samples") / "samples.parquet"
    with SampleFile(path, round_number, rows_per_group) as samples:
        for row in rows:
            samples.append(row)
    assert samples.rows == len(rows)
    stored = pq.ParquetFile(path)
    assert stored.schema_arrow.equals(SAMPLE_SCHEMA)
    assert stored.schema_arrow.names == NAMES
    found = [tuple(row[name] for name in NAMES) for row in stored.read().to_pylist()]
    assert found == [(round_number, *row) for row in rows]
    groups = [stored.metadata.row_group(n).num_rows for n in range(stored.num_row_groups)]
    assert all(size == rows_per_group for size in groups[:-1])
    assert writers() == []


def test_a_sample_has_its_values_in_the_order_of_the_columns() -> None:
    values: dict[str, Any] = {column.name: column.name for column in COLUMNS[1:]}
    named = {"body_bytes" if name == "bytes" else name: value for name, value in values.items()}
    assert list(sample(**named)) == list(values)


def test_what_was_never_sent_counts_from_when_that_was_clear() -> None:
    row = sample(user=0, step="read", due_ns=1, sent_ns=0, done_ns=5, error="connect")
    assert row[NAMES.index("sent_ns") - 1] == 5


def test_the_latest_end_is_known_at_any_time(tmp_path: Path) -> None:
    with SampleFile(tmp_path / "s.parquet", 0, rows_per_group=3) as samples:
        for done_ns, latest_ns in ((7, 7), (5, 7), (6, 7), (9, 9), (8, 9)):
            samples.append(sample(user=0, step="read", due_ns=1, sent_ns=1, done_ns=done_ns))
            assert samples.last_done_ns == latest_ns


class DiskFullError(OSError):
    """What a write meets."""


def failing(samples: SampleFile, problem: Exception) -> threading.Event:
    """Let all writes fail; the event says that one has."""
    met = threading.Event()

    def write_table(_table: object) -> None:
        met.set()
        raise problem

    writer: Any = samples._writer
    samples._writer = type(
        "Writer", (), {"write_table": staticmethod(write_table), "close": writer.close}
    )()
    return met


PROBLEMS = [DiskFullError("no space left"), ValueError("anything else")]


def recorded(path: Path, problem: Exception, rows: int, ends_with: Exception | None = None) -> None:
    """Add rows in groups of two to a file that cannot be written; wait for the first failure."""
    with SampleFile(path, 0, rows_per_group=2) as samples:
        met = failing(samples, problem)
        for number in range(rows):
            samples.append(ONE)
            if number == 1:
                met.wait(5)
        if ends_with is not None:
            raise ends_with


@pytest.mark.parametrize("rows", [1, 2, 1000])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_disk_that_fails_is_heard_of(problem: Exception, rows: int, tmp_path: Path) -> None:
    """When the file is closed, or before by who adds rows."""
    with pytest.raises(type(problem), match=str(problem)):
        recorded(tmp_path / "s.parquet", problem, rows)
    assert writers() == []


def test_adding_rows_after_a_failure_is_refused(tmp_path: Path) -> None:
    samples = SampleFile(tmp_path / "s.parquet", 0, rows_per_group=1)
    failing(samples, PROBLEMS[0])
    samples.append(ONE)
    while not all(one.done() for one in samples._under_way):
        time.sleep(0.001)
    with pytest.raises(DiskFullError):
        samples.append(ONE)
    with pytest.raises(DiskFullError):
        samples.__exit__(None, None, None)
    assert writers() == []


def test_what_ended_the_round_is_not_hidden_by_the_disk(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        recorded(tmp_path / "s.parquet", PROBLEMS[0], 2, ZeroDivisionError())
    assert writers() == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_heard_of() -> None:
    with pytest.raises(OSError, match="No space left"), SampleFile(Path("/dev/full"), 0) as samples:
        samples.append(ONE)
    assert writers() == []


def add_and_fail(path: Path) -> None:
    with SampleFile(path, 0) as samples:
        samples.append(ONE)
        raise ZeroDivisionError


def test_a_round_that_fails_keeps_its_rows(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        add_and_fail(tmp_path / "s.parquet")
    assert pq.read_table(tmp_path / "s.parquet").num_rows == 1


MILLIONS = """
import resource, sys
from pathlib import Path
from loopmark.harness.drivers.recording.samples import SampleFile

def add(samples, rows):
    for n in range(rows):
        samples.append((n % 1000, "read", n, n + 1, 0, n + 2, n + 3, 200, 100, ""))

with SampleFile(Path(sys.argv[1]), 0) as samples:
    add(samples, 200_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    add(samples, 1_800_000)
    assert samples.rows == 2_000_000
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * (1 if sys.platform == "darwin" else 1024))
"""


def test_two_million_rows_take_no_more_memory_than_a_few_groups(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    command = [sys.executable, "-c", MILLIONS, str(path)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[4],
    )
    assert done.returncode == 0, done.stderr
    assert pq.ParquetFile(path).metadata.num_rows == 2_000_000
    # The rows alone are 120 MB; ten groups under way are 40.
    assert int(done.stdout) < 64 * 1024**2


def test_the_driver_loads_no_pandas_and_no_scipy_before_or_while_it_records(tmp_path: Path) -> None:
    """Either would take a second of the driver's processor, in the midst of a round."""
    program = f"""
import sys
from pathlib import Path
from loopmark.harness.drivers import native_driver
from loopmark.harness.drivers.recording.samples import SampleFile
with SampleFile(Path({str(tmp_path / "s.parquet")!r}), 0, 2) as samples:
    for n in range(5):
        samples.append((n, "step", 1, 1, 0, 1, 1, 200, 1, ""))
assert not {{"pandas", "scipy"}} & set(sys.modules), "loaded"
"""
    subprocess.run([sys.executable, "-c", program], check=True)
