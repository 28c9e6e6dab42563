"""The run folder: where everything that a run leaves lies, and how it is read again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from loopmark.harness.errors import UserError
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.record import SCHEMA_VERSION, RoundRecord, RunRecord
from loopmark.harness.vocabulary.result import RunResults
from loopmark.harness.vocabulary.sample import LABELS

LATEST = "latest"

_VERSION = TypeAdapter(dict[str, Any])
_RUN = TypeAdapter(RunRecord)
_ROUND = TypeAdapter(RoundRecord)
_RESULTS = TypeAdapter(RunResults)

T = TypeVar("T")


class RunFolder:
    """One run on disk: `run.json`, `cells/`, `logs/`, `results.json` and `report/`.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, out: Path, run_id: str) -> RunFolder:
        """Make the folder of a new run, and let `latest` point to it.

        Raises:
            UserError: It cannot be written.
        """
        path = out / run_id
        link = out / LATEST
        try:
            str(path).encode()  # Paths go into JSON files.
            if link.exists() and not link.is_symlink():
                raise UserError(f"{link} is in the way: it must be a link that Loopmark may change")
            (path / "cells").mkdir(parents=True)
            (path / "logs").mkdir()
            _point(link, run_id)
        except UnicodeEncodeError:
            raise UserError(f"--out: {str(out)!r} is not UTF-8; name another folder") from None
        except OSError as error:
            raise UserError(
                f"cannot write to {error.filename or path}: {error.strerror}; "
                "name another folder with --out"
            ) from None
        return cls(path)

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """The folder of a run that was made before.

        Raises:
            UserError: It is none.
        """
        if not (path / "run.json").is_file():
            raise UserError(f"{path} is no run folder: it has no run.json")
        return cls(path.resolve())

    @property
    def logs(self) -> Path:
        """Output of the processes that the run started."""
        return self.path / "logs"

    @property
    def report(self) -> Path:
        """The folder of the HTML report."""
        return self.path / "report"

    @property
    def results_file(self) -> Path:
        """`results.json`."""
        return self.path / "results.json"

    def cell(self, cell: Cell) -> Path:
        """The folder of a cell; it need not be there."""
        return self.path / "cells" / cell.folder

    def make_cell(self, cell: Cell) -> Path:
        """The folder of a cell, made when it is not there."""
        path = self.cell(cell)
        path.mkdir(exist_ok=True)
        return path

    def samples_file(self, cell: Cell, round_number: int) -> Path:
        """The file for the samples of one round."""
        return self.cell(cell) / f"round-{round_number}.parquet"

    def write_run(self, record: RunRecord) -> None:
        """Store `run.json`."""
        _write(self.path / "run.json", _RUN.dump_json(record, indent=2))

    def read_run(self) -> RunRecord:
        """Load `run.json`.

        Raises:
            UserError: It is broken, or of another schema version.
        """
        return _read(self.path / "run.json", _RUN)

    def write_round(self, cell: Cell, record: RoundRecord) -> None:
        """Store what is known of one round beside its samples."""
        path = self.make_cell(cell) / f"round-{record.round}.json"
        _write(path, _ROUND.dump_json(record))

    def read_rounds(self, cell: Cell) -> tuple[RoundRecord, ...]:
        """Load the records of all rounds of a cell, in order.

        Raises:
            UserError: One is broken.
        """
        records = [_read(path, _ROUND) for path in self.cell(cell).glob("round-*.json")]
        return tuple(sorted(records, key=lambda record: record.round))

    def read_samples(
        self, cell: Cell, round_number: int, columns: Sequence[str], *, must_be_whole: bool
    ) -> pd.DataFrame:
        """Load the samples of one round; labels come as categories.

        Args:
            cell: Whose.
            round_number: Of which round.
            columns: Which.
            must_be_whole: Whether a broken file is an error. If not it is empty: a driver that was
                killed did not finish its file.

        Raises:
            UserError: The file is broken.
        """
        path = self.samples_file(cell, round_number)
        try:
            return _samples(path, columns)
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:  # pyarrow's errors are one or the other
            if must_be_whole:
                reason = str(error).partition("\n")[0]
                raise UserError(f"{path}: not a readable sample file: {reason}") from None
        return pd.DataFrame(columns=list(columns))

    def write_results(self, results: RunResults) -> None:
        """Store `results.json`."""
        _write(self.results_file, _RESULTS.dump_json(results, indent=1))

    def read_results(self) -> RunResults:
        """Load `results.json`.

        Raises:
            UserError: It is missing, broken, or of another schema version.
        """
        return _read(self.results_file, _RESULTS)


def _samples(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    table = pq.read_table(path, columns=list(columns))
    for name in LABELS:
        if name in columns and not pa.types.is_dictionary(table.schema.field(name).type):
            raise ValueError(f"the column '{name}' holds no labels")
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _write(path: Path, content: bytes) -> None:
    # Through another name: a reader, or a crash in between, never meets half a file.
    part = path.with_suffix(path.suffix + ".part")
    part.write_bytes(content)
    part.replace(path)


def _read(path: Path, adapter: TypeAdapter[T]) -> T:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    try:
        # Before the fields: those of another version are other fields.
        version = _VERSION.validate_json(content).get("schema_version", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            raise UserError(
                f"{path}: schema version {version!r}; this Loopmark reads version {SCHEMA_VERSION}"
            )
        return adapter.validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{path}: {where or 'the file'}: {first['msg']}") from None


def _point(link: Path, name: str) -> None:
    part = link.with_name(f".{LATEST}-{os.getpid()}")
    part.symlink_to(name)
    part.replace(link)
