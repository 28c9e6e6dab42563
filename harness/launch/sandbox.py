"""The folders that a target is given: files to process, and a place for uploads."""

from __future__ import annotations

from loopmark.harness.launch.process_reaper import temporary_folder


def target_folders(token: str) -> dict[str, str]:
    """Make the corpus and a place for uploads; they go with the run.

    Args:
        token: Of `process_reaper.reaped`.

    Returns:
        What every target of the run needs in its environment to find them.
    """
    from loopmark.targets import corpus  # noqa: PLC0415 - the CLI starts without what it does not need

    made = temporary_folder(token, "files")
    uploads = made / "uploads"
    uploads.mkdir()
    corpus.make(made / "corpus")
    return {"CORPUS": str(made / "corpus"), "UPLOADS": str(uploads)}
