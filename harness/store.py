"""The run folder: writes and reads all files of a run."""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from loopmark.harness.errors import UnwritableError, UserError
from loopmark.harness.vocabulary.blocking import ProcessEvidence
from loopmark.harness.vocabulary.cell import Cell
from loopmark.harness.vocabulary.folders import LATEST
from loopmark.harness.vocabulary.record import (
    SCHEMA_VERSION,
    DocumentedPoint,
    RoundRecord,
    RunRecord,
)
from loopmark.harness.vocabulary.result import RunResults
from loopmark.harness.vocabulary.sample import LABELS
from loopmark.harness.vocabulary.scenario import LocustfileFacts, ScenarioFacts
from loopmark.harness.vocabulary.target import Target
from loopmark.harness.vocabulary.thresholds import Thresholds

if TYPE_CHECKING:
    import pandas as pd

_OBJECT = TypeAdapter(dict[str, Any])
_RUN = TypeAdapter(RunRecord)
_ROUND = TypeAdapter(RoundRecord)
_RESULTS = TypeAdapter(RunResults)
_LOOPS = TypeAdapter(tuple[ProcessEvidence, ...])

_PASSWORD = re.compile(rb"""(://[^/\s:@?#'"\\]*):[^/\s?#"\\]*@""")


@dataclass(frozen=True, slots=True)
class _Catalog:
    """What an old version assumed and did not write to run.json.

    Attributes:
        scenarios: Its scenarios by name.
        targets: Its targets by name.
        documented: The timing table of the documentation.
        thresholds: Its thresholds.
    """

    scenarios: dict[str, ScenarioFacts]
    targets: dict[str, Target]
    documented: tuple[DocumentedPoint, ...]
    thresholds: Thresholds


_CATALOG = TypeAdapter(_Catalog)
_LOCUSTFILE = TypeAdapter(LocustfileFacts)


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
                raise UserError(
                    f"{link} is not a link; move it, Loopmark needs that name for its link to the "
                    "newest run"
                )
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
            UserError: It is not a run folder.
        """
        if not (path / "run.json").is_file():
            raise UserError(f"{path} is not a run folder: it has no run.json")
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
        """The folder of a cell; it may not exist."""
        return self.path / "cells" / cell.folder

    def make_cell(self, cell: Cell) -> Path:
        """The folder of a cell, created if missing."""
        path = self.cell(cell)
        with writing_to(path):
            path.mkdir(exist_ok=True)
        return path

    def samples_file(self, cell: Cell, round_number: int) -> Path:
        """The file for the samples of one round."""
        return self.cell(cell) / f"round-{round_number}.parquet"

    def write_run(self, record: RunRecord) -> None:
        """Store `run.json`, with stars for the password of every URL in it."""
        content = _PASSWORD.sub(rb"\1:***@", _RUN.dump_json(record, indent=2))
        _write(self.path / "run.json", content)

    def read_run(self) -> RunRecord:
        """Load `run.json`, also of earlier versions.

        Raises:
            UserError: It is broken, or of another schema version.
        """
        path = self.path / "run.json"
        content = _content(path)
        try:
            fields = _OBJECT.validate_json(content)
            match fields.get("schema_version"):
                case 1:
                    run = _renamed(_completed(fields))
                case 2:
                    run = _renamed(_RUN.validate_json(content))
                case version if version != SCHEMA_VERSION:
                    raise UserError(
                        f"{path}: schema version {version!r}; this Loopmark reads versions 1 to "
                        f"{SCHEMA_VERSION}"
                    )
                case _:
                    run = _RUN.validate_json(content)
        except ValidationError as error:
            raise _broken(path, error) from None
        names = Counter(cell.name for cell in run.cells)
        if twice := [name for name, many in names.items() if many > 1]:
            raise UserError(f"{path}: cells: {twice[0]} stands there more than once")
        return run

    def write_round(self, cell: Cell, record: RoundRecord) -> None:
        """Store the record of a round beside its samples."""
        path = self.make_cell(cell) / f"round-{record.round}.json"
        _write(path, _ROUND.dump_json(record))

    def write_loops(
        self, cell: Cell, round_number: int, loops: tuple[ProcessEvidence, ...]
    ) -> None:
        """Store what was seen of the target's event loops in a round."""
        _write(self.make_cell(cell) / f"loops-{round_number}.json", _LOOPS.dump_json(loops))

    def read_loops(self, cell: Cell) -> dict[int, tuple[ProcessEvidence, ...]]:
        """Load what was seen of the target's event loops, by number of the round.

        Rounds in which none was watched are not among them.

        Raises:
            UserError: A file is broken.
        """
        paths = self.cell(cell).glob("loops-*.json")
        return {int(path.stem.removeprefix("loops-")): _loops(path) for path in paths}

    def read_rounds(self, cell: Cell) -> tuple[RoundRecord, ...]:
        """Load the records of all rounds of a cell, in order.

        Raises:
            UserError: One is broken.
        """
        records = [_round(path) for path in self.cell(cell).glob("round-*.json")]
        return tuple(sorted(records, key=lambda record: record.round))

    def read_samples(
        self, cell: Cell, round_number: int, columns: Sequence[str], *, must_be_whole: bool
    ) -> pd.DataFrame:
        """Load the samples of one round; labels come as categories.

        Args:
            cell: The cell.
            round_number: Number of the round.
            columns: Which.
            must_be_whole: Whether a broken file is an error. If not it is empty: a driver that was
                killed did not finish its file.

        Raises:
            UserError: The file is broken.
        """
        import pandas as pd  # noqa: PLC0415 - half a second, and a run reads no samples

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
        """Store `results.json`.

        Raises:
            UnwritableError: It cannot be written.
        """
        _write(self.results_file, _RESULTS.dump_json(results, indent=1))

    def write_page(self, text: str) -> Path:
        """Store the HTML report, and return its path.

        Raises:
            UnwritableError: It cannot be written.
        """
        page = self.report / "index.html"
        with writing_to(page):
            self.report.mkdir(exist_ok=True)
        _write(page, text.encode())
        return page


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def no_space_told(path: Path) -> Iterator[None]:
    """Say of which folder it was that no space was left.

    Raises:
        UnwritableError: There was none, on the disk or in the quota.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise UnwritableError(error.filename or path, error) from None


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Say which file could not be written.

    Raises:
        UnwritableError: It could not.
    """
    try:
        yield
    except OSError as error:
        raise UnwritableError(path, error) from None


def _samples(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    import pyarrow as pa  # noqa: PLC0415 - with pandas
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pq.read_table(path, columns=list(columns))
    for name in columns:
        if name not in table.column_names:
            raise ValueError(f"it has no column '{name}'")
        kind = table.schema.field(name).type
        if name in LABELS and not pa.types.is_dictionary(kind):
            raise ValueError(f"the column '{name}' holds no labels")
        if name not in LABELS and not pa.types.is_integer(kind):
            raise ValueError(f"the column '{name}' holds no integers")
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _write(path: Path, content: bytes) -> None:
    # Through another name: a reader, or a crash in between, never meets half a file.
    part = path.with_suffix(path.suffix + ".part")
    with writing_to(path):
        try:
            part.write_bytes(content)
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def _round(path: Path) -> RoundRecord:
    try:
        return _ROUND.validate_json(_content(path))
    except ValidationError as error:
        raise _broken(path, error) from None


def _loops(path: Path) -> tuple[ProcessEvidence, ...]:
    try:
        return _LOOPS.validate_json(_content(path))
    except ValidationError as error:
        raise _broken(path, error) from None


def _broken(path: Path, error: ValidationError) -> UserError:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return UserError(f"{path}: {where or 'the file'}: {first['msg']}")


def _completed(fields: dict[str, Any]) -> RunRecord:
    """A run of version 1, completed with that version's scenarios and targets.

    Raises:
        ValidationError: It is broken.
    """
    text = (files("loopmark.harness") / "schema_version_1.json").read_text(encoding="utf-8")
    known = _CATALOG.validate_json(text)
    file = fields.pop("locustfile", None)
    missing = {"scenarios": (), "targets": (), "thresholds": known.thresholds}
    run = _RUN.validate_python({**fields, **missing})
    scenarios = dict.fromkeys(cell.scenario for cell in run.cells)
    targets = dict.fromkeys(cell.target for cell in run.cells)
    if file is not None:
        # What it is called says nothing: `crud.py` is not the scenario `crud`.
        url, facts = file.pop("url", ""), _LOCUSTFILE.validate_python(file)
        return replace(
            run,
            scenarios=tuple(ScenarioFacts.of_locustfile(name, facts) for name in scenarios),
            targets=tuple(Target(name=name, url=url) for name in targets),
        )
    return replace(
        run,
        scenarios=tuple(known.scenarios[name] for name in scenarios if name in known.scenarios),
        targets=tuple(known.targets[name] for name in targets if name in known.targets),
        documented=known.documented,
    )


def _renamed(run: RunRecord) -> RunRecord:
    """A run of version 2 with the present names of its drivers."""
    cells = tuple(
        replace(cell, driver="native", folder_driver="httpx")
        if cell.driver == "httpx" and cell.scenario != "crud-client"
        else cell
        for cell in run.cells
    )
    names = {old.name: new.name for old, new in zip(run.cells, cells, strict=True)}
    states = {names[name]: states for name, states in run.round_states.items() if name in names}
    return replace(run, schema_version=SCHEMA_VERSION, cells=cells, round_states=states)


def _point(link: Path, name: str) -> None:
    part = link.with_name(f".{LATEST}-{os.getpid()}")
    part.symlink_to(name)
    part.replace(link)
