"""Uploads of the async variant: streamed on the event loop, written by threads, then analysed."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress

from anyio import to_thread
from fastapi import APIRouter, BackgroundTasks, Request
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from starlette.requests import ClientDisconnect

from loopmark.targets import contract, file_contract, upload_queries, upload_results
from loopmark.targets.async_files import TheWorkplace, read_by_aiofiles
from loopmark.targets.async_sessions import Sessions, identified, transaction
from loopmark.targets.emitter import Emitter
from loopmark.targets.settings import Settings
from loopmark.targets.text_analysis import Analysis
from loopmark.targets.upload_stream import BodyPieces, StoredFile, UploadedFile, log_refused
from loopmark.targets.workplace import LAST_WORDS_S, Workplace

log = logging.getLogger("targets")
router = APIRouter()


@file_contract.UPLOAD.on(router)
async def upload(
    request: Request,
    sessions: Sessions,
    credentials: contract.Credentials,
    workplace: TheWorkplace,
    background: BackgroundTasks,
) -> file_contract.Uploaded:
    """Authenticate, store the file, answer, analyse it."""
    # No connection is held while the file comes, which may take its time.
    user_id = await identified(sessions, credentials)
    try:
        stored = await _received(request, workplace)
    except (file_contract.RefusalError, ClientDisconnect) as error:
        raise log_refused(error, user_id) from error
    return await accepted(stored, user_id, sessions, workplace, background, request.state.emitter)


async def accepted(  # noqa: PLR0913, PLR0917 - all of it describes one upload
    stored: StoredFile,
    user_id: int,
    sessions: async_sessionmaker[AsyncSession],
    workplace: Workplace,
    background: BackgroundTasks,
    emitter: Emitter,
) -> file_contract.Uploaded:
    """Note a stored file in the database, let it be analysed, and return the answer."""
    workplace.unfinished[stored.upload_id] = stored.path
    try:
        async with sessions.begin() as session:
            await session.execute(
                upload_queries.accept(stored, user_id, workplace.settings.instance)
            )
    except BaseException as error:
        del workplace.unfinished[stored.upload_id]
        stored.path.unlink(missing_ok=True)
        if isinstance(error, IntegrityError):  # The user was deleted meanwhile.
            raise contract.UNAUTHENTICATED.exception() from error
        raise
    background.add_task(analyse, stored, user_id, sessions, workplace, emitter)
    return file_contract.Uploaded(
        upload_id=stored.upload_id,
        file_path=stored.path.name,
        bytes=stored.bytes,
        sha256=stored.sha256,
    )


@file_contract.GET_UPLOAD.on(router)
async def get_upload(
    upload_id: file_contract.UploadId,
    sessions: Sessions,
    credentials: contract.Credentials,
    workplace: TheWorkplace,
) -> file_contract.UploadStatus:
    """Select an upload of the caller."""
    async with transaction(sessions, credentials) as (session, user_id):
        found = await session.scalar(upload_queries.upload(upload_id, user_id))
    if found is None:
        raise file_contract.UPLOAD_ABSENT.exception()
    return upload_queries.status_of(found, workplace.settings.instance)


async def _received(request: Request, workplace: Workplace) -> StoredFile:
    """Read the file from the connection, a piece at a time: each is written before the next."""
    uploaded = UploadedFile(
        request.headers, workplace.uploads(), workplace.settings.max_upload_bytes
    )
    workplace.receiving.add(uploaded)
    try:
        async with aclosing(request.stream()) as stream:
            pieces = BodyPieces(stream)
            while piece := await pieces.next():
                await to_thread.run_sync(uploaded.take, piece)
            return await to_thread.run_sync(uploaded.finish)
    except BaseException:
        await to_thread.run_sync(uploaded.discard)
        raise
    finally:
        workplace.receiving.discard(uploaded)


async def analyse(
    stored: StoredFile,
    user_id: int,
    sessions: async_sessionmaker[AsyncSession],
    workplace: Workplace,
    emitter: Emitter,
) -> None:
    """Analyse an upload once, store the result, and emit an event to its user.

    The file is removed: the reference target keeps results, no files.
    """
    try:
        async with sessions.begin() as session:
            begun = await session.scalar(upload_queries.begin_analysis(stored.upload_id))
        if begun is None:
            return
        outcome = await _outcome(stored)
        async with sessions.begin() as session:
            ended = await session.scalar(
                upload_queries.end_analysis(stored.upload_id, outcome.state, outcome.result)
            )
        workplace.unfinished.pop(stored.upload_id, None)
        if ended is not None:
            emitter.emit(upload_results.event(stored, outcome, user_id))
    except (SQLAlchemyError, OSError) as error:
        log.warning(
            "analysis of upload %s lost: %s", stored.upload_id, upload_results.first_line(error)
        )
        # If even that fails, it is reported at the end, with other unfinished uploads.
        with suppress(SQLAlchemyError, OSError):
            async with sessions.begin() as session:
                await session.execute(upload_queries.lose([stored.upload_id]))
            workplace.unfinished.pop(stored.upload_id, None)
    finally:
        stored.path.unlink(missing_ok=True)


async def _outcome(stored: StoredFile) -> upload_results.Outcome:
    try:
        read = await read_by_aiofiles(stored.path.parent, stored.path.name, Analysis.IO)
    except (OSError, UnicodeDecodeError) as error:
        return upload_results.unanalysable(error)
    return upload_results.analysed(stored, read.counts)


@asynccontextmanager
async def opened(
    settings: Settings, sessions: async_sessionmaker[AsyncSession]
) -> AsyncIterator[Workplace]:
    """Open the application's workplace, and clean up at the end."""
    workplace = Workplace(settings)
    try:
        yield workplace
    finally:
        if lost := workplace.close():
            with suppress(SQLAlchemyError, OSError):
                async with asyncio.timeout(LAST_WORDS_S), sessions.begin() as session:
                    await session.execute(upload_queries.lose(lost))
