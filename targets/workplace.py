"""Where an application processes files and keeps uploads, and what it must leave in order."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from loopmark.targets.file_contract import CORPUS_ABSENT, UPLOADS_ABSENT
from loopmark.targets.process_pool import ProcessPool
from loopmark.targets.settings import Settings
from loopmark.targets.upload_stream import UploadedFile

LAST_WORDS_S = 2.0
"""How long the database may take at the end to hear which uploads are lost."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Of one application.

    Attributes:
        settings: Its folders, its limits and its instance.
        processes: Compute where the application's own process must not.
        receiving: Uploads on their way.
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
        """End the processes, remove what is left of the files, and tell which uploads are lost."""
        self.processes.close()
        for uploaded in tuple(self.receiving):
            uploaded.discard()
        lost = dict(self.unfinished)
        for path in lost.values():
            path.unlink(missing_ok=True)
        return tuple(lost)
