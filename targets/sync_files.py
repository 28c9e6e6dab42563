"""Files processed by the sync variant: one after the other, or by a pool of threads."""

import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from loopmark.targets import file_contract
from loopmark.targets.contract import Credentials
from loopmark.targets.process_pool import ProcessPool
from loopmark.targets.sync_sessions import Sessions, identified
from loopmark.targets.text_analysis import SERVICE_S, Analysis, ReadFile, read_file
from loopmark.targets.workplace import Workplace

router = APIRouter()


async def workplace(request: Request) -> Workplace:
    """Return the application's workplace. A coroutine, to spare a hop into a thread."""
    found: Workplace = request.state.workplace
    return found


TheWorkplace = Annotated[Workplace, Depends(workplace)]


@file_contract.PROCESS_FILES.on(router)
def process_files(
    asked: file_contract.FilesToProcess,
    sessions: Sessions,
    credentials: Credentials,
    workplace: TheWorkplace,
) -> file_contract.FilesProcessed:
    """Process them in this thread, or in threads of the request's own.

    A limit is the number of threads. Without one there is a thread per file, a thousand at most
    because no request names more files; the system decides whether it grants them.
    """
    identified(sessions, credentials)
    folder = workplace.corpus()
    file_contract.require_names(asked.files)

    def process(name: str) -> ReadFile:
        return process_file(folder, name, asked, workplace.processes)

    threads = min(asked.max_concurrent or len(asked.files), len(asked.files))
    if threads == 1:
        return file_contract.FilesProcessed.of([process(name) for name in asked.files])
    # When a file fails, `map` gives up those that no thread has begun, and the pool waits for
    # the others.
    with ThreadPoolExecutor(threads, thread_name_prefix="files") as pool:
        try:
            awaited = pool.map(process, asked.files)
        except RuntimeError as error:
            raise file_contract.TOO_MUCH_OPEN.exception(error) from error
        return file_contract.FilesProcessed.of(list(awaited))


def process_file(
    folder: Path, name: str, asked: file_contract.FilesToProcess, processes: ProcessPool
) -> ReadFile:
    """Process one file, in the calling thread.

    Raises:
        HTTPException: It cannot be read, or the process that should has ended.
    """
    try:
        if asked.by_processes:
            # The process reads the file too: to send it there would cost more than to read it.
            return processes.submit(read_file, folder, name, asked.analysis).result()
        read = read_file(folder, name, asked.analysis)
    except (OSError, UnicodeDecodeError) as error:
        raise file_contract.unreadable(name, error) from error
    except BrokenProcessPool as error:
        raise file_contract.PROCESSES_LOST.exception() from error
    if asked.analysis is Analysis.IO:
        time.sleep(SERVICE_S)
    return read
