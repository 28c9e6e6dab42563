"""Outcomes of uploaded files: the stored result, and its event."""

from dataclasses import dataclass
from typing import Literal

from loopmark.targets.events import Event, processing_complete
from loopmark.targets.file_contract import UploadState
from loopmark.targets.text_analysis import FileCounts
from loopmark.targets.upload_stream import StoredFile


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one analysis; the reference target keeps it and removes the file."""

    state: UploadState
    result: dict[str, object]


def analysed(stored: StoredFile, counts: FileCounts) -> Outcome:
    """Return the outcome of a completed analysis."""
    if counts.sha256 != stored.sha256:
        return Outcome(UploadState.FAILED, {"error": "The stored file is not the one that came."})
    found = {"bytes": counts.bytes, "lines": counts.lines, "words": counts.words}
    return Outcome(UploadState.ANALYSED, dict(found))


def unanalysable(error: OSError | UnicodeDecodeError) -> Outcome:
    """Return the outcome when the file could not be read as text."""
    if isinstance(error, UnicodeDecodeError):
        return Outcome(UploadState.FAILED, {"error": "The file is not UTF-8."})
    return Outcome(UploadState.FAILED, {"error": f"The stored file: {error.strerror or error}."})


def event(stored: StoredFile, outcome: Outcome, user_id: int) -> Event:
    """Return the event to the user with an outcome."""
    status: Literal["analysed", "failed"] = (
        "analysed" if outcome.state is UploadState.ANALYSED else "failed"
    )
    return processing_complete(
        user_id, str(stored.upload_id), stored.path.name, status, outcome.result
    )


def first_line(error: Exception) -> str:
    """Return an error's message, for a log of one line per event."""
    said = str(error).partition("\n")[0]
    return type(error).__name__ + (f": {said}" if said else "")
