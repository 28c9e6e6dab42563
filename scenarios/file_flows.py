"""Flows for the file processors; the files are those of the target's corpus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from loopmark.harness.vocabulary.flow import Request, VirtualUser, check
from loopmark.scenarios.flows import INNOCENT_SHARE, Steps, check_fields, innocent

Reader: TypeAlias = Literal["aiofiles", "anyio", "blocking"]
Pool: TypeAlias = Literal["none", "processes"]

FILES = "/api/v2/files/process"

MANY = tuple(f"10k-{number:03}.txt" for number in range(256))
MIXED = (
    *(f"1k-{number:03}.txt" for number in range(4)),
    *(f"10k-{number:03}.txt" for number in range(3)),
    "100k-000.txt",
)
LARGE = tuple(f"1m-{number:03}.txt" for number in range(16))
LARGEST = tuple(f"10m-{number:03}.txt" for number in range(4))
COMPUTED = tuple(f"100k-{number:03}.txt" for number in range(16))


@dataclass(frozen=True, slots=True)
class ProcessFiles:
    """A flow: process some files of the corpus with one request.

    Attributes:
        files: Their names.
        max_concurrent: Maximum number at once; None for no limit.
        reader: How an asynchronous target reads them.
        analysis: Whether the analysis waits for I/O, or computes.
        pool: Where it computes.
    """

    files: Sequence[str]
    max_concurrent: int | None
    reader: Reader = "aiofiles"
    analysis: Literal["io", "cpu"] = "io"
    pool: Pool = "none"

    def __call__(self, _user: VirtualUser) -> Steps:
        """Send the request, and check that every file was processed."""
        asked = {
            "files": list(self.files),
            "max_concurrent": self.max_concurrent,
            "reader": self.reader,
            "analysis": self.analysis,
            "pool": self.pool,
        }
        response = yield Request("POST", FILES, step="process-files", json=asked)
        answer = response.json()
        check_fields(answer, {"status": "success"})
        names = [one["name"] for one in answer["files"]]
        check(
            names == asked["files"], "the files processed are not those asked for, in their order"
        )
        check(all(one["words"] > 0 for one in answer["files"]), "a file has no words")
        if self.max_concurrent is not None:
            seen = answer["max_concurrent_seen"]
            check(seen <= self.max_concurrent, f"{seen} files were open at once")


def beside_files(user: VirtualUser) -> Steps:
    """One user in ten asks for next to nothing, the others have a small file processed."""
    if user.number % INNOCENT_SHARE == 0:
        yield from innocent()
    else:
        yield from ProcessFiles(MANY[:1], 1)(user)


def one_computed(pool: Pool) -> Request:
    """A small file, computed in the same place: its processes are started then."""
    asked = {"files": [MIXED[0]], "analysis": "cpu", "pool": pool}
    return Request("POST", FILES, step="warm", json=asked)
