"""The corpus of `files/process`: text files of 1 KB to 10 MB, the same bytes on every machine."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random
from types import MappingProxyType

KIB = 1024
MIB = 1024**2

SIZES = MappingProxyType(
    {
        "1k": (KIB, 256),
        "10k": (10 * KIB, 256),
        "100k": (100 * KIB, 64),
        "1m": (MIB, 16),
        "10m": (10 * MIB, 4),
    }
)
"""By the first part of a name: the size of such a file in bytes, and their number."""

NAMES = tuple(f"{size}-{n:03}.txt" for size, (_, count) in SIZES.items() for n in range(count))

_SYLLABLES = (
    *("ba", "ce", "di", "fo", "gu", "ha", "jé", "ka", "lö", "mi", "ne", "pår"),
    *("qui", "ru", "ße", "ta", "vø", "wy", "жи", "ню", "文", "字"),
)
_DIFFERENT_WORDS = 4000
_WORDS_OF_A_BLOCK = 40_000
_LONGEST_LINE = 20
_SEED = 2025


def make(folder: Path) -> None:
    """Write the corpus, unless it already exists.

    It is written beside its place and then renamed, so that it is complete or absent.

    Args:
        folder: Where; its parent must exist. One with anything in it is left as it is.

    Raises:
        OSError: It cannot be written.
    """
    if folder.is_dir() and any(folder.iterdir()):
        return
    being_made = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    try:
        # The folder is for whoever serves it, and not for its maker alone.
        being_made.chmod(0o755)
        block = _block()
        for name in NAMES:
            (being_made / name).write_bytes(_content(name, block))
        with suppress(FileExistsError, NotADirectoryError):
            being_made.rename(folder)
    finally:
        shutil.rmtree(being_made, ignore_errors=True)


def content(name: str) -> bytes:
    """Return the bytes of one file.

    Raises:
        KeyError: There is no such file in the corpus.
    """
    return _content(name, _block())


def _content(name: str, block: bytes) -> bytes:
    size = SIZES[name.partition("-")[0]][0]
    number = int(name.partition("-")[2].removesuffix(".txt"))
    # Each file begins with its name and at another line, so that no two have the same hash.
    begin = block.index(b"\n", number * 997 % (len(block) // 2)) + 1
    turned = block[begin:] + block[:begin]
    whole = f"{name}\n".encode() + turned * (size // len(turned) + 1)
    # The end must cut no character, and so it cuts no word.
    return whole[: whole.rindex(b" ", 0, size)].ljust(size - 1, b".") + b"\n"


def _block() -> bytes:
    # Of all that Random can do only random() is promised to stay the same in later versions.
    random = Random(_SEED).random  # noqa: S311 - text, no secret

    def word() -> str:
        return "".join(
            _SYLLABLES[int(random() * len(_SYLLABLES))] for _ in range(1 + int(random() * 3))
        )

    words = [word() for _ in range(_DIFFERENT_WORDS)]
    lines, left = [], _WORDS_OF_A_BLOCK
    while left > 0:
        length = 1 + int(random() * _LONGEST_LINE)
        # As in a language, few words are frequent: the square prefers the first ones.
        lines.append(" ".join(words[int(random() ** 2 * len(words))] for _ in range(length)))
        left -= length
    return "\n".join(lines).encode() + b"\n"
