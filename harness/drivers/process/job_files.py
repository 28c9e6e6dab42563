"""Load jobs and driver reports as JSON files, between the harness and its driver processes."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter

from loopmark.harness.vocabulary.job import DriverReport, LoadJob

_JOB = TypeAdapter(LoadJob)
_REPORT = TypeAdapter(DriverReport)


def write_job(job: LoadJob, path: Path) -> None:
    """Store a job for a driver process."""
    path.write_bytes(_JOB.dump_json(job))


def read_job(path: Path) -> LoadJob:
    """Load a job.

    Raises:
        pydantic.ValidationError: It was written by another version.
    """
    return _JOB.validate_json(path.read_bytes())


def write_report(report: DriverReport, path: Path) -> None:
    """Store a driver's report."""
    # Through another name: of a full disk half a report would be left.
    part = path.with_suffix(f"{path.suffix}.part")
    part.write_bytes(_REPORT.dump_json(report))
    part.replace(path)


def read_report(path: Path) -> DriverReport | None:
    """Load a driver's report; None if there is none."""
    return _REPORT.validate_json(path.read_bytes()) if path.exists() else None
