"""Files processed by the async variant: the documented gather, with a semaphore or without."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from pathlib import Path
from time import monotonic_ns
from types import MappingProxyType
from typing import Annotated, Protocol

import aiofiles
import anyio
from fastapi import APIRouter, Depends, Request

from loopmark.targets import file_contract
from loopmark.targets.async_sessions import Sessions, identified
from loopmark.targets.contract import Credentials
from loopmark.targets.file_contract import Reader
from loopmark.targets.file_opening import ordinary_file
from loopmark.targets.process_pool import ProcessPool
from loopmark.targets.text_analysis import (
    PIECE_BYTES,
    SERVICE_S,
    Analysis,
    ReadFile,
    TextAnalysis,
    read_file,
)
from loopmark.targets.workplace import Workplace

router = APIRouter()


async def workplace(request: Request) -> Workplace:
    """Return the application's workplace."""
    found: Workplace = request.state.workplace
    return found


TheWorkplace = Annotated[Workplace, Depends(workplace)]


@file_contract.PROCESS_FILES.on(router)
async def process_files(
    asked: file_contract.FilesToProcess,
    sessions: Sessions,
    credentials: Credentials,
    workplace: TheWorkplace,
) -> file_contract.FilesProcessed:
    """Gather one coroutine per file."""
    await identified(sessions, credentials)
    folder = workplace.corpus()
    file_contract.require_names(asked.files)
    limit = asked.max_concurrent
    semaphore = nullcontext() if limit is None else asyncio.Semaphore(limit)

    async def process_with_limit(name: str) -> ReadFile:
        async with semaphore:
            return await _process_file(folder, name, asked, workplace.processes)

    read = await _gathered([process_with_limit(name) for name in asked.files])
    return file_contract.FilesProcessed.of(read)


async def _gathered(awaited: Sequence[Coroutine[None, None, ReadFile]]) -> list[ReadFile]:
    """Gather, and if one fails, cancel and await the others."""
    tasks = [asyncio.create_task(one) for one in awaited]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _process_file(
    folder: Path, name: str, asked: file_contract.FilesToProcess, processes: ProcessPool
) -> ReadFile:
    try:
        if asked.by_processes:
            # The process reads the file too: to send it there would cost more than to read it.
            future = await asyncio.to_thread(
                processes.submit, read_file, folder, name, asked.analysis
            )
            return await asyncio.wrap_future(future)
        read = await READERS[asked.reader](folder, name, asked.analysis)
    except (OSError, UnicodeDecodeError) as error:
        raise file_contract.unreadable(name, error) from error
    except BrokenProcessPool as error:
        raise file_contract.PROCESSES_LOST.exception() from error
    if asked.analysis is Analysis.IO:
        await asyncio.sleep(SERVICE_S)
    return read


# ---- the ways to read ----


class AsyncFile(Protocol):
    """The common interface of aiofiles' and anyio's files."""

    async def read(self, size: int, /) -> bytes:
        """Read this many bytes, or the rest."""


async def count(file: AsyncFile, analysis: TextAnalysis) -> None:
    """Count an open file: it is read by threads and counted on the event loop, as documented.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8.
    """
    size = PIECE_BYTES
    while size == PIECE_BYTES:
        piece = await file.read(PIECE_BYTES)
        analysis.take(piece)
        size = len(piece)


async def read_by_aiofiles(folder: Path, name: str, analysis: Analysis) -> ReadFile:
    """Read in the threads of the event loop; the errors are those of `read_file`."""
    counting = TextAnalysis(analysis)
    async with aiofiles.open(folder / name, "rb", opener=ordinary_file) as file:
        opened_ns = monotonic_ns()
        await count(file, counting)
    return ReadFile(name, counting.counts(), opened_ns, monotonic_ns())


async def _by_anyio(folder: Path, name: str, analysis: Analysis) -> ReadFile:
    counting = TextAnalysis(analysis)
    async with await anyio.open_file(folder / name, "rb", opener=ordinary_file) as file:
        opened_ns = monotonic_ns()
        await count(file, counting)
    return ReadFile(name, counting.counts(), opened_ns, monotonic_ns())


async def _blocking(folder: Path, name: str, analysis: Analysis) -> ReadFile:
    """Read on the event loop: the documented mistake, on request."""
    return read_file(folder, name, analysis)


READERS: Mapping[Reader, Callable[[Path, str, Analysis], Awaitable[ReadFile]]] = MappingProxyType(
    {Reader.AIOFILES: read_by_aiofiles, Reader.ANYIO: _by_anyio, Reader.BLOCKING: _blocking}
)
