"""Samples on their way from a worker to its master."""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest

from loopmark.harness.drivers.recording import samples
from loopmark.harness.drivers.recording.batches import (
    ROWS_PER_BATCH,
    SampleBatches,
    moved,
    read_batch,
)

TIMES = ("due_ns", "sent_ns", "connected_ns", "first_byte_ns", "done_ns")


def batches(rows: int) -> list[tuple[int, bytes]]:
    sent: list[tuple[int, bytes]] = []
    collected = SampleBatches(3, lambda count, content: sent.append((count, content)))
    for n in range(rows):
        error = "reset" if n % 7 == 0 else ""
        begun = 0 if error else 10_000 + n
        collected.append(
            (n % 5, f"step-{n % 3}", 1000 + n, 2000 + n, 0, begun, 20_000, 200, n, error)
        )
    collected.flush()
    collected.flush()  # Nothing is left, so nothing is sent.
    assert collected.rows == rows
    return sent


def test_every_row_arrives_once_and_in_order() -> None:
    sent = batches(2 * ROWS_PER_BATCH + 10)
    assert [count for count, _ in sent] == [ROWS_PER_BATCH, ROWS_PER_BATCH, 10]
    table = pa.concat_tables([read_batch(content) for _, content in sent])
    assert table.schema == samples.SAMPLE_SCHEMA
    assert table.column("bytes").to_pylist() == list(range(2 * ROWS_PER_BATCH + 10))
    assert table.column("step").to_pylist()[:4] == ["step-0", "step-1", "step-2", "step-0"]
    assert table.column("error").to_pylist()[:2] == ["reset", ""]
    assert set(table.column("round").to_pylist()) == {3}


def test_batches_are_compact() -> None:
    (_, content), *_ = batches(ROWS_PER_BATCH)
    assert len(content) < 30 * ROWS_PER_BATCH


@pytest.mark.parametrize("by_ns", [0, 500, -500, 10**15])
def test_times_move_and_what_did_not_happen_stays(by_ns: int) -> None:
    (_, content), *_ = batches(100)
    before = read_batch(content)
    after = moved(before, by_ns)
    assert after.schema == before.schema
    for name in before.column_names:
        pairs = zip(before.column(name).to_pylist(), after.column(name).to_pylist(), strict=True)
        for was, became in pairs:
            assert became == (was + by_ns if name in TIMES and was else was)


def test_moving_looks_at_the_rows_of_a_slice_alone() -> None:
    (_, content), *_ = batches(100)
    part = read_batch(content).slice(40, 10)
    assert moved(part, 7).column("due_ns").to_pylist() == list(range(1047, 1057))


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(pa.ArrowInvalid):
        read_batch(b"no batch")


def test_no_batch_makes_arrow_import_pandas() -> None:
    # A second of CPU in the midst of a round.
    program = (
        "import sys\n"
        "from loopmark.harness.drivers.recording.batches import SampleBatches, moved, read_batch\n"
        "sent = []\n"
        "rows = SampleBatches(0, lambda count, content: sent.append(content))\n"
        "rows.append((0, 'a', 1, 2, 0, 3, 4, 200, 5, ''))\n"
        "rows.flush()\n"
        "assert moved(read_batch(sent[0]), 9).num_rows == 1\n"
        "assert 'pandas' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
