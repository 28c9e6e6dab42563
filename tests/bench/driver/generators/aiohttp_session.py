"""aiohttp's client session on uvloop."""

from __future__ import annotations

import aiohttp
import uvloop

from tests.bench.driver.generators.closed_users import drive
from tests.bench.driver.task import Task, told


async def run(task: Task) -> None:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=task.users), timeout=aiohttp.ClientTimeout(total=None)
    )
    url = f"{task.base_url}{task.path}"

    async def get() -> int:
        async with session.get(url) as response:
            await response.read()
            return response.status

    await drive(task, get)


if __name__ == "__main__":
    uvloop.run(run(told()))
