"""The scenarios about file processors."""

from __future__ import annotations

from loopmark.harness.vocabulary.scenario import Scenario, Sweep
from loopmark.scenarios import file_flows, flows
from loopmark.scenarios.file_flows import Pool, ProcessFiles, Reader

CONCURRENT_FILES = (1, 2, 4, 5, 8, 16, 32, 64, 128, 256)
"""Values of `max_concurrent` that are swept; 5 is the documented one."""


READERS: dict[Reader, str] = {
    "aiofiles": "read by aiofiles",
    "anyio": "read by anyio",
    "blocking": "read on the event loop",
}
POOLS: dict[Pool, str] = {
    "none": "in the process itself",
    "processes": "in a pool of processes",
}


STATEMENTS = {"process-files": "BEGIN SELECT COMMIT"}
"""The look-up of the token."""


def _files_at_once(limit: int) -> Scenario:
    return Scenario(
        name=f"files-io-{limit}",
        title=f"256 files, {limit} concurrently",
        description=(
            "One request to process 256 files of 10 KB. Each is read and then waits 5 ms for a "
            "service that analyses it."
        ),
        flow=ProcessFiles(file_flows.MANY, limit),
        warm=flows.no_wait("timer"),
        statements=STATEMENTS,
        sweep=Sweep("files-io", "256 files, so many at once", "max_concurrent", limit),
    )


FILE_SCENARIOS: tuple[Scenario, ...] = (
    *map(_files_at_once, CONCURRENT_FILES),
    Scenario(
        name="files-unlimited",
        title="256 files, all concurrently",
        description=(
            "The same 256 files without a limit: the documented gather, or one thread per file in "
            "the sync variants."
        ),
        flow=ProcessFiles(file_flows.MANY, None),
        warm=flows.no_wait("timer"),
        statements=STATEMENTS,
    ),
    Scenario(
        name="files-mixed",
        title="Eight files per request",
        description=(
            "Each request processes eight files of 1 to 100 KB, five at a time; each waits 5 ms "
            "for its analysis."
        ),
        flow=ProcessFiles(file_flows.MIXED, 5),
        warm=flows.no_wait("timer"),
        statements=STATEMENTS,
    ),
    *(
        Scenario(
            name=f"files-read-{reader}",
            title=f"Large files, {words}",
            description=(
                "Each request processes sixteen files of 1 MB, five at a time. The scenarios "
                "differ in how the async variant reads them; loop lag shows the delay for other "
                "requests."
            ),
            flow=ProcessFiles(file_flows.LARGE, 5, reader=reader),
            warm=flows.no_wait("timer"),
            statements=STATEMENTS,
        )
        for reader, words in READERS.items()
    ),
    Scenario(
        name="files-largest",
        title="Files of 10 MB",
        description="Each request processes four files of 10 MB, two at a time.",
        flow=ProcessFiles(file_flows.LARGEST, 2),
        warm=flows.no_wait("timer"),
        statements=STATEMENTS,
    ),
    *(
        Scenario(
            name="files-cpu" if pool == "none" else f"files-cpu-{pool}",
            title=f"CPU-bound analysis, {words}",
            description=(
                "Each request processes sixteen files of 100 KB, five at a time, and analysing "
                "them takes CPU time instead of waiting."
            ),
            flow=ProcessFiles(file_flows.COMPUTED, 5, analysis="cpu", pool=pool),
            warm=file_flows.one_computed(pool),
            statements=STATEMENTS,
        )
        for pool, words in POOLS.items()
    ),
    Scenario(
        name="beside-files",
        title="Processed files, and small answers beside them",
        description=(
            "Nine users in ten have a file of 10 KB processed. The tenth asks for next to "
            "nothing: its step, innocent, shows what it costs others that a request waits for "
            "its file."
        ),
        flow=file_flows.beside_files,
        warm=flows.no_wait("timer"),
        statements={flows.INNOCENT: "", **STATEMENTS},
        bystander=flows.INNOCENT,
    ),
)
