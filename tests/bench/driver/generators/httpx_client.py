"""httpx's client on uvloop: on its own connection pool, or on the aiohttp transport."""

from __future__ import annotations

import httpx
import uvloop

from tests.bench.driver.generators.closed_users import drive
from tests.bench.driver.task import Task, told


async def run(task: Task) -> None:
    limits = httpx.Limits(max_connections=task.users, max_keepalive_connections=task.users)
    if task.kind == "aiohttp":
        from httpx_aiohttp import AiohttpTransport  # noqa: PLC0415 - the other kind goes without

        client = httpx.AsyncClient(transport=AiohttpTransport(limits=limits), timeout=None)
    else:
        client = httpx.AsyncClient(limits=limits, timeout=None)
    url = f"{task.base_url}{task.path}"

    async def get() -> int:
        return (await client.get(url)).status_code

    await drive(task, get)


if __name__ == "__main__":
    uvloop.run(run(told()))
