"""Samples on their way: columns in memory, row groups in a Parquet file or with another process."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from array import array
from collections import deque
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Self

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


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows that are complete.

    Attributes:
        round: Value of the column `round` in every row.
        columns: The collected columns, in their order.
        labels: For the columns of labels: the labels that there are so far.
    """

    round: int
    columns: list[array[int]]
    labels: dict[str, list[str]]

    def table(self) -> pa.Table:
        """As an Arrow table with `SAMPLE_SCHEMA`."""
        count = len(self.columns[0])
        arrays = [_numbers(pa.int32(), array("i", [self.round]) * count)]
        for (name, (_, kind)), column in zip(_NUMBERS.items(), self.columns, strict=True):
            numbers = _numbers(kind, column)
            if name in self.labels:
                numbers = pa.DictionaryArray.from_arrays(numbers, _texts(self.labels[name]))
            arrays.append(numbers)
        return pa.table(arrays, schema=SAMPLE_SCHEMA)


class SampleRows(ABC):
    """Collects the samples of one round, and hands them over group by group.

    Args:
        round_number: Value of the column `round` in every row.
        rows_per_group: Rows that are held before they are handed over.

    Attributes:
        rows: How many were added.
    """

    def __init__(self, round_number: int, rows_per_group: int) -> None:
        self._round = round_number
        self._rows_per_group = rows_per_group
        self._steps: dict[str, int] = {}
        self._errors: dict[str, int] = {}
        self.rows = 0
        self._clear()

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
            self.flush()

    def flush(self) -> None:
        """Hand over what there is, if there is any.

        Raises:
            OSError: Earlier rows could not be written.
        """
        if len(self._columns[0]):
            labels = {"step": list(self._steps), "error": list(self._errors)}
            group = RowGroup(self._round, self._columns, labels)
            self._clear()
            self._hand_over(group)

    def _clear(self) -> None:
        self._columns: list[array[int]] = [array(code) for code, _ in _NUMBERS.values()]

    @abstractmethod
    def _hand_over(self, group: RowGroup) -> None:
        """Take a group that is complete."""


class SampleFile(SampleRows):
    """Writes the samples of one round; a context manager.

    Row groups are compressed and written by a thread of their own: on the event loop they would
    delay some hundred requests each time.

    Args:
        path: The Parquet file to make.
        round_number: Value of the column `round` in every row.
        rows_per_group: Rows that are held before they are written.
        executor: Runs the writing on one thread; it is shut down at the end. One of the standard
            library's when None.
    """

    def __init__(
        self,
        path: Path,
        round_number: int,
        rows_per_group: int = ROWS_PER_GROUP,
        executor: Executor | None = None,
    ) -> None:
        super().__init__(round_number, rows_per_group)
        self._writer = pq.ParquetWriter(
            path, SAMPLE_SCHEMA, compression="zstd", compression_level=1
        )
        self._executor = executor or ThreadPoolExecutor(1, thread_name_prefix="samples")
        self._under_way: deque[Future[None]] = deque([self._executor.submit(_step_back)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        problem: Exception | None = None
        try:
            self.flush()
            self._await_all_but(0)
        except Exception as found:  # noqa: BLE001 - raised below
            problem = found
        self._executor.shutdown()
        try:
            self._writer.close()
        except Exception as found:  # noqa: BLE001 - raised below
            problem = problem or found
        if problem is not None and error is None:
            raise problem

    def write(self, table: pa.Table) -> None:
        """Write rows that were collected elsewhere, after all that were handed over before.

        Args:
            table: With `SAMPLE_SCHEMA`.

        Raises:
            OSError: Earlier rows could not be written.
        """
        self._await_all_but(GROUPS_WAITING)
        self._under_way.append(self._executor.submit(self._write, table))
        self.rows += table.num_rows

    def _hand_over(self, group: RowGroup) -> None:
        self._await_all_but(GROUPS_WAITING)
        self._under_way.append(self._executor.submit(self._write_group, group))

    def _await_all_but(self, count: int) -> None:
        """Raise what went wrong in those that are done, and wait while too many are not."""
        while self._under_way and (len(self._under_way) > count or self._under_way[0].done()):
            self._under_way[0].result()  # What has failed once stays first: nothing follows it.
            self._under_way.popleft()

    def _write_group(self, group: RowGroup) -> None:
        self._write(group.table())

    def _write(self, table: pa.Table) -> None:
        self._writer.write_table(table)


def _step_back() -> None:
    """Let answers come first: on Linux a thread has a priority of its own."""
    if hasattr(os, "setpriority"):
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


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
