"""The documented contract of files and uploads; the rest of it is in `contract`."""

from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import HTTPException, Path
from pydantic import BaseModel, ConfigDict, Field

from loopmark.targets import file_names
from loopmark.targets.contract import INACTIVE, UNAUTHENTICATED, Endpoint, Problem
from loopmark.targets.file_opening import NotAFileError
from loopmark.targets.text_analysis import Analysis, ReadFile, most_at_once

MAX_FILES = 1000
MAX_CONCURRENT = 1024
DOCUMENTED_CONCURRENCY = 5

# ---- values ----


class Reader(StrEnum):
    """How the async variant reads; a variant with threads has no choice to make."""

    AIOFILES = "aiofiles"
    ANYIO = "anyio"
    BLOCKING = "blocking"


class Pool(StrEnum):
    """Where an analysis that computes does so."""

    NONE = "none"
    PROCESSES = "processes"


class UploadState(StrEnum):
    """How far an upload has come."""

    ACCEPTED = "accepted"
    ANALYSING = "analysing"
    ANALYSED = "analysed"
    FAILED = "failed"
    LOST = "lost"


UploadId = Annotated[UUID, Path(description="The upload's id.")]

# ---- requests ----


class FilesToProcess(BaseModel):
    """Files of the corpus, and how to process them."""

    model_config = ConfigDict(extra="forbid")

    files: Annotated[list[str], Field(min_length=1, max_length=MAX_FILES)]
    max_concurrent: Annotated[
        int | None,
        Field(ge=1, le=MAX_CONCURRENT, description="Files in hand at once; null: no limit."),
    ] = DOCUMENTED_CONCURRENCY
    reader: Annotated[
        Reader, Field(description="How the async variant reads; `blocking` on its event loop.")
    ] = Reader.AIOFILES
    analysis: Annotated[
        Analysis, Field(description="Ask a slow service, or compute character frequencies.")
    ] = Analysis.IO
    pool: Annotated[
        Pool, Field(description="Where an analysis that computes does so; of no effect on `io`.")
    ] = Pool.NONE

    @property
    def by_processes(self) -> bool:
        """Whether the work is for the process pool."""
        return self.analysis is Analysis.CPU and self.pool is Pool.PROCESSES


# ---- responses ----


class ProcessedFile(BaseModel):
    """What a file holds."""

    name: str
    bytes: int
    lines: int
    words: int
    sha256: str


class FilesProcessed(BaseModel):
    """The files in the order in which they were asked for."""

    status: Literal["success"] = "success"
    files: list[ProcessedFile]
    max_concurrent_seen: Annotated[int, Field(description="The most files that were open at once.")]
    bytes: Annotated[int, Field(description="Of all files together.")]

    @classmethod
    def of(cls, read: list[ReadFile]) -> "FilesProcessed":
        """Return the answer for these files."""
        return cls(
            files=[
                ProcessedFile(
                    name=one.name,
                    bytes=one.counts.bytes,
                    lines=one.counts.lines,
                    words=one.counts.words,
                    sha256=one.counts.sha256,
                )
                for one in read
            ],
            max_concurrent_seen=most_at_once((one.opened_ns, one.closed_ns) for one in read),
            bytes=sum(one.counts.bytes for one in read),
        )


class Uploaded(BaseModel):
    """The file is stored; its analysis follows."""

    status: Literal["uploaded"] = "uploaded"
    upload_id: UUID
    file_path: Annotated[str, Field(description="The name that the server has given it.")]
    bytes: int
    sha256: str


class UploadStatus(BaseModel):
    """How far an upload has come."""

    upload_id: UUID
    state: UploadState
    analyses: Annotated[int, Field(description="How often its analysis was begun.")]
    bytes: int
    sha256: str
    result: Annotated[
        dict[str, Any] | None,
        Field(description="Lines and words of an analysed file, or the error of a failed one."),
    ]


# ---- errors ----

CORPUS_ABSENT = Problem(
    503, "This target has no corpus; start it with the environment variable CORPUS."
)
PROCESSES_LOST = Problem(
    503, "A process of the pool has ended in the middle of its work; ask again, for a new pool."
)
TOO_MUCH_OPEN = Problem(
    503, "The system grants no more files or threads; ask for fewer at once with max_concurrent."
)
FILE_ABSENT = Problem(404, "There is no such file in the corpus; correct the name.")
FILE_FORBIDDEN = Problem(403, "This target may not read the file; let its user read it.")
FILE_UNUSABLE = Problem(422, "Give the name of an ordinary file with text in UTF-8.")

UPLOADS_ABSENT = Problem(
    503, "This target takes no uploads; start it with the environment variable UPLOADS."
)
DISK_FULL = Problem(507, "The file could not be stored; free some space and send it again.")
NOT_MULTIPART = Problem(415, "Send the file as multipart/form-data, in one part named 'file'.")
MALFORMED = Problem(400, "The body is no well-formed multipart/form-data; send it again.")
TOO_LARGE = Problem(413, "The file is too large.")
STALLED = Problem(408, "The rest of the file did not come; send it again.")
UPLOAD_UNUSABLE = Problem(422, "Send one part named 'file', with a file name and with content.")
UPLOAD_ABSENT = Problem(404, "You have no upload with this id.")


class RefusalError(Exception):
    """A request that is refused for a reason of its own.

    Args:
        problem: What kind of.
        reason: What is wrong, as a sentence without its full stop; the detail begins with it.

    Attributes:
        problem: As given.
        reason: As given.
    """

    def __init__(self, problem: Problem, reason: str) -> None:
        super().__init__(reason)
        self.problem = problem
        self.reason = reason

    def exception(self) -> HTTPException:
        """Return the exception to raise from a handler."""
        return HTTPException(self.problem.status, f"{self.reason}. {self.problem.detail}")


def require_names(names: list[str]) -> None:
    """Check the names before anything is opened.

    Raises:
        HTTPException: One of them is no bare name of a file.
    """
    for name in names:
        if fault := file_names.fault(name):
            raise RefusalError(FILE_UNUSABLE, f"{name!r}: {fault}").exception()


def unreadable(name: str, error: OSError | UnicodeDecodeError) -> HTTPException:
    """Return what to answer when a file could not be read."""
    match error:
        case FileNotFoundError():
            refusal = RefusalError(FILE_ABSENT, f"{name!r}: it is not there")
        case PermissionError():
            refusal = RefusalError(FILE_FORBIDDEN, f"{name!r}: {error.strerror}")
        case NotAFileError():
            refusal = RefusalError(FILE_UNUSABLE, f"{name!r}: {error}")
        case UnicodeDecodeError():
            refusal = RefusalError(FILE_UNUSABLE, f"{name!r}: it is not UTF-8")
        case _:
            refusal = RefusalError(TOO_MUCH_OPEN, f"{name!r}: {error.strerror or error}")
    return refusal.exception()


# ---- endpoints ----

_AUTH = (UNAUTHENTICATED, INACTIVE)

PROCESS_FILES = Endpoint(
    "POST",
    "/api/v2/files/process",
    "process_files",
    "files",
    "Process files",
    "Reads and analyses files of the corpus, at most `max_concurrent` of them at once. Each is "
    "read, closed, and analysed. The first that cannot be processed fails the request; the others "
    "are given up.",
    FilesProcessed,
    problems=(
        *_AUTH,
        FILE_FORBIDDEN,
        FILE_ABSENT,
        FILE_UNUSABLE,
        CORPUS_ABSENT,
        PROCESSES_LOST,
        TOO_MUCH_OPEN,
    ),
)
UPLOAD = Endpoint(
    "POST",
    "/api/v2/upload",
    "upload",
    "files",
    "Upload a file",
    "Streams the file to disk and answers; its analysis follows in the background, and "
    "`processing_complete` tells that it is done.",
    Uploaded,
    problems=(
        *_AUTH,
        MALFORMED,
        STALLED,
        TOO_LARGE,
        NOT_MULTIPART,
        UPLOAD_UNUSABLE,
        UPLOADS_ABSENT,
        DISK_FULL,
    ),
    request_body={
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    },
)
GET_UPLOAD = Endpoint(
    "GET",
    "/api/v2/uploads/{upload_id}",
    "get_upload",
    "files",
    "Get an upload",
    "Tells how far the analysis has come. An upload is lost when its process ended before its "
    "analysis did.",
    UploadStatus,
    problems=(*_AUTH, UPLOAD_ABSENT),
)

ENDPOINTS = (PROCESS_FILES, UPLOAD, GET_UPLOAD)
