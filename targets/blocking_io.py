"""The blocking-io variant: the documented pitfall of blocking I/O in an async function.

Fault: files are opened, read and sent to the service that analyses them by the sync variant's
function, called directly from an `async def` handler. Symptom: the event loop stands still for as
long as all files of a request take, one after another, and every other request waits with it.
Cure: await aiofiles or anyio and `asyncio.sleep`, as the twin does; or hand what blocks to
`asyncio.to_thread`.
"""

from fastapi import APIRouter, FastAPI

from loopmark.targets import async_app, file_contract
from loopmark.targets.async_files import TheWorkplace
from loopmark.targets.async_sessions import Sessions, identified
from loopmark.targets.contract import Credentials
from loopmark.targets.settings import Settings
from loopmark.targets.sync_files import process_file

router = APIRouter()


@file_contract.PROCESS_FILES.on(router)
async def process_files(
    asked: file_contract.FilesToProcess,
    sessions: Sessions,
    credentials: Credentials,
    workplace: TheWorkplace,
) -> file_contract.FilesProcessed:
    """Process one file after another, on the event loop."""
    await identified(sessions, credentials)
    folder = workplace.corpus()
    file_contract.require_names(asked.files)
    read = [process_file(folder, name, asked, workplace.processes) for name in asked.files]
    return file_contract.FilesProcessed.of(read)


def build(settings: Settings) -> FastAPI:
    """Return the application."""
    return async_app.build(settings, async_app.Parts(files=router))
