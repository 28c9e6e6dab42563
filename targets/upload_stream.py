"""Streams an uploaded file to disk: parsed, hashed and written as it arrives.

The framework's own `UploadFile` is of no use here. Whatever needs it has the whole form parsed
before any dependency runs, so before it is known who sends it, and spools it to a temporary file,
to be copied from there: everything is written twice.
"""

import asyncio
import errno
import hashlib
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID, uuid4

from fastapi import HTTPException
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from loopmark.targets import file_names
from loopmark.targets.file_contract import (
    DISK_FULL,
    MALFORMED,
    NOT_MULTIPART,
    STALLED,
    TOO_LARGE,
    UPLOAD_UNUSABLE,
    RefusalError,
)

FIELD = "file"
PIECE_BYTES = 1024**2
"""How much is taken from the connection before it is written. What comes meanwhile waits in the
kernel, and then at the client: a slow disk slows the client down and fills no memory."""

PATIENCE_S = 30.0
"""Time limit for a client that sends nothing."""

FRAMING_BYTES = 64 * 1024
"""Maximum size of the parts around the file: boundaries, headers, and an ignored epilogue."""

log = logging.getLogger("targets")

# Of a malformed body the parser would log what the one line about the refused upload also says.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file on the disk.

    Attributes:
        upload_id: Chosen by the server.
        client_name: What the client calls it; for show only.
        path: Where it is, under a name that the server has chosen.
        bytes: Its size.
        sha256: The digest of its bytes, hexadecimal.
    """

    upload_id: UUID
    client_name: str
    path: Path
    bytes: int
    sha256: str


class UploadedFile:
    """The receiving end of one upload. Its methods block, for a thread to call.

    Args:
        headers: Of the request.
        folder: Where the file goes, at first with the suffix `.part`.
        max_bytes: Of the file.

    Raises:
        RefusalError: The headers show that it cannot be accepted.
    """

    def __init__(self, headers: Headers, folder: Path, max_bytes: int) -> None:
        self._upload_id = uuid4()
        self._path = folder / f"{self._upload_id}.upload"
        self._part = self._path.with_suffix(".part")
        self._max_bytes = max_bytes
        self._parser = MultipartParser(
            _boundary(headers, max_bytes),
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._header_field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )
        self._header: tuple[bytes, bytes] = b"", b""
        self._disposition = b""
        self._parts = 0
        self._client_name = ""
        self._ended = False
        self._file: IO[bytes] | None = None
        self._bytes = 0
        self._body_bytes = 0
        self._sha256 = hashlib.sha256()
        # A handler that is cancelled leaves its thread behind, which may still be writing.
        self._lock = threading.Lock()
        self._discarded = False

    def take(self, piece: bytes) -> None:
        """Take the next piece of the request's body.

        Raises:
            RefusalError: The upload cannot be accepted, from the data so far.
        """
        with self._lock:
            if self._discarded:
                return
            self._body_bytes += len(piece)
            if self._body_bytes > self._max_bytes + FRAMING_BYTES:
                raise _too_large(self._max_bytes)
            try:
                self._parser.write(piece)
            except FormParserError as error:
                raise RefusalError(MALFORMED, f"{error}") from error
            except OSError as error:
                raise _unwritable(error) from error

    def finish(self) -> StoredFile:
        """Give the file its final name, after the last piece.

        Raises:
            RefusalError: The upload is incomplete, or empty.
        """
        with self._lock:
            if not self._ended:
                raise RefusalError(MALFORMED, "It ends before its last boundary")
            if self._file is None:
                raise RefusalError(UPLOAD_UNUSABLE, "It has no part at all")
            if not self._bytes:
                raise RefusalError(UPLOAD_UNUSABLE, "The file is empty")
            try:
                self._file.close()
                self._part.rename(self._path)
            except OSError as error:
                raise _unwritable(error) from error
        digest = self._sha256.hexdigest()
        return StoredFile(self._upload_id, self._client_name, self._path, self._bytes, digest)

    def discard(self) -> None:
        """Remove the file, complete or not."""
        with self._lock:
            self._discarded = True
            if self._file is not None:
                with suppress(OSError):  # The disk is full: what is left in the buffer goes too.
                    self._file.close()
            self._part.unlink(missing_ok=True)
            self._path.unlink(missing_ok=True)

    # ---- what the parser finds ----

    def _part_begins(self) -> None:
        self._parts += 1
        if self._parts > 1:
            raise RefusalError(UPLOAD_UNUSABLE, "It has several parts")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        name, value = self._header
        self._header = name + data[start:end], value

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        name, value = self._header
        self._header = name, value + data[start:end]

    def _header_ends(self) -> None:
        name, value = self._header
        self._header = b"", b""
        if name.lower() == b"content-disposition":
            if self._disposition:
                raise RefusalError(MALFORMED, "Its part has two headers Content-Disposition")
            self._disposition = value

    def _headers_end(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or b"name" not in options:
            raise RefusalError(MALFORMED, "Its part does not say which field it is")
        field = options[b"name"].decode(errors="replace")
        if field != FIELD:
            raise RefusalError(UPLOAD_UNUSABLE, f"It has a part named {field[:100]!r}")
        self._client_name = _client_name(self._disposition, options)
        self._file = self._part.open("xb", buffering=PIECE_BYTES)

    def _data(self, data: bytes, start: int, end: int) -> None:
        assert self._file is not None, "the parser calls back for the headers first"
        self._bytes += end - start
        if self._bytes > self._max_bytes:
            raise _too_large(self._max_bytes)
        content = memoryview(data)[start:end]
        self._sha256.update(content)
        self._file.write(content)

    def _end(self) -> None:
        self._ended = True


class BodyPieces:
    """The body of a request in pieces of about a megabyte, so that few thread hops serve it all.

    Args:
        stream: The connection's data.
        patience_s: Time limit without data, in seconds.
    """

    def __init__(self, stream: AsyncIterator[bytes], patience_s: float = PATIENCE_S) -> None:
        self._stream = stream
        self._patience_s = patience_s

    async def next(self) -> bytes:
        """Wait for the next piece; an empty one is the end.

        Raises:
            RefusalError: No data arrived in time.
            ClientDisconnect: The connection is gone.
        """
        chunks: list[bytes] = []
        size = 0
        while size < PIECE_BYTES:
            try:
                async with asyncio.timeout(self._patience_s):
                    chunk = await anext(self._stream, b"")
            except TimeoutError as error:
                reason = f"Nothing came for {self._patience_s:g} s"
                raise RefusalError(STALLED, reason) from error
            if not chunk:
                break
            chunks.append(chunk)
            size += len(chunk)
        return b"".join(chunks)


def log_refused(error: RefusalError | ClientDisconnect, user_id: int) -> HTTPException:
    """Say in one line that an upload was not taken, and return what to answer."""
    if isinstance(error, ClientDisconnect):
        error = RefusalError(MALFORMED, "The connection was dropped")
    reason = error.reason.replace("\n", " ")
    log.warning("upload of user %d refused (%d): %s", user_id, error.problem.status, reason)
    return error.exception()


def _boundary(headers: Headers, max_bytes: int) -> bytes:
    """Return the boundary of the body, if its headers let it be taken."""
    kind, options = parse_options_header(headers.get("content-type"))
    if kind != b"multipart/form-data":
        shown = kind.decode("latin-1")[:100] or "nothing"
        raise RefusalError(NOT_MULTIPART, f"The content type is {shown}")
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 256:  # noqa: PLR2004 - the parser's own limit
        raise RefusalError(MALFORMED, "The content type names no boundary of 1 to 256 bytes")
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes + FRAMING_BYTES:
        raise _too_large(max_bytes)
    return boundary


def _client_name(disposition: bytes, options: dict[bytes, bytes]) -> str:
    """Return the file's name as the client gave it, if it is one."""
    # The library takes a Windows path for a blunder of old browsers and keeps its end. What is
    # left here after the quotes' own backslashes is one of such a path.
    if b"\\" in disposition.replace(b'\\"', b""):
        raise RefusalError(
            UPLOAD_UNUSABLE, "The file's name holds a path separator; give the bare name"
        )
    try:
        name = options.get(b"filename", b"").decode()
    except UnicodeDecodeError as error:
        raise RefusalError(UPLOAD_UNUSABLE, "The file's name is not UTF-8") from error
    if fault := file_names.fault(name):
        raise RefusalError(UPLOAD_UNUSABLE, f"The file's name {name[:100]!r}: {fault}")
    return name


def _too_large(max_bytes: int) -> RefusalError:
    return RefusalError(TOO_LARGE, f"More than {max_bytes} bytes are not taken")


def _unwritable(error: OSError) -> RefusalError:
    code = errno.errorcode.get(error.errno or 0, "")
    return RefusalError(DISK_FULL, f"Writing failed: {error.strerror or error} {code}".strip())
