"""Samples on their way to disk: columns in memory, row groups in a Parquet file."""

from __future__ import annotations

import os
import queue
import threading
from array import array
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_PER_GROUP = 65_536
"""About 4 MiB in memory; a group is written when it is full, so a long run stays small."""

GROUPS_WAITING = 8
"""A disk that is slower than the samples come would fill the memory: then the driver waits for it,
and its loop lag tells."""

NICENESS = 10
"""Of the thread that writes: answers come first."""

_NUMBERS = {
    "user": ("i", pa.int32()),
    "step": ("i", pa.int32()),
    "due_ns": ("q", pa.int64()),
    "sent_ns": ("q", pa.int64()),
    "connected_ns": ("q", pa.int64()),
    "first_byte_ns": ("q", pa.int64()),
    "done_ns": ("q", pa.int64()),
    "status": ("h", pa.int16()),
    "bytes": ("q", pa.int64()),
    "error": ("i", pa.int32()),
}
"""The columns that are collected, as C types and as Arrow's; labels as numbers."""

_LABELS = frozenset({"step", "error"})
_LABEL = pa.dictionary(pa.int32(), pa.string())
SAMPLE_SCHEMA = pa.schema(
    [
        ("round", pa.int32()),
        *((name, _LABEL if name in _LABELS else kind) for name, (_, kind) in _NUMBERS.items()),
    ]
)

_Group: TypeAlias = tuple["list[array[int]]", dict[str, list[str]]]
"""The columns, and for those of labels the labels that there are so far."""


class SampleFile:
    """Writes the samples of one round; a context manager.

    Row groups are compressed and written by a thread of their own: on the event loop they would
    delay some hundred requests each time.

    Args:
        path: The Parquet file to make.
        round_number: Value of the column `round` in every row.
        rows_per_group: Rows that are held before they are written.

    Attributes:
        rows: How many were added.
    """

    def __init__(self, path: Path, round_number: int, rows_per_group: int = ROWS_PER_GROUP) -> None:
        self._writer = pq.ParquetWriter(
            path, SAMPLE_SCHEMA, compression="zstd", compression_level=1
        )
        self._round = round_number
        self._rows_per_group = rows_per_group
        self._steps: dict[str, int] = {}
        self._errors: dict[str, int] = {}
        self._groups: queue.Queue[_Group | None] = queue.Queue(GROUPS_WAITING)
        self._problem: Exception | None = None
        self._thread = threading.Thread(target=self._write_groups, name="samples", daemon=True)
        self._thread.start()
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
        if self._problem is None:
            self._hand_over()
        self._groups.put(None)
        self._thread.join()
        try:
            self._writer.close()
        except Exception as problem:  # noqa: BLE001 - raised below
            self._problem = self._problem or problem
        if self._problem is not None and error is None:
            raise self._problem

    def append(  # noqa: PLR0913, PLR0917 - the columns of a sample; by position, it is called for every request
        self,
        user: int,
        step: str,
        due_ns: int,
        sent_ns: int,
        connected_ns: int,
        first_byte_ns: int,
        done_ns: int,
        status: int,
        body_bytes: int,
        error: str,
    ) -> None:
        """Add one row; `error` is empty for the right answer, else an `ErrorKind`.

        Raises:
            OSError: Earlier rows could not be written.
        """
        steps, errors = self._steps, self._errors
        c = self._columns
        c[0].append(user)
        c[1].append(steps.setdefault(step, len(steps)))
        c[2].append(due_ns)
        c[3].append(sent_ns)
        c[4].append(connected_ns)
        c[5].append(first_byte_ns)
        c[6].append(done_ns)
        c[7].append(status)
        c[8].append(body_bytes)
        c[9].append(errors.setdefault(error, len(errors)))
        self.rows += 1
        if len(c[0]) >= self._rows_per_group:
            self._hand_over()

    def _clear(self) -> None:
        self._columns: list[array[int]] = [array(code) for code, _ in _NUMBERS.values()]

    def _hand_over(self) -> None:
        if self._problem is not None:
            raise self._problem
        if len(self._columns[0]):
            labels = {"step": list(self._steps), "error": list(self._errors)}
            self._groups.put((self._columns, labels))
            self._clear()

    def _write_groups(self) -> None:
        if hasattr(os, "setpriority"):
            with suppress(OSError):  # On Linux a thread has a priority of its own.
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        while (group := self._groups.get()) is not None:
            if self._problem is None:
                try:
                    self._writer.write_table(_table(self._round, *group))
                except Exception as problem:  # noqa: BLE001 - raised where rows are added
                    self._problem = problem


def _table(round_number: int, columns: list[array[int]], labels: dict[str, list[str]]) -> pa.Table:
    count = len(columns[0])
    arrays = [_numbers(pa.int32(), array("i", [round_number]) * count)]
    for (name, (_, kind)), column in zip(_NUMBERS.items(), columns, strict=True):
        numbers = _numbers(kind, column)
        if name in labels:
            numbers = pa.DictionaryArray.from_arrays(numbers, _texts(labels[name]))
        arrays.append(numbers)
    return pa.table(arrays, schema=SAMPLE_SCHEMA)


# Arrow's arrays are made of buffers only: its conversions of Python's values import pandas, for a
# second and in the midst of a round.


def _numbers(kind: pa.DataType, values: array[int]) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _texts(values: list[str]) -> pa.StringArray:
    encoded = [value.encode() for value in values]
    ends = array("i", [0, *accumulate(len(one) for one in encoded)])
    return pa.StringArray.from_buffers(
        len(values), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))
    )
