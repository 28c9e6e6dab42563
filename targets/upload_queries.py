"""The statements about uploads, built without I/O; the same for every variant."""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import Insert, Select, Update, func, insert, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from loopmark.targets.file_contract import UploadState, UploadStatus
from loopmark.targets.schema import Upload
from loopmark.targets.upload_stream import StoredFile

_UNFINISHED = (UploadState.ACCEPTED, UploadState.ANALYSING)


def accept(stored: StoredFile, owner_id: int, instance: str) -> Insert:
    """Insert an upload that is stored."""
    return insert(Upload).values(
        id=stored.upload_id,
        owner_id=owner_id,
        file_name=stored.client_name,
        stored_name=stored.path.name,
        bytes=stored.bytes,
        sha256=stored.sha256,
        instance=instance,
    )


def begin_analysis(upload_id: UUID) -> ReturningUpdate[UUID]:
    """Take an accepted upload in hand and return its id; return nothing when it is in hand already.

    Of several that try, the row's lock lets one find it accepted.
    """
    return (
        update(Upload)
        .where(Upload.id == upload_id, Upload.state == UploadState.ACCEPTED)
        .values(state=UploadState.ANALYSING, analyses=Upload.analyses + 1)
        .returning(Upload.id)
    )


def end_analysis(
    upload_id: UUID, state: UploadState, result: Mapping[str, object]
) -> ReturningUpdate[UUID]:
    """Store the result and return the id; return nothing when it was given up meanwhile."""
    return (
        update(Upload)
        .where(Upload.id == upload_id, Upload.state == UploadState.ANALYSING)
        .values(state=state, result=dict(result), finished_at=func.now())
        .returning(Upload.id)
    )


def lose(upload_ids: Collection[UUID]) -> Update:
    """Give up those of these uploads that are not finished."""
    return (
        update(Upload)
        .where(Upload.id.in_(upload_ids), Upload.state.in_(_UNFINISHED))
        .values(state=UploadState.LOST, finished_at=func.now())
    )


def upload(upload_id: UUID, owner_id: int) -> Select[Upload]:
    """Select an upload of a user."""
    return select(Upload).where(Upload.id == upload_id, Upload.owner_id == owner_id)


def status_of(found: Upload, instance: str) -> UploadStatus:
    """Return what to answer about an upload.

    Args:
        found: The row.
        instance: Of this process. It answers for what it has accepted itself, and takes what
            another one has not finished for lost: whoever asks here can no longer ask there.
    """
    state = UploadState(found.state)
    if state in _UNFINISHED and found.instance != instance:
        state = UploadState.LOST
    return UploadStatus(
        upload_id=found.id,
        state=state,
        analyses=found.analyses,
        bytes=found.bytes,
        sha256=found.sha256,
        result=found.result,
    )
