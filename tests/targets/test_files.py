"""Files of the corpus are processed by every variant, in every way that can be asked for."""

import asyncio
import gc
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from loopmark.targets import schema
from loopmark.targets.text_analysis import Analysis, TextAnalysis, most_at_once
from tests.hang_limit import HANG_S
from tests.targets.conftest import (
    CONCURRENT,
    SEEDS,
    SERVERS,
    TOKENS,
    LocalTarget,
    ServedTarget,
    first_answer,
    local_client,
    running,
    served_client,
    serving,
    tables,
    with_marks,
)

pytestmark = [
    pytest.mark.anyio,
    # A file that a thread opens for a coroutine which is cancelled meanwhile is closed when nothing
    # refers to it any more. Whether any stays open, a test looks for itself.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

PROCESS = "/api/v2/files/process"
AUTH = {"Authorization": f"Bearer {TOKENS[0]}"}
WAYS = [
    {"reader": reader, "analysis": analysis, "pool": pool, "max_concurrent": limit}
    for reader, (analysis, pool), limit in product(
        ("aiofiles", "anyio", "blocking"),
        (("io", "none"), ("cpu", "none"), ("cpu", "processes")),
        (1, 3, None),
    )
]
NAMES = ["10k-000.txt", "1k-255.txt", "1m-000.txt", "1k-000.txt", "1k-000.txt", "100k-063.txt"]

UNUSABLE: list[Any] = [
    {},
    {"files": []},
    {"files": ["1k-000.txt"] * 1001},
    {"files": "1k-000.txt"},
    {"files": [1]},
    {"files": ["1k-000.txt"], "max_concurrent": 0},
    {"files": ["1k-000.txt"], "max_concurrent": 1025},
    {"files": ["1k-000.txt"], "reader": "mmap"},
    {"files": ["1k-000.txt"], "analysis": "gpu"},
    {"files": ["1k-000.txt"], "pool": "threads"},
    {"files": ["1k-000.txt"], "other": 1},
]
UNUSABLE_NAMES = {
    "": "empty",
    "  ": "empty",
    ".": "folder",
    "..": "folder",
    "../secret.txt": "separator",
    "a/b.txt": "separator",
    "/etc/passwd": "separator",
    "a\\b.txt": "separator",
    "C:file.txt": "drive",
    "a\x00b.txt": "control",
    "a\nb.txt": "control",
    "a\x7fb.txt": "control",
    "x" * 256: "longer than 255 bytes",
    "ä" * 128: "longer than 255 bytes",
}


@contextmanager
def seeded_tables(database_url: str) -> Iterator[str]:
    with tables(database_url) as (name, engine):
        with engine.begin() as connection:
            schema.reset(connection, TOKENS, SEEDS)
        yield name


def truth(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    text = content.decode()
    return {
        "name": path.name,
        "bytes": len(content),
        "lines": len(text.split("\n")) - text.endswith("\n"),
        "words": len(text.split()),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def open_in_corpus(target: LocalTarget) -> list[str]:
    """What this process and those of its pools have open there."""
    this = psutil.Process()
    return [
        file.path
        for process in (this, *this.children(recursive=True))
        for file in process.open_files()
        if Path(file.path).is_relative_to(target.corpus)
    ]


async def test_the_files_are_counted_rightly_and_in_order(
    client: httpx.AsyncClient, target: LocalTarget
) -> None:
    expected = [truth(target.corpus / name) for name in NAMES]
    for way in WAYS:
        answer = await client.post(PROCESS, json={"files": NAMES} | way)
        assert answer.status_code == 200, (way, answer.text)
        body = answer.json()
        assert body["status"] == "success"
        assert body["files"] == expected, way
        assert body["bytes"] == sum(one["bytes"] for one in expected)
        assert 1 <= body["max_concurrent_seen"] <= (way["max_concurrent"] or len(NAMES)), way


async def test_the_documented_five_at_once_is_the_default(client: httpx.AsyncClient) -> None:
    names = [f"1k-{n:03}.txt" for n in range(100)]
    body = (await client.post(PROCESS, json={"files": names})).json()
    assert [one["name"] for one in body["files"]] == names
    assert 1 <= body["max_concurrent_seen"] <= 5


@pytest.mark.parametrize("target", [*map(with_marks, CONCURRENT)], indirect=True)
async def test_without_a_limit_many_are_open_at_once(client: httpx.AsyncClient) -> None:
    names = [f"{size}-{n:03}.txt" for size in ("1k", "10k") for n in range(250)]
    answer = await client.post(PROCESS, json={"files": names, "max_concurrent": None})
    assert answer.status_code == 200
    seen = answer.json()["max_concurrent_seen"]
    assert seen > 1
    assert len(answer.json()["files"]) == 500


async def test_one_at_a_time_waits_for_the_service_each_time(client: httpx.AsyncClient) -> None:
    names = [f"1k-{n:03}.txt" for n in range(20)]
    began = time.monotonic()
    body = (await client.post(PROCESS, json={"files": names, "max_concurrent": 1})).json()
    assert time.monotonic() - began >= 20 * 0.005
    assert body["max_concurrent_seen"] == 1


async def test_unusable_requests_are_422(client: httpx.AsyncClient) -> None:
    for body in UNUSABLE:
        assert (await client.post(PROCESS, json=body)).status_code == 422, body


async def test_a_name_that_is_none_is_422(client: httpx.AsyncClient) -> None:
    for name, reason in UNUSABLE_NAMES.items():
        answer = await client.post(PROCESS, json={"files": ["1k-000.txt", name]})
        assert answer.status_code == 422, name
        detail = answer.json()["detail"]
        assert detail.startswith(repr(name))
        assert reason in detail


async def test_half_a_character_in_a_name_is_422(client: httpx.AsyncClient) -> None:
    content, headers = rb'{"files": ["a\ud800.txt"]}', {"Content-Type": "application/json"}
    answer = await client.post(PROCESS, content=content, headers=headers)
    assert answer.status_code == 422


@contextmanager
def beside(target: LocalTarget, name: str, make: Callable[[Path], object]) -> Iterator[str]:
    """Something in the corpus that does not belong there."""
    path = target.corpus / name
    make(path)
    try:
        yield name
    finally:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (Path.mkdir, "it is a folder"),
    "fifo": (os.mkfifo, "it is a FIFO"),
    "link": (lambda path: path.symlink_to("/etc/passwd"), "it is a symbolic link"),
    "device": (lambda path: os.mknod(path, 0o020666, os.makedev(1, 5)), "it is a device"),
    "latin-1": (lambda path: path.write_bytes("Grüße\n".encode("latin-1")), "it is not UTF-8"),
    "cut": (lambda path: path.write_bytes("Grüße, ü".encode()[:-1]), "it is not UTF-8"),
    "late": (lambda path: path.write_bytes(b"x" * 700_000 + b"\xff"), "it is not UTF-8"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
async def test_what_is_no_text_file_is_422_and_never_waited_for(
    client: httpx.AsyncClient, target: LocalTarget, kind: str
) -> None:
    if kind == "device" and os.geteuid() != 0:
        assert not os.environ.get("CI"), "CI runs as root"
        pytest.skip("only root can make a device")
    make, reason = BAD_FILES[kind]
    with beside(target, f"bad-{kind}", make) as name:
        for way in WAYS:
            files = ["1k-000.txt", name, "1k-001.txt"]
            answer = await client.post(PROCESS, json={"files": files} | way)
            assert answer.status_code == 422, way
            assert answer.json()["detail"].startswith(f"'{name}': {reason}. Give the name")


async def test_a_missing_file_is_404_and_the_others_leave_nothing_open(
    client: httpx.AsyncClient, target: LocalTarget
) -> None:
    names = [f"10k-{n:03}.txt" for n in range(100)]
    names.insert(50, "absent.txt")
    for way in WAYS:
        answer = await client.post(PROCESS, json={"files": names} | way)
        assert answer.status_code == 404, way
        assert answer.json()["detail"] == (
            "'absent.txt': it is not there. There is no such file in the corpus; correct the name."
        )
    async with asyncio.timeout(HANG_S):
        while open_in_corpus(target):
            # A cancelled coroutine's traceback may refer to the file, and here nothing else happens
            # that would make Python look for such circles.
            gc.collect()
            await asyncio.sleep(0.05)


async def test_an_unreadable_file_is_403(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine\n")
    (tmp_path / "mine.txt").chmod(0)
    socket = make_url(database_url).query.get("host", "")
    with seeded_tables(database_url) as name, open_to_all(str(socket)):
        for variant in SERVERS:
            with serving(
                variant,
                {
                    "DATABASE_URL": database_url,
                    "DATABASE_SCHEMA": name,
                    "CORPUS": str(tmp_path),
                },
                heeds_permissions=True,
            ) as process:
                assert first_answer(process).status_code == 200
                async with served_client(process.url, AUTH) as client:
                    for way in WAYS:
                        answer = await client.post(PROCESS, json={"files": ["mine.txt"]} | way)
                        assert answer.status_code == 403, way
                        detail = answer.json()["detail"]
                        assert detail.startswith("'mine.txt': Permission denied. ")


@contextmanager
def open_to_all(folder: str) -> Iterator[None]:
    """Let a process that must heed permissions reach the database's socket."""
    if not folder.startswith("/"):
        yield
        return
    mode = Path(folder).stat().st_mode
    Path(folder).chmod(mode | 0o011)
    try:
        yield
    finally:
        Path(folder).chmod(mode)


@pytest.mark.parametrize("variant", SERVERS)
async def test_without_folders_the_answer_names_the_variable(
    database_url: str, variant: str
) -> None:
    with seeded_tables(database_url) as name:
        async with (
            running(variant, DATABASE_URL=database_url, DATABASE_SCHEMA=name) as application,
            local_client(application, AUTH) as client,
        ):
            answer = await client.post(PROCESS, json={"files": ["1k-000.txt"]})
            assert answer.status_code == 503
            assert "CORPUS" in answer.json()["detail"]
            answer = await client.post("/api/v2/upload", files={"file": ("a.txt", b"a")})
            assert answer.status_code == 503
            assert "UPLOADS" in answer.json()["detail"]


# ---- the pool of processes ----


def workers(target: ServedTarget) -> list[psutil.Process]:
    """Those that compute: their command line names the server that they were made for."""
    return [
        child
        for child in psutil.Process(target.process.pid).children(recursive=True)
        if child.num_threads() > 1
    ]


async def test_a_worker_that_dies_is_503_and_the_next_request_is_served(
    served: ServedTarget,
) -> None:
    computing = {"analysis": "cpu", "pool": "processes", "max_concurrent": None}
    async with served.client() as client:
        small = {"files": ["1k-000.txt"]} | computing
        assert (await client.post(PROCESS, json=small)).status_code == 200
        large = {"files": [f"10m-{n:03}.txt" for n in range(4)] * 2} | computing
        asked = asyncio.create_task(client.post(PROCESS, json=large))
        before = {child.pid: sum(child.cpu_times()[:2]) for child in workers(served)}
        assert before
        busy: list[psutil.Process] = []
        async with asyncio.timeout(HANG_S):
            while not busy:
                await asyncio.sleep(0.01)
                busy = [
                    child
                    for child in workers(served)
                    if sum(child.cpu_times()[:2]) > before.get(child.pid, 1e9) + 0.1
                ]
        busy[0].kill()
        answer = await asked
        assert answer.status_code == 503
        assert answer.json()["detail"].startswith("A process of the pool has ended")
        assert (await client.post(PROCESS, json=small)).status_code == 200


@pytest.mark.parametrize("variant", SERVERS)
@pytest.mark.parametrize("killed", [True, False])
async def test_the_workers_end_with_the_server(
    database_url: str, corpus_folder: Path, variant: str, *, killed: bool
) -> None:
    with (
        seeded_tables(database_url) as name,
        serving(
            variant,
            {
                "DATABASE_URL": database_url,
                "DATABASE_SCHEMA": name,
                "CORPUS": str(corpus_folder),
            },
        ) as process,
    ):
        assert first_answer(process).status_code == 200
        computing = {"files": ["1k-000.txt"], "analysis": "cpu", "pool": "processes"}
        async with served_client(process.url, AUTH) as client:
            answer = await client.post(PROCESS, json=computing)
        assert answer.status_code == 200
        started = psutil.Process(process.pid).children(recursive=True)
        assert started
        if killed:
            process.running.kill()
        else:
            process.running.terminate()
        process.running.wait(HANG_S)
        assert process.log() == "" or killed, "only who is killed leaves things to be cleaned up"
        _, left = psutil.wait_procs(started, timeout=HANG_S)
        assert not left


# ---- the pure part ----


@given(st.text(alphabet="a b\nä文\r\t\u2003"), st.integers(1, 7), st.sampled_from(Analysis))
def test_a_text_is_counted_the_same_however_it_is_cut(
    text: str, size: int, analysis: Analysis
) -> None:
    content = text.encode()
    counting = TextAnalysis(analysis)
    for begin in range(0, len(content), size):
        counting.take(content[begin : begin + size])
    counts = counting.counts()
    assert counts.bytes == len(content)
    assert counts.words == len(text.split())
    assert counts.lines == len(text.split("\n")) - (not text or text.endswith("\n"))
    assert counts.sha256 == hashlib.sha256(content).hexdigest()


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10))))
def test_the_most_at_once_is_what_a_look_at_every_moment_finds(
    stretches: list[tuple[int, int]],
) -> None:
    spans = [(begin, begin + length) for begin, length in stretches]
    looked = max((sum(a <= at < b for a, b in spans) for at in range(50)), default=0)
    assert most_at_once(spans) == looked
