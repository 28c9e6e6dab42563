"""Another service asked by the async variant: httpx.AsyncClient, one for all requests."""

import asyncio

import httpx
from fastapi import APIRouter, Request

from loopmark.targets import contract, upstream_contract

router = APIRouter()


@upstream_contract.FETCH.on(router)
async def fetch(request: Request, seconds: contract.WaitSeconds = 0.5) -> upstream_contract.Fetched:
    """Suspend this request until the upstream has answered."""
    client: httpx.AsyncClient = request.state.upstream
    arguments = upstream_contract.request_arguments(seconds)
    body = upstream_contract.Body()
    with upstream_contract.problems_told():
        async with (
            asyncio.timeout(request.state.upstream_call_timeout_s),
            client.stream(**arguments) as response,
        ):
            async for part in response.aiter_bytes():
                body.add(part)
    return upstream_contract.fetched(response.status_code, body.content)
