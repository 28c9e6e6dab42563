"""Opens a file that a client named, if it is an ordinary file in the folder, without blocking."""

import os
import stat
from pathlib import Path

# Reading a FIFO would wait for somebody to write, and opening one too unless told not to. It could
# also take the place of a file between the look and the opening, so both are made sure of.
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class NotAFileError(OSError):
    """The path is not an ordinary file. The message says what it is, as the end of a sentence."""


def ordinary_file(path: str | Path, _flags: int = 0) -> int:
    """Open an ordinary file for reading: an `opener` for `open` and its asynchronous relatives.

    Args:
        path: Of the file. A symbolic link is not followed: it could lead out of the folder.

    Returns:
        Its descriptor.

    Raises:
        NotAFileError: It is a folder, a FIFO, a socket, a device or a symbolic link.
        FileNotFoundError: It does not exist.
        PermissionError: This process may not read it.
        OSError: The system cannot open it.
    """
    _require_ordinary(os.lstat(path).st_mode)
    descriptor = os.open(path, _FLAGS)
    try:
        _require_ordinary(os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


_KINDS = (
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a FIFO"),
    (stat.S_ISLNK, "it is a symbolic link"),
    (stat.S_ISSOCK, "it is a socket"),
)


def _require_ordinary(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    raise NotAFileError(next((words for is_it, words in _KINDS if is_it(mode)), "it is a device"))
