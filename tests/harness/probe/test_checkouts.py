"""Who took the connections that are out of a pool: real engines in a process with the probe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import loopmark.harness

START = Path(loopmark.harness.__file__).parent / "probe" / "start"
PROGRAM = """
import asyncio, json, os, sys
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

url = os.environ["URL"].partition("://")[2]
kept = []

async def take(engine):
    connection = await engine.connect()  # async
    await connection.execute(text("SELECT 1"))
    kept.append(connection)

async def return_it(engine):
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))

async def main():
    engine = create_async_engine(f"postgresql+asyncpg://{url}")
    await return_it(engine)
    await take(engine)
    await take(engine)
    sync = create_engine(f"postgresql+psycopg://{url}")
    with sync.connect():
        pass
    kept.append(sync.connect())  # sync
    print(json.dumps(sys.modules["_loopmark_probe.checkouts"].held()))
    os._exit(0)

asyncio.run(main())
"""


def held(database_url: str, folder: Path, **environment: str) -> list[dict[str, object]]:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    known = {"PYTHONPATH": str(START), "LOOPMARK_PROBE": str(folder), "URL": database_url}
    done = subprocess.run(
        [sys.executable, str(program)],
        env=os.environ | known | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, object]] = json.loads(done.stdout)
    return rows


@pytest.mark.parametrize(("mark", "times"), [("# async", 2), ("# sync", 1)])
def test_a_connection_that_is_out_has_the_line_that_took_it(
    database_url: str, tmp_path: Path, mark: str, times: int
) -> None:
    rows = held(database_url, tmp_path, LOOPMARK_PROBE_ORIGINS="1")
    assert len(rows) == 2
    lines = PROGRAM.splitlines()
    (number,) = (n for n, line in enumerate(lines, 1) if line.endswith(mark))
    (row,) = (row for row in rows if row["line"] == number)
    assert (row["file"], row["times"]) == (str(tmp_path / "program.py"), times)


def test_nothing_is_kept_where_it_is_not_asked_for(database_url: str, tmp_path: Path) -> None:
    assert held(database_url, tmp_path) == []
