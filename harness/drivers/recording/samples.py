"""Collects samples as columns in memory, and writes or sends them as row groups."""

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
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from loopmark.harness.vocabulary.sample import COLUMNS, LABELS, ColumnType, Sample

ROWS_PER_GROUP = 65_536
"""About 4 MiB in memory; a group is written when it is full, so a long run stays small."""

GROUPS_WAITING = 8
"""A slow disk would fill the memory: the driver waits for it instead, which shows in its loop
lag."""

NICENESS = 10
"""Priority of the writing thread: answers come first."""

ROWS_TOGETHER = 64
"""Rows converted to columns at a time: takes half as long as one by one, and delays no request by
more than another request does."""

_LABEL = pa.dictionary(pa.int32(), pa.string())
_TYPES: dict[ColumnType, tuple[str, pa.DataType, pa.DataType]] = {
    "int16": ("h", pa.int16(), pa.int16()),
    "int32": ("i", pa.int32(), pa.int32()),
    "int64": ("q", pa.int64(), pa.int64()),
    "time": ("q", pa.int64(), pa.int64()),
    "label": ("i", pa.int32(), _LABEL),
}
"""By type of column: how it is collected, as C's type and as Arrow's, and how it is stored."""

_COLLECTED = COLUMNS[1:]
_DONE = [column.name for column in _COLLECTED].index("done_ns")
_LABEL_PLACES = [place for place, column in enumerate(_COLLECTED) if column.name in LABELS]
SAMPLE_SCHEMA = pa.schema([(column.name, _TYPES[column.type][2]) for column in COLUMNS])


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Rows that are complete.

    Attributes:
        round: Value of the column `round` in every row.
        columns: The collected columns, in their order.
        labels: By position of a label column: the labels so far.
    """

    round: int
    columns: list[array[int]]
    labels: dict[int, list[str]]

    def table(self) -> pa.Table:
        """As an Arrow table with `SAMPLE_SCHEMA`."""
        count = len(self.columns[0])
        arrays = [_numbers(pa.int32(), array("i", [self.round]) * count)]
        for place, (column, values) in enumerate(zip(_COLLECTED, self.columns, strict=True)):
            numbers = _numbers(_TYPES[column.type][1], values)
            if place in self.labels:
                numbers = pa.DictionaryArray.from_arrays(numbers, _texts(self.labels[place]))
            arrays.append(numbers)
        return pa.table(arrays, schema=SAMPLE_SCHEMA)


class SampleRows(ABC):
    """Collects the samples of one round, and hands them over group by group.

    Args:
        round_number: Value of the column `round` in every row.
        rows_per_group: Rows kept before they are handed over.
    """

    def __init__(self, round_number: int, rows_per_group: int) -> None:
        self._round = round_number
        self._rows_per_group = rows_per_group
        self._rows_together = min(ROWS_TOGETHER, rows_per_group)
        self._labels: dict[int, dict[str, int]] = {place: {} for place in _LABEL_PLACES}
        self._loose: list[Sample] = []
        self._rows = 0
        self._last_done_ns = 0
        self._clear()

    @property
    def rows(self) -> int:
        """Number of rows added."""
        return self._rows + len(self._loose)

    @property
    def last_done_ns(self) -> int:
        """When the latest of them was done (CLOCK_MONOTONIC)."""
        latest_ns: int = max((row[_DONE] for row in self._loose), default=0)  # type: ignore[assignment] # a time
        return max(self._last_done_ns, latest_ns)

    def append(self, row: Sample) -> None:
        """Add one row.

        Raises:
            OSError: Earlier rows could not be written.
        """
        loose = self._loose
        loose.append(row)
        if len(loose) >= self._rows_together:
            self._collect()
            if len(self._columns[0]) >= self._rows_per_group:
                self.flush()

    def flush(self) -> None:
        """Hand over all rows, if there are any.

        Raises:
            OSError: Earlier rows could not be written.
        """
        if self._loose:
            self._collect()
        if len(self._columns[0]):
            labels = {place: list(known) for place, known in self._labels.items()}
            group = RowGroup(self._round, self._columns, labels)
            self._clear()
            self._hand_over(group)

    def _collect(self) -> None:
        """Convert the added rows to columns."""
        self._rows += len(self._loose)
        columns: list[Any] = [*map(list, zip(*self._loose, strict=True))]
        self._loose.clear()
        self._last_done_ns = max(self._last_done_ns, *columns[_DONE])
        for place, known in self._labels.items():
            columns[place] = [known.setdefault(label, len(known)) for label in columns[place]]
        for column, values in zip(self._columns, columns, strict=True):
            column.fromlist(values)

    def _clear(self) -> None:
        self._columns: list[array[int]] = [array(_TYPES[one.type][0]) for one in _COLLECTED]

    @abstractmethod
    def _hand_over(self, group: RowGroup) -> None:
        """Receive a complete group."""


class SampleFile(SampleRows):
    """Writes the samples of one round; a context manager.

    Row groups are compressed and written by a thread of their own: on the event loop each would
    delay some hundred requests.

    Args:
        path: The Parquet file to make.
        round_number: Value of the column `round` in every row.
        rows_per_group: Rows kept before they are written.
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
        """Write rows that were collected elsewhere, after all earlier ones.

        Args:
            table: With `SAMPLE_SCHEMA`.

        Raises:
            OSError: Earlier rows could not be written.
        """
        self._await_all_but(GROUPS_WAITING)
        self._under_way.append(self._executor.submit(self._write, table))
        self._rows += table.num_rows

    def _hand_over(self, group: RowGroup) -> None:
        self._await_all_but(GROUPS_WAITING)
        self._under_way.append(self._executor.submit(self._write_group, group))

    def _await_all_but(self, count: int) -> None:
        """Raise errors of finished writes, and wait while too many are pending."""
        while self._under_way and (len(self._under_way) > count or self._under_way[0].done()):
            self._under_way[0].result()  # What has failed once stays first: nothing follows it.
            self._under_way.popleft()

    def _write_group(self, group: RowGroup) -> None:
        self._write(group.table())

    def _write(self, table: pa.Table) -> None:
        self._writer.write_table(table)


def _step_back() -> None:
    """Lower the priority of this thread, so that answers come first (Linux)."""
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
