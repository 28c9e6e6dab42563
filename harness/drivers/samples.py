"""Samples on their way to disk: columns in memory, row groups in a Parquet file."""

from __future__ import annotations

from array import array
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_GROUP = 65_536
"""About 4 MiB in memory; a group is written when it is full, so a long run stays small."""

_NUMBERS = {
    "user": ("i", pa.int32()),
    "due_ns": ("q", pa.int64()),
    "sent_ns": ("q", pa.int64()),
    "first_byte_ns": ("q", pa.int64()),
    "done_ns": ("q", pa.int64()),
    "status": ("h", pa.int16()),
    "bytes": ("q", pa.int64()),
}
_LABEL = pa.dictionary(pa.int32(), pa.string())
SAMPLE_SCHEMA = pa.schema(
    [
        ("round", pa.int32()),
        ("user", pa.int32()),
        ("step", _LABEL),
        ("due_ns", pa.int64()),
        ("sent_ns", pa.int64()),
        ("first_byte_ns", pa.int64()),
        ("done_ns", pa.int64()),
        ("status", pa.int16()),
        ("bytes", pa.int64()),
        ("error", _LABEL),
    ]
)


class SampleFile:
    """Writes the samples of one round; a context manager.

    Args:
        path: The Parquet file to make.
        round_number: Value of the column `round` in every row.
        rows_per_group: Rows that are held before they are written.
    """

    def __init__(self, path: Path, round_number: int, rows_per_group: int = ROWS_PER_GROUP) -> None:
        self._writer = pq.ParquetWriter(path, SAMPLE_SCHEMA, compression="zstd")
        self._round = round_number
        self._rows_per_group = rows_per_group
        self.rows = 0
        self._clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._flush()
        self._writer.close()

    def append(  # noqa: PLR0913 - one argument per column of the row
        self,
        *,
        user: int,
        step: str,
        due_ns: int,
        sent_ns: int,
        first_byte_ns: int,
        done_ns: int,
        status: int,
        body_bytes: int,
        error: str,
    ) -> None:
        """Add one row; `error` is empty for the right answer, else an `ErrorKind`."""
        self._columns["user"].append(user)
        self._columns["due_ns"].append(due_ns)
        self._columns["sent_ns"].append(sent_ns)
        self._columns["first_byte_ns"].append(first_byte_ns)
        self._columns["done_ns"].append(done_ns)
        self._columns["status"].append(status)
        self._columns["bytes"].append(body_bytes)
        self._steps.append(step)
        self._errors.append(error)
        self.rows += 1
        if len(self._steps) >= self._rows_per_group:
            self._flush()

    def _clear(self) -> None:
        self._columns = {name: array(code) for name, (code, _) in _NUMBERS.items()}
        self._steps: list[str] = []
        self._errors: list[str] = []

    def _flush(self) -> None:
        count = len(self._steps)
        if count == 0:
            return
        columns = {
            name: pa.Array.from_buffers(
                kind, count, [None, pa.py_buffer(self._columns[name].tobytes())]
            )
            for name, (_, kind) in _NUMBERS.items()
        }
        columns["round"] = pa.repeat(pa.scalar(self._round, pa.int32()), count)
        columns["step"] = pa.array(self._steps, _LABEL)
        columns["error"] = pa.array(self._errors, _LABEL)
        self._writer.write_table(
            pa.table([columns[name] for name in SAMPLE_SCHEMA.names], schema=SAMPLE_SCHEMA)
        )
        self._clear()
