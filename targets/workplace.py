"""Folders of an application for files and uploads, and their cleanup."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from loopmark.targets.file_contract import CORPUS_ABSENT, UPLOADS_ABSENT
from loopmark.targets.process_pool import ProcessPool
from loopmark.targets.settings import Settings
from loopmark.targets.upload_stream import UploadedFile

LAST_WORDS_S = 2.0
"""Time limit for storing the lost uploads in the database at the end."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """The workplace of one application.

    Attributes:
        settings: Its folders, its limits and its instance.
        processes: Compute where the application's own process must not.
        receiving: Uploads in progress.
        unfinished: Uploads that were accepted and whose analysis is not done, and their files.
    """

    settings: Settings
    processes: ProcessPool = field(default_factory=ProcessPool)
    receiving: set[UploadedFile] = field(default_factory=set)
    unfinished: dict[UUID, Path] = field(default_factory=dict)

    def corpus(self) -> Path:
        """Return the folder of the corpus.

        Raises:
            HTTPException: There is none.
        """
        if self.settings.corpus is None:
            raise CORPUS_ABSENT.exception()
        return self.settings.corpus

    def uploads(self) -> Path:
        """Return the folder of the uploads.

        Raises:
            HTTPException: There is none.
        """
        if self.settings.uploads is None:
            raise UPLOADS_ABSENT.exception()
        return self.settings.uploads

    def close(self) -> tuple[UUID, ...]:
        """End the processes, remove remaining files, and return the lost uploads."""
        self.processes.close()
        for uploaded in tuple(self.receiving):
            uploaded.discard()
        lost = dict(self.unfinished)
        for path in lost.values():
            path.unlink(missing_ok=True)
        return tuple(lost)
