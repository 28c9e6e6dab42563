"""Samples in transit from one process to another: compact, numbered batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from loopmark.harness.drivers.recording.samples import RowGroup, SampleRows
from loopmark.harness.vocabulary.sample import TIMES

ROWS_PER_BATCH = 8192
"""About 200 KiB as it is sent."""

_WRITTEN = pa.ipc.IpcWriteOptions(compression="zstd")


class SampleBatches(SampleRows):
    """Hands the samples of one round to a sender, in batches.

    Args:
        round_number: Value of the column `round` in every row.
        send: Called with each batch: its number of rows, and its bytes.
    """

    def __init__(self, round_number: int, send: Callable[[int, bytes], None]) -> None:
        super().__init__(round_number, ROWS_PER_BATCH)
        self._send = send

    def _hand_over(self, group: RowGroup) -> None:
        table = group.table()
        self._send(table.num_rows, _encoded(table))


def read_batch(content: bytes) -> pa.Table:
    """The rows of a batch, with `SAMPLE_SCHEMA`.

    Raises:
        pa.ArrowInvalid: The bytes are not a batch.
    """
    with pa.ipc.open_stream(content) as reader:
        return reader.read_all()


def moved(table: pa.Table, by_ns: int) -> pa.Table:
    """The same rows by a clock that is ahead by this offset; unset times (0) stay 0."""
    if by_ns == 0:
        return table
    for name in TIMES:
        place = table.schema.get_field_index(name)
        chunks = [_moved(chunk, by_ns) for chunk in table.column(place).chunks]
        table = table.set_column(place, table.schema.field(place), pa.chunked_array(chunks))
    return table


def _encoded(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_WRITTEN) as writer:
        writer.write_table(table)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def _moved(times: pa.Array, by_ns: int) -> pa.Array:
    # By buffers, as in `samples`: Arrow's conversions of Python's values import pandas.
    start, stop = times.offset, times.offset + len(times)
    values = np.frombuffer(times.buffers()[1], dtype=np.int64)[start:stop]
    found = np.where(values == 0, 0, values + by_ns)
    return pa.Array.from_buffers(pa.int64(), len(found), [None, pa.py_buffer(found)])
